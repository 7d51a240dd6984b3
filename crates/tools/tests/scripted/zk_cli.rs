//! Transcripts: what the tool says on the wire and on the terminal, against a scripted server.

use super::fake::{Connection, Output, server, stat, string};
use polyport_tools::zk_cli;

fn run(address: &str, arguments: &str, input: &str) -> (i32, String) {
    let output = Output::default();
    let mut args = vec!["zkCli.sh".to_owned(), "-server".to_owned(), address.to_owned()];
    args.extend(arguments.split_whitespace().map(str::to_owned));
    let code = zk_cli::run(args, output.console(), false, input.as_bytes());
    (code, output.text().replace(address, "HOST"))
}

const CONNECTED: &str =
    "\nWATCHER::\n\nWatchedEvent state:SyncConnected type:None path:null zxid: -1\n";
const CLOSED: &str = "\nWATCHER::\n\nWatchedEvent state:Closed type:None path:null zxid: -1\n";

#[test]
fn a_one_shot_ls_is_these_bytes() {
    let (address, thread) = server(vec![|connection| {
        // ConnectRequest: version 0, no zxid seen, 30,000 ms, no session, an empty password, not
        // read-only.
        let mut handshake = vec![0; 12];
        handshake.extend(30_000i32.to_be_bytes());
        handshake.extend([0; 8]);
        handshake.extend(16i32.to_be_bytes());
        handshake.extend([0; 16]);
        handshake.push(0);
        assert_eq!(connection.accept_session(0, 30_000), handshake);
        // xid 1, getChildren2, "/", no watch.
        let request = [0, 0, 0, 1, 0, 0, 0, 12, 0, 0, 0, 1, b'/', 0];
        assert_eq!(connection.read(), request);
        let mut reply = vec![0, 0, 0, 2];
        reply.extend(string("zookeeper"));
        reply.extend(string("app"));
        reply.extend(stat(0, 0, 2));
        connection.keep_open();
        connection.reply(1, 9, 0, &reply);
    }]);
    let (code, text) = run(&address, "ls /", "");
    thread.join().unwrap();
    assert_eq!(code, 0);
    assert_eq!(text, format!("Connecting to HOST\n{CONNECTED}[app, zookeeper]\n"));
}

#[test]
fn a_one_shot_failure_is_in_the_exit_code() {
    let (address, thread) = server(vec![|connection| {
        connection.accept_session(0, 30_000);
        let (xid, op, _) = connection.read_request();
        assert_eq!(op, 4);
        connection.keep_open();
        connection.reply(xid, 9, -101, &[]);
    }]);
    let (code, text) = run(&address, "get /none", "");
    thread.join().unwrap();
    assert_eq!(code, 1);
    assert_eq!(text, format!("Connecting to HOST\n{CONNECTED}Node does not exist: /none\n"));
    // Without a server: the first attempt fails and with it the request.
    let (code, text) = run(&address, "get /none", "");
    assert_eq!(code, 1);
    assert_eq!(text, "Connecting to HOST\nKeeperErrorCode = ConnectionLoss for /none\n");
    assert_eq!(run(&address, "nonsense", "").0, 127);
}

fn session(connection: &mut Connection) {
    connection.accept_session(0, 30_000);
    let (xid, op, body) = connection.read_request();
    assert_eq!(op, 1);
    let mut create = string("/app1");
    create.extend(string("hello, zookeeper"));
    create.extend([0, 0, 0, 1, 0, 0, 0, 31]);
    create.extend(string("world"));
    create.extend(string("anyone"));
    create.extend([0; 4]);
    assert_eq!(body, create);
    connection.reply(xid, 10, 0, &string("/app1"));

    let (xid, op, body) = connection.read_request();
    let mut get = string("/app1");
    get.push(1);
    assert_eq!((op, body), (4, get));
    let mut data = string("hello, zookeeper");
    data.extend(stat(0, 16, 0));
    connection.reply(xid, 10, 0, &data);

    let (xid, op, _) = connection.read_request();
    assert_eq!(op, 5);
    connection.notify(11, 3, "/app1");
    connection.reply(xid, 11, 0, &stat(1, 17, 0));

    let (xid, op, _) = connection.read_request();
    assert_eq!(op, 2);
    connection.reply(xid, 12, -103, &[]);

    let (xid, op, _) = connection.read_request();
    assert_eq!(op, -11);
    connection.reply(xid, 13, 0, &[]);
}

#[test]
fn a_session_prints_what_zookeepers_does() {
    let (address, thread) = server(vec![session]);
    let input = "create /app1 \"hello, zookeeper\"\n\
                 get -w /app1\n\
                 set /app1 \"hello,cloudnative\"\n\
                 delete -v 7 /app1\n\
                 get\n\
                 \n\
                 history\n\
                 quit\n";
    let (code, text) = run(&address, "", input);
    thread.join().unwrap();
    // The usage of `get` was before `history`, which went well.
    assert_eq!(code, 0);
    let expected = format!(
        "Connecting to HOST
Welcome to ZooKeeper!
JLine support is enabled
{CONNECTED}[zk: HOST(CONNECTED) 0] create /app1 \"hello, zookeeper\"
Created /app1
[zk: HOST(CONNECTED) 1] get -w /app1
hello, zookeeper
[zk: HOST(CONNECTED) 2] set /app1 \"hello,cloudnative\"

WATCHER::

WatchedEvent state:SyncConnected type:NodeDataChanged path:/app1 zxid: 11
[zk: HOST(CONNECTED) 3] delete -v 7 /app1
version No is not valid : /app1
[zk: HOST(CONNECTED) 4] get
get [-s] [-w] [-b] [-x] path
 -b   Output data in base64 format
 -s   Print znode stats additionally
 -w   Watch for changes on the znode
 -x   Output data in hexdump format

[zk: HOST(CONNECTED) 5] 
[zk: HOST(CONNECTED) 5] history
0 - create /app1 \"hello, zookeeper\"
1 - get -w /app1
2 - set /app1 \"hello,cloudnative\"
3 - delete -v 7 /app1
4 - get
5 - history
[zk: HOST(CONNECTED) 6] quit
{CLOSED}"
    );
    assert_eq!(text, expected);
}

#[test]
fn refused_credentials_end_the_session() {
    let (address, thread) = server(vec![|connection| {
        connection.accept_session(0, 30_000);
        let (xid, op, body) = connection.read_request();
        let mut auth = vec![0; 4];
        auth.extend(string("digest"));
        auth.extend([0xff; 4]);
        assert_eq!((xid, op, body), (-4, 100, auth));
        connection.reply(-4, 0, -115, &[]);
    }]);
    let (_, text) = run(&address, "", "addauth digest\nls /\nls /\n");
    thread.join().unwrap();
    // The refusal arrives while the first `ls` waits, or before it; whoever sees it has the event.
    assert!(
        text.contains("WatchedEvent state:AuthFailed type:None path:null zxid: -1\n"),
        "{text}"
    );
    assert!(text.contains("(AUTH_FAILED) 2] ls /\nNot connected\n"), "{text}");
}
