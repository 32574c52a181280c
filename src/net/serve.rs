//! The connection loop: accept, find out the protocol, serve, drain.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;
use tower::Service;

use super::calls::Hosted;
use super::clients::ClientConnection;
use super::http::http;
use super::io::{CallerIo, Protocol, begin};
use super::proxy_protocol;
use super::socket::Stream;
use super::{Address, ClientConnections, Listener, Peer, ServerTls, Stay, TrustedProxies};

/// How connections are served.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// For connections of the internet; Unix sockets are plain.
    pub tls: Option<Arc<ServerTls>>,
    /// Who begins each connection with a PROXY header. What others begin with is not looked at.
    pub proxy_protocol: Option<Arc<ArcSwap<TrustedProxies>>>,
    /// From the first byte of a request to the last of its header, and between two requests of a connection.
    pub header_timeout: Duration,
    /// For the TLS handshake and the first bytes after it.
    pub handshake_timeout: Duration,
    /// How long a caller may read nothing of what is written. It can change, for connections from then on.
    pub write_timeout: Arc<ArcSwap<Duration>>,
    /// Of all the listeners that share the count.
    pub max_connections: usize,
    /// The connections of each client address.
    pub clients: ClientConnections,
    /// A connection that is older takes one more request at most. Zero for no limit.
    pub max_age: Duration,
    /// How long requests in flight may take once the listener stops.
    pub drain: Duration,
}

/// Connections that are open, over all listeners that share it.
pub type Connections = Arc<AtomicUsize>;

/// Tells the listeners to stop. Dropping it tells them too.
pub type Shutdown = watch::Receiver<bool>;

/// Waits until the listeners are told to stop.
pub async fn told_to_stop(mut shutdown: Shutdown) {
    _ = shutdown.wait_for(|stop| *stop).await;
}

/// How long, once the listener stops, a caller may take who has begun a connection and no call.
pub(super) const FIRST_CALL: Duration = Duration::from_secs(1);

/// Serves a listener until it is told to stop, then lets the calls in hand finish, and what connections were upgraded
/// to, however long they take: whoever wants a deadline drops the future.
pub async fn serve<S, B>(
    listener: Listener,
    settings: ServerSettings,
    open: Connections,
    service: S,
    shutdown: Shutdown,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send> + Clone + Send + 'static,
    B: Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + 'static,
{
    let settings = Arc::new(settings);
    // Every connection holds the sender; the receiver sees the last of them go.
    let (alive, mut gone) = mpsc::channel::<Infallible>(1);
    let mut stopped = pin!(told_to_stop(shutdown.clone()));
    loop {
        let accepted = tokio::select! {
            () = &mut stopped => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                let Some(place) = Place::take(&open, settings.max_connections) else {
                    count_refused();
                    continue;
                };
                let (settings, service) = (Arc::clone(&settings), service.clone());
                let held = (place, alive.clone());
                let shutdown = shutdown.clone();
                tokio::spawn(async move { connection(stream, address, &settings, service, held, shutdown).await });
            }
            // Out of file descriptors, most likely: those who hold some need time to give them back.
            Err(error) if !is_of_one_connection(&error) => {
                metrics::counter!("scopegate_accept_errors_total").increment(1);
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(_) => {}
        }
    }
    drop((listener, alive));
    _ = gone.recv().await;
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

fn count_refused() {
    metrics::counter!("scopegate_connections_refused_total").increment(1);
}

/// A place among the open connections, and among those of its client once that is known.
pub(super) struct Place {
    open: Connections,
    client: Option<ClientConnection>,
}

impl Place {
    fn take(open: &Connections, limit: usize) -> Option<Self> {
        let place = Self { open: Arc::clone(open), client: None };
        (open.fetch_add(1, Ordering::Relaxed) < limit).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn connection<S, B>(
    stream: Stream,
    address: Address,
    settings: &ServerSettings,
    service: S,
    (mut place, alive): (Place, mpsc::Sender<Infallible>),
    shutdown: Shutdown,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send> + Clone + Send + 'static,
    B: Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + 'static,
{
    let opened = tokio::select! {
        opened = open(stream, address, settings, &mut place.client) => opened,
        // Whoever has begun to speak is heard; a caller who has said nothing by then loses nothing.
        () = told_to_stop_and_after(FIRST_CALL, shutdown.clone()) => return,
    };
    let stay = Stay::new(place, alive, shutdown);
    match opened {
        Ok(Opened::Plain(protocol, io, peer)) => {
            http(io, protocol, settings, Hosted::new(service, peer, stay, protocol)).await;
        }
        Ok(Opened::Tls(protocol, io, peer)) => {
            http(io, protocol, settings, Hosted::new(service, peer, stay, protocol)).await;
        }
        Err(unopened) => unopened.tell(&address),
    }
}

/// A connection of which it is known who speaks which protocol.
enum Opened {
    Plain(Protocol, CallerIo<Stream>, Peer),
    Tls(Protocol, Box<CallerIo<TlsStream<Stream>>>, Peer),
}

/// Why a connection came to nothing.
enum Unopened {
    Silent,
    Left,
    /// The client has too many.
    TooMany,
    NoHeader(io::Error),
    NoTls(io::Error),
}

impl Unopened {
    fn tell(&self, address: &Address) {
        match self {
            Self::Silent => tracing::debug!(%address, "the caller was silent for too long"),
            Self::Left => {}
            Self::TooMany => {
                count_refused();
                tracing::debug!(%address, "the client has as many connections as it may have");
            }
            Self::NoHeader(error) => {
                metrics::counter!("scopegate_proxy_headers_refused_total").increment(1);
                tracing::debug!(%address, %error, "a trusted proxy began a connection without a PROXY header");
            }
            Self::NoTls(error) => tracing::debug!(%address, %error, "TLS handshake failed"),
        }
    }
}

async fn open(
    mut stream: Stream,
    address: Address,
    settings: &ServerSettings,
    client: &mut Option<ClientConnection>,
) -> Result<Opened, Unopened> {
    let address = match &settings.proxy_protocol {
        Some(trusted) if trusted.load().includes(&address) => {
            let told = timeout(settings.handshake_timeout, proxy_protocol::read(&mut stream)).await;
            let told = told.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
            told.map_err(Unopened::NoHeader)?.unwrap_or(address)
        }
        _ => address,
    };
    *client = settings.clients.take(&address).map_err(|_| Unopened::TooMany)?;
    let tls = settings.tls.as_ref().filter(|_| matches!(stream, Stream::Internet(_)));
    let Some(tls) = tls else {
        let begun = timeout(settings.header_timeout, begin(stream, **settings.write_timeout.load())).await;
        let (protocol, io) = begun.map_err(|_| Unopened::Silent)?.ok_or(Unopened::Left)?;
        return Ok(Opened::Plain(protocol, io, Peer::new(address, false)));
    };
    let handshake = timeout(settings.handshake_timeout, async {
        let (stream, certificate) = tls.accept(stream).await.map_err(Unopened::NoTls)?;
        let (protocol, io) = begin(stream, **settings.write_timeout.load()).await.ok_or(Unopened::Left)?;
        Ok(Opened::Tls(protocol, Box::new(io), Peer { certificate, ..Peer::new(address, true) }))
    });
    handshake.await.unwrap_or(Err(Unopened::Silent))
}

async fn told_to_stop_and_after(pause: Duration, shutdown: Shutdown) {
    told_to_stop(shutdown).await;
    tokio::time::sleep(pause).await;
}
