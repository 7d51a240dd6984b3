//! PEM files.

use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::TlsError;

fn unfit(file: &Path, reason: impl ToString) -> TlsError {
    TlsError::File { file: file.to_owned(), reason: reason.to_string() }
}

/// All certificates of a file; keys between them are passed over.
pub(super) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = std::fs::read(file).map_err(|error| unfit(file, error))?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| unfit(file, error))?;
    if chain.is_empty() {
        return Err(unfit(file, "no CERTIFICATE in this PEM file"));
    }
    Ok(chain)
}

/// The first private key of a file.
pub(super) fn key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let pem = std::fs::read(file).map_err(|error| unfit(file, error))?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|error| {
        unfit(file, format!("no PRIVATE KEY without a password in this PEM file ({error})"))
    })
}

/// The certificates of a file, as authorities.
pub(super) fn authorities(file: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots.add(certificate).map_err(|error| unfit(file, error))?;
    }
    Ok(roots)
}
