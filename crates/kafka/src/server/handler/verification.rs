//! Whether a Produce request's transactional batches are of transactions that their coordinator knows
//! of (KIP-890, part 1).

use std::collections::{BTreeMap, BTreeSet};

use polyport_kafka_codec::ErrorCode;
use polyport_kafka_codec::messages::ProduceRequest;
use polyport_log::TopicPartition;
use polyport_log::batch::Header;
use polyport_log::producer::{Verification, VerificationGuard};

use crate::broker::verification::Transactional;
use crate::server::dispatch::Call;
use crate::transaction::machine::Producer;

/// The first version whose clients know TRANSACTION_ABORTABLE.
const FIRST_VERSION_OF_ABORTABLE: i16 = 11;

/// A refusal, with the words for it if Kafka has some.
pub(super) type Refusal = (ErrorCode, Option<String>);

/// Where in the request a partition's records are: of which topic, and which of its partitions.
type Place = (usize, usize);

/// What may be appended.
pub(super) struct Verdicts {
    of_all: Verification,
    of_some: BTreeMap<Place, Result<Verification, Refusal>>,
}

impl Verdicts {
    fn all(of_all: Verification) -> Self {
        Self { of_all, of_some: BTreeMap::new() }
    }

    /// What is said of one partition's records.
    pub(super) fn take(&mut self, topic: usize, partition: usize) -> Result<Verification, Refusal> {
        match self.of_some.is_empty() {
            true => Ok(self.of_all),
            false => self.of_some.remove(&(topic, partition)).unwrap_or(Ok(self.of_all)),
        }
    }
}

/// A partition's first batch, if it is of a transaction.
struct First {
    place: Place,
    of: TopicPartition,
    header: Header,
}

/// Says of every batch whether it may be appended; asks the coordinator where a transaction begins.
///
/// # Errors
/// What the whole request is answered with.
pub(super) async fn verify(call: &Call, request: &ProduceRequest) -> Result<Verdicts, ErrorCode> {
    let firsts = transactional(request);
    if firsts.is_empty() {
        return Ok(Verdicts::all(Verification::NotNeeded));
    }
    let Some(id) = &request.transactional_id else {
        return Err(ErrorCode::TransactionalIdAuthorizationFailed);
    };
    if !call.broker.verifies_transactions() {
        return Ok(Verdicts::all(Verification::NotNeeded));
    }
    let producers: BTreeSet<Producer> =
        firsts.iter().map(|first| producer(&first.header)).collect();
    let (Some(producer), true) = (producers.first(), producers.len() == 1) else {
        return Err(ErrorCode::InvalidProducerIdMapping);
    };
    let (mut asked, mut partitions) = (Vec::new(), Vec::new());
    for first in firsts {
        if let Some(guard) = begin(call, &first) {
            asked.push((first.place, guard));
            partitions.push(first.of);
        }
    }
    let mut verdicts = Verdicts::all(Verification::Missing);
    if asked.is_empty() {
        return Ok(verdicts);
    }
    let knows_abortable = call.version() >= FIRST_VERSION_OF_ABORTABLE;
    let transaction = Transactional { id, producer: *producer, knows_abortable };
    let said = call.broker.verify(&transaction, &partitions).await;
    for ((place, guard), code) in asked.into_iter().zip(said) {
        verdicts.of_some.insert(place, verdict(code, guard));
    }
    Ok(verdicts)
}

fn transactional(request: &ProduceRequest) -> Vec<First> {
    let mut firsts = Vec::new();
    for (at, topic) in request.topic_data.iter().enumerate() {
        for (number, data) in topic.partition_data.iter().enumerate() {
            let Some(records) = &data.records else { continue };
            // What cannot be read is refused when it is appended.
            let Ok(header) = Header::parse(records) else { continue };
            if header.attributes.is_transactional() && header.has_producer_id() {
                let of = TopicPartition { topic: topic.name.clone(), partition: data.index };
                firsts.push(First { place: (at, number), of, header });
            }
        }
    }
    firsts
}

fn producer(header: &Header) -> Producer {
    Producer { id: header.producer_id, epoch: header.producer_epoch }
}

/// The guard of a batch that would begin a transaction here. A partition that is not led here has none,
/// and its append says why.
fn begin(call: &Call, first: &First) -> Option<VerificationGuard> {
    let (of, header) = (&first.of, &first.header);
    let partition = call.broker.store.partition(&of.topic, of.partition)?;
    let (id, epoch, sequence) = (header.producer_id, header.producer_epoch, header.base_sequence);
    partition.begin_verification(id, epoch, sequence, call.broker.clock.now()).ok().flatten()
}

fn verdict(code: ErrorCode, guard: VerificationGuard) -> Result<Verification, Refusal> {
    match code {
        ErrorCode::None => Ok(Verification::Verified(guard)),
        ErrorCode::InvalidTxnState => {
            Err((code, Some("Partition was not added to the transaction".to_owned())))
        }
        // Old clients do not try again after these; this one does not send them for new metadata.
        ErrorCode::ConcurrentTransactions
        | ErrorCode::NetworkException
        | ErrorCode::CoordinatorLoadInProgress
        | ErrorCode::CoordinatorNotAvailable
        | ErrorCode::NotCoordinator => {
            let text = format!(
                "Unable to verify the partition has been added to the transaction. Underlying error: \
                 {}",
                code.name()
            );
            Err((ErrorCode::NotEnoughReplicas, Some(text)))
        }
        code => Err((code, None)),
    }
}
