//! Nodes that listen, leaders that come and go, and a client that is heard or not.

use std::collections::VecDeque;

use polyport_base::rng::SplitMix64;

use super::*;

const TICK: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(6);
const SESSION: SessionId = 7;
/// How long a note is on its way.
const TRAVEL: Duration = Duration::from_millis(30);
const STEP: Duration = Duration::from_millis(50);

struct Node {
    expiry: Expiry,
    origin: u64,
    looks: Instant,
}

/// Nodes 1 to 3, which have all applied the same log, and a session attached to node 1.
struct Cluster {
    nodes: Vec<Node>,
    machine: Machine,
    leader: Option<usize>,
    term: u64,
    began: u64,
    /// When it arrives, to which leader of which term.
    notes: VecDeque<(Instant, usize, u64, Vec<u8>)>,
    touch: Touch,
}

impl Cluster {
    fn new() -> Self {
        let now = Instant::now();
        let mut machine = Machine::new();
        let node = |number: u64| Node {
            expiry: Expiry::default(),
            origin: 100 + number,
            looks: now + TICK / 2 + Duration::from_millis(70 * number),
        };
        let nodes: Vec<Node> = (1..=3).map(node).collect();
        for (number, node) in (1..).zip(&nodes) {
            machine.origins.open(number, node.origin, 0);
        }
        let mut cluster = Self {
            nodes,
            machine,
            leader: Some(1),
            term: 1,
            began: 1,
            notes: VecDeque::new(),
            touch: Touch::default(),
        };
        let touch = cluster.touch.clone();
        cluster.attach(0, 1, touch);
        cluster
    }

    /// An entry of the log, applied everywhere.
    fn attach(&mut self, node: usize, connection: u64, touch: Touch) {
        let attachment = Attachment { origin: self.nodes[node].origin, connection };
        let timeout_ms = TIMEOUT.as_millis() as i32;
        let ephemerals = Default::default();
        let session = Session { timeout_ms, password: [0; 16], attachment, ephemerals };
        self.machine.sessions.insert(SESSION, session);
        for node in &mut self.nodes {
            node.expiry.attached(&[SESSION]);
        }
        self.nodes[node].expiry.listening.attach(SESSION, touch);
    }

    /// The process of a node ends and another begins.
    fn restart(&mut self, node: usize) {
        self.nodes[node].origin += 10;
        self.nodes[node].expiry = Expiry::default();
        self.machine.origins.open(node as u64 + 1, self.nodes[node].origin, 1);
    }

    fn depose(&mut self) {
        self.leader = None;
        self.term += 1;
    }

    fn elect(&mut self, leader: usize) {
        self.leader = Some(leader);
        self.began += 1;
    }

    /// A moment passes; whether the session was found expired.
    async fn step(&mut self) -> bool {
        tokio::time::sleep(STEP).await;
        let now = Instant::now();
        let mut expired = false;
        while self.notes.front().is_some_and(|(due, ..)| *due <= now) {
            let Some((_, to, term, note)) = self.notes.pop_front() else { break };
            if (self.leader, self.term) == (Some(to), term) {
                self.nodes[to].expiry.note(&note);
            }
        }
        for number in 0..self.nodes.len() {
            let node = &mut self.nodes[number];
            if node.looks > now {
                continue;
            }
            node.looks += TICK / 2;
            let standing = Standing {
                leader: self.leader.map(|leader| NodeId(leader as u64 + 1)),
                term: self.term,
                leads: self.leader == Some(number),
                began: self.began,
                origin: Some(node.origin),
            };
            let Findings { note, expired: found } = node.expiry.look(standing, &self.machine, TICK);
            expired |= found.contains(&SESSION);
            if let Some(leader) = self.leader {
                self.notes.push_back((now + TRAVEL, leader, self.term, note));
            }
        }
        expired
    }
}

