#!/usr/bin/env python3
"""Writes src/messages/ and src/api/api_key.rs from the schemas in Kafka's jars.

    generate.py JARS SOURCE

JARS is a folder with kafka-clients-3.9.1.jar, kafka-group-coordinator-3.9.1.jar,
kafka-transaction-coordinator-3.9.1.jar and kafka-clients-4.0.0.jar; SOURCE is the crate's src.
"""

from __future__ import annotations

import pathlib
import subprocess
import sys

import rust
import schema

# What clients and tools send to a broker's listener. Absent: what ZooKeeper-mode brokers and KRaft
# controllers say to each other, and share groups, which 3.9 has as a preview only.
APIS = """
    Produce Fetch ListOffsets Metadata OffsetCommit OffsetFetch FindCoordinator JoinGroup Heartbeat
    LeaveGroup SyncGroup DescribeGroups ListGroups SaslHandshake ApiVersions CreateTopics DeleteTopics
    DeleteRecords InitProducerId OffsetForLeaderEpoch AddPartitionsToTxn AddOffsetsToTxn EndTxn
    WriteTxnMarkers TxnOffsetCommit DescribeAcls CreateAcls DeleteAcls DescribeConfigs AlterConfigs
    AlterReplicaLogDirs DescribeLogDirs SaslAuthenticate CreatePartitions CreateDelegationToken
    RenewDelegationToken ExpireDelegationToken DescribeDelegationToken DeleteGroups ElectLeaders
    IncrementalAlterConfigs AlterPartitionReassignments ListPartitionReassignments OffsetDelete
    DescribeClientQuotas AlterClientQuotas DescribeUserScramCredentials AlterUserScramCredentials
    DescribeQuorum UpdateFeatures DescribeCluster DescribeProducers UnregisterBroker
    DescribeTransactions ListTransactions ConsumerGroupHeartbeat ConsumerGroupDescribe
    GetTelemetrySubscriptions PushTelemetry ListClientMetricsResources DescribeTopicPartitions
""".split()
# librdkafka from 2.12 wants version 1 of the heartbeat.
NEWER_APIS = {"ConsumerGroupHeartbeat", "ConsumerGroupDescribe"}
CLIENT_DATA = ["ConsumerProtocolSubscription", "ConsumerProtocolAssignment", "LeaderChangeMessage"]
GROUP_DATA = [
    name + part
    for name in (
        "OffsetCommit", "GroupMetadata", "ConsumerGroupMetadata", "ConsumerGroupMemberMetadata",
        "ConsumerGroupPartitionMetadata", "ConsumerGroupTargetAssignmentMetadata",
        "ConsumerGroupTargetAssignmentMember", "ConsumerGroupCurrentMemberAssignment",
    )
    for part in ("Key", "Value")
]
TRANSACTION_DATA = ["TransactionLogKey", "TransactionLogValue"]


def read(jars: pathlib.Path) -> list[schema.Message]:
    names = []
    for api in APIS:
        jar = "kafka-clients-4.0.0.jar" if api in NEWER_APIS else "kafka-clients-3.9.1.jar"
        names += [(jar, f"{api}Request"), (jar, f"{api}Response")]
    names += [("kafka-clients-3.9.1.jar", name) for name in CLIENT_DATA]
    names += [("kafka-group-coordinator-3.9.1.jar", name) for name in GROUP_DATA]
    names += [("kafka-transaction-coordinator-3.9.1.jar", name) for name in TRANSACTION_DATA]
    return [schema.read(str(jars / jar), name) for jar, name in names]


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    jars, source = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    messages = read(jars)
    folder = source / "messages"
    folder.mkdir(exist_ok=True)
    files = {folder / f"{rust.snake(message.name)}.rs": rust.Emitter(message).file() for message in messages}
    files[folder / "mod.rs"] = rust.modules(messages)
    files[source / "api" / "api_key.rs"] = rust.api_keys(messages)
    for stale in set(folder.glob("*.rs")) - set(files):
        stale.unlink()
    for path, text in files.items():
        path.write_text(text)
    subprocess.run(["rustfmt", "--edition", "2024", *map(str, files)], check=True)
    print(f"{len(messages)} messages in {len(files)} files")


if __name__ == "__main__":
    main()
