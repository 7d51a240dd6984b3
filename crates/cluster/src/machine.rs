//! What the log is applied to.

use std::io::{self, Read, Write};

use polyport_base::Millis;

use crate::Members;

/// A committed proposal.
#[derive(Clone, Copy, Debug)]
pub struct Committed<'a> {
    /// Its place in the log.
    pub index: u64,
    /// The term of the leader that proposed it.
    pub term: u64,
    /// That leader's wall clock at the time.
    pub time: Millis,
    /// What was proposed.
    pub bytes: &'a [u8],
}

/// The replicated state machine of one node.
///
/// Errors stop the node: state that cannot be applied is state that is wrong.
pub trait StateMachine: Send + Sync + 'static {
    /// Applies proposals in the order of the log.
    ///
    /// # Errors
    /// If a proposal is malformed.
    fn apply(&mut self, committed: &[Committed<'_>]) -> io::Result<()>;

    /// The membership changed at this index of the log. A snapshot holds what its state made of the
    /// changes before it: they are not told again after [`StateMachine::restore`].
    fn members_changed(&mut self, index: u64, members: &Members);

    /// Fixes the moment of a snapshot; what is returned writes it while `apply` goes on.
    fn snapshot(&mut self) -> Box<dyn SnapshotWrite>;

    /// Replaces the state with a snapshot's.
    ///
    /// # Errors
    /// If it cannot be read; the state is then unchanged.
    fn restore(&mut self, from: &mut dyn Read) -> io::Result<()>;
}

/// A snapshot whose moment is fixed.
pub trait SnapshotWrite: Send + Sync {
    /// Writes it out. Runs beside `apply`, on a thread of its own.
    ///
    /// # Errors
    /// The writer's.
    fn write_to(self: Box<Self>, out: &mut dyn Write) -> io::Result<()>;
}