/// How long the session of a silent client lives while each leader leads for `reign`.
async fn lives(reign: Duration, restarts: bool) -> Option<Duration> {
    let mut cluster = Cluster::new();
    let begin = Instant::now();
    let mut crowned = begin;
    if restarts {
        cluster.restart(0);
    }
    while begin.elapsed() < TIMEOUT * 20 {
        if cluster.step().await {
            return Some(begin.elapsed());
        }
        if crowned.elapsed() >= reign {
            let next = (cluster.leader.unwrap_or_default() + 1) % 3;
            cluster.depose();
            for _ in 0..4 {
                assert!(!cluster.step().await, "expired while nobody led");
            }
            cluster.elect(next);
            crowned = Instant::now();
        }
    }
    None
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_s_session_does_not_outlive_many_leaders() {
    // What each change may cost: the step in which it falls, and the time without a leader.
    let lost = TICK / 2 + STEP * 5;
    for reign in [2, 3, 4, 5] {
        let reign = TICK * reign;
        let leaders = TIMEOUT.as_millis().div_ceil((reign - lost).as_millis()) as u32;
        let bound = TIMEOUT + lost * leaders + TICK * 2;
        for restarts in [false, true] {
            let lived = lives(reign, restarts).await;
            assert!(lived.is_some_and(|lived| lived <= bound), "{reign:?} {restarts}: {lived:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_expires_within_its_timeout_whoever_leads_and_whatever_is_lost() {
    // A client that speaks so late may be heard too late.
    let late = TICK + TRAVEL;
    let mut ended = 0;
    for seed in 0..100 {
        let mut rng = SplitMix64::new(seed);
        let mut cluster = Cluster::new();
        let (mut heard, mut silent_before) = (Instant::now(), Duration::ZERO);
        let mut connections = 1;
        let mut connected = Some(0);
        let mut next_change = Instant::now() + TICK;
        for _ in 0..4000 {
            if cluster.step().await {
                let silent = if heard.elapsed() < late { silent_before } else { heard.elapsed() };
                assert!(silent + late >= TIMEOUT, "seed {seed}: {silent:?}");
                ended += 1;
                break;
            }
            if Instant::now() >= next_change {
                match cluster.leader {
                    Some(_) => cluster.depose(),
                    None => cluster.elect(rng.below(3) as usize),
                }
                next_change += Duration::from_millis(rng.below(4000));
            }
            if rng.chance(1) {
                // A connection to the leader breaks, with all that was on the way.
                cluster.notes.clear();
                cluster.began += 1;
            }
            let speaks = rng.chance(1) && rng.chance(40);
            if speaks && connected.is_some() {
                cluster.touch.set();
                silent_before = heard.elapsed();
                heard = Instant::now();
            }
            if rng.chance(1)
                && rng.chance(20)
                && let Some(node) = connected.take()
            {
                cluster.nodes[node].expiry.listening.detach(SESSION);
            }
            let comes = rng.chance(1) && connected.is_none() && cluster.leader.is_some();
            if comes {
                let node = rng.below(3) as usize;
                connections += 1;
                cluster.touch = Touch::default();
                let touch = cluster.touch.clone();
                cluster.attach(node, connections, touch);
                connected = Some(node);
                heard = Instant::now();
            }
            // What a process heard last and told nobody dies with it, as in ZooKeeper.
            if rng.chance(1) && rng.chance(20) && heard.elapsed() > TICK {
                let node = rng.below(3) as usize;
                if connected == Some(node) {
                    connected = None;
                }
                if cluster.leader == Some(node) {
                    cluster.depose();
                }
                cluster.restart(node);
            }
        }
    }
    assert!(ended > 75, "{ended}");
}

/// A leader of term 5 that has just looked for the first time.
fn leader() -> (Expiry, Machine) {
    let cluster = Cluster::new();
    let mut expiry = Expiry::default();
    assert!(expiry.expired(&cluster.machine, 5, TICK).is_empty());
    (expiry, cluster.machine)
}

fn silent(term: u64, connection: u64, silence: Duration) -> Vec<u8> {
    let attachment = Attachment { origin: 101, connection };
    let mut note = Vec::new();
    note::put_silent(&mut note, term, &[Silent { session: SESSION, attachment, silence }]);
    note
}

fn heard() -> Vec<u8> {
    let mut note = Vec::new();
    note::put_heard(&mut note, &[SESSION]);
    note
}

#[tokio::test(start_paused = true)]
async fn silence_is_believed_only_of_the_same_attachment_and_in_the_same_term() {
    let long = TIMEOUT * 2;
    for (term, connection, believed) in [(5, 1, true), (4, 1, false), (6, 1, false), (5, 2, false)]
    {
        let (mut expiry, machine) = leader();
        expiry.note(&silent(term, connection, long));
        let expired = expiry.expired(&machine, 5, TICK);
        assert_eq!(expired == [SESSION], believed, "{term} {connection}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_was_heard_is_not_silent_whatever_else_comes() {
    let long = TIMEOUT * 2;
    for late in [false, true] {
        let (mut expiry, machine) = leader();
        let (first, second) = (heard(), silent(5, 1, long));
        let (first, second) = if late { (second, first) } else { (first, second) };
        expiry.note(&first);
        expiry.note(&second);
        assert_eq!(expiry.expired(&machine, 5, TICK), []);
    }
}

#[tokio::test(start_paused = true)]
async fn a_note_that_was_lost_is_made_up_for_by_the_next_report() {
    let (mut expiry, machine) = leader();
    expiry.note(&silent(5, 1, TIMEOUT - TICK));
    assert_eq!(expiry.expired(&machine, 5, TICK), []);
    expiry.note(&silent(5, 1, Duration::ZERO));
    tokio::time::sleep(TICK).await;
    assert_eq!(expiry.expired(&machine, 5, TICK), []);
    tokio::time::sleep(TICK / 2).await;
    assert_eq!(expiry.expired(&machine, 5, TICK), []);
}

#[tokio::test(start_paused = true)]
async fn who_leads_again_knows_nothing_of_the_time_between() {
    let (mut expiry, machine) = leader();
    for look in 0..14 {
        tokio::time::sleep(TICK / 2).await;
        let term = if look < 8 { 5 } else { 7 };
        assert_eq!(expiry.expired(&machine, term, TICK), [], "{look}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_hangs_up_was_still_heard() {
    let mut cluster = Cluster::new();
    let listening = &mut cluster.nodes[0].expiry.listening;
    assert!(!listening.report().is_empty());
    assert!(listening.report().is_empty());
    cluster.touch.set();
    listening.detach(SESSION);
    let mut heard = Vec::new();
    note::read(&listening.report(), |said| heard.push(said));
    assert_eq!(heard, [Said::Heard(SESSION)]);
    assert!(listening.report().is_empty());
}
