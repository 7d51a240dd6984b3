//! What goes wrong, and when.

use polyport_base::rng::SplitMix64;
use polyport_storage::disk::SimDisk;

use super::message::{Address, Event};
use super::world::World;

/// The kinds of fault that a run may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A machine loses what it had not synced.
    PowerLoss,
    /// A process dies; its pages stay.
    Kill,
    /// A machine comes back with an empty disk.
    Wipe,
    /// A process stops as it should.
    CleanStop,
    /// A process stands still.
    Pause,
    /// A node does not reach some others.
    Partition,
    /// A node reaches nobody, nor the tree.
    Isolation,
    /// One node's messages to another are lost.
    OneWay,
    /// A node does not reach the tree.
    CutFromTree,
    /// Connections break.
    Breaks,
    /// Messages are lost, and their connections with them.
    Losses,
    /// A link is slow.
    SlowLink,
    /// A node hears late of what changes in the tree.
    SlowView,
    /// A wall clock is wrong by up to an hour.
    ClockJump,
    /// The tree's answers are lost.
    LostAnswers,
    /// Preferred leaders are asked for.
    Preferred,
}

const FAULTS: [Fault; 16] = [
    Fault::PowerLoss,
    Fault::Kill,
    Fault::Wipe,
    Fault::CleanStop,
    Fault::Pause,
    Fault::Partition,
    Fault::Isolation,
    Fault::OneWay,
    Fault::CutFromTree,
    Fault::Breaks,
    Fault::Losses,
    Fault::SlowLink,
    Fault::SlowView,
    Fault::ClockJump,
    Fault::LostAnswers,
    Fault::Preferred,
];

/// What a run's faults are.
#[derive(Clone, Debug)]
pub struct Plan {
    kinds: Vec<Fault>,
    pause_ms: u64,
}

impl Plan {
    /// Few kinds of fault at once let each do its worst.
    pub fn draw(rng: &mut SplitMix64) -> Self {
        let kinds = FAULTS.into_iter().filter(|_| rng.chance(35)).collect();
        Plan { kinds, pause_ms: 50 + rng.below(900) }
    }
}

impl World {
    /// Something goes wrong, or is healed; and more will come.
    pub fn trouble(&mut self, plan: &Plan) {
        if self.bench.rng.chance(30) {
            self.heal();
        }
        for id in self.ids() {
            if self.bench.rng.chance(40) {
                self.resume(id);
                self.start(id);
            }
        }
        if !plan.kinds.is_empty() {
            let at = self.bench.rng.below(plan.kinds.len() as u64) as usize;
            self.inflict(plan.kinds[at]);
        }
        let ms = 10 + self.bench.rng.below(plan.pause_ms * 2);
        self.bench.after(ms, Event::Fault);
    }

    /// Ends all faults and starts what is down.
    pub fn heal_all(&mut self) {
        self.heal();
        for id in self.ids() {
            self.jump(id, 0);
            self.resume(id);
            self.start(id);
        }
    }

    fn heal(&mut self) {
        self.bench.history.event(format_args!("the network heals"));
        self.bench.heal();
        self.bench.loss_permille = 0;
        self.lost_answers_percent = 0;
        self.view_delay_ms.clear();
    }

    fn inflict(&mut self, fault: Fault) {
        let ids = self.ids();
        let any = |rng: &mut SplitMix64| ids[rng.below(ids.len() as u64) as usize];
        let (one, other) = (any(&mut self.bench.rng), any(&mut self.bench.rng));
        // Trouble follows leaders more than others.
        let leader = self.leader_of_any();
        let victim = match leader {
            Some(leader) if self.bench.rng.chance(50) => leader,
            _ => one,
        };
        self.bench.history.event(format_args!("fault: {fault:?}, node {victim}"));
        let others: Vec<i32> = ids.iter().copied().filter(|id| *id != victim).collect();
        let node = Address::Node;
        match fault {
            Fault::PowerLoss => {
                let seed = self.bench.rng.next_u64();
                if self.may_lose_pages(victim) {
                    self.lose_pages(victim);
                    self.kill(victim, |disk| disk.crash(seed));
                }
            }
            Fault::Wipe => {
                if self.may_lose_pages(victim) {
                    self.lose_pages(victim);
                    self.kill(victim, SimDisk::kill);
                    self.wipe(victim);
                }
            }
            Fault::Kill if self.may_go(victim) => self.kill(victim, SimDisk::kill),
            Fault::CleanStop if self.may_go(victim) => self.stop(victim),
            Fault::Pause if self.may_go(victim) => self.pause(victim),
            Fault::CutFromTree if self.may_go(victim) => {
                self.bench.block(node(victim), Address::Tree);
                self.bench.block(Address::Tree, node(victim));
            }
            Fault::Isolation if self.may_go(victim) => {
                for to in others.into_iter().map(node).chain([Address::Tree]) {
                    self.bench.block(node(victim), to);
                    self.bench.block(to, node(victim));
                }
            }
            // What would end the last sound replica's session waits.
            Fault::Kill
            | Fault::CleanStop
            | Fault::Pause
            | Fault::CutFromTree
            | Fault::Isolation => {}
            Fault::Partition => {
                for to in others {
                    if self.bench.rng.chance(50) {
                        self.bench.block(node(victim), node(to));
                        self.bench.block(node(to), node(victim));
                    }
                }
            }
            Fault::OneWay => self.bench.block(node(victim), node(other)),
            Fault::Breaks => {
                let percent = 20 + self.bench.rng.below(80);
                self.bench.break_some(percent);
            }
            Fault::Losses => self.bench.loss_permille = 5 + self.bench.rng.below(80),
            Fault::SlowLink => {
                let ms = 20 + self.bench.rng.below(800);
                self.bench.slow(node(victim), node(other), ms);
            }
            Fault::SlowView => {
                let ms = 50 + self.bench.rng.below(1500);
                self.view_delay_ms.insert(victim, ms);
            }
            Fault::ClockJump => {
                let hour = 3_600_000;
                let ms = self.bench.rng.below(2 * hour) as i64 - hour as i64;
                self.jump(victim, ms);
            }
            Fault::LostAnswers => self.lost_answers_percent = 10 + self.bench.rng.below(60),
            Fault::Preferred => self.prefer(),
        }
    }
}
