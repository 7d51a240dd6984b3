//! Random members of a classic group, and random transactions, against what clients rely on.

use std::collections::BTreeMap;

use polyport_base::rng::SplitMix64;

use super::world::{World, consumer, offset, protocol, share, simple, static_consumer, sync};
use crate::group::classic::{JoinGroup, Joined};
use crate::group::error::GroupError;
use crate::group::machine::{Answer, EndTransaction, TransactionalProducer, Waiter};
use crate::group::shard::Shard;

/// What a client believes.
#[derive(Clone, Debug, Default)]
struct Client {
    instance: Option<String>,
    member_id: String,
    joining: Option<Waiter>,
    joined: Option<Joined>,
    syncing: Option<Waiter>,
    synced: bool,
}

struct Crowd {
    world: World,
    random: SplitMix64,
    seed: u64,
    clients: BTreeMap<u64, Client>,
    /// The leader of each generation.
    leaders: BTreeMap<i32, String>,
    newest: i32,
}

#[test]
fn generations_grow_have_one_leader_and_their_members_get_what_it_gave_them() {
    let mut generations = 0;
    for seed in 0..300 {
        let mut crowd = Crowd {
            world: World::new(),
            random: SplitMix64::new(seed),
            seed,
            clients: BTreeMap::new(),
            leaders: BTreeMap::new(),
            newest: 0,
        };
        crowd.live();
        generations += crowd.newest;
    }
    assert!(generations > 1000, "little happened: {generations} generations");
}

impl Crowd {
    fn live(&mut self) {
        for _ in 0..150 {
            let client = self.random.below(5);
            match self.random.below(12) {
                0..5 => self.go_on(client),
                5 => self.beat(client),
                6 => self.world.pass(self.random.below(4_000)),
                7 if self.random.chance(30) => self.world.pass(self.random.below(70_000)),
                8 if self.random.chance(30) => self.leave(client),
                9 if self.random.chance(20) => self.vanish(client),
                10 if self.random.chance(20) => self.reload(),
                _ => self.go_on(client),
            }
            self.take_answers();
            self.check();
        }
        self.settle();
    }

    /// Everybody goes on until nobody waits: then all who take part have a share.
    fn settle(&mut self) {
        for _ in 0..60 {
            for client in 0..5 {
                if self.clients.contains_key(&client) {
                    self.go_on(client);
                    self.take_answers();
                    self.beat(client);
                }
            }
            self.world.pass(2_000);
            self.take_answers();
            self.check();
        }
        if self.clients.is_empty() {
            return;
        }
        let described = self.world.shard.describe("g");
        assert_eq!(described.state, "Stable", "seed {}", self.seed);
        assert_eq!(described.members.len(), self.clients.len(), "seed {}", self.seed);
        assert!(self.clients.values().all(|client| client.synced), "seed {}", self.seed);
    }

    /// A client does the next thing that it has to do.
    fn go_on(&mut self, number: u64) {
        let instance = (number == 0).then(|| "i".to_owned());
        let client = self.clients.entry(number).or_insert(Client { instance, ..Client::default() });
        if client.joining.is_some() || client.syncing.is_some() || client.synced {
            return;
        }
        let Some(joined) = client.joined.clone() else {
            let id = client.member_id.clone();
            let mut request = match &client.instance {
                Some(instance) => static_consumer(&id, instance),
                None => JoinGroup { require_member_id: self.random.chance(50), ..consumer(&id) },
            };
            if self.random.chance(10) {
                request.protocols = vec![protocol("range", &["t", "u"])];
            }
            let waiter = self.world.join("g", request);
            self.client(number).joining = Some(waiter);
            return;
        };
        let ids: Vec<String> = joined.members.iter().map(|of| of.member_id.clone()).collect();
        let assignments = match joined.skip_assignment {
            true => BTreeMap::new(),
            false => share(&ids),
        };
        let waiter = self.world.sync("g", sync(&joined.member_id, joined.generation, assignments));
        self.client(number).syncing = Some(waiter);
    }

    fn client(&mut self, number: u64) -> &mut Client {
        self.clients.get_mut(&number).unwrap()
    }

    fn beat(&mut self, number: u64) {
        let Some(client) = self.clients.get(&number).filter(|client| client.synced) else { return };
        let generation = client.joined.as_ref().unwrap().generation;
        let id = client.member_id.clone();
        let instance = client.instance.clone();
        let outcome = self
            .world
            .run(|shard, cx| shard.heartbeat("g", &id, instance.as_deref(), generation, cx));
        if let Err(error) = outcome {
            self.begin_anew(number, error);
        }
    }

    fn begin_anew(&mut self, number: u64, error: GroupError) {
        let client = self.client(number);
        let keeps_id = error == GroupError::RebalanceInProgress;
        *client = Client {
            instance: client.instance.clone(),
            member_id: if keeps_id { client.member_id.clone() } else { String::new() },
            ..Client::default()
        };
    }

    fn leave(&mut self, number: u64) {
        if let Some(client) = self.clients.remove(&number) {
            let _ = self.world.leave("g", &client.member_id);
        }
    }

    /// Another node takes over: who waits has to ask again.
    fn reload(&mut self) {
        self.world.run(Shard::on_unloaded);
        self.take_answers();
        self.world = self.world.reloaded();
        // A generation that was not written may be begun again.
        self.leaders.clear();
        self.newest = 0;
    }

