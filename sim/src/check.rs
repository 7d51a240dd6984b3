//! What was promised, against what was seen.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use polyport_tree::command::{Batch, Command, Write};
use polyport_tree::machine::{Machine, Outcome};
use polyport_tree::store::NodeIndex;
use polyport_tree::{Stat, TreeError};

use crate::history::{Answer, Applied, Ask, Operation, State};
use crate::model::Model;

/// Milliseconds by which notes about a live client may come late when nothing is wrong: reports go
/// out twice a tick, and an election just past gives everyone a fresh timeout anyway.
const REPORT_SLACK_MS: u64 = 2500;

/// Milliseconds after its timeout within which a session whose client is silent is found and ended,
/// when nothing is wrong: sessions are looked at twice a tick, and an election may have been just
/// before.
const EXPIRY_SLACK_MS: u64 = 2500;

/// What a transaction did, as the model sees it.
struct Transaction {
    ask: Ask,
    session: i64,
    result: Result<Outcome<'static>, TreeError>,
}

/// All promises about what clients saw. The answer names those that were broken, and the state that
/// the whole log leads to.
pub fn history(state: &State) -> (Vec<String>, Model) {
    let mut broken = Vec::new();
    let mut reads: Vec<(usize, &Operation, i64, &Option<(String, Stat)>)> = Vec::new();
    for (number, operation) in state.operations.iter().enumerate() {
        if let Some((_, zxid, Answer::Found(found))) = &operation.answered {
            reads.push((number, operation, *zxid, found));
        }
    }
    reads.sort_by_key(|(_, _, zxid, _)| *zxid);
    let mut replay = Replay {
        model: Model::new(),
        reads: reads.into_iter().peekable(),
        transactions: BTreeMap::new(),
        attached: BTreeMap::new(),
        broken: &mut broken,
    };
    for (index, (applied, at_ms)) in &state.log {
        replay.entry(*index, applied, *at_ms, state);
    }
    replay.reads_at_most(i64::MAX);
    let Replay { model, transactions, .. } = replay;
    answers(state, &transactions, &mut broken);
    once(&transactions, &mut broken);
    real_time(state, &mut broken);
    sessions_in_order(state, &mut broken);
    (broken, model)
}

struct Replay<'a, I: Iterator> {
    model: Model,
    reads: std::iter::Peekable<I>,
    transactions: BTreeMap<i64, Transaction>,
    /// When the log attached each session.
    attached: BTreeMap<i64, u64>,
    broken: &'a mut Vec<String>,
}

type Read<'a> = (usize, &'a Operation, i64, &'a Option<(String, Stat)>);

impl<'a, I: Iterator<Item = Read<'a>>> Replay<'_, I> {
    /// Reads show the state of their zxid, whole.
    fn reads_at_most(&mut self, zxid: i64) {
        while let Some((number, operation, at, found)) =
            self.reads.next_if(|(_, _, at, _)| *at <= zxid)
        {
            let Ask::Read { path, .. } = &operation.ask else { continue };
            let node = self.model.nodes.get(path);
            let expected =
                node.map(|node| (String::from_utf8_lossy(&node.data).into_owned(), node.stat));
            if expected != *found {
                self.broken.push(format!(
                    "read #{number} of {path} at {at:x} found {found:?}, not {expected:?}"
                ));
            }
        }
    }

    fn entry(&mut self, index: u64, applied: &Applied, at_ms: u64, state: &State) {
        let Applied::Batch(term, time_ms, bytes) = applied else {
            self.reads_at_most(self.model.last_zxid);
            return self.model.members_changed();
        };
        let Ok(mut batch) = Batch::decode(bytes) else {
            return self.broken.push(format!("entry {index} is malformed"));
        };
        if !self.model.admits(&batch) {
            return;
        }
        self.model.begin(*term);
        while let Ok(Some((submitter, command))) = batch.next_command() {
            if command != Command::Sync {
                self.reads_at_most(self.model.last_zxid);
            }
            if let Command::Expire { term: then, sessions } = &command
                && then == term
            {
                for session in sessions {
                    self.expired(*session, at_ms, state);
                    self.expired_in_time(*session, at_ms, state);
                }
            }
            let from = &batch.submitters[submitter];
            let attachment = batch.attachment(submitter);
            let (zxid, result) = self.model.step(*time_ms, from, attachment, &command);
            if let Ok(Outcome::Attached(session, ..)) = &result {
                self.attached.insert(*session, at_ms);
            }
            if let Some(ask) = ask(&command)
                && command != Command::Sync
            {
                let session = from.session;
                self.transactions.insert(zxid, Transaction { ask, session, result });
            }
        }
    }

    /// Once nothing is wrong any more, a session does not outlive its client by much more than its
    /// timeout.
    fn expired_in_time(&mut self, session: i64, at_ms: u64, state: &State) {
        let Some(known) = self.model.sessions.get(&session) else { return };
        let heard = state.touches.get(&session).into_iter().flatten();
        let attached = self.attached.get(&session);
        let since = heard.chain(attached).chain(&state.disturbed).chain(&state.calm);
        let Some(since) = since.filter(|since| **since <= at_ms).max() else { return };
        if state.calm.is_none_or(|calm| calm > *since) {
            return;
        }
        let timeout_ms = known.timeout_ms as u64;
        if at_ms - since > timeout_ms + EXPIRY_SLACK_MS {
            self.broken.push(format!(
                "session {session:x} expired at {at_ms} ms, but nothing was heard of it or wrong \
                 since {since} ms, timeout {timeout_ms} ms"
            ));
        }
    }

    /// A session whose client was heard in time by a server that had no trouble must not expire.
    fn expired(&mut self, session: i64, at_ms: u64, state: &State) {
        let Some(known) = self.model.sessions.get(&session) else { return };
        let timeout_ms = known.timeout_ms as u64;
        let begin = at_ms.saturating_sub(timeout_ms + REPORT_SLACK_MS);
        if state.disturbed.iter().any(|at| (begin..=at_ms).contains(at)) {
            return;
        }
        let heard = state.touches.get(&session).map(Vec::as_slice).unwrap_or_default();
        // In time: never silent for more than half a timeout.
        let within = heard.iter().copied().filter(|at| (begin..=at_ms).contains(at));
        let moments: Vec<u64> = [begin].into_iter().chain(within).chain([at_ms]).collect();
        if moments.windows(2).all(|pair| pair[1] - pair[0] <= timeout_ms / 2) {
            let latest = moments[moments.len() - 2];
            self.broken.push(format!(
                "session {session:x} expired at {at_ms} ms, heard at {latest} ms, timeout {timeout_ms} ms"
            ));
        }
    }
}

