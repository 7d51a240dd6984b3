//! Who may take and bring whole trees: whoever has all rights on the root, proved by the header
//! `Authorization: scheme credentials`.

use polyport_telemetry::http::{Request, StatusCode};
use polyport_tree::{Perms, access};

use crate::auth::Identities;
use crate::server::{Claim, Happened, Server, identify};

/// The rights one by one: an entry for one of them is not one for all.
const ALL: [Perms; 5] = [Perms::READ, Perms::WRITE, Perms::CREATE, Perms::DELETE, Perms::ADMIN];

/// Status and ZooKeeper's words for why not.
pub(super) fn check(server: &Server, request: &Request) -> Result<(), (StatusCode, &'static str)> {
    let Some(header) = request.headers.get("authorization") else {
        return Err((StatusCode::UNAUTHORIZED, "Auth info is missing for the command"));
    };
    let who = header.to_str().ok().and_then(|header| prove(server, request, header));
    let Some(who) = who else {
        tracing::warn!(peer = %request.peer, path = request.path, "authentication failed");
        server.stats().count(Happened::AuthFailed);
        return Err((StatusCode::UNAUTHORIZED, "Not authenticated"));
    };
    let machine = server.replica().read();
    let root = machine.store().lookup("/").map(|at| machine.store().acl(at));
    let acl = root.map(|number| machine.acls().get(number)).unwrap_or_default();
    let allowed = |perms: &Perms| access::permits(acl, *perms, &who.borrowed());
    match server.settings().skip_acl || ALL.iter().all(allowed) {
        true => Ok(()),
        false => Err((StatusCode::FORBIDDEN, "Not authorized")),
    }
}

fn prove(server: &Server, request: &Request, header: &str) -> Option<Identities> {
    let mut parts = header.split(' ');
    let (scheme, auth) = (parts.next()?, parts.next().filter(|auth| !auth.is_empty()));
    if parts.next().is_some() {
        return None;
    }
    let mut who = Identities::default();
    let claim = Claim { address: request.peer.ip(), subject: None };
    identify(server, &claim, &mut who, scheme, auth.map(str::as_bytes)).ok()?;
    (!who.ids().is_empty()).then_some(who)
}
