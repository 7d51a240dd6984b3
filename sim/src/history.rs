//! What everybody saw, in the order in which it happened.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use polyport_tree::machine::Outcome;
use polyport_tree::{CreateMode, EventKind, Stat, TreeError};
use tokio::time::Instant;

/// What a client asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// A new znode; its data is unique.
    Create {
        /// Path, or its prefix.
        path: String,
        /// Data.
        data: String,
        /// Mode.
        mode: CreateMode,
    },
    /// New data, unique.
    Set {
        /// Path.
        path: String,
        /// Data.
        data: String,
        /// Expected version.
        version: i32,
    },
    /// A znode's end.
    Delete {
        /// Path.
        path: String,
        /// Expected version.
        version: i32,
    },
    /// A version to be checked.
    Check {
        /// Path.
        path: String,
        /// Expected version.
        version: i32,
    },
    /// All or none.
    Multi(Vec<Ask>),
    /// The barrier.
    Sync,
    /// A look at a znode's data and stat.
    Read {
        /// Path.
        path: String,
        /// Whether a data watch is set.
        watch: bool,
    },
    /// A new session.
    Open,
    /// The session moves to another connection.
    Attach,
    /// The session ends.
    Close,
}

/// What a client was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To a read: data and stat, if there is a znode.
    Found(Option<(String, Stat)>),
    /// To all else.
    Result(Result<Outcome<'static>, TreeError>),
}

/// One request and what came of it.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Which client.
    pub client: usize,
    /// Its session, 0 while it has none.
    pub session: i64,
    /// Number of its connection, unique in the run.
    pub connection: usize,
    /// What it asked.
    pub ask: Ask,
    /// When it asked: a place in the history.
    pub asked: usize,
    /// When it was answered, with what zxid, and what. Nothing if the answer never came.
    pub answered: Option<(usize, i64, Answer)>,
}

/// Something a connection was told or did, besides requests.
#[derive(Clone, Debug)]
pub struct Notice {
    /// When: a place in the history.
    pub at: usize,
    /// Which connection.
    pub connection: usize,
    /// Which znode.
    pub path: String,
    /// What, at which zxid.
    pub event: (EventKind, i64),
}

/// An entry of the log as the first node applied it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// A batch: term, leader's clock, bytes.
    Batch(u64, i64, Vec<u8>),
    /// A change of the membership, and what it shows.
    Members(String),
}

/// The state of one run's observation.
pub struct State {
    begin: Instant,
    /// How many things have happened.
    pub now: usize,
    /// A digest of all that happened.
    pub digest: u64,
    trace: bool,
    /// All requests, by number.
    pub operations: Vec<Operation>,
    /// All events of watches.
    pub notices: Vec<Notice>,
    /// The log: index, what, and when (milliseconds) it was first applied anywhere.
    pub log: BTreeMap<u64, (Applied, u64)>,
    /// When each session's client was heard by its server, in milliseconds.
    pub touches: BTreeMap<i64, Vec<u64>>,
    /// When something was wrong with network, disks or processes: moments in milliseconds.
    pub disturbed: Vec<u64>,
    /// When all faults had ended and all nodes had a quorum again.
    pub calm: Option<u64>,
    /// Broken promises found while running.
    pub violations: Vec<String>,
    connections: usize,
    /// Snapshots that replaced a node's state while it ran.
    pub restored: u64,
}

/// The observation of one run. Clones are the same.
#[derive(Clone)]
pub struct History(Arc<Mutex<State>>);

impl History {
    /// Begins now. `trace`: print everything.
    pub fn new(begin: Instant, trace: bool) -> Self {
        Self(Arc::new(Mutex::new(State {
            begin,
            now: 0,
            digest: 0xcbf2_9ce4_8422_2325,
            trace,
            operations: Vec::new(),
            notices: Vec::new(),
            log: BTreeMap::new(),
            touches: BTreeMap::new(),
            disturbed: Vec::new(),
            calm: None,
            violations: Vec::new(),
            connections: 0,
            restored: 0,
        })))
    }

