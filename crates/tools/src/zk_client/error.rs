use polyport_zookeeper::codec::ErrorCode;

/// Why a call failed. The display texts are those of ZooKeeper's Java exceptions, which its command
/// line prints.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The path or another argument was refused before anything was sent.
    #[error("{0}")]
    IllegalArgument(String),
    /// The server refused, or the request could not be carried out.
    #[error("KeeperErrorCode = {}{}", code_message(*code), for_path(path))]
    Keeper {
        /// What the server said, or a local code such as `CONNECTION_LOSS`.
        code: ErrorCode,
        /// The path of the request as the caller gave it, if it had one.
        path: Option<String>,
    },
}

impl ClientError {
    /// The error of a request on `path`.
    pub fn keeper(code: ErrorCode, path: &str) -> Self {
        Self::Keeper { code, path: Some(path.to_owned()) }
    }

    /// The error of a request without a path.
    pub fn bare(code: ErrorCode) -> Self {
        Self::Keeper { code, path: None }
    }

    /// The protocol's code, if the error has one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::IllegalArgument(_) => None,
            Self::Keeper { code, .. } => Some(*code),
        }
    }
}

/// The text of a code in `KeeperException`'s messages.
pub fn code_message(code: ErrorCode) -> String {
    match code {
        ErrorCode::OK => "ok".to_owned(),
        ErrorCode::UNKNOWN_SESSION => "Unknown error UNKNOWNSESSION".to_owned(),
        ErrorCode::REQUEST_TIMEOUT => "Unknown error REQUESTTIMEOUT".to_owned(),
        code => code.name().to_owned(),
    }
}

fn for_path(path: &Option<String>) -> String {
    match path {
        Some(path) if !path.is_empty() => format!(" for {path}"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_those_of_keeper_exception() {
        let error = ClientError::keeper(ErrorCode::NO_WATCHER, "/a");
        assert_eq!(error.to_string(), "KeeperErrorCode = No such watcher for /a");
        let error = ClientError::bare(ErrorCode::CONNECTION_LOSS);
        assert_eq!(error.to_string(), "KeeperErrorCode = ConnectionLoss");
    }
}
