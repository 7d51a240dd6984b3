//! `dump`: sessions, their ephemerals, and connections, with when each ends.

use std::fmt::Write;
use std::time::{Duration, UNIX_EPOCH};

use polyport_base::Clock;
use polyport_base::clock::SystemClock;
use polyport_cluster::Status;
use polyport_cluster::node::Standing;

use crate::observe::{date, ephemerals, in_ticks};
use crate::server::{Client, Server};

pub(super) fn dump(server: &Server, status: &Status) -> String {
    let mut out = "SessionTracker dump:\n".to_owned();
    let tick = server.settings().tick;
    let since_1970 = Duration::from_millis(SystemClock.now().0.max(0) as u64);
    let now = UNIX_EPOCH + since_1970;
    if status.standing == Standing::Leading {
        let expiring = server.replica().expiring();
        let count = expiring.len();
        let sets = in_ticks(expiring, tick);
        let _ = writeln!(out, "Session Sets ({})/({count}):", sets.len());
        for (left, mut sessions) in sets {
            sessions.sort_unstable();
            let _ = writeln!(out, "{} expire at {}:", sessions.len(), date::long(now + left));
            for session in sessions {
                let _ = writeln!(out, "\t0x{session:x}");
            }
        }
    } else {
        let machine = server.replica().read();
        let _ = writeln!(out, "Global Sessions({}):", machine.sessions().len());
        for (id, session) in machine.sessions() {
            let _ = writeln!(out, "0x{id:x}\t{}ms", session.timeout_ms);
        }
    }
    let ephemerals = ephemerals(server);
    let _ =
        writeln!(out, "ephemeral nodes dump:\nSessions with Ephemerals ({}):", ephemerals.len());
    for (session, paths) in ephemerals {
        let _ = writeln!(out, "0x{session:x}:");
        for path in paths {
            let _ = writeln!(out, "\t{path}");
        }
    }
    out.push_str("Connections dump:\n");
    let patience = server.settings().handshake_timeout;
    let left = |client: Client| {
        let left = left(&client, patience, since_1970);
        (client, left)
    };
    let clients = server.clients();
    let count = clients.len();
    let sets = in_ticks(clients.into_iter().map(left), tick);
    let _ = writeln!(out, "Connections Sets ({})/({count}):", sets.len());
    for (left, clients) in sets {
        let _ = writeln!(out, "{} expire at {}:", clients.len(), date::long(now + left));
        for client in clients {
            let _ = writeln!(out, "\tip: /{} sessionId: 0x{:x}", client.peer, client.session);
        }
    }
    out
}

/// How long a connection lives on if nothing more is heard of it.
fn left(client: &Client, patience: Duration, now: Duration) -> Duration {
    let told = &client.told;
    let (since_ms, timeout) = match client.session {
        0 => (told.established_ms, patience),
        _ => {
            (told.last_response_ms.max(told.established_ms), Duration::from_millis(told.timeout_ms))
        }
    };
    (Duration::from_millis(since_ms) + timeout).saturating_sub(now)
}
