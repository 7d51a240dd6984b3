//! Clients: sessions that wander between nodes, write, read and watch.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use polyport_base::rng::SplitMix64;
use polyport_tree::access::Identities;
use polyport_tree::command::{Command, Write};
use polyport_tree::machine::{Event, Machine, Outcome};
use polyport_tree::replica::{Place, Subscriber, Touch, View};
use polyport_tree::watch::WatchKind;
use polyport_tree::{Acl, CreateMode, Stat, TreeError};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::history::{Answer, Ask, History, Notice, owned};
use crate::node::Process;
use crate::run::World;

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The process died or the client hung up.
    Cut,
    /// The session is elsewhere.
    Moved,
    /// The session is over.
    Expired,
    /// Answers may have been lost.
    Interrupted,
}

enum Waiting {
    Write(usize),
    Read(usize, String, bool),
}

#[derive(Default)]
struct Inside {
    /// Requests in order; begins with a write.
    queue: VecDeque<Waiting>,
    ended: Option<Ended>,
    /// Paths under a data watch, with the zxid at which it was set.
    watches: BTreeMap<String, i64>,
    /// The newest zxid the client has seen here.
    seen: i64,
    last: Option<Result<Outcome<'static>, TreeError>>,
    versions: BTreeMap<String, i32>,
}

/// A connection, as the server and its client share it.
pub struct Conn {
    number: usize,
    watcher: Mutex<u64>,
    history: History,
    inside: Mutex<Inside>,
    wake: Notify,
}

fn look(machine: &Machine, path: &str) -> Option<(String, Stat)> {
    let store = machine.store();
    let at = store.lookup(path)?;
    let data = String::from_utf8_lossy(store.data(at).unwrap_or_default()).into_owned();
    Some((data, store.stat(at)))
}

impl Conn {
    fn new(history: History) -> Self {
        Self {
            number: history.connection(),
            watcher: Mutex::new(0),
            history,
            inside: Mutex::default(),
            wake: Notify::new(),
        }
    }

    /// The process died, or the client is done with it.
    pub fn cut(&self) {
        self.end(Ended::Cut);
    }

    fn end(&self, why: Ended) {
        self.inside.lock().ended.get_or_insert(why);
        self.wake.notify_one();
    }

    fn ended(&self) -> Option<Ended> {
        self.inside.lock().ended
    }

    /// Answers a read in its turn.
    fn read(&self, view: &mut View<'_>, number: usize, path: &str, watch: bool) {
        let mut inside = self.inside.lock();
        let zxid = view.machine.last_zxid();
        let found = look(view.machine, path);
        if let Some((_, stat)) = &found {
            inside.versions.insert(path.to_owned(), stat.version);
            // An event comes before the data it tells of.
            if let Some(since) = inside.watches.get(path)
                && stat.mzxid > *since
            {
                self.history.violation(format!(
                    "conn {} reads {path} of {:x} before its event (watched at {since:x})",
                    self.number, stat.mzxid
                ));
            }
        }
        if watch {
            view.watches.add(WatchKind::Data, path, *self.watcher.lock());
            // Set twice is set once, at the first moment.
            inside.watches.entry(path.to_owned()).or_insert(zxid);
        }
        inside.seen = inside.seen.max(zxid);
        drop(inside);
        self.history.answer(number, zxid, Answer::Found(found));
    }
}

impl Subscriber for Conn {
    fn completed(
        &self,
        view: &mut View<'_>,
        token: u64,
        zxid: i64,
        result: Result<Outcome<'_>, TreeError>,
    ) {
        let mut inside = self.inside.lock();
        if inside.ended.is_some() {
            return;
        }
        match inside.queue.pop_front() {
            Some(Waiting::Write(number)) if number as u64 == token => {}
            _ => {
                self.history.violation(format!("request {token} is answered out of order"));
                return;
            }
        }
        let result = result.map(owned);
        inside.seen = inside.seen.max(zxid);
        inside.last = Some(result.clone());
        if let Err(TreeError::SessionExpired | TreeError::SessionMoved) = result {
            inside.ended.get_or_insert(Ended::Moved);
        }
        let mut reads = Vec::new();
        while let Some(Waiting::Read(..)) = inside.queue.front() {
            reads.extend(inside.queue.pop_front());
        }
        drop(inside);
        self.history.answer(token as usize, zxid, Answer::Result(result));
        for read in reads {
            if let Waiting::Read(number, path, watch) = read {
                self.read(view, number, &path, watch);
            }
        }
        self.wake.notify_one();
    }

