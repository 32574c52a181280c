//! Upstreams: one that records and answers as told, and one that is a script over a bare socket.

use std::convert::Infallible;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

/// A request that reached the upstream.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    /// As it stood in the request line.
    pub target: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub trailers: HeaderMap,
    /// Counted from 0: calls with the same number came on the same connection.
    pub connection: usize,
    /// Whether that connection resumed a TLS session.
    pub is_resumed: bool,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| std::str::from_utf8(value.as_bytes()).unwrap())
    }
}

/// What the upstream says.
#[derive(Clone, Debug)]
pub struct Answer {
    pub response: Response<Bytes>,
    pub trailers: Option<HeaderMap>,
}

impl Answer {
    pub fn new(response: Response<impl Into<Bytes>>) -> Self {
        Self { response: response.map(Into::into), trailers: None }
    }
}

type Respond = dyn Fn(&Seen) -> Answer + Send + Sync;

/// An upstream that records what reaches it. It runs on a thread of its own and is as fit for many tests at once.
pub struct Recorder {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    /// Dropped with everything else of a recorder that is stopped.
    stop: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

/// How a recorder is reached.
enum Door {
    Tcp(TcpListener),
    Tls(TcpListener, TlsAcceptor),
    Http2(TcpListener),
    Socket(UnixListener),
}

impl Recorder {
    /// Says 200 to everything.
    pub fn start() -> Self {
        Self::answering(|_| Answer::new(Response::new("from the upstream")))
    }

    /// At an address where another one was.
    pub fn at(address: SocketAddr, respond: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        Self::open(listener.local_addr().unwrap(), Door::Tcp(listener), respond)
    }

    /// With HTTP/2 alone, by prior knowledge.
    pub fn http2(respond: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        let (address, listener) = any_port();
        Self::open(address, Door::Http2(listener), respond)
    }

    /// At a Unix socket; the address means nothing then.
    pub fn on_socket(path: &Path) -> Self {
        let door = Door::Socket(UnixListener::bind(path).unwrap());
        Self::open(([0, 0, 0, 0], 0).into(), door, |_| Answer::new(Response::new("from the socket")))
    }

    /// With TLS, by the files that `certs/make` made in the folder.
    pub fn with_tls(certs: &Path) -> Self {
        Self::with_tls_as(certs, false, &[])
    }

    /// With TLS that asks for a client certificate of the folder's authority, if so wanted, and offers these protocols.
    pub fn with_tls_as(certs: &Path, asks_for_certificate: bool, protocols: &[&str]) -> Self {
        use rustls::pki_types::pem::PemObject as _;
        use rustls::pki_types::{CertificateDer, PrivateKeyDer};
        let read = |name| CertificateDer::pem_file_iter(certs.join(name)).unwrap().map(Result::unwrap);
        let key = PrivateKeyDer::from_pem_file(certs.join("server.key")).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider));
        let config = config.with_safe_default_protocol_versions().unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add_parsable_certificates(read("ca.pem"));
        let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let config = if asks_for_certificate {
            config.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            config.with_no_client_auth()
        };
        let mut config = config.with_single_cert(read("server.pem").collect(), key).unwrap();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let (address, listener) = any_port();
        let door = Door::Tls(listener, TlsAcceptor::from(Arc::new(config)));
        Self::open(address, door, |_| Answer::new(Response::new("from the upstream behind TLS")))
    }

    pub fn answering(respond: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        let (address, listener) = any_port();
        Self::open(address, Door::Tcp(listener), respond)
    }

    fn open(address: SocketAddr, door: Door, respond: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let recording = Recording { seen: Arc::clone(&seen), respond: Arc::new(respond), is_resumed: false };
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                tokio::select! {
                    () = accept(door, recording) => {}
                    // A recorder that is merely forgotten goes on.
                    Ok(()) = stopped => {}
                }
            });
        });
        Self { address, seen, stop: Some((stop, thread)) }
    }

    /// Closes the listener and all connections, as if it were killed.
    pub fn stop(mut self) {
        if let Some((stop, thread)) = self.stop.take() {
            stop.send(()).unwrap();
            thread.join().unwrap();
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The calls that carry this mark.
    pub fn marked(&self, mark: &str) -> Vec<Seen> {
        self.all().into_iter().filter(|s| s.header("x-mark") == Some(mark)).collect()
    }

    pub fn all(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

#[derive(Clone)]
struct Recording {
    seen: Arc<Mutex<Vec<Seen>>>,
    respond: Arc<Respond>,
    is_resumed: bool,
}

fn any_port() -> (SocketAddr, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    (listener.local_addr().unwrap(), listener)
}

async fn accept(door: Door, recording: Recording) {
    match door {
        Door::Socket(listener) => {
            listener.set_nonblocking(true).unwrap();
            let listener = tokio::net::UnixListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, false, next_connection(), recording.clone()));
            }
        }
        Door::Tcp(listener) => accept_tcp(listener, None, false, recording).await,
        Door::Http2(listener) => accept_tcp(listener, None, true, recording).await,
        Door::Tls(listener, tls) => accept_tcp(listener, Some(tls), false, recording).await,
    }
}

