//! PEM, in files or given as text.

use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::TlsError;

/// A PEM text, and where it came from.
#[derive(Clone)]
pub struct Pem {
    from: PathBuf,
    text: Vec<u8>,
}

impl std::fmt::Debug for Pem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pem({})", self.from.display())
    }
}

impl Pem {
    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(file: &Path) -> Result<Self, TlsError> {
        let text = std::fs::read(file);
        let text = text
            .map_err(|error| TlsError::File { file: file.to_owned(), reason: error.to_string() })?;
        Ok(Self { from: file.to_owned(), text })
    }

    /// A text of a setting, which errors name.
    pub fn inline(setting: &str, text: &str) -> Self {
        Self { from: setting.into(), text: text.as_bytes().to_vec() }
    }

    pub(super) fn from(&self) -> &Path {
        &self.from
    }

    fn unfit(&self, reason: impl ToString) -> TlsError {
        TlsError::File { file: self.from.clone(), reason: reason.to_string() }
    }

    /// All certificates; keys between them are passed over.
    pub(super) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&self.text)
            .collect::<Result<_, _>>()
            .map_err(|error| self.unfit(error))?;
        if chain.is_empty() {
            return Err(self.unfit("no CERTIFICATE in this PEM file"));
        }
        Ok(chain)
    }

    /// The first private key.
    pub(super) fn key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        PrivateKeyDer::from_pem_slice(&self.text).map_err(|error| {
            self.unfit(format!("no PRIVATE KEY without a password in this PEM file ({error})"))
        })
    }

    /// The certificates, as authorities.
    pub(super) fn authorities(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates()? {
            roots.add(certificate).map_err(|error| self.unfit(error))?;
        }
        Ok(roots)
    }
}
