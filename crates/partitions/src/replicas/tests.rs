//! What the replicas of a partition promise, alone and in a cluster that changes its leaders.

use polyport_base::Millis;
use polyport_base::rng::SplitMix64;
use proptest::prelude::*;

use super::*;

const LAG_MS: i64 = 1000;

fn state(isr: &[BrokerId], leader_epoch: i32, partition_epoch: i32) -> PartitionState {
    PartitionState {
        leader: Some(1),
        leader_epoch,
        partition_epoch,
        replicas: vec![1, 2, 3],
        isr: isr.to_vec(),
    }
}

fn set(isr: &[BrokerId], end: i64, min_isr: usize) -> ReplicaSet {
    ReplicaSet::new(1, &state(isr, 1, 1), (end, 0), min_isr, LAG_MS, Millis(0))
}

fn fetch(follower: BrokerId, offset: i64, leader_end: i64) -> FollowerFetch {
    FollowerFetch { follower, offset, log_start: 0, leader_end }
}

#[test]
fn the_high_watermark_is_what_all_in_sync_have() {
    let mut set = set(&[1, 2, 3], 0, 1);
    set.appended(10, Millis(1));
    assert_eq!(set.high_watermark(), 0);
    assert!(set.fetched(fetch(2, 7, 10), Millis(2)));
    assert!(set.fetched(fetch(3, 4, 10), Millis(3)));
    assert_eq!(set.high_watermark(), 4);
    set.fetched(fetch(3, 10, 10), Millis(4));
    assert_eq!(set.high_watermark(), 7);
    assert!(!set.fetched(fetch(4, 10, 10), Millis(4)));
    // A follower that was made anew fetches from the start; what is committed stays so.
    set.fetched(fetch(2, 0, 10), Millis(5));
    assert_eq!(set.high_watermark(), 7);
}

#[test]
fn one_that_lags_is_proposed_to_go_and_may_come_back() {
    let mut set = set(&[1, 2, 3], 0, 1);
    set.appended(10, Millis(10));
    set.fetched(fetch(2, 10, 10), Millis(20));
    assert_eq!(set.propose(Millis(LAG_MS)), None);
    let late = Millis(LAG_MS + 11);
    let proposal = set.propose(late).unwrap();
    assert_eq!(proposal, IsrProposal { isr: vec![1, 2], leader_epoch: 1, partition_epoch: 1 });
    assert_eq!(set.propose(late), None, "one at a time");
    assert_eq!(set.high_watermark(), 0, "it counts when it is written");
    assert!(set.update(&state(&[1, 2], 1, 2), late));
    assert_eq!(set.high_watermark(), 10);
    set.fetched(fetch(3, 9, 10), late);
    assert_eq!(set.propose(late), None, "below the high watermark");
    set.fetched(fetch(3, 10, 10), late);
    let proposal = set.propose(late).unwrap();
    assert_eq!((proposal.isr, proposal.partition_epoch), (vec![1, 2, 3], 2));
    // It is waited for from now on: the metadata may have it already.
    set.appended(12, late);
    set.fetched(fetch(2, 12, 12), late);
    assert_eq!(set.high_watermark(), 10);
    set.update(&state(&[1, 2], 1, 2), late);
    assert_eq!(set.high_watermark(), 10, "the same state again says nothing");
    let later = Millis(late.0 + LAG_MS + 1);
    set.refused(later);
    assert_eq!(set.high_watermark(), 12);
}

#[test]
fn a_follower_always_a_little_behind_is_in_sync() {
    let mut set = set(&[1, 2, 3], 0, 1);
    let mut end = 0;
    for now in 1..5000 {
        end += 1;
        set.appended(end, Millis(now));
        set.fetched(fetch(2, end - 1, end), Millis(now));
        set.fetched(fetch(3, end - 1, end), Millis(now));
        assert_eq!(set.propose(Millis(now)), None);
    }
}

#[test]
fn one_that_could_join_is_not_run_away_from_unless_it_is_dead() {
    let mut set = set(&[1, 2], 0, 1);
    set.appended(10, Millis(1));
    set.fetched(fetch(3, 10, 10), Millis(2));
    set.fetched(fetch(2, 10, 10), Millis(2));
    set.appended(20, Millis(3));
    set.fetched(fetch(2, 20, 20), Millis(3));
    assert_eq!(set.high_watermark(), 10);
    set.set_alive(|id| id != 3, Millis(3));
    assert_eq!(set.high_watermark(), 20);
    set.fetched(fetch(3, 20, 20), Millis(4));
    assert_eq!(set.propose(Millis(4)), None, "the dead do not join");
    set.set_alive(|_| true, Millis(4));
    assert_eq!(set.propose(Millis(4)).unwrap().isr, [1, 2, 3]);
}

