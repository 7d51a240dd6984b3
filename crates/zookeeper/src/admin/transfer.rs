//! The commands that hand out and take in whole trees.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use polyport_cluster::node::Backup;
use polyport_telemetry::http::{Body, Request, StatusCode};
use tokio::sync::mpsc;

use super::commands::Answer;
use super::json::Fields;
use crate::server::{Happened, Server};

/// Whether and how often trees are handed out and taken in.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Whether `snapshot` is answered.
    pub snapshot: bool,
    /// Whether `restore` is answered.
    pub restore: bool,
    /// Least time from one snapshot to the next, and from one restore to the next.
    pub every: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self { snapshot: true, restore: true, every: Duration::from_secs(300) }
    }
}

/// Lets one through in a while.
#[derive(Debug, Default)]
struct Limiter(Mutex<Option<Instant>>);

impl Limiter {
    fn admits(&self, now: Instant, every: Duration) -> bool {
        let mut last = self.0.lock();
        let admitted = last.is_none_or(|last| now.saturating_duration_since(last) > every);
        if admitted {
            *last = Some(now);
        }
        admitted
    }
}

#[derive(Debug)]
pub(super) struct Transfers {
    rules: Rules,
    snapshots: Limiter,
    restores: Limiter,
}

/// Bytes of a refused request that are still taken in, so that its client hears why.
const DRAINED: usize = 64 << 20;

fn refused(status: StatusCode, why: impl Into<String>) -> Answer {
    Answer::Error(status, why.into())
}

impl Transfers {
    pub(super) fn new(rules: Rules) -> Self {
        Self { rules, snapshots: Limiter::default(), restores: Limiter::default() }
    }

    /// Makes a snapshot; the answer is its file unless the query says `streaming=false`.
    pub(super) async fn snapshot(
        &self,
        server: &Server,
        request: &Request,
        headers: &mut Vec<(&'static str, String)>,
    ) -> Result<Option<Body>, Answer> {
        if !self.rules.snapshot {
            return Err(refused(StatusCode::SERVICE_UNAVAILABLE, "snapshot is switched off"));
        }
        if !self.snapshots.admits(Instant::now(), self.rules.every) {
            server.stats().count(Happened::SnapshotRateLimited);
            let why = "another snapshot was taken a short time ago";
            return Err(refused(StatusCode::TOO_MANY_REQUESTS, why));
        }
        let failed = |error: std::io::Error| {
            tracing::warn!(%error, "no snapshot for the admin command");
            refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
        };
        let backup = server.replica().cluster().backup().await.map_err(failed)?;
        let zxid = polyport_tree::snapshot::last_zxid(&backup.head).unwrap_or_default();
        headers.push(("last_zxid", format!("0x{zxid:x}")));
        headers.push(("snapshot_size", backup.len.to_string()));
        // As Java reads a flag: whatever is not true is false.
        let streaming =
            request.query("streaming").is_none_or(|value| value.eq_ignore_ascii_case("true"));
        Ok(streaming.then(|| stream(backup)))
    }

    /// Takes a backup in.
    pub(super) async fn restore(&self, server: &Server, mut request: Request) -> Answer {
        let answer = self.restored(server, &mut request).await;
        let mut drained = 0;
        while drained < DRAINED
            && let Ok(Some(bytes)) = request.next_bytes().await
        {
            drained += bytes.len();
        }
        answer
    }

    async fn restored(&self, server: &Server, request: &mut Request) -> Answer {
        if !self.rules.restore {
            return refused(StatusCode::SERVICE_UNAVAILABLE, "restore is switched off");
        }
        if !self.restores.admits(Instant::now(), self.rules.every) {
            server.stats().count(Happened::RestoreRateLimited);
            let why = "another restore was tried a short time ago";
            return refused(StatusCode::TOO_MANY_REQUESTS, why);
        }
        let since = Instant::now();
        let (frames, received) = mpsc::channel(4);
        let feed = async {
            // Without an empty frame it broke off.
            while let Ok(bytes) = request.next_bytes().await {
                let last = bytes.is_none();
                if frames.send(bytes.unwrap_or_default()).await.is_err() || last {
                    break;
                }
            }
            drop(frames);
        };
        match tokio::join!(server.replica().restore(received), feed).0 {
            Ok(restored) => {
                server.stats().restores.record_time(since.elapsed());
                tracing::info!(peer = %request.peer, %restored, "restored by the admin command");
                Fields::default().with("last_zxid", restored.zxid).into()
            }
            Err(error) => {
                server.stats().count(Happened::RestoreFailed);
                refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
            }
        }
    }
}

fn stream(backup: Backup) -> Body {
    let (pieces, body) = mpsc::channel(4);
    let len = backup.len;
    tokio::spawn(async move {
        let mut offset = 0;
        while offset < len {
            let piece = match backup.piece(offset) {
                Ok(piece) => piece,
                Err(error) => return tracing::warn!(%error, "a snapshot could not be sent"),
            };
            offset += piece.len() as u64;
            if pieces.send(piece).await.is_err() {
                return;
            }
        }
    });
    Body::stream(len, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_let_through_in_an_interval() {
        let limiter = Limiter::default();
        let (start, every) = (Instant::now(), Duration::from_secs(5));
        assert!(limiter.admits(start, every));
        assert!(!limiter.admits(start + every, every));
        let later = start + every + Duration::from_millis(1);
        assert!(limiter.admits(later, every));
        assert!(!limiter.admits(later, every));
    }
}
