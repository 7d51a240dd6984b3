//! When a batch leaves.

use polyport_base::clock::SystemClock;

use super::*;
use crate::command::Write;
use crate::replica::Unstarted;

/// An outbox that was given its origin, and what leaves it.
fn opened(settings: Settings) -> (Arc<Shared>, Proposals) {
    let proposals = Proposals::new();
    let tree = Unstarted::new(settings, Arc::new(SystemClock), proposals.clone(), 5);
    tree.0.outbox.lock().opened(7, 5);
    (tree.0, proposals)
}

fn settings() -> Settings {
    Settings::new(NodeId(1))
}

impl Shared {
    fn write(&self, count: usize) {
        (0..count).for_each(|_| self.submit_own(&Command::Sync));
    }
}

/// A node alone answers at once: whatever has left was applied.
fn answer_all(shared: &Shared) {
    let mut outbox = shared.outbox.lock();
    while let Some((sequence, _, _)) = outbox.in_flight.front() {
        let sequence = *sequence;
        outbox.applied(sequence);
    }
    outbox.flush();
}

#[test]
fn without_a_delay_a_command_leaves_at_once_while_the_window_has_room() {
    let (shared, proposals) = opened(settings());
    shared.write(5);
    assert_eq!((proposals.len(), shared.outbox.lock().pending.len()), (2, 3));
    answer_all(&shared);
    assert_eq!((proposals.len(), shared.outbox.lock().pending.len()), (1, 0));
}

#[test]
fn a_full_batch_leaves_although_the_window_is_full() {
    for (max_batch, sent, left) in [(10, 2 + 4, 8), (0, 2, 48), (48, 2 + 1, 0)] {
        let (shared, proposals) = opened(Settings { max_batch, ..settings() });
        shared.write(50);
        let found = (proposals.len(), shared.outbox.lock().pending.len());
        assert_eq!(found, (sent, left), "of at most {max_batch}");
    }
}

#[tokio::test(start_paused = true)]
async fn commands_gather_until_the_delay_since_the_last_batch_has_passed() {
    let delay = Duration::from_millis(20);
    let (shared, proposals) = opened(Settings { flush_delay: delay, ..settings() });
    let task = tokio::spawn(send_held(shared.clone()));
    // Nothing was sent before: this one has waited long enough.
    shared.write(1);
    answer_all(&shared);
    assert_eq!(shared.outbox.lock().next_sequence, 1);
    shared.write(3);
    answer_all(&shared);
    tokio::time::sleep(delay - Duration::from_millis(1)).await;
    assert_eq!((proposals.len(), shared.outbox.lock().pending.len()), (0, 3));
    tokio::time::sleep(Duration::from_millis(2)).await;
    assert_eq!((proposals.len(), shared.outbox.lock().pending.len()), (1, 0));
    answer_all(&shared);
    tokio::time::sleep(delay).await;
    // Nothing left in the meantime.
    shared.write(1);
    assert_eq!((proposals.len(), shared.outbox.lock().pending.len()), (1, 0));
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn a_full_batch_does_not_wait_for_the_delay() {
    let hour = Duration::from_secs(3600);
    let held = Settings { flush_delay: hour, max_batch: 4, ..settings() };
    let (shared, proposals) = opened(held);
    shared.write(1);
    shared.write(3);
    assert_eq!((proposals.len(), shared.outbox.lock().pending.len()), (1, 3));
    shared.write(1);
    assert_eq!((proposals.len(), shared.outbox.lock().pending.len()), (2, 0));
}

/// A journal has a longest record, and whoever leads stops if it is handed a longer one.
#[test]
fn batches_stay_small_however_long_their_answers_take() {
    const DATA: usize = 1_000_000;
    let (shared, _) = opened(Settings { window: 2, ..settings() });
    let mut outbox = shared.outbox.lock();
    let data = vec![0; DATA];
    let who = Identities { ids: Vec::new(), bypass: true };
    let from = Submitter { session: 1, connection: 1, who, enforce_quota: false };
    let mut place = Place::default();
    for _ in 0..100 {
        let write = Write::SetData { path: "/a", data: Some(&data), version: -1 };
        let nobody = Pending { subscriber: None, token: 0 };
        outbox.push(&mut place, &from, &Command::Write(write), nobody);
        // Whatever leaves is no longer than this and one more command.
        assert!(outbox.builder.byte_len() < MAX_BATCH_BYTES);
        // And what is on its way, all of which may have to be sent again, is little.
        assert!(outbox.in_flight.len() <= 2);
    }
    assert_eq!(outbox.outstanding(), 100);
    let mut told = 0;
    for sequence in 0.. {
        let Some((_, pending)) = outbox.applied(sequence) else { break };
        told += pending.len();
        outbox.flush();
    }
    assert_eq!((told, outbox.outstanding()), (100, 0));
}
