//! Connections to others.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::descriptors::{self, Exhausted};

/// One place to connect to.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Remote {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// TLS for one server: the settings, and the name that its certificate has to have.
pub type TlsTarget = (Arc<ClientConfig>, ServerName<'static>);

/// A server by its name.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub host: String,
    pub port: u16,
    pub tls: Option<TlsTarget>,
    pub timeout: Duration,
}

/// A connection that is ready for HTTP.
pub struct Connected {
    stream: Stream,
    _place: descriptors::Place,
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connected {
    pub fn is_tls(&self) -> bool {
        matches!(self.stream, Stream::Tls(_))
    }

    /// Whether the server chose HTTP/2 for it (RFC 7301).
    pub fn chose_http2(&self) -> bool {
        matches!(&self.stream, Stream::Tls(stream) if stream.get_ref().1.alpn_protocol() == Some(b"h2"))
    }

    /// The leaf certificate that the server showed, in DER.
    pub fn certificate(&self) -> Option<&[u8]> {
        match &self.stream {
            Stream::Tls(stream) => Some(stream.get_ref().1.peer_certificates()?.first()?.as_ref()),
            Stream::Tcp(_) | Stream::Unix(_) => None,
        }
    }
}

/// Why there is no connection.
#[derive(Debug)]
pub enum ConnectError {
    /// The fault is the gateway's own.
    Exhausted(Exhausted),
    Timeout(Duration),
    /// The name has no address.
    Unresolved(String),
    Io(io::Error),
    Tls(io::Error),
}

/// For others who waited for the same connection.
impl Clone for ConnectError {
    fn clone(&self) -> Self {
        let copy = |error: &io::Error| io::Error::new(error.kind(), error.to_string());
        match self {
            Self::Exhausted(what) => Self::Exhausted(*what),
            Self::Timeout(limit) => Self::Timeout(*limit),
            Self::Unresolved(why) => Self::Unresolved(why.clone()),
            Self::Io(error) => Self::Io(copy(error)),
            Self::Tls(error) => Self::Tls(copy(error)),
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exhausted(what) => f.write_str(what.as_str()),
            Self::Timeout(limit) => write!(f, "no connection within {limit:?}"),
            Self::Unresolved(why) => write!(f, "no address: {why}"),
            Self::Io(error) => write!(f, "no connection: {error}"),
            Self::Tls(error) => match error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>()) {
                Some(error) => write!(f, "no TLS: {}", super::words::of_tls(error)),
                None => write!(f, "no TLS: {error}"),
            },
        }
    }
}

impl std::error::Error for ConnectError {}

/// Of a socket that can't be made or connected.
impl From<io::Error> for ConnectError {
    fn from(error: io::Error) -> Self {
        Exhausted::of(&error).map_or(Self::Io(error), Self::Exhausted)
    }
}

impl Endpoint {
    /// # Errors
    /// When there is no connection, with TLS where it is wanted, within the timeout.
    pub async fn connect(&self) -> Result<Connected, ConnectError> {
        in_time(self.timeout, async {
            let place = place()?;
            let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
            over_tcp(stream, self.tls.as_ref(), place).await
        })
        .await
    }
}

/// Connects to one place, with TLS where it is wanted; a Unix socket has none.
///
/// # Errors
/// When there is no connection within the timeout.
pub async fn connect(to: &Remote, tls: Option<&TlsTarget>, timeout: Duration) -> Result<Connected, ConnectError> {
    in_time(timeout, async {
        let place = place()?;
        match to {
            Remote::Tcp(address) => {
                let stream = TcpStream::connect(address).await.map_err(|error| unconnected(*address, error))?;
                over_tcp(stream, tls, place).await
            }
            Remote::Unix(path) => {
                let stream = UnixStream::connect(path).await?;
                Ok(Connected { stream: Stream::Unix(stream), _place: place })
            }
        }
    })
    .await
}

/// All addresses of a name, in the system's order.
///
/// # Errors
/// When it has none, or the answer takes longer than the timeout.
pub async fn resolve(host: &str, port: u16, timeout: Duration) -> Result<Vec<SocketAddr>, ConnectError> {
    in_time(timeout, async {
        let found = tokio::net::lookup_host((host, port)).await;
        let found: Vec<_> = found.map_err(|error| unresolved(host, &error))?.collect();
        if found.is_empty() {
            return Err(ConnectError::Unresolved(format!("{host} has none")));
        }
        Ok(found)
    })
    .await
}

fn unconnected(address: SocketAddr, error: io::Error) -> ConnectError {
    if address.is_ipv6() && !descriptors::has_ipv6() { ConnectError::Io(error) } else { error.into() }
}

fn place() -> Result<descriptors::Place, ConnectError> {
    descriptors::connection().ok_or(ConnectError::Exhausted(Exhausted::Descriptors))
}

/// A look-up opens files and sockets; that it can't, it calls a failure of the name.
fn unresolved(host: &str, error: &io::Error) -> ConnectError {
    let exhausted = Exhausted::of(error).or_else(Exhausted::of_descriptors_now);
    exhausted.map_or_else(|| ConnectError::Unresolved(format!("{host}: {error}")), ConnectError::Exhausted)
}

async fn in_time<T>(
    limit: Duration,
    attempt: impl Future<Output = Result<T, ConnectError>>,
) -> Result<T, ConnectError> {
    tokio::time::timeout(limit, attempt).await.unwrap_or(Err(ConnectError::Timeout(limit)))
}

async fn over_tcp(
    stream: TcpStream,
    tls: Option<&TlsTarget>,
    place: descriptors::Place,
) -> Result<Connected, ConnectError> {
    stream.set_nodelay(true)?;
    let stream = match tls {
        None => Stream::Tcp(stream),
        Some((config, name)) => {
            let connector = TlsConnector::from(Arc::clone(config));
            Stream::Tls(Box::new(connector.connect(name.clone(), stream).await.map_err(ConnectError::Tls)?))
        }
    };
    Ok(Connected { stream, _place: place })
}

/// Asks the stream of whichever kind.
macro_rules! ask {
    ($connected:expr, $inner:ident => $question:expr) => {
        match &mut $connected.get_mut().stream {
            Stream::Tcp($inner) => $question,
            Stream::Unix($inner) => $question,
            Stream::Tls($inner) => $question,
        }
    };
}

impl AsyncRead for Connected {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ask!(self, inner => Pin::new(inner).poll_read(cx, buffer))
    }
}

impl AsyncWrite for Connected {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ask!(self, inner => Pin::new(inner).poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ask!(self, inner => Pin::new(inner).poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Tcp(stream) => stream.is_write_vectored(),
            Stream::Unix(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ask!(self, inner => Pin::new(inner).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ask!(self, inner => Pin::new(inner).poll_shutdown(cx))
    }
}
