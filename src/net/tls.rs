//! What both sides of TLS read, and what can be wrong with it: 1.2 and newer, rustls' own choices of suites.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::words;
use crate::jose::{Content, Unusable, Wanted, without_mark};
use crate::model::shell_word;

/// Files that give no TLS.
#[derive(Debug)]
pub enum TlsError {
    File {
        path: PathBuf,
        error: io::Error,
    },
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
            Self::File { path, error } if error.kind() == io::ErrorKind::IsADirectory => {
                write!(f, "{} is a directory: name the file in it", path.display())
            }
            Self::File { path, error } => write!(f, "{}: {error}", path.display()),
            Self::Unusable { path, error } => write!(f, "{} can't be used: {error}", path.display()),
            Self::Changing => f.write_str("the files are being changed; try again"),
            Self::NoRoots => f.write_str("this machine has no trusted root certificates; name a ca file"),
        }
    }
}

impl std::error::Error for TlsError {}

/// Certificates of authorities.
pub(super) fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|e| unusable(path, &e))?;
    }
    Ok(roots)
}

pub(super) fn unusable(path: &Path, error: &rustls::Error) -> TlsError {
    TlsError::Unusable { path: path.into(), error: words::of_tls(error) }
}

fn misplaced(path: &Path, wanted: Wanted, bytes: &[u8]) -> TlsError {
    let error = Unusable::new(wanted, bytes).told(&shell_word(&path.to_string_lossy()));
    TlsError::Unusable { path: path.into(), error }
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    crate::files::read(path).map_err(|error| TlsError::File { path: path.into(), error })
}

pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = read(path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(without_mark(&bytes)).collect();
    match certificates {
        Ok(some) if !some.is_empty() => Ok(some),
        Ok(_) => Err(misplaced(path, Wanted::Certificate, &bytes)),
        Err(_) => {
            let error = Unusable { wanted: Wanted::Certificate, found: Content::Damaged }.to_string();
            Err(TlsError::Unusable { path: path.into(), error })
        }
    }
}

/// A private key that is not encrypted, of a kind and size that TLS takes.
pub(super) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let bytes = read(path)?;
    match PrivateKeyDer::from_pem_slice(without_mark(&bytes)) {
        Ok(key) => match Content::of(&bytes) {
            // What makes TLS refuse it, and what TLS would take of these.
            Content::PssPrivateKey | Content::ShortRsa(_) | Content::OtherKind("key of Ed448" | "DSA key") => {
                Err(misplaced(path, Wanted::TlsKey, &bytes))
            }
            Content::OtherKind(kind) if !kind.ends_with("P-521") => Err(misplaced(path, Wanted::TlsKey, &bytes)),
            _ => Ok(key),
        },
        Err(_) => Err(misplaced(path, Wanted::TlsKey, &bytes)),
    }
}

/// Why a certificate and a key are no pair, or one of them can't be used.
pub(super) fn no_pair(cert: &Path, key: &Path, chain: &[CertificateDer<'_>], error: &rustls::Error) -> TlsError {
    let words = words::of_tls(error);
    let is_mismatch = matches!(error, rustls::Error::InconsistentKeys(_));
    let path = cert.to_owned();
    if !is_mismatch {
        return TlsError::Unusable { path, error: words };
    }
    let (cert, key) = (shell_word(&cert.to_string_lossy()), shell_word(&key.to_string_lossy()));
    let order = match chain.len() {
        1 => String::new(),
        several => format!("; of {several} certificates the first has to be the key's own"),
    };
    let error = format!(
        "{words} ({key}){order}; these print the same if they are a pair: openssl x509 -noout -pubkey -in {cert}, openssl pkey \
         -pubout -in {key}"
    );
    TlsError::Unusable { path, error }
}
