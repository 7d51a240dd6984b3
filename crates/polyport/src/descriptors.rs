//! File descriptors: as many as the system allows, and some that clients cannot use up.
//!
//! A node whose journal cannot begin its next file stops, so connections must not take the last
//! descriptor.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// For the journal, snapshots, other nodes and the pages of the admin and metrics ports.
const RESERVED: u64 = 1024;

/// Raises this process' limit to what it may ask for. The answer is how many connections of clients
/// fit below the limit; 0 for any number.
pub(crate) fn for_clients() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if limit.current != limit.maximum
        && let Err(error) = setrlimit(Resource::Nofile, wanted)
    {
        tracing::warn!(%error, "the limit of file descriptors cannot be raised");
    }
    let descriptors = getrlimit(Resource::Nofile).current;
    let clients = descriptors.map_or(0, share);
    if let Some(descriptors) = descriptors.filter(|descriptors| *descriptors < 4 * RESERVED) {
        tracing::warn!(descriptors, clients, "few file descriptors (ulimit -n, LimitNOFILE)");
    }
    clients
}

/// What clients get of so many descriptors.
fn share(descriptors: u64) -> usize {
    let reserved = RESERVED.min(descriptors / 2);
    usize::try_from(descriptors - reserved).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_never_get_all() {
        assert_eq!([share(100_000), share(2048), share(200)], [98_976, 1024, 100]);
    }
}
