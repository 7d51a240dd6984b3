//! Decisions, brought into the tree. Each transaction begins with a check that this node still is
//! the controller, so that one that was replaced has no effect any more.

use std::collections::VecDeque;

use polyport_tree::TreeError;
use polyport_tree::client::{Client, ClientError, MAX_BYTES, Tree, writes};
use polyport_tree::command::Write;

use super::decide::{SetState, Step};
use crate::metadata::znode::path;

/// Most steps of one transaction.
const MAX_STEPS: usize = 500;

/// What came of a list of steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Applied {
    /// All were done.
    All,
    /// Some were not: what they were based on had changed.
    Some,
    /// This node is not the controller any more, or nobody knows.
    Deposed,
}

/// One write, with its data.
enum Owned {
    Create(String),
    CreateWith(String, Vec<u8>),
    Set(String, Vec<u8>, i32),
    Delete(String),
}

impl Owned {
    fn as_write(&self) -> Write<'_> {
        match self {
            Self::Create(path) => writes::create_bare(path),
            Self::CreateWith(path, json) => writes::create(path, json),
            Self::Set(path, json, version) => writes::set(path, json, *version),
            Self::Delete(path) => writes::delete(path, writes::ANY),
        }
    }
}

fn set(state: &SetState) -> Owned {
    let path = path::state(&state.topic, state.partition);
    Owned::Set(path, state.state.to_json(), state.version)
}

/// The writes of a step; none if it has been done.
fn writes_of(tree: Tree<'_>, step: &Step) -> Vec<Owned> {
    match step {
        Step::CreateState { topic, partition, state } => {
            let homes = [path::partitions(topic), path::partition(topic, *partition)];
            let missing = homes.into_iter().filter(|home| tree.stat(home).is_none());
            let mut all: Vec<_> = missing.map(Owned::Create).collect();
            all.push(Owned::CreateWith(path::state(topic, *partition), state.to_json()));
            all
        }
        Step::SetState(state) => vec![set(state)],
        Step::Settle { topic, version, znode, states } => {
            let mut all: Vec<_> = states.iter().map(set).collect();
            all.push(Owned::Set(path::topic(topic), znode.to_json(), *version));
            all
        }
        Step::Delete { topic } => {
            let mut all = Vec::new();
            let config = path::config(&path::topic_entity(topic));
            for path in [path::topic(topic), config, path::delete_topic(topic)] {
                below(tree, path, &mut all);
            }
            all
        }
    }
}

/// Deletes a znode and all below it, children first.
fn below(tree: Tree<'_>, path: String, all: &mut Vec<Owned>) {
    if tree.stat(&path).is_some() {
        for name in tree.children(&path) {
            below(tree, format!("{path}/{name}"), all);
        }
        all.push(Owned::Delete(path));
    }
}

/// Carries out decisions. `epoch_version`: of the controller epoch's znode since this node was
/// elected.
pub(super) async fn apply(client: &Client, epoch_version: i32, steps: Vec<Step>) -> Applied {
    let mut applied = Applied::All;
    // Pieces that are to be done at once.
    let mut pieces = VecDeque::from_iter(split(steps));
    while let Some(piece) = pieces.pop_front() {
        match apply_piece(client, epoch_version, &piece).await {
            Ok(()) => {}
            Err(Failure::Deposed) => return Applied::Deposed,
            Err(Failure::Stale) if piece.len() > 1 => {
                // One of them does not fit any more: the others shall not wait for it.
                let mut first = piece;
                let second = first.split_off(first.len() / 2);
                pieces.push_front(second);
                pieces.push_front(first);
            }
            Err(Failure::Stale) => applied = Applied::Some,
        }
    }
    applied
}

fn split(steps: Vec<Step>) -> Vec<Vec<Step>> {
    let mut pieces: Vec<Vec<Step>> = Vec::new();
    let mut steps = steps.into_iter().peekable();
    while steps.peek().is_some() {
        pieces.push(steps.by_ref().take(MAX_STEPS).collect());
    }
    pieces
}

enum Failure {
    /// What it was based on has changed.
    Stale,
    Deposed,
}

async fn apply_piece(client: &Client, epoch_version: i32, steps: &[Step]) -> Result<(), Failure> {
    let all: Vec<Owned> =
        client.read(|tree| steps.iter().flat_map(|step| writes_of(tree, step)).collect());
    let check = || writes::check(path::CONTROLLER_EPOCH, epoch_version);
    let mut rest = all.iter().map(Owned::as_write).peekable();
    while rest.peek().is_some() {
        let mut some = vec![check()];
        let mut bytes = writes::byte_len(&some[0]);
        while let Some(write) = rest.peek() {
            bytes += writes::byte_len(write);
            // What alone is too long is refused by the client, which says so.
            if bytes > MAX_BYTES && some.len() > 1 {
                break;
            }
            some.extend(rest.next());
        }
        match client.multi(some).await {
            Ok(_) => {}
            Err(ClientError::Refused { at: 0, .. }) => return Err(Failure::Deposed),
            Err(ClientError::Refused {
                error:
                    TreeError::BadVersion
                    | TreeError::NoNode
                    | TreeError::NodeExists
                    | TreeError::NotEmpty,
                ..
            }) => return Err(Failure::Stale),
            Err(error @ ClientError::TooLong(_)) => {
                if steps.len() > 1 {
                    return Err(Failure::Stale);
                }
                // Trying again would not make it shorter.
                tracing::error!(%error, ?steps, "the controller cannot write");
                return Ok(());
            }
            Err(error) => {
                tracing::error!(%error, "the controller cannot write");
                return Err(Failure::Deposed);
            }
        }
    }
    Ok(())
}
