//! What an operator may set about transactions.

use std::time::Duration;

/// Limits and times of transactions, with Kafka's defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionConfig {
    /// `transaction.max.timeout.ms`.
    pub max_timeout_ms: i32,
    /// `transactional.id.expiration.ms`: how long a transactional id outlives its last use.
    pub id_expiration: Duration,
    /// `transaction.remove.expired.transaction.cleanup.interval.ms`: how often expired ids are looked
    /// for.
    pub expiration_interval: Duration,
    /// `transaction.abort.timed.out.transaction.cleanup.interval.ms`: how long until what could not
    /// be done at its time is tried again. A transaction that is late is aborted at once; in Kafka
    /// this is how often late ones are looked for.
    pub abort_interval: Duration,
    /// `request.timeout.ms`: how long an answer waits for replicas.
    pub append_timeout: Duration,
}

impl Default for TransactionConfig {
    fn default() -> Self {
        TransactionConfig {
            max_timeout_ms: 900_000,
            id_expiration: Duration::from_secs(7 * 24 * 3600),
            expiration_interval: Duration::from_secs(3600),
            abort_interval: Duration::from_secs(10),
            append_timeout: Duration::from_secs(30),
        }
    }
}
