//! HTTP over one connection, from its first request to its end.

use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{sleep, timeout};
use tower::Service;

use super::calls::{Calls, Hosted};
use super::flood::FloodGuard;
use super::http1::Http1Io;
use super::io::Protocol;
use super::serve::{FIRST_CALL, told_to_stop};
use super::{ServerSettings, Shutdown};

const BUFFER: u32 = 64 << 10;
/// Of a request.
pub const HEADER_FIELDS: usize = 128;

/// How long, after the drain, a last response may take to be written.
const LAST_WORDS: Duration = Duration::from_millis(500);

pub(super) async fn http<I, S, B>(io: I, protocol: Protocol, settings: &ServerSettings, service: Hosted<S>)
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send> + Clone + Send + 'static,
    B: Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + 'static,
{
    let (calls, shutdown) = (Arc::clone(&service.calls), service.stay.shutdown());
    let term = Term { calls: &calls, shutdown, settings, protocol };
    match protocol {
        Protocol::Http1 => {
            let mut builder = http1::Builder::new();
            // The reader watches how long a header takes.
            builder.header_read_timeout(None);
            let io = TokioIo::new(Http1Io::new(io, Arc::clone(&calls), settings.header_timeout));
            // Deliberately without pipeline_flush: hyper then buffers answers without bound, and while a byte of the next
            // request is waiting it sends nothing at all, not even that the request is malformed.
            builder.max_buf_size(BUFFER as usize).max_headers(HEADER_FIELDS);
            let connection = builder.serve_connection(io, service).with_upgrades();
            term.drive(connection, http1::UpgradeableConnection::graceful_shutdown).await;
        }
        Protocol::Http2 => {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder.timer(TokioTimer::new()).keep_alive_interval(Duration::from_secs(30));
            builder.max_header_list_size(BUFFER).max_concurrent_streams(256);
            builder.initial_stream_window_size(256 << 10).initial_connection_window_size(1 << 20);
            let connection = builder.serve_connection(TokioIo::new(FloodGuard::new(io)), service);
            term.drive(connection, http2::Connection::graceful_shutdown).await;
        }
    }
}

/// What ends a connection, beside its client.
struct Term<'a> {
    calls: &'a Calls,
    shutdown: Shutdown,
    settings: &'a ServerSettings,
    protocol: Protocol,
}

impl Term<'_> {
    /// Serves until the client is done, or until the drain is over.
    async fn drive<C>(self, connection: C, stop: impl Fn(Pin<&mut C>))
    where
        C: Future<Output = hyper::Result<()>>,
    {
        let mut connection = pin!(connection);
        let drained = async {
            told_to_stop(self.shutdown.clone()).await;
            sleep(self.settings.drain).await;
        };
        let ended = tokio::select! {
            ended = self.serve(connection.as_mut(), &stop) => ended,
            () = drained => {
                self.calls.cut();
                stop(connection.as_mut());
                timeout(LAST_WORDS, connection.as_mut()).await.unwrap_or(Ok(()))
            }
        };
        if let Err(error) = ended {
            if error.is_parse() {
                metrics::counter!("scopegate_bad_requests_total").increment(1);
            }
            tracing::debug!(%error, "connection ended early");
        }
    }

    /// Serves until the client is done, or until the requests in flight are done once the connection has to end. A client
    /// that keeps a connection may send its next request while it is told that there will be none; so one more is taken
    /// before the connection ends, unless the client is silent. HTTP/2 has a goodbye of its own.
    async fn serve<C>(&self, mut connection: Pin<&mut C>, stop: impl Fn(Pin<&mut C>)) -> hyper::Result<()>
    where
        C: Future<Output = hyper::Result<()>>,
    {
        tokio::select! {
            ended = connection.as_mut() => return ended,
            () = self.has_to_end() => {}
        }
        let has_goodbye = self.protocol == Protocol::Http2;
        if !has_goodbye {
            tokio::select! {
                ended = connection.as_mut() => return ended,
                () = self.calls.next() => {}
                () = sleep(FIRST_CALL) => {}
            }
        }
        stop(connection.as_mut());
        match timeout(FIRST_CALL, connection.as_mut()).await {
            Ok(ended) => ended,
            // hyper waits for the rest of a header, and for a silent client of HTTP/2 too.
            Err(_) if self.calls.are_none() || (has_goodbye && self.calls.in_flight() == 0) => Ok(()),
            Err(_) => connection.await,
        }
    }

    /// Waits until the listeners stop, the connection is old enough, or one of HTTP/2 has been without a request for as
    /// long as a header may take; over HTTP/1.1 that is a matter of its reader.
    async fn has_to_end(&self) {
        let aged = async {
            match self.settings.max_age {
                Duration::ZERO => std::future::pending().await,
                age => sleep(age).await,
            }
        };
        let idle = async {
            match self.protocol {
                Protocol::Http1 => std::future::pending().await,
                Protocol::Http2 => self.calls.idle_for(self.settings.header_timeout).await,
            }
        };
        tokio::select! {
            () = told_to_stop(self.shutdown.clone()) => {}
            () = aged => {}
            () = idle => tracing::debug!("an HTTP/2 connection without a request is closed"),
        }
    }
}
