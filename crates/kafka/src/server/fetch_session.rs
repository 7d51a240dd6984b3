//! Fetch sessions (KIP-227): what a consumer wants is remembered, and answers say only what changed.
//!
//! Different from Kafka: a session never takes the slot of another because it is larger.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// The epoch that asks for a new session, or for none if the session's id is 0 and stays so.
const INITIAL_EPOCH: i32 = 0;
/// The epoch that asks for no session.
const FINAL_EPOCH: i32 = -1;

/// A partition as a request names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// By id since version 13, by name before.
    pub topic: TopicRef,
    /// Its number.
    pub partition: i32,
}

/// A topic as a request names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TopicRef {
    /// Until version 12.
    Name(Arc<str>),
    /// Since version 13.
    Id([u8; 16]),
}

/// What is asked of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The first record's offset.
    pub fetch_offset: i64,
    /// Most bytes; more only if the first batch is larger.
    pub max_bytes: i32,
    /// The epoch that the client knows; -1 for none.
    pub current_leader_epoch: i32,
    /// The epoch of the last record that a follower has; -1 for none.
    pub last_fetched_epoch: i32,
    /// A follower's log start offset; -1 for a consumer.
    pub log_start_offset: i64,
}

/// What an answer says of a partition, as far as the session has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// Whether there are records.
    pub records: bool,
    /// Whether there is an error, or something else that must be said whether or not it is new.
    pub notable: bool,
    /// The high watermark.
    pub high_watermark: i64,
    /// The log start offset.
    pub log_start_offset: i64,
}

/// Why a request does not fit its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// FETCH_SESSION_ID_NOT_FOUND.
    #[error("no such fetch session")]
    NotFound,
    /// INVALID_FETCH_SESSION_EPOCH.
    #[error("another epoch of the fetch session was expected")]
    Epoch,
    /// FETCH_SESSION_TOPIC_ID_ERROR.
    #[error("the fetch session names topics otherwise")]
    TopicId,
}

/// A request's part in a session.
pub struct Asked {
    /// The session's id in the request; 0 for none.
    pub session: i32,
    /// Its epoch.
    pub epoch: i32,
    /// Whether topics are named by ids.
    pub by_id: bool,
    /// Whether a broker asks: its session may take a consumer's slot.
    pub follower: bool,
    /// What is new or different.
    pub wanted: Vec<(Key, Wanted)>,
    /// What is no longer wanted.
    pub forgotten: Vec<Key>,
}

#[derive(Clone, Copy, Debug)]
struct Tracked {
    wanted: Wanted,
    /// High watermark and log start offset as last told; `None` makes the next answer say them.
    told: Option<(i64, i64)>,
}

/// Partitions in the order in which they have their turn: those that gave records go to the end.
#[derive(Debug, Default)]
struct Turns {
    next: u64,
    place: HashMap<Key, u64>,
    order: BTreeMap<u64, (Key, Tracked)>,
}

impl Turns {
    fn put(&mut self, key: Key, wanted: Wanted) {
        if let Some(place) = self.place.get(&key)
            && let Some((_, tracked)) = self.order.get_mut(place)
        {
            tracked.wanted = wanted;
            return;
        }
        self.place.insert(key.clone(), self.next);
        self.order.insert(self.next, (key, Tracked { wanted, told: None }));
        self.next += 1;
    }

    fn forget(&mut self, key: &Key) {
        if let Some(place) = self.place.remove(key) {
            self.order.remove(&place);
        }
    }

    /// Notes what is said of a partition; whether an incremental answer must say it.
    fn say(&mut self, key: &Key, said: Said) -> bool {
        let Some(place) = self.place.get_mut(key) else { return true };
        let Some((_, tracked)) = self.order.get_mut(place) else { return true };
        let now = (said.high_watermark, said.log_start_offset);
        let new = tracked.told != Some(now);
        tracked.told = (!said.notable).then_some(now);
        if said.records
            && let Some(entry) = self.order.remove(place)
        {
            *place = self.next;
            self.order.insert(self.next, entry);
            self.next += 1;
        }
        new || said.notable || said.records
    }
}

#[derive(Debug)]
struct Session {
    id: i32,
    epoch: i32,
    by_id: bool,
    turns: Turns,
}

/// How a request is answered.
pub struct Context {
    /// The session, if there is one.
    session: Option<Arc<Mutex<Session>>>,
    /// Whether only what changed is said.
    incremental: bool,
    /// The session's id for the answer.
    pub id: i32,
    /// What to read, in this order.
    pub wanted: Vec<(Key, Wanted)>,
}

