//! What goes wrong, and when.

use std::time::Duration;

use polyport_base::rng::SplitMix64;
use polyport_storage::disk::SimDisk;

use crate::node;
use crate::run::World;

/// The kinds of fault that a run may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    PowerLoss,
    Kill,
    Wipe,
    Partition,
    Isolation,
    OneWay,
    Breaks,
    SlowLink,
    ClockJump,
    SlowSyncs,
    Snapshot,
    Transfer,
    FullDisk,
    Members,
}

const FAULTS: [Fault; 12] = [
    Fault::PowerLoss,
    Fault::Kill,
    Fault::Wipe,
    Fault::Partition,
    Fault::Isolation,
    Fault::OneWay,
    Fault::Breaks,
    Fault::SlowLink,
    Fault::ClockJump,
    Fault::SlowSyncs,
    Fault::Snapshot,
    Fault::Transfer,
];

/// Faults that came later. Whether a run has them is drawn apart, so that all other runs stay what
/// they were.
const LATER: [Fault; 2] = [Fault::FullDisk, Fault::Members];

/// Makes trouble for so long, then ends all faults and starts what is down.
pub async fn torment(world: &World, rng: &mut SplitMix64, seed: u64, duration: Duration) {
    // Few kinds of fault at once let each do its worst.
    let mut kinds: Vec<Fault> = FAULTS.into_iter().filter(|_| rng.chance(45)).collect();
    let mut later = SplitMix64::new(!seed);
    kinds.extend(LATER.into_iter().filter(|_| later.chance(20)));
    if kinds.contains(&Fault::Members) {
        // The loss of one disk may be the loss of a majority while few vote.
        kinds.retain(|kind| *kind != Fault::Wipe);
    }
    let fills = kinds.contains(&Fault::FullDisk);
    world.history.event(format_args!("faults of this run: {kinds:?}"));
    let pause_ms = 100 + rng.below(1500);
    let end = tokio::time::Instant::now() + duration;
    while tokio::time::Instant::now() < end && !kinds.is_empty() {
        tokio::time::sleep(Duration::from_millis(20 + rng.below(pause_ms * 2))).await;
        if rng.chance(35) {
            heal(world, rng);
        }
        if rng.chance(50) {
            start_some(world, rng, 60).await;
        }
        let fault = kinds[rng.below(kinds.len() as u64) as usize];
        inflict(world, rng, fault);
        if fills {
            world.bury_the_failed(false, &mut later).await;
        }
    }
    heal(world, rng);
    if fills {
        // A disk that was full until now may still stop its node.
        tokio::spawn(watch_over(world.clone(), later));
    }
    for id in world.ids() {
        world.history.with(|state| state.disturbed.push(state.millis()));
        world.start(id, rng.next_u64()).await;
    }
    if kinds.contains(&Fault::Members) {
        world.restore_members(Duration::from_secs(180)).await;
    }
}

/// Starts processes again that exit.
async fn watch_over(world: World, mut rng: SplitMix64) {
    while !world.is_stopping() {
        world.bury_the_failed(true, &mut rng).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn heal(world: &World, rng: &mut SplitMix64) {
    world.history.event(format_args!("the network heals"));
    world.history.disturbed();
    world.network.heal();
    world.free_disks();
    node::set_sync_delay(rng.next_u64(), 2);
}

async fn start_some(world: &World, rng: &mut SplitMix64, percent: u64) {
    for id in world.ids() {
        if rng.chance(percent) {
            world.start(id, rng.next_u64()).await;
        }
    }
}

fn inflict(world: &World, rng: &mut SplitMix64, fault: Fault) {
    let ids = world.ids();
    let mut any = || ids[rng.below(ids.len() as u64) as usize];
    // Trouble follows leaders more than others.
    let one = any();
    let other = any();
    let leader = world.leader().unwrap_or(one);
    let victim = if rng.chance(50) { leader } else { one };
    world.history.event(format_args!("fault: {fault:?}, node {victim}"));
    if !matches!(fault, Fault::ClockJump | Fault::Snapshot) {
        world.history.disturbed();
    }
    match fault {
        Fault::PowerLoss => {
            let seed = rng.next_u64();
            world.kill(victim, |disk| disk.crash(seed));
        }
        Fault::Kill => world.kill(victim, SimDisk::kill),
        Fault::Wipe => {
            if world.may_wipe(victim) {
                world.kill(victim, SimDisk::kill);
                world.wipe(victim);
            }
        }
        Fault::Partition => {
            let side: Vec<bool> = ids.iter().map(|_| rng.chance(50)).collect();
            for (a, here) in ids.iter().zip(&side) {
                for (b, there) in ids.iter().zip(&side) {
                    if here != there {
                        world.network.block(*a, *b);
                    }
                }
            }
        }
        Fault::Isolation => {
            for id in ids.iter().filter(|id| **id != victim) {
                world.network.block(*id, victim);
                world.network.block(victim, *id);
            }
        }
        Fault::OneWay => {
            if other == victim || rng.chance(30) {
                for id in ids.iter().filter(|id| **id != victim) {
                    world.network.block(victim, *id);
                }
            } else {
                world.network.block(victim, other);
            }
        }
        Fault::Breaks => world.network.break_some(20 + rng.below(80)),
        Fault::SlowLink => world.network.slow(victim, other, 20 + rng.below(1000)),
        Fault::ClockJump => {
            let hours = 3_600_000;
            world.jump(victim, rng.below(2 * hours) as i64 - hours as i64);
        }
        Fault::SlowSyncs => node::set_sync_delay(rng.next_u64(), 20 + rng.below(600)),
        Fault::Snapshot => world.snapshot(victim),
        Fault::Transfer => world.transfer(leader),
        Fault::FullDisk => world.fill_disk(victim, rng.below(30_000)),
        Fault::Members => world.change_members(rng),
    }
}
