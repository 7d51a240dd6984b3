//! A load generator for ZooKeeper's protocol that leaves the machine to the server.
//!
//! One thread, one epoll set, frames encoded before the clock starts, one read and one write a
//! socket for all that is ready. It measures three things: load (closed loop, or open loop with the
//! wait for a late server counted), failover, and the time from process start to first answer. Each
//! run prints one line of JSON. Deliberately absent: starting or comparing servers
//! (`bench/zookeeper.py` does), TLS, watches.

#![allow(clippy::disallowed_methods, reason = "measures real time, on one thread that may sleep")]

mod args;
mod connection;
mod cpu;
mod engine;
mod failover;
mod first_answer;
mod frames;
mod histogram;
mod load;

use clap::Parser as _;

fn main() -> anyhow::Result<()> {
    let args = args::Args::parse();
    let report = if args.failover {
        failover::run(&args)?
    } else if !args.first_answer.is_empty() {
        first_answer::run(&args)?
    } else {
        load::run(&args)?
    };
    println!("{report}");
    Ok(())
}
