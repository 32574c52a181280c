//! Upstreams: one that records and answers as told, and one that is a script over a bare socket.

use std::convert::Infallible;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
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
}

impl Recorder {
    /// Says 200 to everything.
    pub fn start() -> Self {
        Self::answering(|_| Answer::new(Response::new("from the upstream")))
    }

    pub fn answering(respond: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        Self::serve(None, respond)
    }

    /// With TLS, by the files that `certs/make` made in the folder.
    pub fn with_tls(certs: &Path) -> Self {
        use rustls::pki_types::pem::PemObject as _;
        use rustls::pki_types::{CertificateDer, PrivateKeyDer};
        let chain = CertificateDer::pem_file_iter(certs.join("server.pem")).unwrap().map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(certs.join("server.key")).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.unwrap().with_no_client_auth().with_single_cert(chain, key).unwrap();
        let respond = |_: &Seen| Answer::new(Response::new("from the upstream behind TLS"));
        Self::serve(Some(TlsAcceptor::from(Arc::new(config))), respond)
    }

    fn serve(tls: Option<TlsAcceptor>, respond: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let recording = Recording { seen: Arc::clone(&seen), respond: Arc::new(respond) };
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(accept(listener, tls, recording));
        });
        Self { address, seen }
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
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, recording: Recording) {
    static CONNECTIONS: AtomicUsize = AtomicUsize::new(0);
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let number = CONNECTIONS.fetch_add(1, Ordering::Relaxed);
        let (tls, recording) = (tls.clone(), recording.clone());
        tokio::spawn(async move {
            match tls {
                None => serve(stream, number, recording).await,
                // A caller that does not trust the certificate goes away, which some tests want to see.
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, number, recording).await;
                    }
                }
            }
        });
    }
}

async fn serve<I: AsyncRead + AsyncWrite + Unpin>(io: I, number: usize, recording: Recording) {
    let service = service_fn(|request| answer(request, number, &recording));
    // A connection that breaks off shows in the test that wanted something of it.
    _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(io), service).await;
}

async fn answer(
    request: Request<Incoming>,
    connection: usize,
    recording: &Recording,
) -> Result<Response<UnsyncBoxBody<Bytes, Infallible>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?;
    let trailers = body.trailers().cloned().unwrap_or_default();
    let (method, target) = (head.method.to_string(), head.uri.to_string());
    let seen = Seen { method, target, headers: head.headers, body: body.to_bytes().into(), trailers, connection };
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
