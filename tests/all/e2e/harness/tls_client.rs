//! A client over TLS that remembers its sessions.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned};

use super::Call;

pub struct TlsClient(Arc<ClientConfig>);

/// What was seen of a call over TLS.
#[derive(Debug, PartialEq, Eq)]
pub struct Handshake {
    pub status: u16,
    pub is_resumed: bool,
    /// What the server showed first.
    pub certificate: Vec<u8>,
}

impl TlsClient {
    /// Trusts an authority; shows a certificate, if it has one: the files without `.pem` and `.key`.
    pub fn new(ca: &Path, certificate: Option<&Path>) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(roots);
        let config = match certificate {
            None => builder.with_no_client_auth(),
            Some(name) => {
                let chain = vec![CertificateDer::from_pem_file(name.with_extension("pem")).unwrap()];
                let key = PrivateKeyDer::from_pem_file(name.with_extension("key")).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        Self(Arc::new(config))
    }

    pub fn connect(&self, address: SocketAddr, host: &str) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        let name = host.to_owned().try_into().unwrap();
        let connection = ClientConnection::new(Arc::clone(&self.0), name).map_err(io::Error::other)?;
        Ok(StreamOwned::new(connection, stream))
    }

    /// Makes one call on a connection of its own.
    pub fn call(&self, address: SocketAddr, host: &str, call: &Call) -> io::Result<Handshake> {
        let mut stream = self.connect(address, host)?;
        stream.write_all(&call.clone().host(host).header("Connection", "close").bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let status =
            std::str::from_utf8(&answer).ok().and_then(|a| a.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
        Ok(Handshake {
            status: status.ok_or_else(|| io::Error::other("no answer"))?,
            is_resumed: stream.conn.handshake_kind() == Some(HandshakeKind::Resumed),
            certificate: stream.conn.peer_certificates().unwrap_or_default().first().unwrap().to_vec(),
        })
    }
}
