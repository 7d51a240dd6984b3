//! DescribeLogDirs.

use std::collections::BTreeMap;

use polyport_kafka_codec::ErrorCode;
use polyport_kafka_codec::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use polyport_kafka_codec::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse};
use polyport_log::TopicPartition;
use polyport_partitions::LogDirStatus;

use crate::security::acl::Operation;
use crate::server::dispatch::Call;

/// The first version with an error of the whole.
const FIRST_VERSION_OF_ERROR: i16 = 3;

/// Answers the request.
pub(in crate::server) async fn handle(
    call: &Call,
    request: DescribeLogDirsRequest,
) -> DescribeLogDirsResponse {
    if let Err(code) = call.cluster(Operation::Describe) {
        let said = call.version() >= FIRST_VERSION_OF_ERROR;
        let error_code = if said { code.code() } else { 0 };
        return DescribeLogDirsResponse { error_code, ..Default::default() };
    }
    let asked = |of: &TopicPartition| match &request.topics {
        None => true,
        Some(topics) => topics
            .iter()
            .any(|topic| topic.topic == of.topic && topic.partitions.contains(&of.partition)),
    };
    let dirs = call.broker.store.log_dirs();
    let results = dirs.into_iter().map(|dir| result(dir, &asked)).collect();
    DescribeLogDirsResponse { results, ..Default::default() }
}

fn result(dir: LogDirStatus, asked: &dyn Fn(&TopicPartition) -> bool) -> DescribeLogDirsResult {
    let mut topics: BTreeMap<String, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
    for found in dir.partitions.into_iter().filter(|found| asked(&found.of)) {
        topics.entry(found.of.topic).or_default().push(DescribeLogDirsPartition {
            partition_index: found.of.partition,
            partition_size: i64::try_from(found.size_bytes).unwrap_or(i64::MAX),
            offset_lag: found.offset_lag,
            is_future_key: false,
        });
    }
    let topics = topics.into_iter().map(|(name, mut partitions)| {
        partitions.sort_by_key(|partition| partition.partition_index);
        DescribeLogDirsTopic { name, partitions }
    });
    let code = match dir.failure {
        None => ErrorCode::None,
        Some(_) => ErrorCode::KafkaStorageError,
    };
    let bytes = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let (total_bytes, usable_bytes) = dir.space.map_or((-1, -1), |(a, b)| (bytes(a), bytes(b)));
    DescribeLogDirsResult {
        error_code: code.code(),
        log_dir: dir.path.display().to_string(),
        topics: topics.collect(),
        total_bytes,
        usable_bytes,
    }
}
