//! Leaders that do not last: a session whose client has vanished must end all the same, though none
//! of them leads for as long as its timeout.

use std::time::Duration;

use polyport_base::rng::SplitMix64;
use polyport_cluster::node::Standing;
use polyport_storage::disk::SimDisk;
use tokio::time::Instant;

use crate::client::Client;
use crate::history::History;
use crate::node::{Shape, TICK};
use crate::run::{Report, World};

/// What each change of the leader may cost: the half tick in which it falls on the session's node,
/// and the ones that the new leader's news and its look take.
const LOST: Duration = TICK.saturating_mul(2);
/// What may come on top: the last silence is found with the next look, and has to be committed.
const FOUND: Duration = TICK.saturating_mul(4);

/// How long who has led.
struct Reigns {
    /// The present one, since when.
    now: Option<((u64, u64), Instant)>,
    /// What counts of those before.
    counted: Duration,
}

impl Reigns {
    fn look(&mut self, leader: Option<(u64, u64)>) {
        if self.now.map(|(leader, _)| leader) != leader {
            self.counted = self.so_far();
            self.now = leader.map(|leader| (leader, Instant::now()));
        }
    }

    fn so_far(&self) -> Duration {
        let now = self.now.map_or(Duration::ZERO, |(_, since)| since.elapsed());
        self.counted + now.saturating_sub(LOST)
    }

    /// All that was counted is no more.
    fn restart(&mut self) {
        *self =
            Self { now: self.now.map(|(who, _)| (who, Instant::now())), counted: Duration::ZERO };
    }
}

impl World {
    /// Who leads a majority, and in which term.
    fn reigning(&self) -> Option<(u64, u64)> {
        let leader = self.leader()?;
        let (_, process) = self.processes().into_iter().find(|(id, _)| *id == leader)?;
        let status = process.cluster.status();
        let status = status.borrow();
        let leads = status.standing == Standing::Leading && status.in_quorum && status.established;
        leads.then_some((leader, status.term))
    }

    fn knows(&self, session: i64) -> bool {
        let knows = |process: &crate::node::Process| {
            process.replica.read().sessions().contains_key(&session)
        };
        self.processes().iter().any(|(_, process)| knows(process))
    }

    /// Sees to it that another leads, unless that would take the session's node away.
    async fn succeed(&self, holder: u64, rng: &mut SplitMix64) {
        let Some(leader) = self.leader() else { return };
        if leader == holder || rng.chance(50) {
            self.history.event(format_args!("node {leader} hands over"));
            self.transfer(leader);
            return;
        }
        self.history.event(format_args!("node {leader} is isolated"));
        for id in self.ids().into_iter().filter(|id| *id != leader) {
            self.network.block(id, leader);
            self.network.block(leader, id);
        }
        tokio::time::sleep(Duration::from_millis(600 + rng.below(1200))).await;
        self.network.heal();
    }
}

/// Runs one seed.
pub async fn run(seed: u64, trace: bool) -> Report {
    let mut rng = SplitMix64::new(seed);
    let begin = Instant::now();
    let voters = [3, 5][rng.below(2) as usize];
    let observers = rng.below(2);
    let shape = Shape { voters, observers, snapshot_every: 100_000, log_kept: 1000 };
    let history = History::new(begin, trace);
    history.event(format_args!("seed {seed}: {shape:?}"));
    let world = World::new(shape, 1, history.clone(), begin, rng.next_u64());
    for id in world.ids() {
        world.start(id, rng.next_u64()).await;
    }
    let client = Client::new(0, world.clone(), rng.next_u64());
    let vanished = client.vanish(rng.chance(50)).await;
    let (session, holder) = (vanished.session, vanished.node);
    let timeout = Duration::from_millis(vanished.timeout_ms);
    let since = Instant::now();
    let mut reigns = Reigns { now: None, counted: Duration::ZERO };
    if rng.chance(50) {
        history.event(format_args!("node {holder}, whose client it was, starts anew"));
        world.kill(holder, SimDisk::kill);
        tokio::time::sleep(Duration::from_millis(200 + rng.below(2000))).await;
        world.start(holder, rng.next_u64()).await;
        tokio::time::sleep(TICK * 2).await;
        reigns.restart();
    }
    let shortest = LOST + TICK;
    let mut next = Instant::now();
    while world.knows(session) {
        reigns.look(world.reigning());
        if reigns.so_far() > timeout + FOUND {
            let (lived, counted) = (since.elapsed(), reigns.so_far());
            history.violation(format!(
                "session {session:x} lives for {lived:?}, {counted:?} of which somebody led, after \
                 its client; its timeout is {timeout:?}"
            ));
            break;
        }
        if Instant::now() >= next {
            world.succeed(holder, &mut rng).await;
            let spread = timeout.saturating_sub(shortest).as_millis() as u64;
            next = Instant::now() + shortest + Duration::from_millis(rng.below(spread.max(1)));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    if since.elapsed() < timeout && !world.knows(session) {
        history.violation(format!("session {session:x} ended after {:?}", since.elapsed()));
    }
    history.with(|state| Report {
        seed,
        digest: state.digest,
        failures: std::mem::take(&mut state.violations),
        answered: state.operations.iter().filter(|one| one.answered.is_some()).count(),
        entries: state.log.len(),
        restored: state.restored,
    })
}