impl Context {
    /// Whether the answer must name the partition.
    pub fn says(&self, key: &Key, said: Said) -> bool {
        let Some(session) = &self.session else { return true };
        let must = session.lock().turns.say(key, said);
        must || !self.incremental
    }
}

#[derive(Debug)]
struct Slot {
    session: Arc<Mutex<Session>>,
    follower: bool,
    used: Instant,
}

/// A node's fetch sessions.
#[derive(Debug)]
pub struct FetchSessions {
    slots: Mutex<HashMap<i32, Slot>>,
    most: usize,
}

/// How long a session must have been idle before another may have its slot.
const IDLE: Duration = Duration::from_secs(120);

impl FetchSessions {
    /// `most`: `max.incremental.fetch.session.cache.slots`.
    pub fn new(most: usize) -> Self {
        Self { slots: Mutex::default(), most }
    }

    /// How many sessions there are.
    pub fn len(&self) -> usize {
        self.slots.lock().len()
    }

    /// Whether there is none.
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Finds, makes or ends the session that a request speaks of. `draw` gives random numbers.
    ///
    /// # Errors
    /// If there is no such session, or the request does not continue it.
    pub fn begin(
        &self,
        asked: Asked,
        now: Instant,
        draw: impl FnMut() -> i32,
    ) -> Result<Context, Refused> {
        if asked.epoch == INITIAL_EPOCH || asked.epoch == FINAL_EPOCH {
            if asked.session != 0 {
                self.slots.lock().remove(&asked.session);
            }
            if asked.epoch == FINAL_EPOCH || asked.wanted.is_empty() {
                return Ok(Context::without(asked.wanted));
            }
            return Ok(self.open(asked, now, draw));
        }
        self.go_on(asked, now)
    }

    fn open(&self, asked: Asked, now: Instant, mut draw: impl FnMut() -> i32) -> Context {
        let mut slots = self.slots.lock();
        if slots.len() >= self.most && !make_room(&mut slots, asked.follower, now) {
            return Context::without(asked.wanted);
        }
        let id = loop {
            // Positive, and nobody else's.
            let id = draw() & i32::MAX;
            if id != 0 && !slots.contains_key(&id) {
                break id;
            }
        };
        let mut turns = Turns::default();
        for (key, wanted) in &asked.wanted {
            turns.put(key.clone(), *wanted);
        }
        let session = Session { id, epoch: 1, by_id: asked.by_id, turns };
        let session = Arc::new(Mutex::new(session));
        let slot = Slot { session: session.clone(), follower: asked.follower, used: now };
        slots.insert(id, slot);
        Context { session: Some(session), incremental: false, id, wanted: asked.wanted }
    }

    fn go_on(&self, asked: Asked, now: Instant) -> Result<Context, Refused> {
        let mut slots = self.slots.lock();
        let slot = slots.get_mut(&asked.session).ok_or(Refused::NotFound)?;
        let shared = slot.session.clone();
        let mut session = shared.lock();
        if session.epoch != asked.epoch {
            return Err(Refused::Epoch);
        }
        if session.by_id != asked.by_id {
            return Err(Refused::TopicId);
        }
        slot.used = now;
        for (key, wanted) in asked.wanted {
            session.turns.put(key, wanted);
        }
        for key in &asked.forgotten {
            session.turns.forget(key);
        }
        if session.turns.order.is_empty() {
            slots.remove(&asked.session);
            return Ok(Context::without(Vec::new()));
        }
        session.epoch = if session.epoch == i32::MAX { 1 } else { session.epoch + 1 };
        let turns = session.turns.order.values();
        let wanted = turns.map(|(key, tracked)| (key.clone(), tracked.wanted)).collect();
        let id = session.id;
        drop(session);
        Ok(Context { session: Some(shared), incremental: true, id, wanted })
    }
}

impl Context {
    fn without(wanted: Vec<(Key, Wanted)>) -> Self {
        Self { session: None, incremental: false, id: 0, wanted }
    }
}

