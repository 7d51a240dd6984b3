use clap::{Parser, ValueEnum};

/// Puts load on ZooKeeper servers and prints one line of JSON.
#[derive(Debug, Parser)]
pub struct Args {
    /// Servers, host:port, separated by commas; connections are dealt out in turn.
    #[arg(long, required = true, value_delimiter = ',')]
    pub servers: Vec<String>,
    /// Number of connections, each with its own session.
    #[arg(long, default_value_t = 16)]
    pub connections: usize,
    /// Most requests outstanding on a connection.
    #[arg(long, default_value_t = 1)]
    pub pipeline: usize,
    /// What the requests ask for.
    #[arg(long, value_enum, default_value_t = Op::Get)]
    pub op: Op,
    /// Znodes that set, get, children and mix70 work on.
    #[arg(long, default_value_t = 10_000)]
    pub keys: usize,
    /// Data in each znode, in bytes.
    #[arg(long, default_value_t = 100)]
    pub value_bytes: usize,
    /// Measured time, in seconds.
    #[arg(long, default_value_t = 10.0)]
    pub seconds: f64,
    /// Time before it under the same load, in seconds.
    #[arg(long, default_value_t = 2.0)]
    pub warmup: f64,
    /// Open loop: requests a second over all connections, each one's latency counted from the
    /// moment it was due. Closed loop without it.
    #[arg(long)]
    pub rate: Option<f64>,
    /// Create this many znodes as fast as possible instead, and report how long that took.
    #[arg(long)]
    pub preload: Option<usize>,
    /// Create the znodes that --keys asks for, and nothing more.
    #[arg(long)]
    pub setup_only: bool,
    /// Trust that an earlier run has created them.
    #[arg(long)]
    pub skip_setup: bool,
    /// Processes whose CPU time during the measurement is reported.
    #[arg(long, value_delimiter = ',')]
    pub watch_pids: Vec<u32>,
    /// How long servers may take to accept a session, in seconds.
    #[arg(long, default_value_t = 30.0)]
    pub connect_timeout: f64,
    /// Session timeout to ask for, in milliseconds.
    #[arg(long, default_value_t = 30_000)]
    pub session_timeout_ms: i32,
    /// Keep one connection a server writing for --seconds and report the longest silence.
    #[arg(long)]
    pub failover: bool,
    /// Start the command that follows and report when it first answered a request.
    #[arg(long, num_args = 1.., allow_hyphen_values = true)]
    pub first_answer: Vec<String>,
}

/// What the requests ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Op {
    /// A new znode each time.
    Create,
    /// Overwrite one of the keys.
    Set,
    /// Read one of the keys.
    Get,
    /// List a znode with 100 children.
    Children,
    /// 70 % get, 30 % set.
    Mix70,
}
