//! Failures a simulated disk can be told to have.

use std::io;

use rustix::io::Errno;

/// A failure that begins after some successes and then lasts until it is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The disk is full after that many more bytes were written or allocated. The write that meets
    /// the limit is done in part.
    FullAfterBytes(u64),
    /// Every operation that changes the disk fails with EIO after that many more of them.
    FailAfterOps(u64),
    /// Every sync fails with EIO after that many more of them. As with a real kernel, the writes
    /// that a failed sync covered are never made durable by a later sync.
    FailAfterSyncs(u64),
}

/// What a fault lets through of one operation.
pub(super) enum Verdict {
    Pass,
    /// Only that many bytes, then this error.
    Partial(usize, io::Error),
}

/// Counts one operation.
fn take(left: &mut u64) -> io::Result<()> {
    *left = left.checked_sub(1).ok_or(Errno::IO)?;
    Ok(())
}

impl Fault {
    /// Counts a write of `bytes`.
    pub(super) fn write(&mut self, bytes: usize) -> Verdict {
        match self {
            Fault::FullAfterBytes(left) => {
                if *left >= bytes as u64 {
                    *left -= bytes as u64;
                    return Verdict::Pass;
                }
                let done = *left as usize;
                *left = 0;
                Verdict::Partial(done, Errno::NOSPC.into())
            }
            Fault::FailAfterOps(left) => match take(left) {
                Ok(()) => Verdict::Pass,
                Err(error) => Verdict::Partial(0, error),
            },
            Fault::FailAfterSyncs(_) => Verdict::Pass,
        }
    }

    /// Counts a reservation of `bytes`, which is done whole or not at all.
    pub(super) fn reserve(&mut self, bytes: usize) -> io::Result<()> {
        match self {
            Fault::FullAfterBytes(left) => {
                *left = left.checked_sub(bytes as u64).ok_or(Errno::NOSPC)?;
                Ok(())
            }
            Fault::FailAfterOps(left) => take(left),
            Fault::FailAfterSyncs(_) => Ok(()),
        }
    }

    /// Counts a change of a name or a length.
    pub(super) fn change(&mut self) -> io::Result<()> {
        match self {
            Fault::FailAfterOps(left) => take(left),
            _ => Ok(()),
        }
    }

    /// Counts a sync.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        match self {
            Fault::FailAfterOps(left) | Fault::FailAfterSyncs(left) => take(left),
            _ => Ok(()),
        }
    }
}
