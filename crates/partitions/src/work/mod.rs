//! The background: queues, timers, files that wait for their removal, and the threads.

pub(crate) mod flush;
mod threads;

use std::path::PathBuf;
use std::sync::Arc;

use polyport_base::Millis;
use polyport_log::{LogError, Removed};
use polyport_storage::Disk;

use crate::dir::Dir;

/// When the next upkeep of each kind is due. At first all is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Upkeep {
    pub(crate) checkpoints: Timer,
    pub(crate) retention: Timer,
    pub(crate) producers: Timer,
}

/// Something that is done now and then.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timer {
    at: Millis,
}

impl Timer {
    pub fn is_due(&self, now: Millis) -> bool {
        now >= self.at
    }

    /// When it is due next, now that it was looked at.
    pub fn next(&mut self, now: Millis, interval_ms: i64) -> Millis {
        let next = Millis(now.0.saturating_add(interval_ms.max(1)));
        // Also if the clock went back.
        if self.is_due(now) || self.at > next {
            self.at = next;
        }
        self.at
    }
}

/// Files that belong to nothing any more. They stay a while, for who reads them by name.
#[derive(Debug)]
pub(crate) struct Doomed<D: Disk> {
    at: Millis,
    dir: Arc<Dir<D>>,
    what: What<D>,
}

#[derive(Debug)]
enum What<D: Disk> {
    Dir(PathBuf),
    Files(Removed<D>),
}

impl<D: Disk> Doomed<D> {
    pub fn dir(at: Millis, dir: Arc<Dir<D>>, path: PathBuf) -> Self {
        Doomed { at, dir, what: What::Dir(path) }
    }

    pub fn files(at: Millis, dir: Arc<Dir<D>>, removed: Removed<D>) -> Self {
        Doomed { at, dir, what: What::Files(removed) }
    }

    pub fn at(&self) -> Millis {
        self.at
    }

    /// Removes them. What cannot be removed the next start removes.
    pub fn remove(self, disk: &D) {
        let done = match self.what {
            What::Dir(path) => match disk.remove_dir_all(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    Err(LogError::Io { doing: "remove", path, source: error })
                }
                _ => Ok(()),
            },
            // A partition that was deleted meanwhile has taken them with it.
            What::Files(removed) => match removed.unlink() {
                Err(LogError::Io { source, .. })
                    if source.kind() == std::io::ErrorKind::NotFound =>
                {
                    Ok(())
                }
                done => done,
            },
        };
        if let Err(error) = done {
            tracing::warn!(%error, "files of a log could not be removed");
            self.dir.failed(&error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_comes_again_also_if_the_clock_goes_back() {
        let mut timer = Timer::default();
        assert!(timer.is_due(Millis(1000)));
        assert_eq!(timer.next(Millis(1000), 50), Millis(1050));
        assert!(!timer.is_due(Millis(1049)));
        assert_eq!(timer.next(Millis(1049), 50), Millis(1050));
        assert_eq!(timer.next(Millis(10), 50), Millis(60));
        assert!(timer.is_due(Millis(60)));
    }
}