#[test]
fn who_has_not_come_to_the_leaders_epoch_does_not_join() {
    let mut set = ReplicaSet::new(1, &state(&[1], 1, 1), (10, 5), 2, LAG_MS, Millis(0));
    set.fetched(fetch(2, 7, 10), Millis(1));
    assert_eq!(set.propose(Millis(1)), None);
    set.fetched(fetch(2, 10, 10), Millis(2));
    assert_eq!(set.propose(Millis(2)).unwrap().isr, [1, 2]);
}

#[test]
fn too_few_in_sync_commit_nothing() {
    let mut set = set(&[1], 0, 2);
    set.appended(10, Millis(1));
    assert!(!set.has_enough());
    assert_eq!(set.high_watermark(), 0);
    set.set_min_isr(1, Millis(5 * LAG_MS));
    assert_eq!(set.high_watermark(), 10);
    // More than there are replicas cannot be meant.
    set.set_min_isr(9, Millis(6 * LAG_MS));
    set.update(&state(&[1, 2, 3], 1, 2), Millis(6 * LAG_MS));
    assert!(set.has_enough());
}

#[test]
fn records_are_deleted_where_all_that_live_have_deleted() {
    let mut set = set(&[1, 2, 3], 10, 1);
    assert_eq!(set.low_watermark(8), -1);
    set.fetched(FollowerFetch { log_start: 5, ..fetch(2, 10, 10) }, Millis(1));
    set.fetched(FollowerFetch { log_start: 2, ..fetch(3, 10, 10) }, Millis(1));
    assert_eq!(set.low_watermark(8), 2);
    set.set_alive(|id| id != 3, Millis(1));
    assert_eq!(set.low_watermark(8), 5);
}

#[test]
fn a_reassignment_brings_new_followers_and_takes_old_ones() {
    let mut set = set(&[1, 2, 3], 0, 1);
    set.appended(10, Millis(1));
    set.fetched(fetch(2, 10, 10), Millis(1));
    let moved = PartitionState { replicas: vec![4, 1, 2], ..state(&[1, 2], 1, 2) };
    set.update(&moved, Millis(2));
    assert_eq!(set.followers().iter().map(|f| f.id).collect::<Vec<_>>(), [2, 4]);
    assert_eq!(set.high_watermark(), 10, "what is known of one that stays is kept");
    assert!(!set.fetched(fetch(3, 10, 10), Millis(3)));
}

/// A record: the epoch it was appended in, and its number.
type Entry = (i32, u64);

/// One broker's copy.
#[derive(Debug, Default)]
struct Copy {
    log: Vec<Entry>,
    high_watermark: i64,
    /// The newest state it has heard of.
    heard: Option<PartitionState>,
    leads: Option<ReplicaSet>,
}

/// Three copies, the metadata, and messages between them that come late or not at all.
#[derive(Debug)]
struct Cluster {
    rng: SplitMix64,
    now: Millis,
    min_isr: usize,
    copies: Vec<Copy>,
    metadata: PartitionState,
    /// Proposals on their way to the metadata.
    proposals: Vec<(BrokerId, IsrProposal)>,
    committed: Vec<Entry>,
    number: u64,
}

impl Cluster {
    fn new(seed: u64, min_isr: usize) -> Self {
        let copies = (0..3).map(|_| Copy::default()).collect();
        Cluster {
            rng: SplitMix64::new(seed),
            now: Millis(1),
            min_isr,
            copies,
            metadata: state(&[1, 2, 3], 1, 1),
            proposals: Vec::new(),
            committed: Vec::new(),
            number: 0,
        }
    }

    fn any(&mut self) -> BrokerId {
        1 + self.rng.below(3) as BrokerId
    }

    fn copy(&mut self, id: BrokerId) -> &mut Copy {
        &mut self.copies[id as usize - 1]
    }

    /// A broker hears of the state.
    fn hear(&mut self, id: BrokerId) {
        let (state, now, min_isr) = (self.metadata.clone(), self.now, self.min_isr);
        let copy = self.copy(id);
        copy.heard = Some(state.clone());
        if state.leader != Some(id) {
            copy.leads = None;
            return;
        }
        let offsets = (copy.log.len() as i64, copy.high_watermark);
        match &mut copy.leads {
            Some(set) => {
                set.update(&state, now);
            }
            none => *none = Some(ReplicaSet::new(id, &state, offsets, min_isr, LAG_MS, now)),
        }
        self.committed_by(id);
    }

    fn append(&mut self, id: BrokerId) {
        self.number += 1;
        let (number, now) = (self.number, self.now);
        let copy = self.copy(id);
        let Some(set) = &mut copy.leads else { return };
        copy.log.push((set.leader_epoch(), number));
        set.appended(copy.log.len() as i64, now);
        self.committed_by(id);
    }

