//! Mutual proof of the cluster's secret: HMAC-SHA-256 over both sides' random challenges.
//!
//! ```text
//! client → server   "PPN1" challenge:32
//! server → client   challenge:32 hmac(secret, "server" client-challenge server-challenge):32
//! client → server   hmac(secret, "client" server-challenge client-challenge):32
//! ```

use std::io;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const MAGIC: [u8; 4] = *b"PPN1";
const LEN: usize = 32;

/// The cluster's shared secret.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// A secret of any length; an empty one authenticates nobody in particular.
    pub fn new(secret: impl Into<Vec<u8>>) -> Self {
        Self(secret.into())
    }

    fn mac(&self, role: &[u8], first: &[u8], second: &[u8]) -> Hmac<Sha256> {
        let mut mac = match Hmac::<Sha256>::new_from_slice(&self.0) {
            Ok(mac) => mac,
            Err(_) => unreachable!("HMAC takes keys of any length"),
        };
        for part in [role, first, second] {
            mac.update(part);
        }
        mac
    }
}

fn challenge() -> io::Result<[u8; LEN]> {
    let mut challenge = [0; LEN];
    getrandom::fill(&mut challenge).map_err(io::Error::other)?;
    Ok(challenge)
}

fn refused(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, what.to_owned())
}

/// The connecting side.
pub(super) async fn connect<S>(stream: &mut S, secret: &Secret) -> io::Result<()>
where
    S: AsyncReadExt + AsyncWriteExt + Unpin,
{
    let ours = challenge()?;
    stream.write_all(&[&MAGIC[..], &ours].concat()).await?;
    stream.flush().await?;
    let mut answer = [0; 2 * LEN];
    stream.read_exact(&mut answer).await?;
    let (theirs, proof) = answer.split_at(LEN);
    let mac = secret.mac(b"server", &ours, theirs);
    mac.verify_slice(proof).map_err(|_| refused("the peer does not know the cluster's secret"))?;
    let proof = secret.mac(b"client", theirs, &ours).finalize().into_bytes();
    stream.write_all(&proof).await?;
    stream.flush().await
}

/// The accepting side.
pub(super) async fn accept<S>(stream: &mut S, secret: &Secret) -> io::Result<()>
where
    S: AsyncReadExt + AsyncWriteExt + Unpin,
{
    let mut hello = [0; 4 + LEN];
    stream.read_exact(&mut hello).await?;
    let (magic, theirs) = hello.split_at(4);
    if magic != MAGIC {
        return Err(refused("not a Polyport node, or one of another version"));
    }
    let ours = challenge()?;
    let proof = secret.mac(b"server", theirs, &ours).finalize().into_bytes();
    stream.write_all(&[&ours[..], &proof].concat()).await?;
    stream.flush().await?;
    let mut answer = [0; LEN];
    stream.read_exact(&mut answer).await?;
    let mac = secret.mac(b"client", &ours, theirs);
    mac.verify_slice(&answer).map_err(|_| refused("the peer does not know the cluster's secret"))
}
