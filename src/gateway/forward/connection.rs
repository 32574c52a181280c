//! One connection to an upstream, of either version of HTTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};

use super::Protocol;
use super::fault::Fault;
use crate::clock::instant;
use crate::net::{ConnectError, Connected};

const BUFFER: usize = 64 << 10;

/// A connection of HTTP/1.1: one call at a time.
pub(super) struct Exclusive<B> {
    pub sender: http1::SendRequest<B>,
    pub born: Instant,
}

/// A share in a connection of HTTP/2, which carries many calls at once.
pub(super) struct Multiplexed<B> {
    sender: http2::SendRequest<B>,
    born: Instant,
    streams: Arc<AtomicUsize>,
    is_lost: Arc<AtomicBool>,
}

impl<B> Clone for Multiplexed<B> {
    fn clone(&self) -> Self {
        Self {
            sender: self.sender.clone(),
            born: self.born,
            streams: Arc::clone(&self.streams),
            is_lost: Arc::clone(&self.is_lost),
        }
    }
}

/// A call on a connection of HTTP/2, until it is over.
pub(super) struct Stream(Arc<AtomicUsize>);

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<B> Multiplexed<B> {
    /// For one more call.
    pub fn take(&self) -> Connection<B> {
        self.streams.fetch_add(1, Ordering::Relaxed);
        Connection::Multiplexed { share: self.clone(), _stream: Stream(Arc::clone(&self.streams)) }
    }

    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    pub fn streams(&self) -> usize {
        self.streams.load(Ordering::Relaxed)
    }

    pub fn born(&self) -> Instant {
        self.born
    }
}

/// Whichever it is.
pub(super) enum Connection<B> {
    Exclusive(Exclusive<B>),
    Multiplexed { share: Multiplexed<B>, _stream: Stream },
}

/// What a request that was not sent comes back with.
pub(super) struct NotSent<B> {
    pub error: hyper::Error,
    pub unsent: Option<Request<B>>,
}

impl<B> Connection<B>
where
    B: Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + 'static,
{
    /// On a connection that was just made.
    pub async fn begin(connected: Connected, protocol: Protocol) -> Result<Self, Fault>
    where
        B: Unpin,
    {
        let is_http2 = match protocol {
            Protocol::Http2 if connected.is_tls() && !connected.chose_http2() => {
                let error = std::io::Error::other("the server does not offer HTTP/2");
                return Err(Fault::Connect(ConnectError::Tls(error)));
            }
            Protocol::Http2 => true,
            Protocol::Http1 | Protocol::ByAlpn => connected.chose_http2(),
        };
        if is_http2 {
            return Ok(begin_http2(connected).await?.take());
        }
        let mut builder = http1::Builder::new();
        builder.max_buf_size(BUFFER);
        let (sender, connection) = builder.handshake(TokioIo::new(connected)).await.map_err(Fault::Broken)?;
        tokio::spawn(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%error, "upstream connection ended");
            }
        });
        Ok(Self::Exclusive(Exclusive { sender, born: instant() }))
    }

    /// Whether its loss counts: one that many calls share is lost once.
    pub fn is_lost_first(&self) -> bool {
        match self {
            Self::Exclusive(_) => true,
            Self::Multiplexed { share, .. } => !share.is_lost.swap(true, Ordering::Relaxed),
        }
    }

    pub async fn send(&mut self, request: Request<B>) -> Result<Response<Incoming>, NotSent<B>> {
        let sent = match self {
            Self::Exclusive(Exclusive { sender, .. }) => {
                if !sender.is_ready()
                    && let Err(error) = sender.ready().await
                {
                    return Err(NotSent { error, unsent: Some(request) });
                }
                sender.try_send_request(request).await
            }
            Self::Multiplexed { share, .. } => share.sender.try_send_request(request).await,
        };
        sent.map_err(|mut error| NotSent { unsent: error.take_message(), error: error.into_error() })
    }
}

async fn begin_http2<B>(connected: Connected) -> Result<Multiplexed<B>, Fault>
where
    B: Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + Unpin + 'static,
{
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.timer(TokioTimer::new()).keep_alive_interval(Duration::from_secs(20));
    builder.keep_alive_timeout(Duration::from_secs(10)).max_header_list_size(64 << 10);
    builder.initial_stream_window_size(256 << 10).initial_connection_window_size(1 << 20);
    let (sender, connection) = builder.handshake(TokioIo::new(connected)).await.map_err(Fault::Broken)?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "upstream connection ended");
        }
    });
    Ok(Multiplexed { sender, born: instant(), streams: Arc::default(), is_lost: Arc::default() })
}