    /// A client is gone without a word. The static one comes back as another process.
    fn vanish(&mut self, number: u64) {
        match self.clients.get_mut(&number) {
            Some(client) if client.instance.is_some() => {
                if client.joining.is_none() && client.syncing.is_none() {
                    *client = Client { instance: client.instance.clone(), ..Client::default() };
                }
            }
            _ => {
                self.clients.remove(&number);
            }
        }
    }

    fn take_answers(&mut self) {
        for number in self.clients.keys().copied().collect::<Vec<_>>() {
            if let Some(answer) =
                self.client(number).joining.and_then(|waiter| self.world.take(waiter))
            {
                self.client(number).joining = None;
                self.take_join(number, answer);
            }
            if let Some(answer) =
                self.client(number).syncing.and_then(|waiter| self.world.take(waiter))
            {
                self.client(number).syncing = None;
                self.take_sync(number, answer);
            }
        }
    }

    fn take_join(&mut self, number: u64, answer: Answer) {
        let Answer::Join(outcome) = answer else { panic!("seed {}: {answer:?}", self.seed) };
        match outcome {
            Ok(joined) => {
                assert!(joined.generation >= self.newest, "seed {}: an old generation", self.seed);
                self.newest = joined.generation;
                let leader = self.leaders.entry(joined.generation);
                let leader = leader.or_insert_with(|| joined.leader.clone());
                // A static leader that came back in the same generation has a new id.
                if joined.skip_assignment {
                    leader.clone_from(&joined.leader);
                }
                assert_eq!(*leader, joined.leader, "seed {}: two lead", self.seed);
                let leads = joined.leader == joined.member_id;
                assert_eq!(leads, !joined.members.is_empty(), "seed {}", self.seed);
                let client = self.client(number);
                client.member_id.clone_from(&joined.member_id);
                client.joined = Some(joined);
            }
            Err(refused) if refused.error == GroupError::MemberIdRequired => {
                self.client(number).member_id = refused.member_id;
            }
            Err(refused) => self.begin_anew(number, refused.error),
        }
    }

    fn take_sync(&mut self, number: u64, answer: Answer) {
        let Answer::Sync(outcome) = answer else { panic!("seed {}: {answer:?}", self.seed) };
        match outcome {
            Ok(synced) => {
                let client = self.client(number);
                // A static member that came back has what its former self was given.
                let given = client.instance.is_some() || synced.assignment == client.member_id;
                client.synced = true;
                assert!(given, "seed {}: {synced:?}", self.seed);
            }
            Err(error) => self.begin_anew(number, error),
        }
    }

    fn check(&mut self) {
        let described = self.world.shard.describe("g");
        // Of a group that nobody has been in yet nothing is written.
        let is_written = match described.state.as_str() {
            "Stable" => true,
            state => state == "Empty" && !described.protocol_type.is_empty(),
        };
        if is_written && self.random.chance(10) {
            let again = self.world.reloaded().shard.describe("g");
            assert_eq!(again, described, "seed {}", self.seed);
        }
    }
}

#[test]
fn offsets_are_those_of_the_last_commit_whatever_happens_in_between() {
    for seed in 0..200 {
        let mut world = World::new();
        let mut random = SplitMix64::new(seed);
        let mut committed: BTreeMap<(String, i32), (i64, i64)> = BTreeMap::new();
        let mut pending: BTreeMap<i64, BTreeMap<(String, i32), (i64, i64)>> = BTreeMap::new();
        for step in 0..100 {
            let (group, partition) = (format!("g{}", random.below(3)), random.below(3) as i32);
            let producer = TransactionalProducer { id: random.below(3) as i64, epoch: 0 };
            let offsets = vec![offset("t", partition, step)];
            match random.below(10) {
                0..4 => {
                    world.commit(&group, simple(offsets)).unwrap();
                    committed.insert((group, partition), (step, step));
                }
                4..7 => {
                    let (id, request) = (group.as_str().into(), simple(offsets));
                    world
                        .run(|shard, cx| shard.commit_in_transaction(&id, &request, producer, cx))
                        .unwrap();
                    pending
                        .entry(producer.id)
                        .or_default()
                        .insert((group, partition), (step, step));
                }
                7 | 8 => {
                    let end = EndTransaction {
                        producer,
                        commit: random.chance(60),
                        coordinator_epoch: 0,
                    };
                    world.run(|shard, cx| shard.end_transaction(end, cx)).unwrap();
                    for (key, value) in pending.remove(&producer.id).unwrap_or_default() {
                        let newer = committed.get(&key).is_some_and(|of| of.1 > value.1);
                        if end.commit && !newer {
                            committed.insert(key, value);
                        }
                    }
                }
                _ => world = world.reloaded(),
            }
            let mut found = BTreeMap::new();
            world.shard.each_offset(|group, _, partition, offset| {
                found.insert((group.to_string(), partition), offset);
            });
            let expected: BTreeMap<_, _> =
                committed.iter().map(|(key, (offset, _))| (key.clone(), *offset)).collect();
            assert_eq!(found, expected, "seed {seed}, step {step}");
        }
    }
}
