//! What happens because time has passed.

use polyport_base::Millis;

use super::super::machine::{Context, TransactionalId};
use super::super::record::{Record, TransactionState};
use super::{Shard, after};

/// Bytes of ids that are forgotten in one batch. As many as Kafka's, which fits into any
/// `max.message.bytes` that transactions work with.
const BATCH_BYTES: usize = 16 << 10;

/// What a tombstone takes besides its id.
const TOMBSTONE_BYTES: usize = 32;

impl Shard {
    /// Does what is due.
    pub fn tick(&mut self, cx: &mut Context<'_>) {
        let is_due = |(at, _): &&(Millis, TransactionalId)| *at <= cx.now;
        let due: Vec<_> = self.timers.iter().take_while(is_due).cloned().collect();
        for (_, id) in due {
            let Some(found) = self.get(&id) else { continue };
            match found.value.state {
                TransactionState::Ongoing => self.abort_late(&id, cx),
                _ => self.complete(&id, cx),
            }
        }
        if self.expiry_check <= cx.now {
            self.expiry_check = after(cx.now, cx.config.expiration_interval);
            self.expire_ids(cx);
        }
    }

    fn abort_late(&mut self, id: &TransactionalId, cx: &mut Context<'_>) {
        match self.fence(id, cx) {
            Ok(()) => tracing::info!(id = &**id, "a transaction was open for too long: aborted"),
            Err(error) => {
                tracing::warn!(id = &**id, %error, "a transaction that is late cannot be aborted");
                self.set_timer(id, Some(after(cx.now, cx.config.abort_interval)));
            }
        }
    }

    fn expire_ids(&mut self, cx: &mut Context<'_>) {
        let expiration_ms = i64::try_from(cx.config.id_expiration.as_millis()).unwrap_or(i64::MAX);
        let newest = cx.now.0.saturating_sub(expiration_ms);
        let expired = self.transactions.iter().filter(|(_, found)| {
            found.value.state.is_idle() && found.value.last_update.0 <= newest
        });
        let expired: Vec<TransactionalId> = expired.map(|(id, _)| id.clone()).collect();
        let mut rest = expired.as_slice();
        while !rest.is_empty() {
            let (batch, after) = rest.split_at(batch_len(rest));
            rest = after;
            let tombstone = |id: &TransactionalId| Record { id: id.clone(), value: None };
            let records: Vec<Record> = batch.iter().map(tombstone).collect();
            if let Err(error) = cx.log.append(cx.now, &records) {
                tracing::warn!(%error, "expired transactional ids cannot be removed");
                return;
            }
            for id in batch {
                self.forget(id);
            }
        }
    }
}

/// How many of the ids go into one batch: one at least.
fn batch_len(ids: &[TransactionalId]) -> usize {
    let mut bytes = 0;
    let fits = ids.iter().take_while(|id| {
        bytes += id.len() + TOMBSTONE_BYTES;
        bytes <= BATCH_BYTES
    });
    fits.count().max(1)
}
