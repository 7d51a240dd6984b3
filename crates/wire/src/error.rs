/// Bytes that do not follow the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {at}: {what}")]
pub struct DecodeError {
    /// Offset in the decoded buffer where the bad item begins.
    pub at: usize,
    /// What was expected there, or what is wrong with it.
    pub what: &'static str,
}
