//! ElectLeaders.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use polyport_kafka_codec::ErrorCode;
use polyport_kafka_codec::messages::elect_leaders_response::{
    PartitionResult, ReplicaElectionResult,
};
use polyport_kafka_codec::messages::{ElectLeadersRequest, ElectLeadersResponse};
use tokio::time::timeout;

use crate::metadata::leaders::{Elected, Election, LeaderError, Place};
use crate::security::acl::Operation;
use crate::server::dispatch::Call;
use crate::server::error::Code;

/// Answers the request.
pub(in crate::server) async fn handle(
    call: &Call,
    request: ElectLeadersRequest,
) -> ElectLeadersResponse {
    let named: Option<BTreeSet<Place>> = request.topic_partitions.map(|topics| {
        let places = topics.into_iter().flat_map(|topic| {
            let name: std::sync::Arc<str> = topic.topic.into();
            topic.partitions.into_iter().map(move |number| (name.clone(), number))
        });
        places.collect()
    });
    if let Err(code) = call.cluster(Operation::Alter) {
        return refused(named.unwrap_or_default(), code);
    }
    let election = match request.election_type {
        0 => Election::Preferred,
        1 => Election::Unclean,
        _ => return refused(named.unwrap_or_default(), ErrorCode::InvalidRequest),
    };
    let within = Duration::from_millis(request.timeout_ms.max(0) as u64);
    let elected = call.broker.leaders.elect(named.as_ref(), election);
    let Elected { mut results, zxid } = elected.await;
    let shown = timeout(within, call.broker.images.at(zxid)).await.is_ok();
    if named.is_none() {
        // Of all partitions only those are told of that lack the leader.
        results.retain(|_, result| !matches!(result, Err(LeaderError::NotNeeded)));
    }
    let results = results.into_iter().map(|(place, result)| {
        let (code, text) = match result {
            Ok(()) if shown => (ErrorCode::None, None),
            Ok(()) => {
                (ErrorCode::RequestTimedOut, Some(ErrorCode::RequestTimedOut.message().to_owned()))
            }
            Err(error) => (error.code(), Some(error.to_string())),
        };
        (place, (code, text))
    });
    response(results, ErrorCode::None)
}

fn refused(places: BTreeSet<Place>, code: ErrorCode) -> ElectLeadersResponse {
    let text = Some(code.message().to_owned());
    response(places.into_iter().map(|place| (place, (code, text.clone()))), code)
}

fn response(
    results: impl Iterator<Item = (Place, (ErrorCode, Option<String>))>,
    code: ErrorCode,
) -> ElectLeadersResponse {
    let mut topics: BTreeMap<String, Vec<PartitionResult>> = BTreeMap::new();
    for ((topic, partition_id), (code, error_message)) in results {
        let result = PartitionResult { partition_id, error_code: code.code(), error_message };
        topics.entry(topic.to_string()).or_default().push(result);
    }
    let topic = |(topic, partition_result)| ReplicaElectionResult { topic, partition_result };
    ElectLeadersResponse {
        error_code: code.code(),
        replica_election_results: topics.into_iter().map(topic).collect(),
        ..Default::default()
    }
}
