//! Kafka's errors.

mod rows;

/// Kafka's errors, those of 3.9: their numbers, names and texts. Tools print the texts, so they are
/// Kafka's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(i16)]
pub enum ErrorCode {
    /// UNKNOWN_SERVER_ERROR.
    UnknownServerError = -1,
    /// NONE.
    None = 0,
    /// OFFSET_OUT_OF_RANGE.
    OffsetOutOfRange = 1,
    /// CORRUPT_MESSAGE.
    CorruptMessage = 2,
    /// UNKNOWN_TOPIC_OR_PARTITION.
    UnknownTopicOrPartition = 3,
    /// INVALID_FETCH_SIZE.
    InvalidFetchSize = 4,
    /// LEADER_NOT_AVAILABLE.
    LeaderNotAvailable = 5,
    /// NOT_LEADER_OR_FOLLOWER.
    NotLeaderOrFollower = 6,
    /// REQUEST_TIMED_OUT.
    RequestTimedOut = 7,
    /// BROKER_NOT_AVAILABLE.
    BrokerNotAvailable = 8,
    /// REPLICA_NOT_AVAILABLE.
    ReplicaNotAvailable = 9,
    /// MESSAGE_TOO_LARGE.
    MessageTooLarge = 10,
    /// STALE_CONTROLLER_EPOCH.
    StaleControllerEpoch = 11,
    /// OFFSET_METADATA_TOO_LARGE.
    OffsetMetadataTooLarge = 12,
    /// NETWORK_EXCEPTION.
    NetworkException = 13,
    /// COORDINATOR_LOAD_IN_PROGRESS.
    CoordinatorLoadInProgress = 14,
    /// COORDINATOR_NOT_AVAILABLE.
    CoordinatorNotAvailable = 15,
    /// NOT_COORDINATOR.
    NotCoordinator = 16,
    /// INVALID_TOPIC_EXCEPTION.
    InvalidTopicException = 17,
    /// RECORD_LIST_TOO_LARGE.
    RecordListTooLarge = 18,
    /// NOT_ENOUGH_REPLICAS.
    NotEnoughReplicas = 19,
    /// NOT_ENOUGH_REPLICAS_AFTER_APPEND.
    NotEnoughReplicasAfterAppend = 20,
    /// INVALID_REQUIRED_ACKS.
    InvalidRequiredAcks = 21,
    /// ILLEGAL_GENERATION.
    IllegalGeneration = 22,
    /// INCONSISTENT_GROUP_PROTOCOL.
    InconsistentGroupProtocol = 23,
    /// INVALID_GROUP_ID.
    InvalidGroupId = 24,
    /// UNKNOWN_MEMBER_ID.
    UnknownMemberId = 25,
    /// INVALID_SESSION_TIMEOUT.
    InvalidSessionTimeout = 26,
    /// REBALANCE_IN_PROGRESS.
    RebalanceInProgress = 27,
    /// INVALID_COMMIT_OFFSET_SIZE.
    InvalidCommitOffsetSize = 28,
    /// TOPIC_AUTHORIZATION_FAILED.
    TopicAuthorizationFailed = 29,
    /// GROUP_AUTHORIZATION_FAILED.
    GroupAuthorizationFailed = 30,
    /// CLUSTER_AUTHORIZATION_FAILED.
    ClusterAuthorizationFailed = 31,
    /// INVALID_TIMESTAMP.
    InvalidTimestamp = 32,
    /// UNSUPPORTED_SASL_MECHANISM.
    UnsupportedSaslMechanism = 33,
    /// ILLEGAL_SASL_STATE.
    IllegalSaslState = 34,
    /// UNSUPPORTED_VERSION.
    UnsupportedVersion = 35,
    /// TOPIC_ALREADY_EXISTS.
    TopicAlreadyExists = 36,
    /// INVALID_PARTITIONS.
    InvalidPartitions = 37,
    /// INVALID_REPLICATION_FACTOR.
    InvalidReplicationFactor = 38,
    /// INVALID_REPLICA_ASSIGNMENT.
    InvalidReplicaAssignment = 39,
    /// INVALID_CONFIG.
    InvalidConfig = 40,
    /// NOT_CONTROLLER.
    NotController = 41,
    /// INVALID_REQUEST.
    InvalidRequest = 42,
    /// UNSUPPORTED_FOR_MESSAGE_FORMAT.
    UnsupportedForMessageFormat = 43,
    /// POLICY_VIOLATION.
    PolicyViolation = 44,
    /// OUT_OF_ORDER_SEQUENCE_NUMBER.
    OutOfOrderSequenceNumber = 45,
    /// DUPLICATE_SEQUENCE_NUMBER.
    DuplicateSequenceNumber = 46,
    /// INVALID_PRODUCER_EPOCH.
    InvalidProducerEpoch = 47,
    /// INVALID_TXN_STATE.
    InvalidTxnState = 48,
    /// INVALID_PRODUCER_ID_MAPPING.
    InvalidProducerIdMapping = 49,
    /// INVALID_TRANSACTION_TIMEOUT.
    InvalidTransactionTimeout = 50,
    /// CONCURRENT_TRANSACTIONS.
    ConcurrentTransactions = 51,
    /// TRANSACTION_COORDINATOR_FENCED.
    TransactionCoordinatorFenced = 52,
    /// TRANSACTIONAL_ID_AUTHORIZATION_FAILED.
    TransactionalIdAuthorizationFailed = 53,
    /// SECURITY_DISABLED.
    SecurityDisabled = 54,
    /// OPERATION_NOT_ATTEMPTED.
    OperationNotAttempted = 55,
    /// KAFKA_STORAGE_ERROR.
    KafkaStorageError = 56,
    /// LOG_DIR_NOT_FOUND.
    LogDirNotFound = 57,
    /// SASL_AUTHENTICATION_FAILED.
    SaslAuthenticationFailed = 58,
    /// UNKNOWN_PRODUCER_ID.
    UnknownProducerId = 59,
    /// REASSIGNMENT_IN_PROGRESS.
    ReassignmentInProgress = 60,
    /// DELEGATION_TOKEN_AUTH_DISABLED.
    DelegationTokenAuthDisabled = 61,
    /// DELEGATION_TOKEN_NOT_FOUND.
    DelegationTokenNotFound = 62,
    /// DELEGATION_TOKEN_OWNER_MISMATCH.
    DelegationTokenOwnerMismatch = 63,
    /// DELEGATION_TOKEN_REQUEST_NOT_ALLOWED.
    DelegationTokenRequestNotAllowed = 64,
    /// DELEGATION_TOKEN_AUTHORIZATION_FAILED.
    DelegationTokenAuthorizationFailed = 65,
    /// DELEGATION_TOKEN_EXPIRED.
    DelegationTokenExpired = 66,
    /// INVALID_PRINCIPAL_TYPE.
    InvalidPrincipalType = 67,
    /// NON_EMPTY_GROUP.
    NonEmptyGroup = 68,
    /// GROUP_ID_NOT_FOUND.
    GroupIdNotFound = 69,
    /// FETCH_SESSION_ID_NOT_FOUND.
    FetchSessionIdNotFound = 70,
    /// INVALID_FETCH_SESSION_EPOCH.
    InvalidFetchSessionEpoch = 71,
    /// LISTENER_NOT_FOUND.
    ListenerNotFound = 72,
    /// TOPIC_DELETION_DISABLED.
    TopicDeletionDisabled = 73,
    /// FENCED_LEADER_EPOCH.
    FencedLeaderEpoch = 74,
    /// UNKNOWN_LEADER_EPOCH.
    UnknownLeaderEpoch = 75,
    /// UNSUPPORTED_COMPRESSION_TYPE.
    UnsupportedCompressionType = 76,
    /// STALE_BROKER_EPOCH.
    StaleBrokerEpoch = 77,
    /// OFFSET_NOT_AVAILABLE.
    OffsetNotAvailable = 78,
    /// MEMBER_ID_REQUIRED.
    MemberIdRequired = 79,
    /// PREFERRED_LEADER_NOT_AVAILABLE.
    PreferredLeaderNotAvailable = 80,
    /// GROUP_MAX_SIZE_REACHED.
    GroupMaxSizeReached = 81,
    /// FENCED_INSTANCE_ID.
    FencedInstanceId = 82,
    /// ELIGIBLE_LEADERS_NOT_AVAILABLE.
    EligibleLeadersNotAvailable = 83,
    /// ELECTION_NOT_NEEDED.
    ElectionNotNeeded = 84,
    /// NO_REASSIGNMENT_IN_PROGRESS.
    NoReassignmentInProgress = 85,
    /// GROUP_SUBSCRIBED_TO_TOPIC.
    GroupSubscribedToTopic = 86,
    /// INVALID_RECORD.
    InvalidRecord = 87,
    /// UNSTABLE_OFFSET_COMMIT.
    UnstableOffsetCommit = 88,
    /// THROTTLING_QUOTA_EXCEEDED.
    ThrottlingQuotaExceeded = 89,
    /// PRODUCER_FENCED.
    ProducerFenced = 90,
    /// RESOURCE_NOT_FOUND.
    ResourceNotFound = 91,
    /// DUPLICATE_RESOURCE.
    DuplicateResource = 92,
    /// UNACCEPTABLE_CREDENTIAL.
    UnacceptableCredential = 93,
    /// INCONSISTENT_VOTER_SET.
    InconsistentVoterSet = 94,
    /// INVALID_UPDATE_VERSION.
    InvalidUpdateVersion = 95,
    /// FEATURE_UPDATE_FAILED.
    FeatureUpdateFailed = 96,
    /// PRINCIPAL_DESERIALIZATION_FAILURE.
    PrincipalDeserializationFailure = 97,
    /// SNAPSHOT_NOT_FOUND.
    SnapshotNotFound = 98,
    /// POSITION_OUT_OF_RANGE.
    PositionOutOfRange = 99,
    /// UNKNOWN_TOPIC_ID.
    UnknownTopicId = 100,
    /// DUPLICATE_BROKER_REGISTRATION.
    DuplicateBrokerRegistration = 101,
    /// BROKER_ID_NOT_REGISTERED.
    BrokerIdNotRegistered = 102,
    /// INCONSISTENT_TOPIC_ID.
    InconsistentTopicId = 103,
    /// INCONSISTENT_CLUSTER_ID.
    InconsistentClusterId = 104,
    /// TRANSACTIONAL_ID_NOT_FOUND.
    TransactionalIdNotFound = 105,
    /// FETCH_SESSION_TOPIC_ID_ERROR.
    FetchSessionTopicIdError = 106,
    /// INELIGIBLE_REPLICA.
    IneligibleReplica = 107,
    /// NEW_LEADER_ELECTED.
    NewLeaderElected = 108,
    /// OFFSET_MOVED_TO_TIERED_STORAGE.
    OffsetMovedToTieredStorage = 109,
    /// FENCED_MEMBER_EPOCH.
    FencedMemberEpoch = 110,
    /// UNRELEASED_INSTANCE_ID.
    UnreleasedInstanceId = 111,
    /// UNSUPPORTED_ASSIGNOR.
    UnsupportedAssignor = 112,
    /// STALE_MEMBER_EPOCH.
    StaleMemberEpoch = 113,
    /// MISMATCHED_ENDPOINT_TYPE.
    MismatchedEndpointType = 114,
    /// UNSUPPORTED_ENDPOINT_TYPE.
    UnsupportedEndpointType = 115,
    /// UNKNOWN_CONTROLLER_ID.
    UnknownControllerId = 116,
    /// UNKNOWN_SUBSCRIPTION_ID.
    UnknownSubscriptionId = 117,
    /// TELEMETRY_TOO_LARGE.
    TelemetryTooLarge = 118,
    /// INVALID_REGISTRATION.
    InvalidRegistration = 119,
    /// TRANSACTION_ABORTABLE.
    TransactionAbortable = 120,
    /// INVALID_RECORD_STATE.
    InvalidRecordState = 121,
    /// SHARE_SESSION_NOT_FOUND.
    ShareSessionNotFound = 122,
    /// INVALID_SHARE_SESSION_EPOCH.
    InvalidShareSessionEpoch = 123,
    /// FENCED_STATE_EPOCH.
    FencedStateEpoch = 124,
    /// INVALID_VOTER_KEY.
    InvalidVoterKey = 125,
    /// DUPLICATE_VOTER.
    DuplicateVoter = 126,
    /// VOTER_NOT_FOUND.
    VoterNotFound = 127,
}

