//! One connection to an upstream, of either version of HTTP.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::task::AbortHandle;

use super::fault::Fault;
use super::http2::{self, Multiplexed, Stream};
use super::io::{IoState, UpstreamIo};
use super::{HeaderBounds, Protocol};
use crate::clock::instant;
use crate::net::{ConnectError, Connected};

const BUFFER: usize = 64 << 10;

/// How many fields hyper reads without an allocation for each answer.
const FIELDS_ON_STACK: usize = 100;

/// A connection of HTTP/1.1: one call at a time.
pub(super) struct Exclusive<B> {
    pub sender: http1::SendRequest<B>,
    pub born: Instant,
    pub io: Arc<IoState>,
    task: AbortHandle,
}

/// Ends a connection whose call is given up. By itself it would first wait for the upstream to read what is written.
struct Abort<'a>(Option<&'a AbortHandle>);

impl Drop for Abort<'_> {
    fn drop(&mut self) {
        self.0.inspect(|task| task.abort());
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
    pub async fn begin(connected: Connected, protocol: Protocol, bounds: HeaderBounds) -> Result<Self, Fault>
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
            return Ok(http2::begin(connected, bounds).await?.take());
        }
        let io = IoState::of_http1(bounds.bytes);
        let mut builder = http1::Builder::new();
        // RFC 9112 section 5.1: blanks before a colon are no reason to refuse an answer, and go no further.
        builder.allow_spaces_after_header_name_in_responses(true);
        builder.max_buf_size(BUFFER.max(bounds.bytes.saturating_add(1))).max_header_size(bounds.bytes);
        if bounds.fields != FIELDS_ON_STACK {
            builder.max_headers(bounds.fields);
        }
        let socket = TokioIo::new(UpstreamIo::new(connected, Arc::clone(&io)));
        let (sender, connection) = builder.handshake(socket).await.map_err(Fault::Broken)?;
        let driven = tokio::spawn(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%error, "upstream connection ended");
            }
        });
        Ok(Self::Exclusive(Exclusive { sender, born: instant(), io, task: driven.abort_handle() }))
    }

    /// Whether its loss counts: one that many calls share is lost once.
    pub fn is_lost_first(&self) -> bool {
        match self {
            Self::Exclusive(_) => true,
            Self::Multiplexed { share, .. } => share.is_lost_first(),
        }
    }

    pub async fn send(&mut self, request: Request<B>) -> Result<Response<Incoming>, NotSent<B>> {
        let sent = match self {
            Self::Exclusive(Exclusive { sender, task, .. }) => {
                if !sender.is_ready()
                    && let Err(error) = sender.ready().await
                {
                    return Err(NotSent { error, unsent: Some(request) });
                }
                let mut abort = Abort(Some(task));
                let sent = sender.try_send_request(request).await;
                abort.0 = None;
                sent
            }
            Self::Multiplexed { share, .. } => share.sender.try_send_request(request).await,
        };
        sent.map_err(|mut error| NotSent { unsent: error.take_message(), error: error.into_error() })
    }
}
