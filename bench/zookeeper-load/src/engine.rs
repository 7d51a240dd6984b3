use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use polyport_wire::Cursor;
use polyport_zookeeper::codec::{ErrorCode, ReplyHeader};
use rustix::event::{Timespec, epoll};

use crate::connection::checked_length;
use crate::cpu;
use crate::frames::Frames;
use crate::histogram::Histogram;

/// How long to go on, and how hard.
pub struct Plan {
    /// Most requests outstanding on a connection.
    pub pipeline: usize,
    /// Requests a second over all connections; as many as are answered without it.
    pub rate: Option<f64>,
    /// Time before the measurement.
    pub warmup: Duration,
    /// Measured time; without it, until there are no frames left.
    pub seconds: Option<Duration>,
    /// Processes whose CPU time is read at both ends of the measurement.
    pub watch_pids: Vec<u32>,
    /// An error reply that is none here.
    pub tolerate: Option<ErrorCode>,
}

/// What came of it.
pub struct Outcome {
    /// Latencies of requests answered in the measured time.
    pub latencies: Histogram,
    /// How long was measured.
    pub measured: Duration,
    /// Error replies in all, and the first one.
    pub errors: u64,
    pub first_error: Option<ErrorCode>,
    /// Connections that the server closed.
    pub lost_connections: u64,
    /// CPU time of the watched processes, of this one, and of the machine, in seconds.
    pub server_cpu_s: f64,
    pub own_cpu_s: f64,
    pub machine_cpu_s: f64,
}

struct Connection {
    stream: TcpStream,
    out: Vec<u8>,
    written: usize,
    input: Vec<u8>,
    /// When each outstanding request was sent or due, in nanoseconds of the run, oldest first.
    sent: VecDeque<u64>,
    next_xid: i32,
    /// Whether epoll watches for room to write.
    blocked: bool,
    open: bool,
}

/// One run over a set of connections.
pub struct Engine {
    epoll: rustix::fd::OwnedFd,
    connections: Vec<Connection>,
    start: Instant,
    outcome: Outcome,
    tolerate: Option<ErrorCode>,
    /// Requests of the open loop that have been handed to a connection.
    issued: u64,
    exhausted: bool,
    scratch: Vec<u8>,
}

