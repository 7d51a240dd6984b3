//! Error codes on the wire: `KeeperException.Code`. The one place where the tree's errors become
//! numbers.

use polyport_tree::TreeError;

/// The `err` field of a reply. 0 is success.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ErrorCode(pub i32);

macro_rules! error_codes {
    ($($constant:ident $name:literal = $value:literal;)+) => {
        #[allow(missing_docs)]
        impl ErrorCode {
            $(pub const $constant: ErrorCode = ErrorCode($value);)+

            /// ZooKeeper's name of the code (`KeeperException`'s message uses it).
            pub fn name(self) -> &'static str {
                match self.0 { $($value => $name,)+ _ => "Unknown" }
            }
        }
    };
}

error_codes! {
    OK "Ok" = 0;
    SYSTEM_ERROR "SystemError" = -1;
    RUNTIME_INCONSISTENCY "RuntimeInconsistency" = -2;
    DATA_INCONSISTENCY "DataInconsistency" = -3;
    CONNECTION_LOSS "ConnectionLoss" = -4;
    MARSHALLING_ERROR "MarshallingError" = -5;
    UNIMPLEMENTED "Unimplemented" = -6;
    OPERATION_TIMEOUT "OperationTimeout" = -7;
    BAD_ARGUMENTS "BadArguments" = -8;
    UNKNOWN_SESSION "UnknownSession" = -12;
    NEW_CONFIG_NO_QUORUM "NewConfigNoQuorum" = -13;
    RECONFIG_IN_PROGRESS "ReconfigInProgress" = -14;
    API_ERROR "APIError" = -100;
    NO_NODE "NoNode" = -101;
    NO_AUTH "NoAuth" = -102;
    BAD_VERSION "BadVersion" = -103;
    NO_CHILDREN_FOR_EPHEMERALS "NoChildrenForEphemerals" = -108;
    NODE_EXISTS "NodeExists" = -110;
    NOT_EMPTY "Directory not empty" = -111;
    SESSION_EXPIRED "Session expired" = -112;
    INVALID_CALLBACK "Invalid callback" = -113;
    INVALID_ACL "InvalidACL" = -114;
    AUTH_FAILED "AuthFailed" = -115;
    SESSION_MOVED "Session moved" = -118;
    NOT_READ_ONLY "Not a read-only call" = -119;
    EPHEMERAL_ON_LOCAL_SESSION "Ephemeral node on local session" = -120;
    NO_WATCHER "No such watcher" = -121;
    REQUEST_TIMEOUT "Request timeout" = -122;
    RECONFIG_DISABLED "Reconfig is disabled" = -123;
    SESSION_CLOSED_REQUIRE_SASL_AUTH "Session closed because client failed to authenticate" = -124;
    QUOTA_EXCEEDED "Quota has exceeded" = -125;
    THROTTLED_OP "Op throttled due to high load" = -127;
}

impl std::fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.name(), self.0)
    }
}

impl From<TreeError> for ErrorCode {
    fn from(error: TreeError) -> Self {
        match error {
            // ZooKeeper sends 0 here; clients take it for "rolled back".
            TreeError::RolledBack => Self::OK,
            TreeError::RuntimeInconsistency => Self::RUNTIME_INCONSISTENCY,
            TreeError::Unimplemented => Self::UNIMPLEMENTED,
            TreeError::BadArguments | TreeError::BadConfig => Self::BAD_ARGUMENTS,
            TreeError::NoNode => Self::NO_NODE,
            TreeError::NoAuth => Self::NO_AUTH,
            TreeError::BadVersion => Self::BAD_VERSION,
            TreeError::NoChildrenForEphemerals => Self::NO_CHILDREN_FOR_EPHEMERALS,
            TreeError::NodeExists => Self::NODE_EXISTS,
            TreeError::NotEmpty => Self::NOT_EMPTY,
            TreeError::SessionExpired => Self::SESSION_EXPIRED,
            TreeError::InvalidAcl => Self::INVALID_ACL,
            TreeError::AuthFailed => Self::AUTH_FAILED,
            TreeError::SessionMoved => Self::SESSION_MOVED,
            TreeError::EphemeralOnLocalSession => Self::EPHEMERAL_ON_LOCAL_SESSION,
            TreeError::NotReadOnly => Self::NOT_READ_ONLY,
            TreeError::NoWatcher => Self::NO_WATCHER,
            TreeError::ReconfigDisabled => Self::RECONFIG_DISABLED,
            TreeError::ReconfigInProgress => Self::RECONFIG_IN_PROGRESS,
            TreeError::NewConfigNoQuorum => Self::NEW_CONFIG_NO_QUORUM,
            TreeError::QuotaExceeded => Self::QUOTA_EXCEEDED,
            TreeError::Throttled => Self::THROTTLED_OP,
        }
    }
}