fn text(data: Option<&[u8]>) -> String {
    String::from_utf8_lossy(data.unwrap_or_default()).into_owned()
}

/// What a client asked for, from the log.
fn ask(command: &Command<'_>) -> Option<Ask> {
    fn write(write: &Write<'_>) -> Option<Ask> {
        Some(match write {
            Write::Create { path, data, mode, .. } => {
                Ask::Create { path: (*path).to_owned(), data: text(*data), mode: *mode }
            }
            Write::SetData { path, data, version } => {
                Ask::Set { path: (*path).to_owned(), data: text(*data), version: *version }
            }
            Write::Delete { path, version } => {
                Ask::Delete { path: (*path).to_owned(), version: *version }
            }
            Write::Check { path, version } => {
                Ask::Check { path: (*path).to_owned(), version: *version }
            }
            Write::SetAcl { .. } => return None,
        })
    }
    Some(match command {
        Command::Write(one) => write(one)?,
        Command::Multi(writes) => Ask::Multi(writes.iter().filter_map(write).collect()),
        Command::Sync => Ask::Sync,
        Command::CreateSession { .. } => Ask::Open,
        Command::Attach { .. } => Ask::Attach,
        Command::CloseSession => Ask::Close,
        _ => return None,
    })
}

/// Each answer is what the request did in the log, and no two answers are about one transaction.
/// So nothing that was acknowledged is lost.
fn answers(state: &State, transactions: &BTreeMap<i64, Transaction>, broken: &mut Vec<String>) {
    let mut taken = BTreeMap::new();
    for (number, operation) in state.operations.iter().enumerate() {
        let Some((_, zxid, Answer::Result(result))) = &operation.answered else { continue };
        if operation.ask == Ask::Sync {
            continue;
        }
        let Some(transaction) = transactions.get(zxid) else {
            broken.push(format!("#{number} was acknowledged at {zxid:x}: no such transaction"));
            continue;
        };
        let session = matches!(operation.ask, Ask::Open | Ask::Attach)
            || transaction.session == operation.session;
        if transaction.ask != operation.ask || !session {
            broken.push(format!(
                "#{number} {:?} was acknowledged at {zxid:x}, which is {:?}",
                operation.ask, transaction.ask
            ));
        } else if transaction.result != *result {
            broken.push(format!(
                "#{number} {:?} at {zxid:x} was answered {result:?}, not {:?}",
                operation.ask, transaction.result
            ));
        }
        if let Some(other) = taken.insert(*zxid, number) {
            broken.push(format!("#{number} and #{other} were both acknowledged at {zxid:x}"));
        }
    }
}

/// Nothing is applied twice: every create and set of the run carries its own data.
fn once(transactions: &BTreeMap<i64, Transaction>, broken: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    let mut one = |zxid: &i64, ask: &Ask| {
        if let Ask::Create { data, .. } | Ask::Set { data, .. } = ask
            && !seen.insert(data.clone())
        {
            broken.push(format!("{data} is applied again at {zxid:x}"));
        }
    };
    for (zxid, transaction) in transactions {
        match &transaction.ask {
            Ask::Multi(asks) => asks.iter().for_each(|ask| one(zxid, ask)),
            ask => one(zxid, ask),
        }
    }
}