/// Ends the session that was idle for the longest: a consumer's, if a follower needs the slot.
fn make_room(slots: &mut HashMap<i32, Slot>, follower: bool, now: Instant) -> bool {
    let may_go = |slot: &Slot| {
        now.saturating_duration_since(slot.used) > IDLE || (follower && !slot.follower)
    };
    let goes = slots.iter().filter(|(_, slot)| may_go(slot)).min_by_key(|(_, slot)| slot.used);
    let Some(id) = goes.map(|(id, _)| *id) else { return false };
    slots.remove(&id);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(partition: i32) -> Key {
        Key { topic: TopicRef::Name("t".into()), partition }
    }

    fn wanted(fetch_offset: i64) -> Wanted {
        Wanted {
            fetch_offset,
            max_bytes: 1,
            current_leader_epoch: -1,
            last_fetched_epoch: -1,
            log_start_offset: -1,
        }
    }

    fn asked(session: i32, epoch: i32, partitions: &[i32]) -> Asked {
        let wanted = partitions.iter().map(|p| (key(*p), wanted(0))).collect();
        Asked { session, epoch, by_id: false, follower: false, wanted, forgotten: Vec::new() }
    }

    fn said(records: bool, high_watermark: i64) -> Said {
        Said { records, notable: false, high_watermark, log_start_offset: 0 }
    }

    fn partitions(context: &Context) -> Vec<i32> {
        context.wanted.iter().map(|(key, _)| key.partition).collect()
    }

    fn begin(sessions: &FetchSessions, asked: Asked) -> Result<Context, Refused> {
        let mut next = 6;
        sessions.begin(asked, Instant::now(), || {
            next += 1;
            next
        })
    }

    #[test]
    fn an_incremental_answer_says_only_what_changed() {
        let sessions = FetchSessions::new(2);
        let first = begin(&sessions, asked(0, 0, &[0, 1])).unwrap();
        assert_eq!(first.id, 7);
        assert!(first.says(&key(0), said(false, 5)));
        assert!(first.says(&key(1), said(false, 5)));
        let second = begin(&sessions, asked(7, 1, &[])).unwrap();
        assert_eq!(partitions(&second), [0, 1]);
        assert!(!second.says(&key(0), said(false, 5)));
        assert!(second.says(&key(1), said(false, 6)), "the high watermark has moved");
        let error = Said { notable: true, ..said(false, 6) };
        assert!(second.says(&key(1), error));
        let third = begin(&sessions, asked(7, 2, &[])).unwrap();
        assert!(third.says(&key(1), said(false, 6)), "an error makes the next answer speak");
    }

    #[test]
    fn a_partition_that_gave_records_goes_behind_the_others() {
        let sessions = FetchSessions::new(2);
        let first = begin(&sessions, asked(0, 0, &[0, 1, 2])).unwrap();
        assert!(first.says(&key(0), said(true, 5)));
        let second = begin(&sessions, asked(7, 1, &[])).unwrap();
        assert_eq!(partitions(&second), [1, 2, 0]);
    }

    #[test]
    fn what_is_forgotten_is_not_read_and_an_empty_session_ends() {
        let sessions = FetchSessions::new(2);
        begin(&sessions, asked(0, 0, &[0, 1])).unwrap();
        let less = Asked { forgotten: vec![key(0)], ..asked(7, 1, &[]) };
        assert_eq!(partitions(&begin(&sessions, less).unwrap()), [1]);
        let none = Asked { forgotten: vec![key(1)], ..asked(7, 2, &[]) };
        assert_eq!(begin(&sessions, none).unwrap().id, 0);
        assert!(sessions.is_empty());
    }

    #[test]
    fn a_request_must_continue_its_session() {
        let sessions = FetchSessions::new(2);
        begin(&sessions, asked(0, 0, &[0])).unwrap();
        assert_eq!(begin(&sessions, asked(9, 1, &[])).err(), Some(Refused::NotFound));
        assert_eq!(begin(&sessions, asked(7, 2, &[])).err(), Some(Refused::Epoch));
        let by_id = Asked { by_id: true, ..asked(7, 1, &[]) };
        assert_eq!(begin(&sessions, by_id).err(), Some(Refused::TopicId));
        assert_eq!(begin(&sessions, asked(7, -1, &[0])).unwrap().id, 0);
        assert_eq!(begin(&sessions, asked(7, 1, &[])).err(), Some(Refused::NotFound));
    }

    #[test]
    fn without_a_free_slot_everything_is_said() {
        let sessions = FetchSessions::new(1);
        begin(&sessions, asked(0, 0, &[0])).unwrap();
        let full = begin(&sessions, asked(0, 0, &[0])).unwrap();
        assert_eq!(full.id, 0);
        assert!(full.says(&key(0), said(false, 1)) && full.says(&key(0), said(false, 1)));
        let follower = Asked { follower: true, ..asked(0, 0, &[0]) };
        assert_ne!(begin(&sessions, follower).unwrap().id, 0, "it takes a consumer's slot");
        let later = Instant::now() + IDLE * 2;
        let late = sessions.begin(asked(0, 0, &[0]), later, || 50).unwrap();
        assert_eq!(late.id, 50, "an idle session's slot is free");
    }
}
