//! TLS on both sides of a connection.

mod files;
mod subject;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

pub use files::Pem;
pub use subject::subject;

use crate::stream::Stream;

/// First byte of a TLS connection: a record of type handshake.
const HANDSHAKE_RECORD: u8 = 0x16;

/// PEM files.
#[derive(Clone, Debug)]
pub struct Files {
    /// The certificate chain, the own certificate first.
    pub cert: PathBuf,
    /// Its private key; may be the same file.
    pub key: PathBuf,
    /// The authorities whose certificates are trusted.
    pub ca: Option<PathBuf>,
}

/// Whether the accepting side asks for a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// No.
    None,
    /// Yes, but it goes on without one.
    Want,
    /// Yes, and ends the connection without one.
    Need,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// 1.2.
    Tls12,
    /// 1.3.
    Tls13,
}

impl Version {
    fn rustls(self) -> &'static rustls::SupportedProtocolVersion {
        match self {
            Self::Tls12 => &rustls::version::TLS12,
            Self::Tls13 => &rustls::version::TLS13,
        }
    }
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or has not what it should.
    #[error("{}: {reason}", file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Clients are to be checked, but against nothing.
    #[error("no file of authorities is given to check certificates against")]
    NoAuthority,
    /// The TLS library refuses it.
    #[error("{}: {reason}", file.display())]
    Refused {
        /// The file that it is about.
        file: PathBuf,
        /// The library's words.
        reason: String,
    },
}

/// The accepting side.
#[derive(Clone)]
pub struct Acceptor(TlsAcceptor);

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Acceptor(…)")
    }
}

/// The connecting side.
#[derive(Clone)]
pub struct Connector(TlsConnector);

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connector(…)")
    }
}

/// Both sides of nodes that check each other.
#[derive(Clone, Debug)]
pub struct Mutual {
    /// For those who come.
    pub acceptor: Acceptor,
    /// For going there.
    pub connector: Connector,
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn refused(file: &Path, reason: impl ToString) -> TlsError {
    TlsError::Refused { file: file.to_owned(), reason: reason.to_string() }
}

impl Acceptor {
    /// Of a server with these files.
    ///
    /// # Errors
    /// If a file is missing or unfit.
    pub fn new(files: &Files, client_auth: ClientAuth) -> Result<Self, TlsError> {
        let authorities = match (client_auth, &files.ca) {
            (ClientAuth::None, _) | (_, None) => None,
            (_, Some(ca)) => Some(Pem::read(ca)?),
        };
        let (chain, key) = (Pem::read(&files.cert)?, Pem::read(&files.key)?);
        let versions = [Version::Tls12, Version::Tls13];
        Self::of(&chain, &key, authorities.as_ref(), client_auth, &versions)
    }

    /// Of a server with this certificate chain, which speaks these versions. `authorities`: whose
    /// certificates of clients are trusted.
    ///
    /// # Errors
    /// If something is missing or unfit.
    pub fn of(
        chain: &Pem,
        key: &Pem,
        authorities: Option<&Pem>,
        client_auth: ClientAuth,
        versions: &[Version],
    ) -> Result<Self, TlsError> {
        let versions: Vec<_> = versions.iter().map(|version| version.rustls()).collect();
        let config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&versions)
            .map_err(|error| refused(chain.from(), error))?;
        let config = if client_auth == ClientAuth::None {
            config.with_no_client_auth()
        } else {
            let ca = authorities.ok_or(TlsError::NoAuthority)?;
            let verifier = WebPkiClientVerifier::builder_with_provider(
                Arc::new(ca.authorities()?),
                provider(),
            );
            let verifier = match client_auth {
                ClientAuth::Want => verifier.allow_unauthenticated(),
                _ => verifier,
            };
            let verifier = verifier.build().map_err(|error| refused(ca.from(), error))?;
            config.with_client_cert_verifier(verifier)
        };
        let config = config
            .with_single_cert(chain.certificates()?, key.key()?)
            .map_err(|error| refused(key.from(), error))?;
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// Does the handshake. Returns the stream, and the subject of the peer's certificate if it
    /// showed one. Takes as long as the peer does.
    ///
    /// # Errors
    /// If the peer breaks off, speaks no TLS, or shows a certificate that does not hold.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<(Stream, Option<String>)> {
        let stream = self.0.accept(stream).await?;
        let peer = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        let subject = match peer {
            Some(certificate) => Some(name_of(certificate)?),
            None => None,
        };
        Ok((Stream::Tls(Box::new(stream.into())), subject))
    }
}

fn name_of(certificate: &CertificateDer<'_>) -> io::Result<String> {
    subject(certificate).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, "the certificate's subject cannot be read")
    })
}

impl Connector {
    /// Of a client that shows this certificate and trusts these authorities.
    ///
    /// # Errors
    /// If a file is missing or unfit.
    pub fn new(files: &Files) -> Result<Self, TlsError> {
        let ca = files.ca.as_ref().ok_or(TlsError::NoAuthority)?;
        let roots = Arc::new(Pem::read(ca)?.authorities()?);
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider())
            .build()
            .map_err(|error| refused(ca, error))?;
        let chain = Pem::read(&files.cert)?.certificates()?;
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| refused(&files.cert, error))?
            .with_webpki_verifier(verifier)
            .with_client_auth_cert(chain, Pem::read(&files.key)?.key()?)
            .map_err(|error| refused(&files.key, error))?;
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// Does the handshake with `host` (a name or an IP address), which the peer's certificate
    /// must carry.
    ///
    /// # Errors
    /// If the peer breaks off, speaks no TLS, or shows a certificate that does not hold.
    pub async fn connect(&self, host: &str, stream: TcpStream) -> io::Result<Stream> {
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(host).map_err(io::Error::other)?;
        let stream = self.0.connect(name, stream).await?;
        Ok(Stream::Tls(Box::new(stream.into())))
    }
}

impl Mutual {
    /// Of a node with these files, among nodes whose certificates the same authority signed.
    ///
    /// # Errors
    /// If a file is missing or unfit.
    pub fn new(files: &Files) -> Result<Self, TlsError> {
        Ok(Self {
            acceptor: Acceptor::new(files, ClientAuth::Need)?,
            connector: Connector::new(files)?,
        })
    }
}

/// Whether a connection begins as TLS does. Waits for its first byte and leaves it there.
///
/// # Errors
/// If the connection breaks.
pub async fn begins(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0];
    Ok(stream.peek(&mut first).await? == 1 && first[0] == HANDSHAKE_RECORD)
}
