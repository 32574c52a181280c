//! What both sides of TLS read, and what can be wrong with it: 1.2 and newer, rustls' own choices of suites.

use std::fmt;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::files;

/// Files that give no TLS.
#[derive(Debug)]
pub enum TlsError {
    File {
        path: PathBuf,
        error: pem::Error,
    },
    Empty(PathBuf),
    /// The key does not belong to the certificate, or one of them is not usable.
    Unusable {
        path: PathBuf,
        error: String,
    },
    /// The machine has no trusted roots.
    NoRoots,
    /// Somebody writes the files right now.
    Changing,
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, error: pem::Error::Io(error) } => write!(f, "{}: {error}", path.display()),
            Self::File { path, error } => write!(f, "{} can't be read as PEM: {error}", path.display()),
            Self::Empty(path) => write!(f, "{} holds no certificate", path.display()),
            Self::Unusable { path, error } => write!(f, "{} can't be used: {error}", path.display()),
            Self::Changing => f.write_str("the files are being changed; try again"),
            Self::NoRoots => f.write_str("this machine has no trusted root certificates; name a ca file"),
        }
    }
}

impl std::error::Error for TlsError {}

pub(super) fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|e| TlsError::Unusable { path: path.into(), error: e.to_string() })?;
    }
    Ok(roots)
}

pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let fail = |error| TlsError::File { path: path.into(), error };
    let content = files::read(path).map_err(|error| fail(pem::Error::Io(error)))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&content).collect();
    match certificates.map_err(fail)? {
        none if none.is_empty() => Err(TlsError::Empty(path.into())),
        some => Ok(some),
    }
}

pub(super) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let fail = |error| TlsError::File { path: path.into(), error };
    let content = files::read(path).map_err(|error| fail(pem::Error::Io(error)))?;
    PrivateKeyDer::from_pem_slice(&content).map_err(fail)
}