    fn notified(&self, event: &Event<'_>) {
        let mut inside = self.inside.lock();
        if inside.ended.is_some() {
            return;
        }
        match inside.watches.remove(event.path) {
            Some(since) if event.zxid > since => {}
            Some(since) => self.history.violation(format!(
                "conn {} hears of {} at {:x}, before its watch of {since:x}",
                self.number, event.path, event.zxid
            )),
            None => self
                .history
                .violation(format!("conn {} hears of {} without a watch", self.number, event.path)),
        }
        drop(inside);
        self.history.with(|state| {
            let at = state.now;
            let path = event.path.to_owned();
            let event = (event.kind, event.zxid);
            state.notices.push(Notice { at, connection: self.number, path, event });
        });
        let number = self.number;
        self.history.event(format_args!("conn {number} hears {:?} {}", event.kind, event.path));
    }

    fn detached(&self, moved: bool) {
        // A session that closes itself still gets its answer.
        let closing = matches!(self.inside.lock().queue.front(), Some(Waiting::Write(number))
            if self.history.with(|state| state.operations[*number].ask == Ask::Close));
        if !closing {
            self.end(if moved { Ended::Moved } else { Ended::Expired });
        }
    }

    fn interrupted(&self) {
        self.end(Ended::Interrupted);
    }
}

/// A session as its client knows it.
#[derive(Clone, Copy, Debug)]
struct Session {
    id: i64,
    password: [u8; 16],
}

/// A client that is connected.
struct Connected {
    conn: Arc<Conn>,
    process: Arc<Process>,
    watcher: u64,
    place: Place,
    session: i64,
    touch: Touch,
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.conn.cut();
        if self.process.alive.get() {
            self.process.replica.forget_if(self.session, self.watcher);
            self.process.replica.unsubscribe(self.watcher);
        }
        self.process.clients.lock().retain(|client| !Arc::ptr_eq(client, &self.conn));
    }
}

impl Connected {
    fn touch(&self, history: &History) {
        if self.conn.ended().is_none() {
            self.touch.set();
            history.touch(self.session);
        }
    }
}

/// What is left of a client that fell silent.
pub struct Vanished {
    /// Its session.
    pub session: i64,
    /// The node it was connected to.
    pub node: u64,
    /// Its session's timeout.
    pub timeout_ms: u64,
    _connection: Option<Connected>,
}

/// One client.
pub struct Client {
    number: usize,
    world: World,
    rng: SplitMix64,
    session: Option<Session>,
    timeout_ms: i32,
    seen: i64,
    tags: u64,
}

/// Znodes that all clients share.
const SHARED: u64 = 4;

fn encode<R>(ask: &Ask, with: impl FnOnce(Command<'_>) -> R) -> R {
    fn write(ask: &Ask) -> Option<Write<'_>> {
        Some(match ask {
            Ask::Create { path, data, mode } => Write::Create {
                path,
                data: Some(data.as_bytes()),
                acl: Acl::open(),
                mode: *mode,
                ttl_ms: 0,
            },
            Ask::Set { path, data, version } => {
                Write::SetData { path, data: Some(data.as_bytes()), version: *version }
            }
            Ask::Delete { path, version } => Write::Delete { path, version: *version },
            Ask::Check { path, version } => Write::Check { path, version: *version },
            _ => return None,
        })
    }
    match ask {
        Ask::Multi(asks) => with(Command::Multi(asks.iter().filter_map(write).collect())),
        Ask::Close => with(Command::CloseSession),
        other => match write(other) {
            Some(write) => with(Command::Write(write)),
            None => with(Command::Sync),
        },
    }
}

impl Client {
    /// A client of a run.
    pub fn new(number: usize, world: World, seed: u64) -> Self {
        let mut rng = SplitMix64::new(seed);
        let timeout_ms = 2000 + rng.below(2000) as i32;
        Self { number, world, rng, session: None, timeout_ms, seen: 0, tags: 0 }
    }

    fn tag(&mut self) -> String {
        self.tags += 1;
        format!("{}.{}", self.number, self.tags)
    }