/// Writes are linearizable: the order of zxids is an order in which all answers are right (checked
/// by the replay); what was answered before something was asked comes before it in that order. A
/// sync, and so a read after it, sees all that was answered before the sync was asked.
fn real_time(state: &State, broken: &mut Vec<String>) {
    let written = |operation: &Operation| !matches!(operation.ask, Ask::Read { .. } | Ask::Sync);
    let mut moments: Vec<(usize, bool, usize)> = Vec::new();
    for (number, operation) in state.operations.iter().enumerate() {
        let Some((at, ..)) = operation.answered else { continue };
        moments.push((operation.asked, false, number));
        if written(operation) {
            moments.push((at, true, number));
        }
    }
    moments.sort_unstable();
    let mut newest = 0;
    for (_, is_answer, number) in moments {
        let operation = &state.operations[number];
        let Some((_, zxid, _)) = &operation.answered else { continue };
        if is_answer {
            newest = newest.max(*zxid);
            continue;
        }
        if written(operation) && *zxid <= newest || operation.ask == Ask::Sync && *zxid < newest {
            broken.push(format!(
                "#{number} {:?} took effect at {zxid:x}, but {newest:x} had been answered before",
                operation.ask
            ));
        }
    }
}

/// What a client sees never goes back in time, whichever server it is at.
fn sessions_in_order(state: &State, broken: &mut Vec<String>) {
    let mut answered: Vec<(usize, usize)> = Vec::new();
    for (number, operation) in state.operations.iter().enumerate() {
        if let Some((at, ..)) = operation.answered {
            answered.push((at, number));
        }
    }
    answered.sort_unstable();
    let mut newest: BTreeMap<usize, i64> = BTreeMap::new();
    for (_, number) in answered {
        let operation = &state.operations[number];
        let Some((_, zxid, _)) = operation.answered else { continue };
        let newest = newest.entry(operation.client).or_default();
        if zxid < *newest {
            broken.push(format!(
                "client {} is answered #{number} at {zxid:x} after it saw {newest:x}",
                operation.client
            ));
        }
        *newest = zxid.max(*newest);
    }
}

/// All there is in a replica, as text.
pub fn dump(machine: &Machine) -> String {
    let store = machine.store();
    let mut nodes = BTreeMap::new();
    let mut open = vec![NodeIndex::ROOT];
    while let Some(at) = open.pop() {
        let acl = machine.acls().get(store.acl(at));
        let data = String::from_utf8_lossy(store.data(at).unwrap_or_default()).into_owned();
        nodes.insert(store.path(at), (data, store.stat(at), acl));
        open.extend(store.children(at));
    }
    let mut text = format!("{:x}\n", machine.last_zxid());
    for (path, node) in nodes {
        let _ = writeln!(text, "{path} {node:?}");
    }
    for (id, session) in machine.sessions() {
        let mut ephemerals: Vec<_> = session.ephemerals.iter().map(|at| store.path(*at)).collect();
        ephemerals.sort_unstable();
        let _ = writeln!(
            text,
            "session {id:x} {} {:?} {:?} {ephemerals:?}",
            session.timeout_ms, session.password, session.attachment
        );
    }
    for node in 1..=9 {
        let _ = writeln!(text, "origin {node} {:?}", machine.origin(node));
    }
    text
}

/// Whether a replica holds what the log leads to.
pub fn state(machine: &Machine, model: &Model) -> Vec<String> {
    let mut broken = Vec::new();
    if machine.last_zxid() != model.last_zxid {
        broken.push(format!("ends at {:x}, not {:x}", machine.last_zxid(), model.last_zxid));
    }
    for (path, node) in &model.nodes {
        let found = machine.store().lookup(path);
        let mut expected = node.stat;
        if path == "/" {
            // ZooKeeper's own znode is not modelled.
            expected.num_children += 1;
            expected.cversion = found.map_or(0, |at| machine.store().stat(at).cversion);
        }
        if found.map(|at| machine.store().stat(at)) != Some(expected)
            || found.and_then(|at| machine.store().data(at)) != Some(&node.data)
        {
            broken.push(format!("{path} is not as the log leaves it"));
        }
    }
    // Ours, and /zookeeper with its two children.
    if machine.store().len() != model.nodes.len() + 3 {
        broken.push(format!("{} znodes, not {}", machine.store().len(), model.nodes.len() + 3));
    }
    if !machine.sessions().keys().eq(model.sessions.keys()) {
        broken.push("other sessions than the log leaves".to_owned());
    }
    for (node, (id, next, _)) in &model.origins {
        let origin = machine.origin(*node);
        if origin.map(|origin| (origin.id, origin.next_sequence)) != Some((*id, *next)) {
            broken.push(format!("origin of node {node} is {origin:?}, not {id:x} at {next}"));
        }
    }
    broken
}
