//! Connections to others.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Where to connect, and how.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub host: String,
    pub port: u16,
    /// With the name that the certificate has to have.
    pub tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    pub timeout: Duration,
}

/// A connection that is ready for HTTP/1.1.
pub enum Connected {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Why there is no connection.
#[derive(Debug)]
pub enum ConnectError {
    Timeout(Duration),
    Io(io::Error),
    Tls(io::Error),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout(limit) => write!(f, "no connection within {limit:?}"),
            Self::Io(error) => write!(f, "no connection: {error}"),
            Self::Tls(error) => write!(f, "no TLS: {error}"),
        }
    }
}

impl std::error::Error for ConnectError {}

impl Endpoint {
    /// # Errors
    /// When there is no connection, with TLS where it is wanted, within the timeout.
    pub async fn connect(&self) -> Result<Connected, ConnectError> {
        let limit = self.timeout;
        tokio::time::timeout(limit, self.open()).await.unwrap_or(Err(ConnectError::Timeout(limit)))
    }

    async fn open(&self) -> Result<Connected, ConnectError> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(ConnectError::Io)?;
        stream.set_nodelay(true).map_err(ConnectError::Io)?;
        match &self.tls {
            None => Ok(Connected::Plain(stream)),
            Some((config, name)) => {
                let connector = TlsConnector::from(Arc::clone(config));
                let stream = connector.connect(name.clone(), stream).await.map_err(ConnectError::Tls)?;
                Ok(Connected::Tls(Box::new(stream)))
            }
        }
    }
}