/// An error's name, whether trying again may help, and its text.
type Row = (&'static str, bool, &'static str);

impl ErrorCode {
    /// All of them, by their numbers' order.
    pub const ALL: &[Self] = &[
        Self::UnknownServerError,
        Self::None,
        Self::OffsetOutOfRange,
        Self::CorruptMessage,
        Self::UnknownTopicOrPartition,
        Self::InvalidFetchSize,
        Self::LeaderNotAvailable,
        Self::NotLeaderOrFollower,
        Self::RequestTimedOut,
        Self::BrokerNotAvailable,
        Self::ReplicaNotAvailable,
        Self::MessageTooLarge,
        Self::StaleControllerEpoch,
        Self::OffsetMetadataTooLarge,
        Self::NetworkException,
        Self::CoordinatorLoadInProgress,
        Self::CoordinatorNotAvailable,
        Self::NotCoordinator,
        Self::InvalidTopicException,
        Self::RecordListTooLarge,
        Self::NotEnoughReplicas,
        Self::NotEnoughReplicasAfterAppend,
        Self::InvalidRequiredAcks,
        Self::IllegalGeneration,
        Self::InconsistentGroupProtocol,
        Self::InvalidGroupId,
        Self::UnknownMemberId,
        Self::InvalidSessionTimeout,
        Self::RebalanceInProgress,
        Self::InvalidCommitOffsetSize,
        Self::TopicAuthorizationFailed,
        Self::GroupAuthorizationFailed,
        Self::ClusterAuthorizationFailed,
        Self::InvalidTimestamp,
        Self::UnsupportedSaslMechanism,
        Self::IllegalSaslState,
        Self::UnsupportedVersion,
        Self::TopicAlreadyExists,
        Self::InvalidPartitions,
        Self::InvalidReplicationFactor,
        Self::InvalidReplicaAssignment,
        Self::InvalidConfig,
        Self::NotController,
        Self::InvalidRequest,
        Self::UnsupportedForMessageFormat,
        Self::PolicyViolation,
        Self::OutOfOrderSequenceNumber,
        Self::DuplicateSequenceNumber,
        Self::InvalidProducerEpoch,
        Self::InvalidTxnState,
        Self::InvalidProducerIdMapping,
        Self::InvalidTransactionTimeout,
        Self::ConcurrentTransactions,
        Self::TransactionCoordinatorFenced,
        Self::TransactionalIdAuthorizationFailed,
        Self::SecurityDisabled,
        Self::OperationNotAttempted,
        Self::KafkaStorageError,
        Self::LogDirNotFound,
        Self::SaslAuthenticationFailed,
        Self::UnknownProducerId,
        Self::ReassignmentInProgress,
        Self::DelegationTokenAuthDisabled,
        Self::DelegationTokenNotFound,
        Self::DelegationTokenOwnerMismatch,
        Self::DelegationTokenRequestNotAllowed,
        Self::DelegationTokenAuthorizationFailed,
        Self::DelegationTokenExpired,
        Self::InvalidPrincipalType,
        Self::NonEmptyGroup,
        Self::GroupIdNotFound,
        Self::FetchSessionIdNotFound,
        Self::InvalidFetchSessionEpoch,
        Self::ListenerNotFound,
        Self::TopicDeletionDisabled,
        Self::FencedLeaderEpoch,
        Self::UnknownLeaderEpoch,
        Self::UnsupportedCompressionType,
        Self::StaleBrokerEpoch,
        Self::OffsetNotAvailable,
        Self::MemberIdRequired,
        Self::PreferredLeaderNotAvailable,
        Self::GroupMaxSizeReached,
        Self::FencedInstanceId,
        Self::EligibleLeadersNotAvailable,
        Self::ElectionNotNeeded,
        Self::NoReassignmentInProgress,
        Self::GroupSubscribedToTopic,
        Self::InvalidRecord,
        Self::UnstableOffsetCommit,
        Self::ThrottlingQuotaExceeded,
        Self::ProducerFenced,
        Self::ResourceNotFound,
        Self::DuplicateResource,
        Self::UnacceptableCredential,
        Self::InconsistentVoterSet,
        Self::InvalidUpdateVersion,
        Self::FeatureUpdateFailed,
        Self::PrincipalDeserializationFailure,
        Self::SnapshotNotFound,
        Self::PositionOutOfRange,
        Self::UnknownTopicId,
        Self::DuplicateBrokerRegistration,
        Self::BrokerIdNotRegistered,
        Self::InconsistentTopicId,
        Self::InconsistentClusterId,
        Self::TransactionalIdNotFound,
        Self::FetchSessionTopicIdError,
        Self::IneligibleReplica,
        Self::NewLeaderElected,
        Self::OffsetMovedToTieredStorage,
        Self::FencedMemberEpoch,
        Self::UnreleasedInstanceId,
        Self::UnsupportedAssignor,
        Self::StaleMemberEpoch,
        Self::MismatchedEndpointType,
        Self::UnsupportedEndpointType,
        Self::UnknownControllerId,
        Self::UnknownSubscriptionId,
        Self::TelemetryTooLarge,
        Self::InvalidRegistration,
        Self::TransactionAbortable,
        Self::InvalidRecordState,
        Self::ShareSessionNotFound,
        Self::InvalidShareSessionEpoch,
        Self::FencedStateEpoch,
        Self::InvalidVoterKey,
        Self::DuplicateVoter,
        Self::VoterNotFound,
    ];

    /// The error of that number, if there is one. To Kafka's clients, any other is
    /// [`ErrorCode::UnknownServerError`].
    pub fn from_code(code: i16) -> Option<Self> {
        let at = usize::try_from(i32::from(code) + 1).ok()?;
        Self::ALL.get(at).copied()
    }

    /// Its number.
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// Kafka's name of it.
    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// Whether clients may try again.
    pub const fn is_retriable(self) -> bool {
        self.row().1
    }

    /// What it says where nothing more is said.
    pub const fn message(self) -> &'static str {
        self.row().2
    }
}