    /// Works on the observation.
    pub fn with<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        work(&mut self.0.lock())
    }

    /// Notes that something happened.
    pub fn event(&self, what: std::fmt::Arguments<'_>) {
        self.with(|state| state.event(what));
    }

    /// A promise was broken.
    pub fn violation(&self, what: String) {
        self.with(|state| {
            state.event(format_args!("VIOLATION {what}"));
            state.violations.push(what);
        });
    }

    /// Something is wrong with network, disks or processes at this moment.
    pub fn disturbed(&self) {
        self.with(|state| {
            let now = state.millis();
            state.disturbed.push(now);
        });
    }

    /// A number for a new connection.
    pub fn connection(&self) -> usize {
        self.with(|state| {
            state.connections += 1;
            state.connections
        })
    }

    /// A client asks; the answer is the request's number.
    pub fn ask(&self, client: usize, session: i64, connection: usize, ask: Ask) -> usize {
        self.with(|state| {
            let number = state.operations.len();
            let asked = state.now;
            state.event(format_args!("#{number} client {client} conn {connection} asks {ask:?}"));
            let answered = None;
            let operation = Operation { client, session, connection, ask, asked, answered };
            state.operations.push(operation);
            number
        })
    }

    /// A client is answered.
    pub fn answer(&self, number: usize, zxid: i64, answer: Answer) {
        self.with(|state| {
            state.event(format_args!("#{number} answered at {zxid:x}: {answer:?}"));
            let now = state.now;
            let operation = &mut state.operations[number];
            assert!(operation.answered.is_none(), "request {number} was answered twice");
            operation.answered = Some((now, zxid, answer));
        });
    }

    /// A session's client was heard.
    pub fn touch(&self, session: i64) {
        self.with(|state| {
            let now = state.millis();
            state.touches.entry(session).or_default().push(now);
        });
    }

    /// A node applied an entry; all must apply the same.
    pub fn applied(&self, node: u64, index: u64, what: Applied) {
        self.with(|state| {
            let now = state.millis();
            match state.log.get(&index) {
                None => {
                    state.event(format_args!("node {node} applies {index} first"));
                    state.log.insert(index, (what, now));
                }
                Some((first, _)) if *first != what => {
                    let broken =
                        format!("node {node} applies another entry {index} than the first");
                    state.event(format_args!("VIOLATION {broken}"));
                    state.violations.push(broken);
                }
                Some(_) => {}
            }
        });
    }
}

impl State {
    /// Milliseconds since the run began.
    pub fn millis(&self) -> u64 {
        self.begin.elapsed().as_millis() as u64
    }

    fn event(&mut self, what: std::fmt::Arguments<'_>) {
        use std::fmt::Write;
        struct Digest(u64);
        impl Write for Digest {
            fn write_str(&mut self, text: &str) -> std::fmt::Result {
                for byte in text.bytes() {
                    self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
                }
                Ok(())
            }
        }
        self.now += 1;
        let millis = self.millis();
        let mut digest = Digest(self.digest);
        // Writing to a number cannot fail.
        let _ = write!(digest, "{millis}{what}");
        self.digest = digest.0;
        if self.trace {
            println!("{:8.3} {what}", millis as f64 / 1000.0);
        }
    }
}

/// An outcome that outlives its batch.
pub fn owned(outcome: Outcome<'_>) -> Outcome<'static> {
    match outcome {
        Outcome::Created(path, stat) => Outcome::Created(path.into_owned().into(), stat),
        Outcome::Done => Outcome::Done,
        Outcome::Stat(stat) => Outcome::Stat(stat),
        Outcome::Synced => Outcome::Synced,
        Outcome::Attached(session, password, timeout) => {
            Outcome::Attached(session, password, timeout)
        }
        Outcome::Expired(sessions) => Outcome::Expired(sessions),
        Outcome::Origin(origin, nonce) => Outcome::Origin(origin, nonce),
        Outcome::Restored(restored) => Outcome::Restored(restored),
        Outcome::NotRestored(error) => Outcome::NotRestored(error),
        Outcome::Multi(results) => {
            Outcome::Multi(results.into_iter().map(|result| result.map(owned)).collect())
        }
    }
}
