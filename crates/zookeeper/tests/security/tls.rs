//! TLS on the secure port and on the plain one.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use polyport_net::tls::{Acceptor, ClientAuth, Files};
use polyport_tree::{Acl, Id, Perms};
use polyport_zookeeper::codec::{ErrorCode, Request};
use polyport_zookeeper::server::{Authentication, Settings};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::client::{Client, create, pair};
use crate::node::{Dir, Node};

const SUBJECT: &str = "CN=client,O=Example";

/// An authority and what it signed.
struct Papers {
    dir: Dir,
    issuer: Issuer<'static, KeyPair>,
}

impl Papers {
    fn new() -> Self {
        let dir = Dir::new();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "authority");
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(dir.0.join("ca.pem"), certificate.pem()).unwrap();
        let papers = Self { dir, issuer: Issuer::new(params, key) };
        papers.sign("server", &["localhost"]);
        papers.sign("client", &[]);
        papers
    }

    /// Certificate and key in one file, as ZooKeeper's PEM stores have them.
    fn sign(&self, name: &str, hosts: &[&str]) {
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>();
        let mut params = CertificateParams::new(hosts).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Example");
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let pem = format!("{}{}", key.serialize_pem(), certificate.pem());
        std::fs::write(self.file(name), pem).unwrap();
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.0.join(format!("{name}.pem"))
    }

    fn settings(&self, client_auth: ClientAuth) -> Settings {
        let (cert, key) = (self.file("server"), self.file("server"));
        let files = Files { cert, key, ca: Some(self.file("ca")) };
        let tls = Some(Acceptor::new(&files, client_auth).unwrap());
        Settings { tls, ..Settings::default() }
    }

    /// A client that trusts the authority and shows a certificate or none.
    async fn connect(&self, port: SocketAddr, shows: Option<&str>) -> Option<Client> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.file("ca")).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match shows {
            Some(name) => {
                let chain = vec![CertificateDer::from_pem_file(self.file(name)).unwrap()];
                let key = PrivateKeyDer::from_pem_file(self.file(name)).unwrap();
                config.with_client_auth_cert(chain, key).unwrap()
            }
            None => config.with_no_client_auth(),
        };
        let stream = TcpStream::connect(port).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()?;
        Client::over(stream).await
    }
}

#[tokio::test]
async fn a_certificate_is_an_identity() {
    let papers = Papers::new();
    let node = Node::start(papers.settings(ClientAuth::Need)).await;
    let port = node.secure().await;
    let mut client = papers.connect(port, Some("client")).await.unwrap();
    assert_eq!(client.who().await, [pair("ip", "127.0.0.1"), pair("x509", SUBJECT)]);
    let list = vec![Acl { perms: Perms::ALL, id: Id::new("x509", SUBJECT) }];
    assert_eq!(client.error(&create("/mine", b"m", list)).await, ErrorCode::OK);
    assert_eq!(client.get("/mine").await, b"m");
    let large = vec![7; 1_000_000];
    client.create("/large", &large).await;
    assert!(client.get("/large").await == large);
    let read = Request::GetData { path: "/mine", watch: false };
    assert_eq!(node.client().await.error(&read).await, ErrorCode::NO_AUTH);
    // None, one of another authority, and no TLS at all.
    assert!(papers.connect(port, None).await.is_none());
    let others = Papers::new();
    std::fs::copy(others.file("client"), papers.file("stranger")).unwrap();
    assert!(papers.connect(port, Some("stranger")).await.is_none());
    assert!(Client::over(TcpStream::connect(port).await.unwrap()).await.is_none());
    assert_eq!(client.get("/mine").await, b"m");
    node.still_works().await;
}

#[tokio::test]
async fn a_certificate_can_be_wished_for_or_not_asked_for() {
    let papers = Papers::new();
    let node = Node::start(papers.settings(ClientAuth::Want)).await;
    let port = node.secure().await;
    let mut without = papers.connect(port, None).await.unwrap();
    assert_eq!(without.who().await, [pair("ip", "127.0.0.1")]);
    let mut with = papers.connect(port, Some("client")).await.unwrap();
    assert_eq!(with.who().await, [pair("ip", "127.0.0.1"), pair("x509", SUBJECT)]);
    node.still_works().await;

    let node = Node::start(papers.settings(ClientAuth::None)).await;
    let port = node.secure().await;
    let mut client = papers.connect(port, Some("client")).await.unwrap();
    assert_eq!(client.who().await, [pair("ip", "127.0.0.1")]);
    node.still_works().await;
}

#[tokio::test]
async fn one_certificate_can_be_the_super_users() {
    let papers = Papers::new();
    let x509_super_user = Some(SUBJECT.to_owned());
    let authentication = Authentication { x509_super_user, ..Default::default() };
    let settings = Settings { authentication, ..papers.settings(ClientAuth::Need) };
    let node = Node::start(settings).await;
    let port = node.secure().await;
    let list = vec![Acl { perms: Perms::ALL, id: Id::new("ip", "10.0.0.1") }];
    let mut other = node.client().await;
    assert_eq!(other.error(&create("/closed", b"c", list)).await, ErrorCode::OK);
    let read = Request::GetData { path: "/closed", watch: false };
    assert_eq!(other.error(&read).await, ErrorCode::NO_AUTH);
    let mut root = papers.connect(port, Some("client")).await.unwrap();
    assert_eq!(root.get("/closed").await, b"c");
    node.still_works().await;
}

#[tokio::test]
async fn one_port_can_take_both() {
    let papers = Papers::new();
    let settings = Settings { port_unification: true, ..papers.settings(ClientAuth::Need) };
    let node = Node::start(settings).await;
    let mut client = papers.connect(node.port, Some("client")).await.unwrap();
    client.create("/n", b"tls").await;
    assert_eq!(node.client().await.get("/n").await, b"tls");
    let mut words = TcpStream::connect(node.port).await.unwrap();
    words.write_all(b"ruok").await.unwrap();
    let mut answer = String::new();
    words.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "ruok is not executed because it is not in the whitelist.\n");
    node.still_works().await;
}

#[tokio::test]
async fn handshakes_are_counted_by_how_they_end() {
    let papers = Papers::new();
    let settings = Settings { max_tls_handshakes: Some(1), ..papers.settings(ClientAuth::Need) };
    let node = Node::start(settings).await;
    let port = node.secure().await;
    let mut client = papers.connect(port, Some("client")).await.unwrap();
    client.create("/a", b"").await;
    assert_eq!(node.metric("outstanding_tls_handshake"), 0.0);
    assert_eq!(node.metric("unsuccessful_handshake"), 0.0);
    assert_eq!(node.metric("non_mtls_local_conn_count"), 0.0);

    let silent = TcpStream::connect(port).await.unwrap();
    node.metric_is("outstanding_tls_handshake", 1.0).await;
    assert!(papers.connect(port, Some("client")).await.is_none());
    assert_eq!(node.metric("tls_handshake_exceeded"), 1.0);
    drop(silent);
    node.metric_is("outstanding_tls_handshake", 0.0).await;
    node.metric_is("unsuccessful_handshake", 1.0).await;

    // It shows no certificate.
    assert!(papers.connect(port, None).await.is_none());
    node.metric_is("unsuccessful_handshake", 2.0).await;
    assert_eq!(node.metric("auth_failed_count"), 2.0);

    node.client().await.create("/b", b"").await;
    assert_eq!(node.metric("non_mtls_local_conn_count"), 1.0);
    assert_eq!(node.metric("non_mtls_remote_conn_count"), 0.0);
    assert_eq!(node.metric("tls_handshake_exceeded"), 1.0);
}
