//! The connection loop: accept, find out the protocol, serve, drain.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tower::Service;

use super::io::{Protocol, begin};
use super::{Peer, ServerTls, Stay};

/// How connections are served.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    pub tls: Option<Arc<ServerTls>>,
    /// From the first byte of a request to the last of its header, and between two requests of a connection.
    pub header_timeout: Duration,
    /// For the TLS handshake and the first bytes after it.
    pub handshake_timeout: Duration,
    /// How long a caller may read nothing of what is written.
    pub write_timeout: Duration,
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
    listener: TcpListener,
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

async fn connection<S, B>(stream: TcpStream, address: SocketAddr, settings: &ServerSettings, service: S, stay: Stay)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send> + Clone + Send + 'static,
    B: Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + 'static,
{
    _ = stream.set_nodelay(true);
    let mut stopped = pin!(told_to_stop(stay.shutdown()));
    let Some(tls) = &settings.tls else {
        let peer = Peer::new(address, false);
        let begun = tokio::time::timeout(settings.header_timeout, begin(stream, settings.write_timeout));
        // A caller who has said nothing yet loses nothing when the listener stops.
        tokio::select! {
            () = &mut stopped => {}
            begun = begun => {
                if let Ok(Some((protocol, io))) = begun {
                    http(io, protocol, settings, Hosted::new(service, peer, stay)).await;
                }
            }
        }
        return;
    };
    let peer = Peer::new(address, true);
    let handshake = tokio::time::timeout(settings.handshake_timeout, async {
        let (stream, certificate) = tls.accept(stream).await?;
        let begun = begin(stream, settings.write_timeout).await;
        Ok::<_, io::Error>(begun.map(|(protocol, io)| (protocol, io, certificate)))
    });
    tokio::select! {
        () = &mut stopped => {}
        begun = handshake => match begun {
            Ok(Ok(Some((protocol, io, certificate)))) => {
                let peer = Peer { certificate, ..peer };
                http(io, protocol, settings, Hosted::new(service, peer, stay)).await;
            }
            Ok(Ok(None)) => {}
            Ok(Err(error)) => tracing::debug!(%address, %error, "TLS handshake failed"),
            Err(_) => tracing::debug!(%address, "the caller was silent for too long"),
        }
    }
}

async fn http<I, S, B>(io: I, protocol: Protocol, settings: &ServerSettings, service: Hosted<S>)
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send> + Clone + Send + 'static,
    B: Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + 'static,
{
    let io = TokioIo::new(io);
    let (has_called, shutdown) = (Arc::clone(&service.has_called), service.stay.shutdown());
    match protocol {
        Protocol::Http1 => {
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(settings.header_timeout);
            // Deliberately without pipeline_flush: hyper then buffers answers without bound, and while a byte of the next
            // request is waiting it sends nothing at all, not even that the request is malformed.
            builder.max_buf_size(BUFFER as usize).max_headers(HEADER_FIELDS);
            let connection = builder.serve_connection(io, service).with_upgrades();
            drive(connection, shutdown, &has_called, http1::UpgradeableConnection::graceful_shutdown).await;
        }
        Protocol::Http2 => {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder.timer(TokioTimer::new()).keep_alive_interval(Duration::from_secs(30));
            builder.max_header_list_size(BUFFER).max_concurrent_streams(256);
            builder.initial_stream_window_size(256 << 10).initial_connection_window_size(1 << 20);
            let connection = builder.serve_connection(io, service);
            drive(connection, shutdown, &has_called, http2::Connection::graceful_shutdown).await;
        }
    }
}

/// Serves until the peer is done, or until the calls in hand are done after a shutdown.
async fn drive<C>(connection: C, shutdown: Shutdown, has_called: &AtomicBool, stop: impl FnOnce(Pin<&mut C>))
where
    C: Future<Output = hyper::Result<()>>,
{
    let mut connection = pin!(connection);
    let mut stopped = pin!(told_to_stop(shutdown));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = &mut stopped => {
            stop(connection.as_mut());
            match tokio::time::timeout(FIRST_CALL, connection.as_mut()).await {
                Ok(ended) => ended,
                // hyper waits for the rest of a header, and for a silent caller of HTTP/2 too.
                Err(_) if !has_called.load(Ordering::Relaxed) => Ok(()),
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

/// The service with its connection's peer.
#[derive(Clone)]
struct Hosted<S> {
    service: S,
    peer: Peer,
    stay: Stay,
    has_called: Arc<AtomicBool>,
}

impl<S> Hosted<S> {
    fn new(service: S, peer: Peer, stay: Stay) -> Self {
        Self { service, peer, stay, has_called: Arc::default() }
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
        self.has_called.store(true, Ordering::Relaxed);
        let asks_for_upgrade = request.extensions().get::<OnUpgrade>().is_some();
        request.extensions_mut().insert(self.peer.clone());
        if asks_for_upgrade {
            request.extensions_mut().insert(self.stay.clone());
        }
        // The services that are served here are always ready.
        self.service.clone().call(request)
    }
}
