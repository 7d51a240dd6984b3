//! A client that shows every frame.

use std::net::SocketAddr;
use std::time::Duration;

use polyport_tree::Acl;
use polyport_wire::Cursor;
use polyport_zookeeper::codec::request::Create;
use polyport_zookeeper::codec::{
    ConnectRequest, ConnectResponse, ErrorCode, OpCode, ReplyHeader, Request, Response,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// Nothing here takes longer, or it does not happen at all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) trait Bytes: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Bytes for T {}

pub(crate) struct Client {
    stream: Box<dyn Bytes>,
    xid: i32,
}

impl Client {
    /// With a session of ten seconds.
    pub(crate) async fn connect(port: SocketAddr) -> Self {
        Self::over(TcpStream::connect(port).await.unwrap()).await.expect("a session")
    }

    /// A session on a stream, if the server gives one.
    pub(crate) async fn over(stream: impl Bytes + 'static) -> Option<Self> {
        let mut client = Self { stream: Box::new(stream), xid: 0 };
        let mut frame = vec![0; 4];
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: 0,
            timeout_ms: 10_000,
            session_id: 0,
            password: &[0; 16],
            read_only: Some(false),
        };
        request.encode(&mut frame);
        let len = (frame.len() - 4) as u32;
        frame[..4].copy_from_slice(&len.to_be_bytes());
        client.stream.write_all(&frame).await.ok()?;
        client.stream.flush().await.ok()?;
        let answer = client.frame().await?;
        assert_ne!(ConnectResponse::decode(&answer).unwrap().session_id, 0);
        Some(client)
    }

    /// The next frame; nothing if the server has closed the connection.
    pub(crate) async fn frame(&mut self) -> Option<Vec<u8>> {
        let read = async {
            let len = self.stream.read_u32().await.ok()?;
            let mut frame = vec![0; len as usize];
            self.stream.read_exact(&mut frame).await.ok()?;
            Some(frame)
        };
        tokio::time::timeout(PATIENCE, read).await.expect("an answer or the end")
    }

    /// Whether the server ends the connection, after whatever it still has to say.
    pub(crate) async fn ends(&mut self) {
        while self.frame().await.is_some() {}
    }

    /// Says that nothing more will come.
    pub(crate) async fn hang_up(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Whether the connection still takes bytes.
    pub(crate) async fn try_send_bytes(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    /// Sends without waiting for the answer; its xid.
    pub(crate) async fn send(&mut self, request: &Request<'_>) -> i32 {
        self.xid += 1;
        let mut frame = Vec::new();
        request.encode_frame(self.xid, &mut frame);
        self.send_bytes(&frame).await;
        self.xid
    }

    /// The next reply, which must have this xid; nothing if there is the end instead.
    pub(crate) async fn reply(&mut self, xid: i32) -> Option<(ErrorCode, Vec<u8>)> {
        let frame = self.frame().await?;
        let mut cursor = Cursor::new(&frame);
        let header = ReplyHeader::decode(&mut cursor).unwrap();
        assert_eq!(header.xid, xid);
        Some((header.err, frame[16..].to_vec()))
    }

    pub(crate) async fn ask(&mut self, request: &Request<'_>) -> Option<(ErrorCode, Vec<u8>)> {
        let xid = self.send(request).await;
        self.reply(xid).await
    }

    /// The error of a request's answer.
    pub(crate) async fn error(&mut self, request: &Request<'_>) -> ErrorCode {
        self.ask(request).await.expect("an answer").0
    }

    pub(crate) async fn create(&mut self, path: &str, data: &[u8]) {
        assert_eq!(self.error(&create(path, data, Acl::open())).await, ErrorCode::OK);
    }

    pub(crate) async fn get(&mut self, path: &str) -> Vec<u8> {
        let (error, body) = self.ask(&Request::GetData { path, watch: false }).await.unwrap();
        assert_eq!(error, ErrorCode::OK);
        match Response::decode(OpCode::GetData, &mut Cursor::new(&body)).unwrap() {
            Response::Data(data, _) => data.unwrap_or_default(),
            other => panic!("{other:?}"),
        }
    }

    /// Scheme and user of each of its identities, sorted.
    pub(crate) async fn who(&mut self) -> Vec<(String, String)> {
        let (error, body) = self.ask(&Request::WhoAmI).await.unwrap();
        assert_eq!(error, ErrorCode::OK);
        match Response::decode(OpCode::WhoAmI, &mut Cursor::new(&body)).unwrap() {
            Response::WhoAmI(mut who) => {
                who.sort();
                who
            }
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn create<'a>(path: &'a str, data: &'a [u8], acl: Vec<Acl>) -> Request<'a> {
    Request::Create(Create { op: OpCode::Create, path, data: Some(data), acl, flags: 0, ttl_ms: 0 })
}

pub(crate) fn pair(scheme: &str, user: &str) -> (String, String) {
    (scheme.to_owned(), user.to_owned())
}