    /// Works until the run says that it is enough. Then half of the clients close their sessions and
    /// half fall silent.
    pub async fn run(mut self) {
        while !self.world.is_stopping() {
            let Some(mut connected) = self.connect().await else {
                self.sleep(20, 200).await;
                continue;
            };
            self.work(&mut connected).await;
            self.left(&connected);
        }
        if self.rng.chance(50) && self.session.is_some() {
            let deadline = Instant::now() + Duration::from_secs(10);
            while self.session.is_some() && Instant::now() < deadline {
                let Some(mut connected) = self.connect().await else {
                    self.sleep(20, 200).await;
                    continue;
                };
                self.close(&mut connected).await;
                self.left(&connected);
            }
        }
    }

    /// Opens a session with an ephemeral and says nothing more; the connection stays if `stays`.
    pub async fn vanish(mut self, stays: bool) -> Vanished {
        loop {
            let Some(mut connected) = self.connect().await else {
                self.sleep(20, 200).await;
                continue;
            };
            let path = format!("/own-{}-e", self.number);
            let ask = Ask::Create { path, data: self.tag(), mode: CreateMode::Ephemeral };
            self.submit(&mut connected, ask);
            connected.process.replica.flush();
            if self.wait(&connected).await {
                let node = connected.process.replica.settings().node.0;
                let (session, timeout_ms) = (connected.session, self.timeout_ms as u64);
                let connection = stays.then_some(connected);
                return Vanished { session, node, timeout_ms, _connection: connection };
            }
            self.left(&connected);
        }
    }

    /// What a connection's end means for the session.
    fn left(&mut self, connected: &Connected) {
        let inside = connected.conn.inside.lock();
        self.seen = self.seen.max(inside.seen);
        if inside.ended == Some(Ended::Expired) {
            self.session = None;
        }
    }

    async fn sleep(&mut self, from_ms: u64, to_ms: u64) {
        let ms = from_ms + self.rng.below(to_ms - from_ms);
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }

    async fn connect(&mut self) -> Option<Connected> {
        let process = self.world.any_process(&mut self.rng)?;
        let replica = process.replica.clone();
        // As a server greets clients.
        if !replica.status().borrow().in_quorum || replica.last_zxid() < self.seen {
            return None;
        }
        let history = self.world.history.clone();
        let conn = Arc::new(Conn::new(history.clone()));
        let watcher = replica.subscribe(conn.clone());
        *conn.watcher.lock() = watcher;
        process.clients.lock().push(conn.clone());
        let (ask, session) = match self.session {
            Some(session) => (Ask::Attach, session.id),
            None => (Ask::Open, 0),
        };
        let number = history.ask(self.number, session, conn.number, ask);
        let password = [self.rng.next_u64() as u8; 16];
        let command = match &self.session {
            Some(Session { id, password }) => {
                let timeout_ms = self.timeout_ms;
                Command::Attach { session: *id, password, timeout_ms }
            }
            None => Command::CreateSession { timeout_ms: self.timeout_ms, password },
        };
        let node = replica.settings().node.0 as i64;
        let from = replica.submitter(node, watcher, Identities::default(), false);
        conn.inside.lock().queue.push_back(Waiting::Write(number));
        replica.submit(&mut Place::default(), &from, &command, conn.clone(), number as u64);
        replica.flush();
        let mut connected = Connected {
            conn: conn.clone(),
            process,
            watcher,
            place: Place::default(),
            session: 0,
            touch: Touch::default(),
        };
        let answered = async {
            loop {
                let last = conn.inside.lock().last.take();
                match last {
                    Some(result) => return Some(result),
                    None if conn.ended().is_some() => return None,
                    None => conn.wake.notified().await,
                }
            }
        };
        let answered = tokio::time::timeout(Duration::from_secs(3), answered).await;
        match answered.ok()?? {
            Ok(Outcome::Attached(id, password, _)) => {
                self.session = Some(Session { id, password });
                if conn.ended().is_some() || !replica.attach(id, watcher) {
                    return None;
                }
                connected.session = id;
                replica.keep_alive(id, connected.touch.clone());
                history.touch(id);
                Some(connected)
            }
            Err(TreeError::SessionExpired) => {
                self.session = None;
                None
            }
            _ => None,
        }
    }

