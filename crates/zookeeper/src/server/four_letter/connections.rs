//! `cons`, `reqs` and the clients of `stat`.

use std::fmt::Write;

use crate::server::Client;

/// Address, and in brackets what ZooKeeper's selector waits for: 1 (to read) of a connection with a
/// session, 0 of one that has none yet.
fn head(client: &Client, out: &mut String) {
    let told = &client.told;
    let _ = write!(
        out,
        " /{}[{}](queued={},recved={},sent={}",
        client.peer,
        u8::from(client.session != 0),
        client.queued,
        told.received,
        told.sent
    );
}

/// The clients of `stat`.
pub(super) fn stat(clients: &[Client]) -> String {
    let mut out = String::new();
    for client in clients {
        head(client, &mut out);
        out.push_str(")\n");
    }
    out
}

/// `cons`.
pub(super) fn cons(clients: &[Client]) -> String {
    let mut out = String::new();
    for client in clients {
        head(client, &mut out);
        if client.session != 0 {
            let told = &client.told;
            let (min, average, max) = told.latency_ms;
            let _ = write!(
                out,
                ",sid=0x{:x},lop={},est={},to={}",
                client.session, told.last_operation, told.established_ms, told.timeout_ms
            );
            if told.last_cxid >= 0 {
                let _ = write!(out, ",lcxid=0x{:x}", told.last_cxid);
            }
            let _ = write!(
                out,
                ",lzxid=0x{:x},lresp={},llat={},minlat={min},avglat={},maxlat={max}",
                told.last_zxid, told.last_response_ms, told.last_latency_ms, average as u64
            );
        }
        out.push_str(")\n");
    }
    out.push('\n');
    out
}

/// `reqs`: sessions with requests that wait, and how many.
pub(super) fn reqs(clients: &[Client]) -> String {
    let mut out = String::new();
    for client in clients.iter().filter(|client| client.queued > 0) {
        let _ = writeln!(out, "0x{:x}\t{}", client.session, client.queued);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::counters::{Counters, Told};

    #[test]
    fn connections_are_shown_as_zookeeper_shows_them() {
        let told = Told {
            received: 312,
            sent: 311,
            last_operation: "SYNC",
            established_ms: 1795268404402,
            timeout_ms: 10000,
            last_cxid: 0x137,
            last_zxid: 0x69,
            last_response_ms: 5074008,
            last_latency_ms: 1,
            latency_ms: (0, 0.6, 15),
        };
        let peer = ([127, 0, 0, 1], 38130).into();
        let session = 0x100004b738f0000;
        let client = Client { peer, secure: false, session, watcher: 1, queued: 0, told };
        let fresh = Counters::default();
        fresh.received.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let asking = Client {
            peer: ([127, 0, 0, 1], 38146).into(),
            secure: false,
            session: 0,
            watcher: 2,
            queued: 0,
            told: fresh.tell(),
        };
        let clients = [client, asking];
        let expected = " /127.0.0.1:38130[1](queued=0,recved=312,sent=311,sid=0x100004b738f0000,\
            lop=SYNC,est=1795268404402,to=10000,lcxid=0x137,lzxid=0x69,lresp=5074008,llat=1,\
            minlat=0,avglat=0,maxlat=15)\n /127.0.0.1:38146[0](queued=0,recved=1,sent=0)\n\n";
        assert_eq!(cons(&clients), expected);
        let expected = " /127.0.0.1:38130[1](queued=0,recved=312,sent=311)\n \
            /127.0.0.1:38146[0](queued=0,recved=1,sent=0)\n";
        assert_eq!(stat(&clients), expected);
    }
}
