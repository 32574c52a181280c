//! TLS settings of clients: what they trust, and who they say they are.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use rustls::{ClientConfig, RootCertStore};

use super::TlsError;
use super::tls::{certificates, no_pair, private_key, roots};

/// The files that a client's TLS is made of, and what it offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientTls {
    /// Certificates to trust in place of the machine's.
    pub ca: Option<PathBuf>,
    /// A certificate and its key, for servers that ask for one.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// By ALPN (RFC 7301); empty offers HTTP/1.1 alone.
    pub protocols: Vec<&'static [u8]>,
}

impl ClientTls {
    /// One that trusts the file's certificates, else those of the machine.
    pub fn trusting(ca: Option<&Path>) -> Self {
        Self { ca: ca.map(Path::to_owned), ..Self::default() }
    }

    /// All files that are read.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.ca.iter().chain(self.identity.iter().flat_map(|(cert, key)| [cert, key]))
    }

    /// The settings. They remember sessions, so that a later connection is resumed.
    ///
    /// # Errors
    /// When a file is missing or holds something else, or the machine trusts nobody.
    pub fn config(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let roots = match &self.ca {
            Some(ca) => roots(ca)?,
            None => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                if roots.is_empty() {
                    return Err(TlsError::NoRoots);
                }
                roots
            }
        };
        let builder = ClientConfig::builder().with_root_certificates(roots);
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((cert, key)) => {
                let chain = certificates(cert)?;
                let config = builder.with_client_auth_cert(chain.clone(), private_key(key)?);
                config.map_err(|error| no_pair(cert, key, &chain, &error))?
            }
        };
        let http1 = || vec![b"http/1.1".to_vec()];
        let offered: Vec<_> = self.protocols.iter().map(|protocol| protocol.to_vec()).collect();
        config.alpn_protocols = if offered.is_empty() { http1() } else { offered };
        Ok(Arc::new(config))
    }

    /// The settings, and what tells them from those of other files.
    ///
    /// # Errors
    /// As [`ClientTls::config`], and while the files are being changed.
    pub fn read(&self) -> Result<(Arc<ClientConfig>, [u8; 32]), TlsError> {
        let (before, config, after) = (self.digest()?, self.config()?, self.digest()?);
        if before == after { Ok((config, after)) } else { Err(TlsError::Changing) }
    }

    /// Differs where any of the files or settings does.
    fn digest(&self) -> Result<[u8; 32], TlsError> {
        let mut context = Context::new(&SHA256);
        let mut add = |part: &[u8]| {
            context.update(&part.len().to_be_bytes());
            context.update(part);
        };
        for path in self.files() {
            let fail = |error: io::Error| TlsError::File { path: path.clone(), error };
            add(&crate::files::read(path).map_err(fail)?);
        }
        add(&[u8::from(self.ca.is_some()), u8::from(self.identity.is_some())]);
        self.protocols.iter().for_each(|protocol| add(protocol));
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        Ok(digest)
    }
}
