//! What goes wrong between a tool and the cluster.

use super::codes::{Known, known};

/// An error of the client, with the words of Kafka's Java client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The broker answered with an error code.
    #[error("{}", message.as_deref().unwrap_or(known(*code).message))]
    Broker {
        /// The code.
        code: i16,
        /// What the broker says of it, if it says more than the code.
        message: Option<String>,
    },
    /// Nothing came in time.
    #[error("{0}")]
    Timeout(String),
    /// No version of a request that both sides know.
    #[error("{0}")]
    UnsupportedVersion(String),
    /// A setting is wrong.
    #[error("{0}")]
    Config(String),
    /// The broker does not accept who we are.
    #[error("{0}")]
    Authentication(String),
    /// TLS did not come about.
    #[error("{0}")]
    Tls(String),
    /// The connection broke before the answer.
    #[error("The server disconnected before a response was received.")]
    Disconnected,
    /// The answer is not what was asked for.
    #[error("{0}")]
    Protocol(String),
    /// The user asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl ClientError {
    /// An error of a response; `None` if the code is that of success.
    pub fn of(code: i16, message: Option<String>) -> Option<Self> {
        (code != 0).then_some(Self::Broker { code, message })
    }

    /// As `of`, for `?`.
    ///
    /// # Errors
    /// If the code is not that of success.
    pub fn check(code: i16, message: Option<String>) -> Result<(), Self> {
        Self::of(code, message).map_or(Ok(()), Err)
    }

    /// The broker's code, if it is the broker's error.
    pub fn code(&self) -> Option<i16> {
        match self {
            Self::Broker { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// What is known of the code; that of a client's own error is the nearest one.
    pub fn known(&self) -> &'static Known {
        known(match self {
            Self::Broker { code, .. } => *code,
            Self::Timeout(_) => 7,
            Self::UnsupportedVersion(_) => 35,
            Self::Authentication(_) => 58,
            Self::Disconnected => 13,
            _ => -1,
        })
    }

    /// Whether the same request may succeed later.
    pub fn is_retriable(&self) -> bool {
        matches!(self, Self::Disconnected) || self.code().is_some_and(|code| known(code).retriable)
    }

    /// The Java exception's class.
    pub fn class(&self) -> String {
        match self {
            Self::Config(_) => "org.apache.kafka.common.config.ConfigException".to_owned(),
            Self::Tls(_) => "org.apache.kafka.common.errors.SslAuthenticationException".to_owned(),
            Self::Protocol(_) | Self::Interrupted => {
                "org.apache.kafka.common.KafkaException".to_owned()
            }
            _ => format!("org.apache.kafka.common.errors.{}", self.known().class),
        }
    }

    /// As `Throwable.toString` gives it.
    pub fn exception(&self) -> String {
        format!("{}: {self}", self.class())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brokers_words_go_before_those_of_the_code() {
        let said = ClientError::of(36, Some("Topic 'a' already exists.".to_owned())).unwrap();
        assert_eq!(said.to_string(), "Topic 'a' already exists.");
        assert_eq!(said.class(), "org.apache.kafka.common.errors.TopicExistsException");
        let silent = ClientError::of(36, None).unwrap();
        assert_eq!(silent.to_string(), "Topic with this name already exists.");
        assert_eq!(ClientError::of(0, None), None);
        assert!(!said.is_retriable() && ClientError::Disconnected.is_retriable());
    }
}
