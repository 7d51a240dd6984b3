//! What one connection counts: for `cons` and `stat`.

use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use polyport_base::Clock;
use polyport_base::clock::SystemClock;

use super::stats::Latency;
use crate::codec::OpCode;

/// Nothing was answered yet.
const NOTHING: i32 = i32::MIN;

/// Counters of one connection.
#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) received: AtomicU64,
    pub(crate) timeout_ms: AtomicU64,
    sent: AtomicU64,
    last_op: AtomicI32,
    last_cxid: AtomicI64,
    last_zxid: AtomicI64,
    last_answer_ms: AtomicU64,
    last_latency_ms: AtomicU64,
    latency: Latency,
    established: Duration,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            received: AtomicU64::new(0),
            timeout_ms: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            last_op: AtomicI32::new(NOTHING),
            last_cxid: AtomicI64::new(-1),
            last_zxid: AtomicI64::new(-1),
            last_answer_ms: AtomicU64::new(0),
            last_latency_ms: AtomicU64::new(0),
            latency: Latency::default(),
            established: since_1970(),
        }
    }
}

fn since_1970() -> Duration {
    Duration::from_millis(SystemClock.now().0.max(0) as u64)
}

/// What `cons` tells of a connection.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Told {
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) last_operation: &'static str,
    pub(crate) established_ms: u64,
    pub(crate) timeout_ms: u64,
    pub(crate) last_cxid: i64,
    pub(crate) last_zxid: i64,
    /// Milliseconds since 1970.
    pub(crate) last_response_ms: u64,
    pub(crate) last_latency_ms: u64,
    pub(crate) latency_ms: (u64, f64, u64),
}

impl Counters {
    /// A request has its answer.
    pub(crate) fn answered(&self, op: i32, xid: i32, zxid: i64, took: Duration) {
        let ms = took.as_millis() as u64;
        self.sent.fetch_add(1, Relaxed);
        self.last_op.store(op, Relaxed);
        // Pings and the like are numbered below 0 and are no operation of the client's.
        if xid >= 0 {
            self.last_cxid.store(xid.into(), Relaxed);
        }
        self.last_zxid.store(zxid, Relaxed);
        self.last_answer_ms.store(since_1970().as_millis() as u64, Relaxed);
        self.last_latency_ms.store(ms, Relaxed);
        self.latency.add(ms);
    }

    /// A packet that answers no request goes out.
    pub(crate) fn sent(&self) {
        self.sent.fetch_add(1, Relaxed);
    }

    pub(crate) fn tell(&self) -> Told {
        Told {
            received: self.received.load(Relaxed),
            sent: self.sent.load(Relaxed),
            last_operation: operation(self.last_op.load(Relaxed)),
            established_ms: self.established.as_millis() as u64,
            timeout_ms: self.timeout_ms.load(Relaxed),
            last_cxid: self.last_cxid.load(Relaxed),
            last_zxid: self.last_zxid.load(Relaxed),
            last_response_ms: self.last_answer_ms.load(Relaxed),
            last_latency_ms: self.last_latency_ms.load(Relaxed),
            latency_ms: self.latency.told_ms(),
        }
    }

    /// `crst`: forgets everything but who it is.
    pub(crate) fn reset(&self) {
        self.received.store(0, Relaxed);
        self.sent.store(0, Relaxed);
        self.last_op.store(NOTHING, Relaxed);
        self.last_cxid.store(-1, Relaxed);
        self.last_zxid.store(-1, Relaxed);
        self.last_answer_ms.store(0, Relaxed);
        self.last_latency_ms.store(0, Relaxed);
        self.latency.reset();
    }
}

/// ZooKeeper's short names of operations.
fn operation(op: i32) -> &'static str {
    let Some(op) = OpCode::from_i32(op) else { return "NA" };
    match op {
        OpCode::CreateSession => "SESS",
        OpCode::Ping => "PING",
        OpCode::Create | OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => "CREA",
        OpCode::Delete | OpCode::DeleteContainer => "DELE",
        OpCode::Exists => "EXIS",
        OpCode::GetData => "GETD",
        OpCode::SetData => "SETD",
        OpCode::GetAcl => "GETA",
        OpCode::SetAcl => "SETA",
        OpCode::GetChildren | OpCode::GetChildren2 => "GETC",
        OpCode::GetAllChildrenNumber => "GETACN",
        OpCode::GetEphemerals => "GETE",
        OpCode::Sync => "SYNC",
        OpCode::Multi => "MULT",
        OpCode::MultiRead => "MLTR",
        OpCode::Check => "CHEC",
        OpCode::CheckWatches => "CHKW",
        OpCode::RemoveWatches => "REMW",
        OpCode::SetWatches => "SETW",
        OpCode::SetWatches2 => "STW2",
        OpCode::AddWatch => "ADDW",
        OpCode::Reconfig => "RECO",
        OpCode::WhoAmI => "HOMI",
        OpCode::CloseSession => "CLOS",
        _ => "NA",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reset_forgets_what_was_answered() {
        let counters = Counters::default();
        let fresh = counters.tell();
        counters.received.fetch_add(1, Relaxed);
        counters.answered(OpCode::GetData as i32, 7, 9, Duration::from_millis(3));
        let told = counters.tell();
        assert_eq!((told.last_operation, told.last_cxid, told.last_zxid), ("GETD", 7, 9));
        assert_eq!((told.latency_ms, told.sent), ((3, 3.0, 3), 1));
        counters.reset();
        assert_eq!(counters.tell(), fresh);
    }
}
