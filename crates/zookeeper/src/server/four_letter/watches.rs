//! `wchs`, `wchc` and `wchp`.

use std::fmt::Write;

use crate::observe::Watched;
use crate::server::Server;

/// `wchs`.
pub(super) fn summary(server: &Server) -> String {
    let watched = Watched::of(server);
    format!(
        "{} connections watching {} paths\nTotal watches:{}\n",
        watched.by_session.len(),
        watched.by_path.len(),
        watched.total()
    )
}

/// `wchc`.
pub(super) fn by_session(server: &Server) -> String {
    let mut out = String::new();
    for (session, paths) in Watched::of(server).by_session {
        let _ = writeln!(out, "0x{session:x}");
        for path in paths {
            let _ = writeln!(out, "\t{path}");
        }
    }
    out.push('\n');
    out
}

/// `wchp`.
pub(super) fn by_path(server: &Server) -> String {
    let mut out = String::new();
    for (path, sessions) in Watched::of(server).by_path {
        let _ = writeln!(out, "{path}");
        for session in sessions {
            let _ = writeln!(out, "\t0x{session:x}");
        }
    }
    out.push('\n');
    out
}
