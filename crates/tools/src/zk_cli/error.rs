use polyport_zookeeper::codec::ErrorCode;

use crate::zk_client::ClientError;

/// A command that failed: what is printed, and the exit code if it was the last command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CliError {
    /// Printed to the error stream.
    pub message: String,
    /// Exit code of the tool.
    pub exit_code: i32,
}

impl CliError {
    /// An error with the usual exit code.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), exit_code: 1 }
    }

    /// A command that does not exist.
    pub fn not_found(command: &str) -> Self {
        // The doubled words are ZooKeeper's.
        let message = format!("Command not found: Command not found {command}");
        Self { message, exit_code: 127 }
    }
}

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> Self {
        let ClientError::Keeper { code, path } = &error else {
            return Self::new(error.to_string());
        };
        let path = path.as_deref().unwrap_or("null");
        Self::new(match *code {
            ErrorCode::NO_NODE => format!("Node does not exist: {path}"),
            ErrorCode::NO_CHILDREN_FOR_EPHEMERALS => {
                format!("Ephemerals cannot have children: {path}")
            }
            ErrorCode::NODE_EXISTS => format!("Node already exists: {path}"),
            ErrorCode::NOT_EMPTY => format!("Node not empty: {path}"),
            ErrorCode::NOT_READ_ONLY => format!("Not a read-only call: {path}"),
            ErrorCode::INVALID_ACL => format!("Acl is not valid : {path}"),
            ErrorCode::NO_AUTH => format!("Insufficient permission : {path}"),
            ErrorCode::BAD_ARGUMENTS => format!("Arguments are not valid : {path}"),
            ErrorCode::BAD_VERSION => format!("version No is not valid : {path}"),
            ErrorCode::RECONFIG_IN_PROGRESS => {
                "Another reconfiguration is in progress -- concurrent reconfigs not supported (yet)"
                    .to_owned()
            }
            ErrorCode::NEW_CONFIG_NO_QUORUM => {
                "No quorum of new config is connected and up-to-date with the leader of last \
                 commmitted config - try invoking reconfiguration after new servers are connected \
                 and synced"
                    .to_owned()
            }
            ErrorCode::QUOTA_EXCEEDED => format!("Quota has exceeded : {path}"),
            _ => error.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_errors_have_zookeepers_words() {
        let message = |code| CliError::from(ClientError::keeper(code, "/a")).message;
        assert_eq!(message(ErrorCode::NO_NODE), "Node does not exist: /a");
        assert_eq!(message(ErrorCode::BAD_VERSION), "version No is not valid : /a");
        assert_eq!(message(ErrorCode::NO_AUTH), "Insufficient permission : /a");
        assert_eq!(message(ErrorCode::CONNECTION_LOSS), "KeeperErrorCode = ConnectionLoss for /a");
        let bare = CliError::from(ClientError::bare(ErrorCode::INVALID_ACL));
        assert_eq!(bare.message, "Acl is not valid : null");
    }
}
