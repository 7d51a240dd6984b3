//! DescribeCluster.

use polyport_kafka_codec::ErrorCode;
use polyport_kafka_codec::messages::describe_cluster_response::DescribeClusterBroker;
use polyport_kafka_codec::messages::{DescribeClusterRequest, DescribeClusterResponse};

use crate::server::dispatch::Call;

/// Brokers, as opposed to controllers, which have no endpoints of their own here.
const BROKERS: i8 = 1;

/// Answers the request.
pub(in crate::server) async fn handle(
    call: &Call,
    request: DescribeClusterRequest,
) -> DescribeClusterResponse {
    if request.endpoint_type != BROKERS {
        let code = match request.endpoint_type {
            2 => ErrorCode::MismatchedEndpointType,
            _ => ErrorCode::UnsupportedEndpointType,
        };
        return DescribeClusterResponse {
            error_code: code.code(),
            error_message: Some(code.message().to_owned()),
            ..Default::default()
        };
    }
    let image = call.broker.images.current();
    let brokers = image.brokers().values().filter_map(|broker| {
        let endpoint = broker.endpoint(&call.client.listener)?;
        Some(DescribeClusterBroker {
            broker_id: broker.id,
            host: endpoint.host.clone(),
            port: i32::from(endpoint.port),
            rack: broker.rack.as_deref().map(str::to_owned),
        })
    });
    DescribeClusterResponse {
        cluster_id: image.cluster_id.to_string(),
        controller_id: image.controller.unwrap_or(-1),
        brokers: brokers.collect(),
        cluster_authorized_operations: match request.include_cluster_authorized_operations {
            true => call.operations_on_cluster(),
            false => i32::MIN,
        },
        ..Default::default()
    }
}
