//! Random operations, crashes and restarts against a list in memory.

use std::rc::Rc;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Append(u8),
    Truncate(u8),
    Vote,
    Mark,
    Flush(bool),
    Purge(u8),
    Upkeep,
    Crash(u64),
    Kill,
    /// The disk fills up after that many bytes, or fails after that many operations.
    Fault(Option<Fault>),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (1..9u8).prop_map(Step::Append),
        2 => any::<u8>().prop_map(Step::Truncate),
        2 => Just(Step::Vote),
        2 => Just(Step::Mark),
        8 => any::<bool>().prop_map(Step::Flush),
        1 => any::<u8>().prop_map(Step::Purge),
        4 => Just(Step::Upkeep),
        2 => any::<u64>().prop_map(Step::Crash),
        1 => Just(Step::Kill),
        1 => (0..6000u64).prop_map(|n| Step::Fault(Some(Fault::FullAfterBytes(n)))),
        1 => (0..30u64).prop_map(|n| Step::Fault(Some(Fault::FailAfterOps(n)))),
        1 => (0..10u64).prop_map(|n| Step::Fault(Some(Fault::FailAfterSyncs(n)))),
        2 => Just(Step::Fault(None)),
    ]
}

/// What a reader of the log can see.
#[derive(Clone, Debug, Default, PartialEq)]
struct View {
    entries: Vec<(u64, Rc<Vec<u8>>)>,
    purged: Option<u64>,
    vote: Option<Vec<u8>>,
    mark: Option<Vec<u8>>,
}

impl View {
    fn of(wal: &Wal<SimDisk>, recovered: &Recovered) -> Self {
        View {
            entries: all(wal).into_iter().map(|(index, bytes)| (index, Rc::new(bytes))).collect(),
            purged: recovered.purged.as_ref().map(|(index, _)| *index),
            vote: recovered.vote.clone(),
            mark: recovered.mark.clone(),
        }
    }
}

/// Every state the log went through since the last one known durable. Recovery must arrive at one
/// of them: each is the result of a prefix of the operations.
struct History {
    states: Vec<View>,
    round: u64,
}

impl History {
    fn then(&mut self, change: impl FnOnce(&mut View, u64)) {
        let mut next = self.states[self.states.len() - 1].clone();
        self.round += 1;
        change(&mut next, self.round);
        self.states.push(next);
    }

    fn durable(&mut self) {
        self.states.drain(..self.states.len() - 1);
    }

    fn last(&self) -> &View {
        &self.states[self.states.len() - 1]
    }
}

fn apply(step: &Step, disk: &SimDisk, wal: &mut Wal<SimDisk>, history: &mut History) {
    let last = history.last().entries.last().map(|(index, _)| *index).or(history.last().purged);
    match step {
        Step::Append(count) => {
            for _ in 0..*count {
                let index = history.last().entries.last().map(|(i, _)| *i);
                let index = index.or(history.last().purged).map_or(0, |last| last + 1);
                let bytes = Rc::new(payload(index, history.round));
                if wal.append(index, &[bytes.as_slice()]).is_ok() {
                    history.then(|view, _| view.entries.push((index, bytes)));
                }
            }
        }
        Step::Truncate(back) => {
            let keep = last.and_then(|last| last.checked_sub(u64::from(*back % 16)));
            if wal.truncate_after(keep).is_ok() {
                history.then(|view, _| view.entries.retain(|(i, _)| keep.is_some_and(|k| *i <= k)));
            }
        }
        Step::Vote => {
            let vote = history.round.to_string().into_bytes();
            if wal.set_vote(&vote).is_ok() {
                history.then(|view, _| view.vote = Some(vote));
            }
        }
        Step::Mark => {
            let mark = history.round.to_string().into_bytes();
            if wal.set_mark(&mark).is_ok() {
                history.then(|view, _| view.mark = Some(mark));
            }
        }
        Step::Flush(durable) => {
            if wal.flush(*durable).is_ok() && *durable {
                history.durable();
            }
        }
        Step::Purge(ahead) => {
            let first = history.last().entries.first().map(|(i, _)| *i).or(last).unwrap_or(0);
            let to = first + u64::from(*ahead % 64);
            if history.last().purged.is_some_and(|purged| purged >= to) || wal.is_poisoned() {
                return;
            }
            history.then(|view, _| {
                view.entries.retain(|(i, _)| *i > to);
                view.purged = Some(to);
            });
            if wal.purge_to(to, b"name").is_ok() {
                history.durable();
            }
        }
        // Its failures are no danger to the journal.
        Step::Upkeep => drop(wal.upkeep().settle()),
        Step::Fault(fault) => disk.set_fault(*fault),
        Step::Crash(seed) => {
            disk.crash(*seed);
            reopen(disk, wal, history);
        }
        Step::Kill => {
            disk.kill();
            reopen(disk, wal, history);
        }
    }
}

fn reopen(disk: &SimDisk, wal: &mut Wal<SimDisk>, history: &mut History) {
    let (opened, recovered) = open(disk);
    let view = View::of(&opened, &recovered);
    assert!(
        history.states.contains(&view),
        "recovered a log that never was: {view:?}\namong {:?}",
        history.states
    );
    assert_eq!(
        (opened.first_index(), opened.last_index()),
        (recovered.first_index, recovered.last_index)
    );
    *wal = opened;
    history.states = vec![view];
}

proptest! {
    #[test]
    fn what_was_durable_is_there_and_the_rest_is_a_prefix(
        steps in prop::collection::vec(step(), 1..120),
        seed in any::<u64>(),
    ) {
        let disk = SimDisk::new();
        let mut history = History { states: vec![View::default()], round: 0 };
        let mut wal = open(&disk).0;
        for step in &steps {
            apply(step, &disk, &mut wal, &mut history);
        }
        disk.crash(seed);
        reopen(&disk, &mut wal, &mut history);
    }
}