impl Engine {
    /// Takes connected sockets with sessions.
    ///
    /// # Errors
    /// If epoll refuses.
    pub fn new(streams: Vec<TcpStream>) -> anyhow::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut connections = Vec::with_capacity(streams.len());
        for (index, stream) in streams.into_iter().enumerate() {
            stream.set_nonblocking(true)?;
            let data = epoll::EventData::new_u64(index as u64);
            epoll::add(&epoll, &stream, data, epoll::EventFlags::IN)?;
            connections.push(Connection {
                stream,
                out: Vec::new(),
                written: 0,
                input: Vec::new(),
                sent: VecDeque::new(),
                next_xid: 1,
                blocked: false,
                open: true,
            });
        }
        Ok(Self {
            epoll,
            connections,
            start: Instant::now(),
            outcome: Outcome::new(),
            tolerate: None,
            issued: 0,
            exhausted: false,
            scratch: vec![0; 256 << 10],
        })
    }

    /// Sends `frames` as planned and waits for all replies.
    ///
    /// # Errors
    /// If a server breaks the protocol, all connections are lost, or nothing is answered for 30 s.
    pub fn run(&mut self, frames: &mut Frames, plan: &Plan) -> anyhow::Result<Outcome> {
        self.start = Instant::now();
        self.outcome = Outcome::new();
        self.tolerate = plan.tolerate;
        self.issued = 0;
        self.exhausted = false;
        let mut measuring_since = None;
        let mut cpu_before = (0.0, 0.0, 0.0);
        let mut last_reply = Instant::now();
        let mut events = Vec::with_capacity(self.connections.len().max(16));
        if plan.rate.is_none() {
            for index in 0..self.connections.len() {
                self.refill(index, frames, plan.pipeline)?;
            }
        }
        loop {
            let now = Instant::now();
            let elapsed = now - self.start;
            if measuring_since.is_none() && elapsed >= plan.warmup {
                measuring_since = Some(now);
                self.outcome.latencies = Histogram::new();
                cpu_before =
                    (cpu::seconds(&plan.watch_pids), cpu::own_seconds(), cpu::machine_seconds());
            }
            let over = plan.seconds.is_some_and(|seconds| elapsed >= plan.warmup + seconds);
            let idle = self.connections.iter().all(|c| c.sent.is_empty());
            if over || (self.exhausted && idle) {
                break;
            }
            let mut wait = Duration::from_millis(100);
            if let Some(rate) = plan.rate {
                let next = self.issue_due(frames, plan.pipeline, rate)?;
                wait = wait.min(next);
            }
            self.wait(&mut events, wait)?;
            for event in events.drain(..) {
                let index = event.data.u64() as usize;
                if self.connections[index].blocked {
                    self.flush(index)?;
                }
                if self.receive(index)? > 0 {
                    last_reply = Instant::now();
                    if plan.rate.is_none() {
                        self.refill(index, frames, plan.pipeline)?;
                    }
                }
            }
            if self.connections.iter().all(|c| !c.open) {
                bail!("all connections are lost");
            }
            if !idle && last_reply.elapsed() > Duration::from_secs(30) {
                bail!("no reply for 30 s");
            }
        }
        let since = measuring_since.unwrap_or(self.start);
        self.outcome.measured = since.elapsed();
        self.outcome.server_cpu_s = cpu::seconds(&plan.watch_pids) - cpu_before.0;
        self.outcome.own_cpu_s = cpu::own_seconds() - cpu_before.1;
        self.outcome.machine_cpu_s = cpu::machine_seconds() - cpu_before.2;
        let outcome = std::mem::replace(&mut self.outcome, Outcome::new());
        // What is still under way belongs to no run, and the next one starts with empty queues.
        self.drain(&mut events)?;
        Ok(outcome)
    }

    /// Ends all sessions.
    pub fn close(self) {
        for connection in self.connections.into_iter().filter(|c| c.open) {
            crate::connection::close(connection.stream);
        }
    }

    fn drain(&mut self, events: &mut Vec<epoll::Event>) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.connections.iter().any(|c| c.open && !c.sent.is_empty()) {
            if Instant::now() > deadline {
                bail!("requests unanswered 30 s after the end");
            }
            self.wait(events, Duration::from_millis(100))?;
            for event in events.drain(..) {
                let index = event.data.u64() as usize;
                self.flush(index)?;
                self.receive(index)?;
            }
        }
        Ok(())
    }

    fn wait(&self, events: &mut Vec<epoll::Event>, wait: Duration) -> anyhow::Result<()> {
        let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(wait.subsec_nanos()) };
        events.clear();
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(events), Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error).context("epoll"),
        }
    }

    /// Closed loop: tops a connection up.
    fn refill(&mut self, index: usize, frames: &mut Frames, most: usize) -> anyhow::Result<()> {
        let now = self.now();
        while self.connections[index].open
            && self.connections[index].sent.len() < most
            && !self.exhausted
        {
            self.push(index, frames, now);
        }
        self.flush(index)
    }

    /// Open loop: hands out what is due as far as the pipelines have room, and says how long until
    /// the next is. A request that finds no room stays due, and its latency runs.
    fn issue_due(
        &mut self,
        frames: &mut Frames,
        most: usize,
        rate: f64,
    ) -> anyhow::Result<Duration> {
        let due_at = |k: u64| (k as f64 * 1e9 / rate) as u64;
        let now = self.now();
        let count = self.connections.len() as u64;
        let mut full = 0;
        let mut turn = self.issued;
        while due_at(self.issued) <= now && full < count {
            let index = (turn % count) as usize;
            turn += 1;
            let connection = &self.connections[index];
            if connection.open && connection.sent.len() < most {
                full = 0;
                let due = due_at(self.issued);
                self.push(index, frames, due);
                self.issued += 1;
            } else {
                full += 1;
            }
        }
        for index in 0..self.connections.len() {
            let connection = &self.connections[index];
            if connection.open && !connection.blocked && !connection.out.is_empty() {
                self.flush(index)?;
            }
        }
        if full == count {
            return Ok(Duration::from_millis(100));
        }
        Ok(Duration::from_nanos(due_at(self.issued).saturating_sub(self.now())))
    }

    fn push(&mut self, index: usize, frames: &mut Frames, at: u64) {
        let connection = &mut self.connections[index];
        if !connection.open || !frames.push(index, connection.next_xid, &mut connection.out) {
            self.exhausted |= connection.open;
            return;
        }
        connection.sent.push_back(at);
        // Positive numbers only: the negative ones have meanings.
        connection.next_xid = connection.next_xid.checked_add(1).unwrap_or(1);
    }

    fn flush(&mut self, index: usize) -> anyhow::Result<()> {
        let connection = &mut self.connections[index];
        while connection.open && connection.written < connection.out.len() {
            match connection.stream.write(&connection.out[connection.written..]) {
                Ok(written) => connection.written += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => self.outcome.lost_connections += connection.lose(),
            }
        }
        let blocked = connection.open && connection.written < connection.out.len();
        if !blocked {
            connection.out.clear();
            connection.written = 0;
        }
        if blocked != connection.blocked {
            connection.blocked = blocked;
            let mut flags = epoll::EventFlags::IN;
            flags.set(epoll::EventFlags::OUT, blocked);
            let data = epoll::EventData::new_u64(index as u64);
            epoll::modify(&self.epoll, &connection.stream, data, flags)?;
        }
        Ok(())
    }

    /// Reads what is there, once, and returns the number of replies in it.
    fn receive(&mut self, index: usize) -> anyhow::Result<usize> {
        let connection = &mut self.connections[index];
        if !connection.open {
            return Ok(0);
        }
        let read = match connection.stream.read(&mut self.scratch) {
            Ok(0) => 0,
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
            Err(_) => 0,
        };
        if read == 0 {
            self.outcome.lost_connections += connection.lose();
            let _ = epoll::delete(&self.epoll, &connection.stream);
            return Ok(0);
        }
        let now = u64::try_from(self.start.elapsed().as_nanos())?;
        let mut replies = 0;
        // Whole frames are read where they lie; only a cut one is copied.
        let joined;
        let bytes: &[u8] = if connection.input.is_empty() {
            &self.scratch[..read]
        } else {
            connection.input.extend_from_slice(&self.scratch[..read]);
            joined = std::mem::take(&mut connection.input);
            &joined
        };
        let mut rest = bytes;
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let length = checked_length(*length)?;
            if after.len() < length {
                break;
            }
            let (body, next) = after.split_at(length);
            rest = next;
            let reply = ReplyHeader::decode(&mut Cursor::new(body))?;
            if reply.xid < 0 {
                continue;
            }
            let outstanding = i32::try_from(connection.sent.len())?;
            let Some(sent) = connection.sent.pop_front() else {
                bail!("a reply to nothing: xid {}", reply.xid);
            };
            // Replies come in the order of requests: ZooKeeper's FIFO promise.
            if reply.xid.wrapping_add(outstanding) != connection.next_xid
                && connection.next_xid > outstanding
            {
                bail!("reply {} out of order", reply.xid);
            }
            replies += 1;
            if reply.err != ErrorCode::OK && Some(reply.err) != self.tolerate {
                self.outcome.errors += 1;
                self.outcome.first_error.get_or_insert(reply.err);
            }
            self.outcome.latencies.record(now.saturating_sub(sent));
        }
        connection.input = rest.to_vec();
        Ok(replies)
    }

    fn now(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }
}

impl Connection {
    /// Marks it closed; 1, for the count.
    fn lose(&mut self) -> u64 {
        self.open = false;
        self.sent.clear();
        1
    }
}

impl Outcome {
    fn new() -> Self {
        Self {
            latencies: Histogram::new(),
            measured: Duration::ZERO,
            errors: 0,
            first_error: None,
            lost_connections: 0,
            server_cpu_s: 0.0,
            own_cpu_s: 0.0,
            machine_cpu_s: 0.0,
        }
    }
}
