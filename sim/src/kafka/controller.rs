//! The controller: the real decisions, and around them what production's shell does with a task.

use std::collections::BTreeSet;

use polyport_kafka::metadata::controller::decide::{Rules, Scope, SetState, Step, decide};
use polyport_kafka::metadata::image::{Changes, Image};
use polyport_kafka::metadata::znode::{ControllerZnode, PartitionStateZnode, path};

use super::bench::Bench;
use super::node::Process;
use super::tree::{Change, Outcome, Purpose, Tree};

/// What is still to be looked at.
#[derive(Default)]
struct Work {
    everything: bool,
    changes: Changes,
    bounced: BTreeSet<i32>,
}

impl Work {
    fn is_done(&self) -> bool {
        !self.everything && self.changes.is_empty()
    }

    fn add(&mut self, other: Work) {
        self.everything |= other.everything;
        self.changes.merge(&other.changes);
        self.bounced.extend(other.bounced);
    }
}

/// A node that was elected.
pub(super) struct Controlling {
    /// Of the epoch's znode since the election.
    epoch_version: i32,
    work: Work,
    /// What is being written down.
    taken: Option<Work>,
}

impl Controlling {
    /// The image has changed.
    pub(super) fn note(&mut self, before: &Image, after: &Image, changes: &Changes) {
        let epoch = |image: &Image, id: &i32| image.brokers().get(id).map(|broker| broker.epoch);
        for id in &changes.brokers {
            let (before, after) = (epoch(before, id), epoch(after, id));
            if before.is_some() && after.is_some() && before != after {
                self.work.bounced.insert(*id);
            }
        }
        self.work.changes.merge(changes);
    }
}

impl Process {
    /// Stands for election if there is no controller, or it is this one and does not know it.
    pub(super) fn stand(&mut self, tree: &Tree, bench: &mut Bench) {
        if self.is_standing || self.controlling.is_some() {
            return;
        }
        let known = tree.get(path::CONTROLLER);
        let is_ours = known.is_some_and(|(_, _, session)| session == Some(self.session));
        if self.image.controller.is_some() && !is_ours {
            return;
        }
        let (epoch, version) = self.image.controller_epoch;
        let next = (epoch + 1).to_string().into_bytes();
        let mut all = vec![Change::Set(path::CONTROLLER_EPOCH.to_owned(), next, version)];
        if let Some((_, version, _)) = known.filter(|_| is_ours) {
            all.push(Change::Delete(path::CONTROLLER.to_owned(), version));
        }
        let json = ControllerZnode::new(self.me.node, self.clock().0).to_json();
        all.push(Change::Create(path::CONTROLLER.to_owned(), json, Some(self.session)));
        self.is_standing = true;
        self.write(Purpose::Stand, vec![all], bench);
    }

    /// An election's outcome.
    pub(super) fn stood(&mut self, outcome: &Outcome, tree: &Tree, bench: &mut Bench) {
        self.is_standing = false;
        let won = matches!(outcome, Outcome::Done(done, _) if done.iter().all(Result::is_ok));
        // Another may have been elected by now; then the first write says so.
        if won && tree.is_open(self.session) && self.image.controller == Some(self.me.node) {
            let work = Work { everything: true, ..Work::default() };
            let epoch_version = self.image.controller_epoch.1;
            self.controlling = Some(Controlling { epoch_version, work, taken: None });
            bench.history.event(format_args!("node {} is the controller", self.me.node));
            self.control(bench);
        }
    }

    /// Decides what is to be done, if it is the controller.
    pub(super) fn control(&mut self, bench: &mut Bench) {
        let Some(controlling) = &mut self.controlling else { return };
        let image = &self.image;
        let deposed = image.controller != Some(self.me.node)
            || image.controller_epoch.1 != controlling.epoch_version;
        if deposed {
            self.controlling = None;
            return;
        }
        if controlling.taken.is_some() || controlling.work.is_done() {
            return;
        }
        let work = std::mem::take(&mut controlling.work);
        let scope = match work.everything {
            true => Scope::Everything,
            false => Scope::Changes(&work.changes),
        };
        let rules = Rules { bounced: &work.bounced, unclean: &|_| false };
        let mut steps = decide(image, &scope, &rules);
        if bench.rules.anybody_is_elected {
            steps.iter_mut().for_each(|step| elect_anybody(image, step, bench));
        }
        if steps.is_empty() {
            return;
        }
        let check = (path::CONTROLLER_EPOCH.to_owned(), controlling.epoch_version);
        controlling.taken = Some(work);
        let transactions = steps.iter().map(|step| transaction(&check, step)).collect();
        self.write(Purpose::Decisions, transactions, bench);
    }

    /// What was decided is written down, or not.
    pub(super) fn decided(&mut self, outcome: &Outcome, bench: &mut Bench) {
        let Some(controlling) = &mut self.controlling else { return };
        let Some(taken) = controlling.taken.take() else { return };
        match outcome {
            Outcome::Done(done, _) if done.iter().all(Result::is_ok) => {}
            Outcome::Done(done, _) if !done.iter().any(|one| one.is_err_and(|no| no.at == 0)) => {
                controlling.work.add(taken);
            }
            _ => {
                self.controlling = None;
                return;
            }
        }
        self.control(bench);
    }
}

fn set((topic, partition): (&str, i32), state: &PartitionStateZnode, version: i32) -> Change {
    Change::Set(path::state(topic, partition), state.to_json(), version)
}

fn transaction(check: &(String, i32), step: &Step) -> Vec<Change> {
    let mut all = vec![Change::Check(check.0.clone(), check.1)];
    match step {
        Step::CreateState { topic, partition, state } => {
            all.push(Change::Create(path::state(topic, *partition), state.to_json(), None));
        }
        Step::SetState(SetState { topic, partition, version, state }) => {
            all.push(set((topic, *partition), state, *version));
        }
        Step::Settle { topic, version, znode, states } => {
            all.extend(
                states.iter().map(|one| set((topic, one.partition), &one.state, one.version)),
            );
            all.push(Change::Set(path::topic(topic), znode.to_json(), *version));
        }
        Step::Delete { .. } => {}
    }
    all
}

/// Breaks the rule that leaders were in sync.
fn elect_anybody(image: &Image, step: &mut Step, bench: &mut Bench) {
    let Step::SetState(SetState { topic, partition, state, .. }) = step else { return };
    let Some(known) = image.partition(topic, *partition) else { return };
    let alive: Vec<i32> = known.replicas.iter().copied().filter(|id| image.is_alive(*id)).collect();
    if !alive.is_empty() {
        let leader = alive[bench.rng.below(alive.len() as u64) as usize];
        let epoch = known.leader_epoch() + 1;
        *state = PartitionStateZnode::new(state.controller_epoch, leader, epoch, vec![leader]);
    }
}