    async fn work(&mut self, connected: &mut Connected) {
        let history = self.world.history.clone();
        while !self.world.is_stopping() && connected.conn.ended().is_none() {
            match self.rng.below(100) {
                // Hangs up and comes again.
                0..3 => return,
                // Falls silent: too long for its session, sometimes.
                3..5 => {
                    self.sleep(200, 6000).await;
                    continue;
                }
                5 => {
                    self.close(connected).await;
                    return;
                }
                _ => {}
            }
            let burst = 1 + self.rng.below(4);
            for _ in 0..burst {
                let ask = self.choose(connected);
                self.submit(connected, ask);
            }
            connected.process.replica.flush();
            connected.touch(&history);
            if !self.wait(connected).await {
                return;
            }
            self.sleep(10, 300).await;
        }
    }

    /// Waits for all answers, pinging. False if they do not come.
    async fn wait(&mut self, connected: &Connected) -> bool {
        let deadline = Instant::now() + Duration::from_secs(4);
        let ping = Duration::from_millis(self.timeout_ms as u64 / 4);
        loop {
            if connected.conn.ended().is_some() {
                return false;
            }
            if connected.conn.inside.lock().queue.is_empty() {
                return true;
            }
            // As a server does with its clients when it loses the cluster.
            let in_quorum = connected.process.replica.status().borrow().in_quorum;
            if Instant::now() >= deadline || !in_quorum {
                return false;
            }
            // The wake-up or the time for a ping, whichever is first.
            drop(tokio::time::timeout(ping, connected.conn.wake.notified()).await);
            connected.touch(&self.world.history);
        }
    }

    async fn close(&mut self, connected: &mut Connected) {
        self.submit(connected, Ask::Close);
        connected.process.replica.flush();
        if self.wait(connected).await {
            self.session = None;
        }
    }

    fn submit(&mut self, connected: &mut Connected, ask: Ask) {
        let conn = &connected.conn;
        if conn.ended().is_some() {
            return;
        }
        let history = &self.world.history;
        let number = history.ask(self.number, connected.session, conn.number, ask.clone());
        let replica = &connected.process.replica;
        if let Ask::Read { path, watch } = ask {
            let mut inside = conn.inside.lock();
            if !inside.queue.is_empty() {
                inside.queue.push_back(Waiting::Read(number, path, watch));
                return;
            }
            drop(inside);
            return replica.view(|view| conn.read(view, number, &path, watch));
        }
        conn.inside.lock().queue.push_back(Waiting::Write(number));
        let from =
            replica.submitter(connected.session, connected.watcher, Identities::default(), false);
        encode(&ask, |command| {
            let token = number as u64;
            replica.submit(&mut connected.place, &from, &command, conn.clone(), token);
        });
    }

    fn choose(&mut self, connected: &Connected) -> Ask {
        let shared = format!("/shared-{}", self.rng.below(SHARED));
        let version = {
            let inside = connected.conn.inside.lock();
            match self.rng.chance(60) {
                true => inside.versions.get(&shared).copied().unwrap_or(0),
                false => -1,
            }
        };
        let own = format!("/own-{}", self.number);
        match self.rng.below(20) {
            0..2 => {
                let data = self.tag();
                Ask::Create { path: shared, data, mode: CreateMode::Persistent }
            }
            2..6 => Ask::Set { path: shared, data: self.tag(), version },
            6 => Ask::Delete { path: shared, version },
            7 => Ask::Create {
                path: format!("{own}-e"),
                data: self.tag(),
                mode: CreateMode::Ephemeral,
            },
            8 => Ask::Create {
                path: "/s-".to_owned(),
                data: self.tag(),
                mode: CreateMode::PersistentSequential,
            },
            9 => Ask::Create {
                path: format!("{shared}/q-"),
                data: self.tag(),
                mode: CreateMode::EphemeralSequential,
            },
            10..12 => {
                let other = format!("/shared-{}", self.rng.below(SHARED));
                let create = self.rng.chance(30);
                let mut asks = vec![
                    Ask::Check { path: shared, version },
                    Ask::Set { path: other, data: self.tag(), version: -1 },
                ];
                if create {
                    let mode = CreateMode::Persistent;
                    asks.push(Ask::Create { path: own, data: self.tag(), mode });
                }
                Ask::Multi(asks)
            }
            12 => Ask::Sync,
            13 => Ask::Delete { path: own, version: -1 },
            14 => {
                let other = self.rng.below(self.world.clients);
                Ask::Read { path: format!("/own-{other}-e"), watch: self.rng.chance(50) }
            }
            _ => Ask::Read { path: shared, watch: self.rng.chance(40) },
        }
    }
}
