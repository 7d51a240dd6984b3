//! The client's promises over the life of a session, against a scripted server.

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::fake::{PASSWORD, SESSION, server, stat, string};
use polyport_tools::zk_client::{
    Client, ClientError, ClientOptions, ConnectString, State, WatchedEvent,
};
use polyport_zookeeper::codec::ErrorCode;

const LIMIT: Duration = Duration::from_secs(20);

fn start(connect: &str, timeout: Duration) -> (Client, Receiver<WatchedEvent>) {
    let (sender, events) = channel();
    let options = ClientOptions::new(ConnectString::parse(connect).unwrap(), timeout);
    let client = Client::start(options, move |event| {
        // The test may be over.
        let _ = sender.send(event.clone());
    });
    (client.unwrap(), events)
}

fn next(events: &Receiver<WatchedEvent>) -> String {
    events.recv_timeout(LIMIT).expect("an event").to_string()
}

#[test]
fn a_lost_connection_is_replaced_with_session_credentials_and_watches() {
    let (address, thread) = server(vec![
        |connection| {
            connection.accept_session(0, 30_000);
            assert_eq!(connection.read_request().1, 100);
            let (xid, ..) = connection.read_request();
            let mut data = string("x");
            data.extend(stat(0, 1, 0));
            connection.reply(xid, 40, 0, &data);
            let (xid, ..) = connection.read_request();
            connection.reply(xid, 41, 0, &[]);
        },
        |connection| {
            let handshake = connection.accept_session(SESSION, 30_000);
            assert_eq!(handshake[4..12], 41i64.to_be_bytes(), "last zxid seen");
            assert_eq!(handshake[28..44], PASSWORD);
            assert_eq!(connection.read_request().1, 100, "credentials first");
            let (xid, op, body) = connection.read_request();
            assert_eq!((xid, op), (-8, 105));
            let mut lists = 41i64.to_be_bytes().to_vec();
            lists.extend([0, 0, 0, 1]);
            lists.extend(string("/app/a"));
            lists.extend([0; 12]);
            lists.extend([0, 0, 0, 1]);
            lists.extend(string("/app"));
            assert_eq!(body, lists);
            connection.reply(-8, 41, 0, &[]);
            connection.notify(42, 3, "/app/a");
            let (xid, op, _) = connection.read_request();
            assert_eq!(op, -11);
            connection.reply(xid, 43, 0, &[]);
        },
    ]);
    let (client, events) = start(&format!("{address}/app"), Duration::from_secs(30));
    client.add_auth("digest", Some(b"a:b"));
    assert_eq!(client.get_data("/a", true).unwrap().0.unwrap(), b"x");
    client.add_watch("/", true).unwrap();
    assert!(next(&events).contains("state:SyncConnected type:None"));
    assert!(next(&events).contains("state:Disconnected type:None"));
    assert!(next(&events).contains("state:SyncConnected type:None"));
    assert!(next(&events).contains("type:NodeDataChanged path:/a zxid: 42"));
    client.close();
    assert!(next(&events).contains("state:Closed type:None"));
    assert_eq!(client.state(), State::Closed);
    thread.join().unwrap();
}

#[test]
fn what_is_outstanding_fails_when_the_connection_is_lost() {
    let (address, thread) = server(vec![|connection| {
        connection.accept_session(0, 30_000);
        connection.read_request();
    }]);
    let (client, _events) = start(&address, Duration::from_secs(30));
    let lost = ClientError::keeper(ErrorCode::CONNECTION_LOSS, "/a");
    assert_eq!(client.exists("/a", false), Err(lost));
    thread.join().unwrap();
}

#[test]
fn an_expired_session_is_over() {
    let (address, thread) = server(vec![|connection| {
        connection.read();
        let mut body = vec![0; 20];
        body[19] = 16;
        body.extend([0; 17]);
        connection.write(&body);
    }]);
    let (client, events) = start(&address, Duration::from_secs(30));
    assert!(next(&events).contains("state:Expired"));
    let expired = ClientError::keeper(ErrorCode::SESSION_EXPIRED, "/a");
    assert_eq!(client.sync("/a"), Err(expired));
    thread.join().unwrap();
}

#[test]
fn an_idle_session_is_kept_by_pings() {
    let (address, thread) = server(vec![|connection| {
        connection.accept_session(0, 300);
        for _ in 0..2 {
            assert_eq!(connection.read(), [0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 11]);
            connection.reply(-2, 0, 0, &[]);
        }
    }]);
    let (_client, _events) = start(&address, Duration::from_millis(300));
    thread.join().unwrap();
}

#[test]
fn a_silent_server_is_left() {
    let (address, thread) = server(vec![
        |connection| {
            connection.accept_session(0, 300);
            // Pings are read but never answered; the client ends the connection.
            let gone = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                loop {
                    connection.read();
                }
            }));
            assert!(gone.is_err());
        },
        |connection| {
            connection.accept_session(SESSION, 300);
        },
    ]);
    let (_client, events) = start(&address, Duration::from_millis(300));
    assert!(next(&events).contains("SyncConnected"));
    assert!(next(&events).contains("Disconnected"));
    thread.join().unwrap();
}

#[test]
fn bytes_that_are_not_the_protocol_close_the_connection() {
    let (address, thread) = server(vec![
        |connection| connection.write_raw(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        |connection| {
            connection.accept_session(0, 30_000);
            let (xid, ..) = connection.read_request();
            // A stat cut short.
            connection.reply(xid, 1, 0, &[0; 10]);
        },
        |connection| {
            connection.accept_session(SESSION, 30_000);
            let (xid, ..) = connection.read_request();
            // Out of order.
            connection.reply(xid + 7, 1, 0, &[]);
        },
    ]);
    let (client, _events) = start(&address, Duration::from_secs(30));
    let code = || client.exists("/a", false).unwrap_err().code().unwrap();
    assert_eq!(code(), ErrorCode::CONNECTION_LOSS);
    assert_eq!(code(), ErrorCode::MARSHALLING_ERROR);
    assert_eq!(code(), ErrorCode::CONNECTION_LOSS);
    thread.join().unwrap();
}
