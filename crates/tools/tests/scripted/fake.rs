//! A server that plays a script on one connection after another.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use polyport_tools::zk_cli::Console;

/// Nothing in these tests takes longer than a moment; this ends them if it does.
const LIMIT: Duration = Duration::from_secs(20);

/// Session id and password that the fake gives.
pub const SESSION: i64 = 0x1001;
pub const PASSWORD: [u8; 16] = *b"sixteen bytes pw";

pub struct Connection {
    stream: TcpStream,
}

impl Connection {
    /// The body of the next frame.
    pub fn read(&mut self) -> Vec<u8> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).expect("a frame");
        let mut body = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut body).expect("a whole frame");
        body
    }

    /// The next frame that is not a ping.
    pub fn read_request(&mut self) -> (i32, i32, Vec<u8>) {
        loop {
            let body = self.read();
            let xid = i32::from_be_bytes(body[..4].try_into().unwrap());
            let op = i32::from_be_bytes(body[4..8].try_into().unwrap());
            if xid != -2 {
                return (xid, op, body[8..].to_vec());
            }
        }
    }

    /// Takes the handshake, expecting the session, and accepts it.
    pub fn accept_session(&mut self, expected: i64, timeout_ms: i32) -> Vec<u8> {
        let request = self.read();
        assert_eq!(i64::from_be_bytes(request[16..24].try_into().unwrap()), expected);
        let mut body = vec![0, 0, 0, 0];
        body.extend(timeout_ms.to_be_bytes());
        body.extend(SESSION.to_be_bytes());
        body.extend(16i32.to_be_bytes());
        body.extend(PASSWORD);
        body.push(0);
        self.write(&body);
        request
    }

    pub fn write(&mut self, body: &[u8]) {
        let mut frame = (body.len() as u32).to_be_bytes().to_vec();
        frame.extend(body);
        self.write_raw(&frame);
    }

    pub fn write_raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the client reads");
    }

    pub fn reply(&mut self, xid: i32, zxid: i64, err: i32, body: &[u8]) {
        let mut frame = xid.to_be_bytes().to_vec();
        frame.extend(zxid.to_be_bytes());
        frame.extend(err.to_be_bytes());
        frame.extend(body);
        self.write(&frame);
    }

    /// Leaves the connection open after the script, until the test process ends.
    pub fn keep_open(&mut self) {
        std::mem::forget(self.stream.try_clone().unwrap());
    }

    /// A watch notification.
    pub fn notify(&mut self, zxid: i64, kind: i32, path: &str) {
        let mut body = kind.to_be_bytes().to_vec();
        body.extend(3i32.to_be_bytes());
        body.extend(string(path));
        self.reply(-1, zxid, 0, &body);
    }
}

/// A string or buffer in jute.
pub fn string(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as u32).to_be_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes
}

/// A stat whose zxids are 5, with the numbers given.
pub fn stat(version: i32, data_length: i32, children: i32) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in [5i64, 5, 0, 0] {
        bytes.extend(number.to_be_bytes());
    }
    for number in [version, 0, 0] {
        bytes.extend(number.to_be_bytes());
    }
    bytes.extend(0i64.to_be_bytes());
    bytes.extend(data_length.to_be_bytes());
    bytes.extend(children.to_be_bytes());
    bytes.extend(5i64.to_be_bytes());
    bytes
}

/// Starts a server whose connections are played by the scripts in turn. Joining the handle tells of
/// a script's failed assertion.
pub fn server(scripts: Vec<fn(&mut Connection)>) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let thread = std::thread::spawn(move || {
        for script in scripts {
            let (stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(LIMIT)).unwrap();
            script(&mut Connection { stream });
        }
    });
    (address, thread)
}

/// What a tool printed: both streams, in the order of printing.
#[derive(Clone, Default)]
pub struct Output(Arc<Mutex<Vec<u8>>>);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Output {
    pub fn console(&self) -> Arc<Console> {
        Arc::new(Console::new(Box::new(self.clone()), Box::new(self.clone())))
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().clone()).unwrap()
    }
}
