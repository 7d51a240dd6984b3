//! What every protocol's port needs: listening, TLS, and who may still come in.
//!
//! TLS 1.2 and 1.3 by rustls with aws-lc-rs; certificates and keys are PEM files, read once at the
//! start. A subject's name is written as in RFC 2253, the way Java's `X500Principal` prints it.
//! Deliberately absent: protocols, sessions, revocation lists.

pub mod accept;
pub mod admission;
pub mod listen;
mod send_file;
pub mod stream;
pub mod tls;
