//! What brokers have on their disks, and who the cluster is.

use polyport_kafka_codec::messages::describe_log_dirs_response::DescribeLogDirsResult;
use polyport_kafka_codec::messages::{
    DescribeClusterRequest, DescribeLogDirsRequest, UnregisterBrokerRequest,
};

use super::Admin;
use crate::kafka::client::{Call, ClientError, Result, To};

impl Admin<'_> {
    /// The log directories of a broker.
    ///
    /// # Errors
    /// As the broker says; a directory has an error of its own.
    pub fn describe_log_dirs(&mut self, broker: i32) -> Result<Vec<DescribeLogDirsResult>> {
        let call = Call::new(To::Node(broker), "describeLogDirs").within(self.timeout);
        let make = |_| DescribeLogDirsRequest { topics: None };
        let mut response = self.client.call(&call, make, |_| 0)?;
        ClientError::check(response.error_code, None)?;
        for dir in &mut response.results {
            dir.topics.sort_by(|a, b| a.name.cmp(&b.name));
            dir.topics.iter_mut().for_each(|it| it.partitions.sort_by_key(|it| it.partition_index));
        }
        Ok(response.results)
    }

    /// The cluster's id.
    ///
    /// # Errors
    /// If nobody answers.
    pub fn cluster_id(&mut self) -> Result<Option<String>> {
        let call = Call::new(To::Any, "describeCluster").up_to(0).within(self.timeout);
        let make = |_| DescribeClusterRequest::default();
        match self.client.call(&call, make, |_| 0) {
            Ok(response) => {
                ClientError::check(response.error_code, response.error_message)?;
                Ok(Some(response.cluster_id))
            }
            Err(ClientError::UnsupportedVersion(_)) => {
                let metadata =
                    self.client.metadata(Some(&[]), false, "describeCluster", self.timeout)?;
                Ok(metadata.cluster_id)
            }
            Err(error) => Err(error),
        }
    }

    /// Forgets a broker that is gone for good.
    ///
    /// # Errors
    /// As the controller says.
    pub fn unregister_broker(&mut self, broker: i32) -> Result<()> {
        let call = Call::new(To::Any, "unregisterBroker").within(self.timeout);
        let make = |_| UnregisterBrokerRequest { broker_id: broker };
        let response = self.client.call(&call, make, |response| response.error_code)?;
        ClientError::check(response.error_code, response.error_message)
    }
}