    /// A follower fetches from whom it believes to lead, if that one believes so too.
    fn fetch(&mut self, id: BrokerId) {
        let Some(heard) = self.copy(id).heard.clone() else { return };
        let Some(leader) = heard.leader.filter(|leader| *leader != id) else { return };
        let now = self.now;
        let most = self.rng.below(4) as usize;
        let mut log = std::mem::take(&mut self.copy(id).log);
        let of = self.copy(leader);
        if let Some(set) = of.leads.as_mut().filter(|set| set.leader_epoch() == heard.leader_epoch)
        {
            // Up to where both have the same.
            let same = log.iter().zip(&of.log).take_while(|(a, b)| a == b).count();
            log.truncate(same);
            let leader_end = of.log.len() as i64;
            assert!(set.fetched(fetch(id, same as i64, leader_end), now));
            log.extend(of.log[same..].iter().take(most));
            of.high_watermark = set.high_watermark();
            let high_watermark = of.high_watermark.min(log.len() as i64);
            if let Some(proposal) = set.propose(now) {
                self.proposals.push((leader, proposal));
            }
            self.committed_by(leader);
            let copy = self.copy(id);
            copy.high_watermark = copy.high_watermark.max(high_watermark);
        }
        self.copy(id).log = log;
    }

    fn propose(&mut self, id: BrokerId) {
        let now = self.now;
        let Some(set) = &mut self.copy(id).leads else { return };
        if let Some(proposal) = set.propose(now) {
            self.proposals.push((id, proposal));
        }
    }

    /// The metadata decide on a proposal that has come.
    fn decide(&mut self) {
        if self.proposals.is_empty() {
            return;
        }
        let at = self.rng.below(self.proposals.len() as u64) as usize;
        let (from, proposal) = self.proposals.swap_remove(at);
        let fits = proposal.leader_epoch == self.metadata.leader_epoch
            && proposal.partition_epoch == self.metadata.partition_epoch;
        if fits && self.rng.chance(80) {
            self.metadata.isr = proposal.isr;
            self.metadata.partition_epoch += 1;
        } else if !fits || self.rng.chance(50) {
            let now = self.now;
            if let Some(set) = &mut self.copy(from).leads {
                // The one that is under way now may be a later one.
                if set.proposed.as_ref() == Some(&proposal) {
                    set.refused(now);
                }
            }
        } else {
            self.proposals.push((from, proposal));
        }
    }

    /// One of those in sync becomes the leader.
    fn elect(&mut self) {
        let at = self.rng.below(self.metadata.isr.len() as u64) as usize;
        self.metadata.leader = Some(self.metadata.isr[at]);
        self.metadata.leader_epoch += 1;
        self.metadata.partition_epoch += 1;
        let leader = self.metadata.isr[at];
        let log = &self.copies[leader as usize - 1].log;
        assert!(
            log.len() >= self.committed.len() && log[..self.committed.len()] == self.committed,
            "broker {leader} leads with {log:?}, committed were {:?}",
            self.committed
        );
    }

    /// What a leader holds for committed was so for ever.
    fn committed_by(&mut self, id: BrokerId) {
        let Copy { log, leads, high_watermark, .. } = &mut self.copies[id as usize - 1];
        let Some(set) = leads else { return };
        assert!(
            set.high_watermark() >= *high_watermark && set.high_watermark() <= log.len() as i64
        );
        *high_watermark = set.high_watermark();
        let below = &log[..*high_watermark as usize];
        let both = below.len().min(self.committed.len());
        assert_eq!(below[..both], self.committed[..both], "committed records were replaced");
        if below.len() > both {
            self.committed = below.to_vec();
        }
    }

    /// Everybody lives and hears of everything: what is appended is committed, and all are in sync.
    fn heal(&mut self) {
        let leader = self.metadata.leader.unwrap();
        for round in 0..200 {
            self.now.0 += 100;
            let now = self.now;
            for id in 1..=3 {
                self.hear(id);
            }
            if let Some(set) = &mut self.copy(leader).leads {
                set.set_alive(|_| true, now);
            }
            if round < 10 {
                self.append(leader);
            }
            for id in 1..=3 {
                self.fetch(id);
            }
            self.propose(leader);
            self.decide();
        }
        let copy = self.copy(leader);
        let (log, isr) = (copy.log.clone(), copy.leads.as_ref().unwrap().isr().to_vec());
        assert!(log.len() >= 10);
        assert_eq!((&self.committed, isr), (&log, vec![1, 2, 3]));
    }

    fn step(&mut self) {
        self.now.0 += self.rng.below(300) as i64;
        let id = self.any();
        match self.rng.below(100) {
            0..30 => self.append(id),
            30..70 => self.fetch(id),
            70..80 => self.hear(id),
            80..88 => self.propose(id),
            88..95 => self.decide(),
            95..97 => {
                let (dead, now) = (self.any(), self.now);
                if let Some(set) = &mut self.copy(id).leads {
                    set.set_alive(|other| other != dead, now);
                }
                self.committed_by(id);
            }
            _ => self.elect(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_is_committed_is_in_every_later_leaders_log(seed: u64, min_isr in 1_usize..=2) {
        let mut cluster = Cluster::new(seed, min_isr);
        for id in 1..=3 {
            cluster.hear(id);
        }
        for _ in 0..600 {
            cluster.step();
        }
        cluster.heal();
    }
}
