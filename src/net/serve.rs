//! The connection loop: accept, find out the protocol, serve, drain.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;
use tower::Service;

use super::flood::FloodGuard;
use super::io::{CallerIo, Protocol, begin};
use super::proxy_protocol;
use super::socket::Stream;
use super::{Address, Listener, Peer, ServerTls, Stay, TrustedProxies};

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
}

/// Connections that are open, over all listeners that share it.
pub type Connections = Arc<AtomicUsize>;

/// Tells the listeners to stop. Dropping it tells them too.
pub type Shutdown = watch::Receiver<bool>;

const BUFFER: u32 = 64 << 10;
const HEADER_FIELDS: usize = 128;

/// Waits until the listeners are told to stop.
pub async fn told_to_stop(mut shutdown: Shutdown) {
    _ = shutdown.wait_for(|stop| *stop).await;
}

/// How long, once the listener stops, a caller may take who has begun a connection and no call.
const FIRST_CALL: Duration = Duration::from_secs(1);

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
                    metrics::counter!("scopegate_connections_refused_total").increment(1);
                    continue;
                };
                let (settings, service) = (Arc::clone(&settings), service.clone());
                let stay = Stay::new(place, alive.clone(), shutdown.clone());
                tokio::spawn(async move { connection(stream, address, &settings, service, stay).await });
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

/// A place among the open connections.
pub(super) struct Place(Connections);

impl Place {
    fn take(open: &Connections, limit: usize) -> Option<Self> {
        let place = Self(Arc::clone(open));
        (open.fetch_add(1, Ordering::Relaxed) < limit).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn connection<S, B>(stream: Stream, address: Address, settings: &ServerSettings, service: S, stay: Stay)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send> + Clone + Send + 'static,
    B: Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + 'static,
{
    let opened = tokio::select! {
        opened = open(stream, address, settings) => opened,
        // Whoever has begun to speak is heard; a caller who has said nothing by then loses nothing.
        () = told_to_stop_and_after(FIRST_CALL, stay.shutdown()) => return,
    };
    match opened {
        Ok(Opened::Plain(protocol, io, peer)) => http(io, protocol, settings, Hosted::new(service, peer, stay)).await,
        Ok(Opened::Tls(protocol, io, peer)) => http(io, protocol, settings, Hosted::new(service, peer, stay)).await,
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
    NoHeader(io::Error),
    NoTls(io::Error),
}

impl Unopened {
    fn tell(&self, address: &Address) {
        match self {
            Self::Silent => tracing::debug!(%address, "the caller was silent for too long"),
            Self::Left => {}
            Self::NoHeader(error) => {
                metrics::counter!("scopegate_proxy_headers_refused_total").increment(1);
                tracing::debug!(%address, %error, "a trusted proxy began a connection without a PROXY header");
            }
            Self::NoTls(error) => tracing::debug!(%address, %error, "TLS handshake failed"),
        }
    }
}

async fn open(mut stream: Stream, address: Address, settings: &ServerSettings) -> Result<Opened, Unopened> {
    let address = match &settings.proxy_protocol {
        Some(trusted) if trusted.load().includes(&address) => {
            let told = timeout(settings.handshake_timeout, proxy_protocol::read(&mut stream)).await;
            let told = told.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
            told.map_err(Unopened::NoHeader)?.unwrap_or(address)
        }
        _ => address,
    };
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

async fn http<I, S, B>(io: I, protocol: Protocol, settings: &ServerSettings, service: Hosted<S>)
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send> + Clone + Send + 'static,
    B: Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + 'static,
{
    let (calls, shutdown) = (Arc::clone(&service.calls), service.stay.shutdown());
    match protocol {
        Protocol::Http1 => {
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(settings.header_timeout);
            // Deliberately without pipeline_flush: hyper then buffers answers without bound, and while a byte of the next
            // request is waiting it sends nothing at all, not even that the request is malformed.
            builder.max_buf_size(BUFFER as usize).max_headers(HEADER_FIELDS);
            let connection = builder.serve_connection(TokioIo::new(io), service).with_upgrades();
            drive(connection, shutdown, &calls, false, http1::UpgradeableConnection::graceful_shutdown).await;
        }
        Protocol::Http2 => {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder.timer(TokioTimer::new()).keep_alive_interval(Duration::from_secs(30));
            builder.max_header_list_size(BUFFER).max_concurrent_streams(256);
            builder.initial_stream_window_size(256 << 10).initial_connection_window_size(1 << 20);
            let connection = builder.serve_connection(TokioIo::new(FloodGuard::new(io)), service);
            drive(connection, shutdown, &calls, true, http2::Connection::graceful_shutdown).await;
        }
    }
}

/// Serves until the peer is done, or until the calls in hand are done after a shutdown. A caller who keeps a connection
/// may send its next call while it is told that there will be none; so one more is taken before the connection ends,
/// unless the caller is silent. HTTP/2 has a goodbye of its own, which `has_goodbye` means.
async fn drive<C>(connection: C, shutdown: Shutdown, calls: &Calls, has_goodbye: bool, stop: impl FnOnce(Pin<&mut C>))
where
    C: Future<Output = hyper::Result<()>>,
{
    let mut connection = pin!(connection);
    let mut stopped = pin!(told_to_stop(shutdown));
    let early = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = &mut stopped => None,
    };
    let early = match early {
        None if !has_goodbye => tokio::select! {
            ended = connection.as_mut() => Some(ended),
            () = calls.next() => None,
            () = tokio::time::sleep(FIRST_CALL) => None,
        },
        early => early,
    };
    let ended = match early {
        Some(ended) => ended,
        None => {
            stop(connection.as_mut());
            match timeout(FIRST_CALL, connection.as_mut()).await {
                Ok(ended) => ended,
                // hyper waits for the rest of a header, and for a silent caller of HTTP/2 too.
                Err(_) if calls.are_none() => Ok(()),
                Err(_) => connection.await,
            }
        }
    };
    if let Err(error) = ended {
        if error.is_parse() {
            metrics::counter!("scopegate_bad_requests_total").increment(1);
        }
        tracing::debug!(%error, "connection ended early");
    }
}

/// The calls of a connection.
#[derive(Default)]
struct Calls {
    begun: AtomicUsize,
    begins: Notify,
}

impl Calls {
    fn begin(&self) {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.begins.notify_one();
    }

    fn are_none(&self) -> bool {
        self.begun.load(Ordering::Relaxed) == 0
    }

    /// Waits until one begins from now on.
    async fn next(&self) {
        let before = self.begun.load(Ordering::Relaxed);
        // What is left of a call from before wakes it, too.
        while self.begun.load(Ordering::Relaxed) == before {
            self.begins.notified().await;
        }
    }
}

/// The service with its connection's peer.
#[derive(Clone)]
struct Hosted<S> {
    service: S,
    peer: Peer,
    stay: Stay,
    calls: Arc<Calls>,
}

impl<S> Hosted<S> {
    fn new(service: S, peer: Peer, stay: Stay) -> Self {
        Self { service, peer, stay, calls: Arc::default() }
    }
}

impl<S> hyper::service::Service<Request<Incoming>> for Hosted<S>
where
    S: Service<Request<Incoming>> + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn call(&self, mut request: Request<Incoming>) -> S::Future {
        self.calls.begin();
        let asks_for_upgrade = request.extensions().get::<OnUpgrade>().is_some();
        request.extensions_mut().insert(self.peer.clone());
        if asks_for_upgrade {
            request.extensions_mut().insert(self.stay.clone());
        }
        // The services that are served here are always ready.
        self.service.clone().call(request)
    }
}