fn next_connection() -> usize {
    static CONNECTIONS: AtomicUsize = AtomicUsize::new(0);
    CONNECTIONS.fetch_add(1, Ordering::Relaxed)
}

async fn accept_tcp(listener: TcpListener, tls: Option<TlsAcceptor>, is_http2: bool, recording: Recording) {
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (tls, recording) = (tls.clone(), recording.clone());
        tokio::spawn(async move {
            match tls {
                None => serve(stream, is_http2, next_connection(), recording).await,
                // A caller that does not trust the certificate goes away, which some tests want to see.
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        let session = stream.get_ref().1;
                        let is_http2 = session.alpn_protocol() == Some(b"h2");
                        let is_resumed = session.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
                        let recording = Recording { is_resumed, ..recording };
                        serve(stream, is_http2, next_connection(), recording).await;
                    }
                }
            }
        });
    }
}

async fn serve<I: AsyncRead + AsyncWrite + Unpin + 'static>(
    io: I,
    is_http2: bool,
    number: usize,
    recording: Recording,
) {
    let service = service_fn(move |request| answer(request, number, recording.clone()));
    // A connection that breaks off shows in the test that wanted something of it.
    if is_http2 {
        let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        _ = builder.serve_connection(TokioIo::new(io), service).await;
    } else {
        _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(io), service).await;
    }
}

async fn answer(
    request: Request<Incoming>,
    connection: usize,
    recording: Recording,
) -> Result<Response<UnsyncBoxBody<Bytes, Infallible>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?;
    let trailers = body.trailers().cloned().unwrap_or_default();
    let (method, target) = (head.method.to_string(), head.uri.to_string());
    let seen = Seen {
        method,
        target,
        headers: head.headers,
        body: body.to_bytes().into(),
        trailers,
        connection,
        is_resumed: recording.is_resumed,
    };
    let Answer { response, trailers } = (recording.respond)(&seen);
    recording.seen.lock().unwrap().push(seen);
    let (head, data) = response.into_parts();
    let body = match trailers {
        None => Full::new(data).boxed_unsync(),
        // Mapped, it tells no length: only a chunked body has trailers.
        Some(trailers) => {
            let body = Full::new(data).map_frame(|frame| frame);
            body.with_trailers(std::future::ready(Some(Ok(trailers)))).boxed_unsync()
        }
    };
    Ok(Response::from_parts(head, body))
}

/// An upstream that is a script: it runs for each connection, on a thread of its own.
pub struct Scripted {
    pub address: SocketAddr,
    pub connections: Arc<AtomicUsize>,
}

impl Scripted {
    /// The script gets the connection and its number, counted from 0.
    pub fn start(script: impl Fn(TcpStream, usize) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let (script, count) = (Arc::new(script), Arc::clone(&connections));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                let number = count.fetch_add(1, Ordering::SeqCst);
                let script = Arc::clone(&script);
                thread::spawn(move || script(stream, number));
            }
        });
        Self { address, connections }
    }

    /// Reads one request's header, then says these bytes and closes.
    pub fn saying(bytes: &'static [u8]) -> Self {
        Self::start(move |mut stream, _| {
            read_head(&mut stream);
            _ = stream.write_all(bytes);
        })
    }

    /// Answers when it is told to, and tells when it was asked.
    pub fn waiting() -> (Self, mpsc::Sender<()>, mpsc::Receiver<()>) {
        let ((answer, wait), (tell, asked)) = (mpsc::channel(), mpsc::channel());
        let (wait, tell) = (Mutex::new(wait), Mutex::new(tell));
        let upstream = Self::start(move |mut stream, _| {
            read_head(&mut stream);
            tell.lock().unwrap().send(()).unwrap();
            _ = wait.lock().unwrap().recv_timeout(Duration::from_secs(20));
            _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate");
        });
        (upstream, answer, asked)
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// Reads a header up to its empty line, and nothing after it; empty where the connection closed before it.
pub fn read_head(stream: &mut TcpStream) -> String {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return String::new(),
        }
    }
    String::from_utf8(head).unwrap()
}
