//! TLS for callers: the certificates, whose certificates are asked for, and how both are replaced while connections go on.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::names::dns_names;
use super::tls::{certificates, no_pair, private_key, roots};
use super::{ClientCertificate, TlsError};

/// Which files a listener's TLS is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Served to clients that name no host, or one that no other certificate names.
    pub first: CertificateFiles,
    /// Served to clients that name a host of theirs.
    pub others: Vec<CertificateFiles>,
    pub clients: Option<ClientAuthority>,
}

/// A certificate with what leads to its root, and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    pub cert: PathBuf,
    pub key: PathBuf,
}

/// By whom clients' certificates have to be issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAuthority {
    pub ca: PathBuf,
    /// Whether a client without one stays outside.
    pub is_required: bool,
}

/// A listener's TLS. What it is made of can be replaced: connections from then on have the new certificates, those that
/// are open go on.
pub struct ServerTls(ArcSwap<InForce>);

struct InForce {
    config: Arc<ServerConfig>,
    asks_clients: bool,
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerTls")
    }
}

impl ServerTls {
    /// # Errors
    /// When a file is missing, is not PEM, key and certificate do not belong together, or one of the others names no host.
    pub fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let clients = files.clients.as_ref().map(verifier).transpose()?;
        let asks_clients = clients.is_some();
        let builder = ServerConfig::builder();
        let certificates = Certificates::read(files, |chain, key| {
            CertifiedKey::from_der(chain, key, builder.crypto_provider()).map(Arc::new)
        })?;
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(verifier) => builder.with_client_cert_verifier(verifier),
        };
        let mut config = builder.with_cert_resolver(Arc::new(certificates));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        if asks_clients {
            // A session that is resumed brings the certificate of long ago, and goes on bringing it after the client has
            // another: no session is remembered, so that each certificate is judged as it is now.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        } else if let Ok(ticketer) = rustls::crypto::aws_lc_rs::Ticketer::new() {
            config.ticketer = ticketer;
        }
        Ok(Self(ArcSwap::from_pointee(InForce { config: Arc::new(config), asks_clients })))
    }

    /// Whether clients are asked for certificates.
    pub fn asks_clients(&self) -> bool {
        self.0.load().asks_clients
    }

    /// Puts in force what another was read from. Sessions can still be resumed where clients are not asked for
    /// certificates.
    pub fn replace(&self, new: &Self) {
        let (old, new) = (self.0.load(), new.0.load());
        let mut config = (*new.config).clone();
        if !old.asks_clients && !new.asks_clients {
            config.ticketer = Arc::clone(&old.config.ticketer);
            config.session_storage = Arc::clone(&old.config.session_storage);
        }
        self.0.store(Arc::new(InForce { config: Arc::new(config), asks_clients: new.asks_clients }));
    }

    /// The handshake. The client's certificate comes with it, if it was asked for and has one.
    pub(super) async fn accept<I: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: I,
    ) -> io::Result<(TlsStream<I>, Option<Arc<ClientCertificate>>)> {
        let in_force = self.0.load_full();
        let stream = TlsAcceptor::from(Arc::clone(&in_force.config)).accept(stream).await?;
        let connection = stream.get_ref().1;
        let certificate = connection.peer_certificates().and_then(<[_]>::first);
        let certificate = certificate.map(|certificate| Arc::new(ClientCertificate::new(certificate)));
        Ok((stream, certificate))
    }
}

/// By what clients' certificates are judged.
fn verifier(authority: &ClientAuthority) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let unusable = |error: String| TlsError::Unusable { path: authority.ca.clone(), error };
    let builder = WebPkiClientVerifier::builder(Arc::new(roots(&authority.ca)?));
    let builder = if authority.is_required { builder } else { builder.allow_unauthenticated() };
    builder.build().map_err(|e| unusable(e.to_string()))
}

/// Certificates by the names in them.
#[derive(Debug)]
struct Certificates {
    first: Arc<CertifiedKey>,
    /// Several for one name, as with keys of different kinds.
    exact: HashMap<String, Vec<Arc<CertifiedKey>>>,
    /// By what follows the wildcard and its dot.
    wildcard: HashMap<String, Vec<Arc<CertifiedKey>>>,
}

type Key = Result<Arc<CertifiedKey>, rustls::Error>;

impl Certificates {
    fn read(
        files: &TlsFiles,
        certified: impl Fn(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) -> Key,
    ) -> Result<Self, TlsError> {
        let read = |files: &CertificateFiles| {
            let (chain, key) = (certificates(&files.cert)?, private_key(&files.key)?);
            let names = chain.first().map(|certificate| dns_names(certificate)).unwrap_or_default();
            let no_pair = |error| no_pair(&files.cert, &files.key, &chain, &error);
            Ok((certified(chain.clone(), key).map_err(no_pair)?, names))
        };
        let (first, names) = read(&files.first)?;
        let mut all = Self { first: Arc::clone(&first), exact: HashMap::new(), wildcard: HashMap::new() };
        all.add(&first, names);
        for files in &files.others {
            let (other, names) = read(files)?;
            if names.is_empty() {
                let error = "it names no host, so no client would ever get it".to_owned();
                return Err(TlsError::Unusable { path: files.cert.clone(), error });
            }
            all.add(&other, names);
        }
        Ok(all)
    }

    fn add(&mut self, certificate: &Arc<CertifiedKey>, names: Vec<String>) {
        for name in names {
            let served = match name.strip_prefix("*.") {
                Some(rest) => self.wildcard.entry(rest.to_owned()),
                None => self.exact.entry(name),
            };
            served.or_default().push(Arc::clone(certificate));
        }
    }

    /// Exact names win; a wildcard stands for one label (RFC 9525 section 6.3).
    fn named(&self, name: &str) -> Option<&[Arc<CertifiedKey>]> {
        let name = name.to_ascii_lowercase();
        let by_wildcard = || self.wildcard.get(name.split_once('.')?.1);
        self.exact.get(&name).or_else(by_wildcard).map(Vec::as_slice)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let named = hello.server_name().and_then(|name| self.named(name)).unwrap_or_default();
        let fits = |key: &&Arc<CertifiedKey>| key.key.choose_scheme(hello.signature_schemes()).is_some();
        Some(Arc::clone(named.iter().find(fits).or(named.first()).unwrap_or(&self.first)))
    }
}
