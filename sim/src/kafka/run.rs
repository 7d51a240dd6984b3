//! One seed, from empty disks to the verdict.

use polyport_log::{Isolation, TopicPartition};

use super::Rules;
use super::client::{Caller, Client, Consumer, Kind, Producer, Transactional};
use super::faults::Plan;
use super::world::{World, plan_rng};
use crate::randomness;
use crate::run::Report;

/// Milliseconds that a cluster without faults may take to come to rest.
const REST_MS: u64 = 30_000;

/// Values of one client are so far from those of the next.
const VALUES: u64 = 1_000_000;

/// Runs a seed, in a thread of its own.
pub fn run(seed: u64, rules: Rules, trace: bool) -> Report {
    let body = move || {
        randomness::seed_thread(seed);
        drive(seed, rules, trace)
    };
    let outcome = std::thread::Builder::new().stack_size(16 << 20).spawn(body).map(|it| it.join());
    match outcome {
        Ok(Ok(report)) => report,
        Ok(Err(panic)) => broken(seed, panic_text(&panic)),
        Err(error) => broken(seed, format!("no thread: {error}")),
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
    format!("panic: {}", text.unwrap_or_default())
}

fn broken(seed: u64, what: String) -> Report {
    Report { seed, digest: 0, failures: vec![what], answered: 0, entries: 0, restored: 0 }
}

fn drive(seed: u64, rules: Rules, trace: bool) -> Report {
    let mut world = World::new(seed, rules, trace);
    rest(&mut world, "at first");
    add_clients(&mut world);
    let mut plans = plan_rng(seed);
    let rounds = 1 + plans.below(2);
    for round in 0..rounds {
        world.set_plan(Some(Plan::draw(&mut plans)));
        world.run_until(2000 + plans.below(6000), |_| false);
        world.set_plan(None);
        world.bench.history.event(format_args!("all faults end"));
        world.heal_all();
        world.run_until(500, |_| false);
        if round + 1 < rounds {
            // Plain traffic goes on: only who leads and who is in sync can come to rest.
            world.run_until(2000, |_| false);
        }
    }
    world.clients.iter_mut().for_each(Client::stop);
    let is_done = world.run_until(REST_MS, |world| {
        world.clients.iter().all(|client| client.unfinished().is_none())
    });
    if !is_done {
        let left: Vec<_> = world.clients.iter().filter_map(Client::unfinished).collect();
        world.bench.history.violation(format!("clients do not get done: {left:?}"));
    }
    rest(&mut world, "at the end");
    world.run_until(1500, |_| false);
    world.check_replicas();
    world.check_promises();
    world.check_consumers();
    report(seed, world)
}

/// Waits until the cluster is quiet.
fn rest(world: &mut World, when: &str) {
    if !world.run_until(REST_MS, |world| world.unrest().is_none()) {
        let unrest = world.unrest().unwrap_or_default();
        world.bench.history.violation(format!("no rest {when}: {unrest}"));
    }
}

fn add_clients(world: &mut World) {
    let nodes = world.ids();
    let data: Vec<TopicPartition> =
        world.partitions.keys().filter(|of| !of.topic.starts_with("__")).cloned().collect();
    let mut me = 0;
    let mut caller = || {
        me += 1;
        (Caller::new(me - 1, nodes.clone()), me as u64 * VALUES)
    };
    let mut clients = Vec::new();
    let producers = 2 + world.bench.rng.below(4);
    for _ in 0..producers {
        let kind = match world.bench.rng.below(10) {
            0 => Kind::Unanswered,
            1 => Kind::Leader,
            2..5 => Kind::All,
            _ => Kind::Idempotent,
        };
        let of = data[world.bench.rng.below(data.len() as u64) as usize].clone();
        let (caller, first) = caller();
        let eager_ms = [5, 30, 200][world.bench.rng.below(3) as usize];
        let in_flight = 1 + world.bench.rng.below(5) as usize;
        clients.push(Client::Producer(Producer::new(caller, kind, of, first, eager_ms, in_flight)));
    }
    for _ in 0..world.bench.rng.below(3) {
        let (caller, first) = caller();
        clients.push(Client::Transactional(Transactional::new(caller, data.clone(), first)));
    }
    for isolation in [Isolation::HighWatermark, Isolation::LastStable] {
        let roams = world.bench.rng.chance(50);
        clients.push(Client::Consumer(Consumer::new(caller().0, isolation, &data, roams)));
    }
    clients.into_iter().for_each(|client| world.add(client));
}

fn report(seed: u64, world: World) -> Report {
    let history = &world.bench.history;
    Report {
        seed,
        digest: history.digest,
        failures: history.violations.clone(),
        answered: history.answered,
        entries: history.states,
        restored: history.truncations as u64,
    }
}
