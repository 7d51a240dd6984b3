//! Getting things into the log, whoever leads.
//!
//! A node numbers what it wants in the log and keeps it until it has seen it applied. It sends in
//! order to the leader it knows of; when the leader changes, or nothing happens for a while, it
//! sends everything again. The state machine skips what comes twice (it sees the numbers), so each
//! proposal takes effect once.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// The first byte of a frame on a connection for proposals.
pub(crate) mod frame {
    pub(crate) const PROPOSAL: u8 = 1;
    pub(crate) const NOTE: u8 = 2;
}

/// Without any progress for this long, everything is sent again.
pub(crate) const RESEND_AFTER: Duration = Duration::from_secs(1);

/// Longest frame of notes, in bytes.
const MAX_NOTE: usize = 4 << 20;

#[derive(Debug, Default)]
struct State {
    /// (number, frame), numbers consecutive.
    waiting: VecDeque<(u64, Bytes)>,
    note: Option<Bytes>,
    acknowledged: u64,
    began: u64,
}

/// What this node wants in the log. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Proposals {
    state: Arc<Mutex<State>>,
    wake: Arc<Notify>,
}

impl Proposals {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a proposal; numbers are consecutive.
    pub fn push(&self, number: u64, proposal: &[u8]) {
        let mut frame = BytesMut::with_capacity(1 + proposal.len());
        frame.put_u8(frame::PROPOSAL);
        frame.put_slice(proposal);
        let mut state = self.state.lock();
        debug_assert!(state.waiting.back().is_none_or(|(last, _)| last + 1 == number));
        state.waiting.push_back((number, frame.freeze()));
        drop(state);
        self.wake.notify_one();
    }

    /// All up to and including this number have been applied.
    pub fn acknowledge(&self, number: u64) {
        let mut state = self.state.lock();
        while state.waiting.front().is_some_and(|(first, _)| *first <= number) {
            state.waiting.pop_front();
        }
        state.acknowledged += 1;
    }

    /// Forgets all: the state machine will not take them any more.
    pub fn clear(&self) {
        self.state.lock().waiting.clear();
    }

    /// How many wait to be applied.
    pub fn len(&self) -> usize {
        self.state.lock().waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Something for the leader to know that need not be in the log. Best effort; one not yet sent
    /// goes before it in the same frame, unless that has grown too long without a leader.
    pub fn note(&self, note: &[u8]) {
        let mut state = self.state.lock();
        let unsent = state.note.take().filter(|unsent| unsent.len() + note.len() <= MAX_NOTE);
        let mut frame = BytesMut::with_capacity(1 + note.len());
        match unsent {
            Some(unsent) => frame.put_slice(&unsent),
            None => frame.put_u8(frame::NOTE),
        }
        frame.put_slice(note);
        state.note = Some(frame.freeze());
        drop(state);
        self.wake.notify_one();
    }

    /// How often sending began: it does with every leader, and every connection to one. Notes sent
    /// before may never have arrived.
    pub fn began(&self) -> u64 {
        self.state.lock().began
    }

    pub(crate) fn begin(&self) {
        self.state.lock().began += 1;
    }

    /// The frame after number `sent`, with its number.
    pub(crate) fn after(&self, sent: Option<u64>) -> Option<(u64, Bytes)> {
        let state = self.state.lock();
        let (first, _) = state.waiting.front()?;
        let skip = sent.map_or(0, |sent| (sent + 1).saturating_sub(*first)) as usize;
        state.waiting.get(skip).cloned()
    }

    pub(crate) fn take_note(&self) -> Option<Bytes> {
        self.state.lock().note.take()
    }

    /// A number that grows whenever something is applied.
    pub(crate) fn progress(&self) -> u64 {
        self.state.lock().acknowledged
    }

    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_not_yet_sent_is_not_forgotten_for_the_next() {
        let proposals = Proposals::new();
        proposals.note(b"one");
        proposals.note(b"two");
        assert_eq!(proposals.take_note().as_deref(), Some(&b"\x02onetwo"[..]));
        assert_eq!(proposals.take_note(), None);
        proposals.note(b"old");
        proposals.note(&vec![0; MAX_NOTE]);
        assert_eq!(proposals.take_note().map(|note| note.len()), Some(MAX_NOTE + 1));
    }

    #[test]
    fn what_is_not_acknowledged_is_sent_again_in_order() {
        let proposals = Proposals::new();
        for number in 5..9 {
            proposals.push(number, b"x");
        }
        assert_eq!(proposals.after(None).unwrap().0, 5);
        assert_eq!(proposals.after(Some(5)).unwrap().0, 6);
        assert!(proposals.after(Some(8)).is_none());
        proposals.acknowledge(6);
        assert_eq!(proposals.after(None).unwrap().0, 7);
        assert_eq!(proposals.after(Some(5)).unwrap().0, 7);
        assert_eq!(proposals.len(), 2);
    }
}
