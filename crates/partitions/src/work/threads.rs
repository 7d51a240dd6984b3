//! The threads that do the background work.

use std::sync::atomic::Ordering;
use std::time::Duration;

use polyport_base::Millis;
use polyport_storage::Disk;

use super::Upkeep;
use crate::error::OpenError;
use crate::settings::CleanerSettings;
use crate::store::Store;

/// Nobody sleeps longer, so that a clock that was set back does not stop the work.
const LONGEST: Duration = Duration::from_secs(60);

fn until(next: Option<Millis>, now: Millis) -> Duration {
    let Some(next) = next else { return LONGEST };
    let ms = u64::try_from(next.0.saturating_sub(now.0)).unwrap_or(0);
    Duration::from_millis(ms).min(LONGEST)
}

impl<D: Disk> Store<D> {
    /// Starts the background work: `part-flush-N`, one a directory; `part-upkeep`; `part-clean-N`. They
    /// end with [`Store::close`].
    ///
    /// # Errors
    /// `Thread`.
    pub fn start(&self) -> Result<(), OpenError> {
        for dir in 0..self.0.dirs.len() {
            self.spawn(format!("part-flush-{dir}"), move |store| store.run_flusher(dir))?;
        }
        self.spawn("part-upkeep".into(), Store::run_upkeep)?;
        if let Some(cleaner) = &self.0.settings.cleaner {
            for number in 0..cleaner.threads {
                let cleaner = cleaner.clone();
                self.spawn(format!("part-clean-{number}"), move |store| {
                    store.run_cleaner(&cleaner)
                })?;
            }
        }
        Ok(())
    }

    fn spawn(
        &self,
        name: String,
        run: impl FnOnce(&Store<D>) + Send + 'static,
    ) -> Result<(), OpenError> {
        let store = self.clone();
        let thread = std::thread::Builder::new().name(name).spawn(move || run(&store));
        self.0.threads.lock().push(thread.map_err(OpenError::Thread)?);
        Ok(())
    }

    pub(crate) fn stop_threads(&self) {
        self.0.stopping.store(true, Ordering::Release);
        self.0.dirs.iter().for_each(|dir| dir.queue.ring());
        {
            let _bell = self.0.bell.0.lock();
            self.0.bell.1.notify_all();
        }
        for thread in std::mem::take(&mut *self.0.threads.lock()) {
            if thread.join().is_err() {
                tracing::error!("a thread of the log's background work had panicked");
            }
        }
    }

    fn is_stopping(&self) -> bool {
        self.0.stopping.load(Ordering::Acquire)
    }

    fn run_flusher(&self, dir: usize) {
        let mut next = None;
        while !self.is_stopping() {
            self.0.dirs[dir].queue.wait(until(next, self.0.now()));
            next = self.flush_step(dir, self.0.now());
        }
    }

    fn run_upkeep(&self) {
        let mut upkeep = Upkeep::default();
        while !self.is_stopping() {
            let now = self.0.now();
            let next = self.upkeep_step(&mut upkeep, now);
            self.pause(until(Some(next), self.0.now()));
        }
    }

    fn run_cleaner(&self, settings: &CleanerSettings) {
        let bytes = settings.dedupe_buffer_bytes / settings.threads.max(1);
        let backoff = Duration::from_millis(settings.backoff_ms.max(1) as u64);
        while !self.is_stopping() {
            if !self.clean_step(bytes, self.0.now()) {
                self.pause(backoff);
            }
        }
    }

    /// Waits, unless the process stops.
    fn pause(&self, most: Duration) {
        let (lock, bell) = &self.0.bell;
        let mut guard = lock.lock();
        if !self.is_stopping() {
            bell.wait_for(&mut guard, most);
        }
    }
}
