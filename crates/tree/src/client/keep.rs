//! The session's upkeep: it is opened, kept alive, taken up again after an interruption, and
//! replaced when it is lost.

use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use super::connection::{Connection, Ended};
use crate::TreeError;
use crate::command::Command;
use crate::replica::Touch;
use crate::session::SessionId;

/// Before another try, where one failed for no reason that would go away at once.
const PAUSE: Duration = Duration::from_millis(50);

/// Runs until the session is closed or the last handle is gone.
pub(super) async fn keep(shared: Arc<Shared>, password: [u8; 16]) {
    let mut known = None;
    loop {
        let connection = Connection::new(&shared.replica);
        let served = tokio::select! {
            served = serve(&shared, &connection, password, &mut known) => served,
            () = shared.dropped.notified() => Ended::Closing,
        };
        *shared.current.lock() = None;
        shared.replica.unsubscribe(connection.watcher());
        if let Some(session) = connection.session() {
            shared.replica.forget_if(session, connection.watcher());
        }
        match served {
            Ended::Closing => return,
            Ended::Expired => {
                known = None;
                shared.session.send_replace(0);
                tracing::warn!("this node's own session was lost, opening another");
            }
            Ended::Interrupted => {}
        }
    }
}

/// One attachment, from its beginning to its end.
async fn serve(
    shared: &Shared,
    connection: &Arc<Connection>,
    password: [u8; 16],
    known: &mut Option<SessionId>,
) -> Ended {
    let replica = &shared.replica;
    let timeout_ms = shared.options.session_timeout.as_millis().min(i32::MAX as u128) as i32;
    let command = match *known {
        None => Command::CreateSession { timeout_ms, password },
        Some(session) => Command::Attach { session, password: &password, timeout_ms },
    };
    let session = match connection.attach(replica, &command).await {
        Some(Ok(session)) => session,
        Some(Err(TreeError::SessionExpired)) => return Ended::Expired,
        Some(Err(_)) | None => {
            tokio::time::sleep(PAUSE).await;
            return Ended::Interrupted;
        }
    };
    *known = Some(session);
    if !replica.attach(session, connection.watcher()) {
        return Ended::Interrupted;
    }
    let touch = Touch::default();
    replica.keep_alive(session, touch.clone());
    *shared.current.lock() = Some(connection.clone());
    shared.session.send_replace(session);
    let often = shared.options.session_timeout / 8;
    let every = (replica.settings().tick / 2).min(often).max(Duration::from_millis(10));
    loop {
        tokio::select! {
            ended = connection.ended() => return ended,
            () = tokio::time::sleep(every) => touch.set(),
        }
    }
}
