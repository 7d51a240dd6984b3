//! What nodes send each other, and the entries of the log.

/// A frame: the first byte chooses which decoder gets the rest.
pub fn cluster_frame(bytes: &[u8]) {
    polyport_cluster::fuzz::frame(bytes);
}

pub(crate) fn frames() -> Vec<Vec<u8>> {
    polyport_cluster::fuzz::seeds()
}

/// What nodes answer an operator and each other.
pub fn cluster_answer(bytes: &[u8]) {
    polyport_cluster::fuzz::answer(bytes);
}

/// What a stranger says to the node port, and answers from one.
pub fn cluster_handshake(bytes: &[u8]) {
    polyport_cluster::fuzz::handshake(bytes);
}

/// How frames of another node are cut.
pub fn cluster_stream(bytes: &[u8]) {
    polyport_cluster::fuzz::frames(bytes);
}

pub(crate) use polyport_cluster::fuzz::{answers, handshakes, streams};
