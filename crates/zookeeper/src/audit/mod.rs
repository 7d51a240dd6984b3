//! The audit log: a line for each change that a client of this node asked for, what became of it,
//! and for each ephemeral znode that went with its session. ZooKeeper 3.9's `audit.enable`, with its
//! fields in its order.

mod event;
mod file;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, UNIX_EPOCH};

use parking_lot::Mutex;
use polyport_base::Clock;
use polyport_base::clock::SystemClock;

pub(crate) use event::{Asker, Operation, Pending};
use event::{Event, Outcome};
use file::Rolling;

/// Lines on their way to the file. When there are more, whoever writes one waits: an audit log that
/// forgets under load is none.
const QUEUED: usize = 16 * 1024;

enum Message {
    Line(String),
    End,
}

/// The log of one node. Clones are handles on the same.
#[derive(Clone)]
pub struct Audit {
    shared: Arc<Shared>,
}

struct Shared {
    lines: SyncSender<Message>,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// Who runs this server, and so does what no client asked for.
    user: String,
    /// Whether it has started.
    up: AtomicBool,
}

impl std::fmt::Debug for Audit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Audit").finish_non_exhaustive()
    }
}

impl Audit {
    /// Opens the file, or begins it; lines are added at its end.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open(file: &Path) -> io::Result<Self> {
        let mut rolling = Rolling::open(file, file::MAX_BYTES)?;
        let (lines, queued) = sync_channel(QUEUED);
        let writer = std::thread::Builder::new().name("audit-log".to_owned()).spawn(move || {
            let mut failing = false;
            while let Ok(Message::Line(line)) = queued.recv() {
                let written = rolling.write(line.as_bytes());
                if let (Err(error), false) = (&written, failing) {
                    tracing::error!(%error, "the audit log cannot be written");
                }
                failing = written.is_err();
            }
        })?;
        let user = crate::observe::environment::user();
        let shared = Shared { lines, writer: Mutex::new(Some(writer)), user, up: false.into() };
        Ok(Self { shared: Arc::new(shared) })
    }

    fn log(&self, event: &Event<'_>) {
        let since_1970 = Duration::from_millis(SystemClock.now().0.max(0) as u64);
        let line = Message::Line(event.line(UNIX_EPOCH + since_1970));
        // Nobody takes lines any more once the server has stopped.
        let _ = self.shared.lines.send(line);
    }

    fn server(&self, operation: &'static str, outcome: Outcome) {
        let user = Some(self.shared.user.as_str());
        self.log(&Event { user, ..Event::new(operation, outcome) });
    }

    /// The server is up.
    pub fn started(&self) {
        self.shared.up.store(true, Ordering::Relaxed);
        self.server("serverStart", Outcome::Success);
    }

    /// The server ends, or it could not even start. Returns when the last line is written.
    pub fn ended(&self) {
        match self.shared.up.load(Ordering::Relaxed) {
            true => self.server("serverStop", Outcome::Invoked),
            false => self.server("serverStart", Outcome::Failure),
        }
        let _ = self.shared.lines.send(Message::End);
        if let Some(writer) = self.shared.writer.lock().take() {
            // It has said what went wrong, if anything.
            let _ = writer.join();
        }
    }

    /// An ephemeral znode went with its session.
    pub(crate) fn ephemeral_deleted(&self, session: i64, path: &str) {
        self.log(&Event {
            session: Some(session),
            user: Some(&self.shared.user),
            znode: Some(path),
            ..Event::new("ephemeralZNodeDeletionOnSessionCloseOrExpire", Outcome::Success)
        });
    }
}
