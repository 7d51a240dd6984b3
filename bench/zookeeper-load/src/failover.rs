use std::net::TcpStream;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use polyport_zookeeper::codec::{ErrorCode, Request};
use serde_json::{Value, json};

use crate::args::Args;
use crate::connection::{Granted, Session, call, handshake, open};
use crate::frames;

/// Between attempts to connect: short, since the servers are measured, not a client's back-off.
const PAUSE: Duration = Duration::from_millis(5);

/// One client's history.
#[derive(Default)]
struct History {
    /// When writes were acknowledged, since the common start.
    acknowledged: Vec<Duration>,
    lost_sessions: u64,
    reconnects: u64,
    error_replies: u64,
}

/// Keeps one client a server writing, one request at a time, each moving on to the next server when
/// its own fails, and reports the longest time in which no write was acknowledged to anyone.
///
/// # Errors
/// If a client cannot get its first session.
pub fn run(args: &Args) -> anyhow::Result<Value> {
    let start = Instant::now();
    let start_unix = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let length = Duration::try_from_secs_f64(args.seconds)?;
    let clients: Vec<_> = (0..args.servers.len())
        .map(|index| {
            let servers = args.servers.clone();
            let timeout_ms = args.session_timeout_ms;
            let data = vec![b'x'; args.value_bytes];
            std::thread::spawn(move || {
                write_until(start, length, &servers, index, timeout_ms, &data)
            })
        })
        .collect();
    let histories = clients
        .into_iter()
        .map(|client| client.join().map_err(|_| anyhow::anyhow!("a client panicked"))?)
        .collect::<anyhow::Result<Vec<_>>>()?;

    let mut all: Vec<Duration> = histories.iter().flat_map(|h| h.acknowledged.clone()).collect();
    all.sort_unstable();
    let acknowledged = all.len();
    // Silence up to the end is silence too: servers that never come back must not look quick.
    all.push(length.max(all.last().copied().unwrap_or_default()));
    let (from, to) = longest_gap(&all).context("no write was acknowledged")?;
    let ms = |duration: Duration| (duration.as_secs_f64() * 1e4).round() / 10.0;
    let own = |history: &History| {
        longest_gap(&history.acknowledged).map_or(0.0, |(from, to)| ms(to - from))
    };
    Ok(json!({
        "longest_gap_ms": ms(to - from),
        "gap_start_unix_ms": ms(start_unix + from),
        "gap_end_unix_ms": ms(start_unix + to),
        "client_gaps_ms": histories.iter().map(own).collect::<Vec<_>>(),
        "recovered": to < length,
        "acknowledged": acknowledged,
        "lost_sessions": histories.iter().map(|h| h.lost_sessions).sum::<u64>(),
        "reconnects": histories.iter().map(|h| h.reconnects).sum::<u64>(),
        "error_replies": histories.iter().map(|h| h.error_replies).sum::<u64>(),
    }))
}

fn write_until(
    start: Instant,
    length: Duration,
    servers: &[String],
    first: usize,
    timeout_ms: i32,
    data: &[u8],
) -> anyhow::Result<History> {
    let path = format!("/failover-{first}");
    let create = frames::create(&path, b"");
    let set = frames::frame(&Request::SetData { path: &path, data: Some(data), version: -1 });
    // As ZooKeeper's own client: a server that is silent for two thirds of the timeout is given up.
    let patience = Duration::from_millis(u64::try_from(timeout_ms)? * 2 / 3);
    let mut history = History::default();
    let mut session = Session::none();
    let mut turn = first;
    let mut made = false;
    while start.elapsed() < length {
        let server = &servers[turn % servers.len()];
        turn += 1;
        let Ok(mut stream) = attach(server, &mut session, timeout_ms, patience, &mut history)
        else {
            std::thread::sleep(PAUSE);
            continue;
        };
        while start.elapsed() < length {
            let Ok(reply) = call(&mut stream, if made { &set } else { &create }) else { break };
            match reply.err {
                ErrorCode::OK | ErrorCode::NODE_EXISTS => {
                    made = true;
                    history.acknowledged.push(start.elapsed());
                }
                _ => {
                    history.error_replies += 1;
                    std::thread::sleep(PAUSE);
                }
            }
        }
        if start.elapsed() >= length {
            crate::connection::close(stream);
        } else {
            history.reconnects += 1;
        }
    }
    Ok(history)
}

fn attach(
    server: &str,
    session: &mut Session,
    timeout_ms: i32,
    patience: Duration,
    history: &mut History,
) -> anyhow::Result<TcpStream> {
    let mut stream = open(server, patience)?;
    match handshake(&mut stream, session, timeout_ms)? {
        Granted::Yes(granted) => {
            *session = granted;
            Ok(stream)
        }
        Granted::Expired => {
            history.lost_sessions += u64::from(session.id != 0);
            *session = Session::none();
            anyhow::bail!("session expired")
        }
    }
}

/// The two neighbours that are farthest apart in an ascending list.
fn longest_gap(times: &[Duration]) -> Option<(Duration, Duration)> {
    times.windows(2).map(|pair| (pair[0], pair[1])).max_by_key(|(from, to)| *to - *from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_gap_is_found() {
        let times: Vec<_> = [1, 2, 9, 12].into_iter().map(Duration::from_millis).collect();
        assert_eq!(longest_gap(&times), Some((times[1], times[2])));
        assert_eq!(longest_gap(&times[..1]), None);
    }
}
