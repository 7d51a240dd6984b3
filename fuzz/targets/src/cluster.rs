//! What nodes send each other, and the entries of the log.

/// A frame: the first byte chooses which decoder gets the rest.
pub fn cluster_frame(bytes: &[u8]) {
    polyport_cluster::fuzz::frame(bytes);
}

pub(crate) fn frames() -> Vec<Vec<u8>> {
    polyport_cluster::fuzz::seeds()
}
