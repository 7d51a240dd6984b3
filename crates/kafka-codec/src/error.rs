/// A message that a version has no bytes for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} version {version}: {field} {what}")]
pub struct EncodeError {
    /// The message's name.
    pub message: &'static str,
    /// The version it was to be encoded in.
    pub version: i16,
    /// Kafka's name of the field, or nothing where it is not known.
    pub field: &'static str,
    /// What is wrong with it.
    pub what: &'static str,
}
