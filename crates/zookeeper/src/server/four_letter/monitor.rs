//! `mntr`: all metrics in lines of a name and a value.

use std::fmt::Write;

use polyport_cluster::Status;

use crate::observe::monitored;
use crate::server::Server;

pub(super) fn mntr(server: &Server, status: &Status) -> String {
    let mut out = String::new();
    for (name, value) in monitored(server, status) {
        let _ = writeln!(out, "zk_{name}\t{value}");
    }
    out
}
