//! Connections to one upstream, kept by one worker: the last one used is the first one used again.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::super::ledger::Ledger;
use super::{Upstream, UpstreamBody};
use crate::clock::instant;
use crate::net::{ConnectError, Connected};

/// The idle connections. A connection in use belongs to its answer, which gives it back at its end.
pub(super) struct Pool<B> {
    upstream: Arc<Upstream>,
    idle: Mutex<VecDeque<Idle<B>>>,
}

struct Idle<B> {
    sender: SendRequest<B>,
    since: Instant,
}

/// Why a request got no answer.
#[derive(Debug)]
pub(super) enum SendFault {
    Connect(ConnectError),
    /// The connection broke off, or what came was no HTTP.
    Broken(hyper::Error),
}

impl fmt::Display for SendFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => write!(f, "{error}"),
            Self::Broken(error) => match std::error::Error::source(error) {
                Some(source) => write!(f, "{error}: {source}"),
                None => write!(f, "{error}"),
            },
        }
    }
}

impl<B> Pool<B> {
    pub fn new(upstream: Arc<Upstream>) -> Self {
        Self { upstream, idle: Mutex::default() }
    }

    pub fn upstream(&self) -> &Arc<Upstream> {
        &self.upstream
    }

    /// Takes back a connection whose answer is complete.
    pub fn give_back(&self, sender: SendRequest<B>) {
        let now = instant();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while idle.front().is_some_and(|i| now.duration_since(i.since) > self.upstream.timeouts.idle) {
            idle.pop_front();
        }
        if idle.len() < self.upstream.max_idle {
            idle.push_back(Idle { sender, since: now });
        }
    }

    fn take(&self) -> Option<SendRequest<B>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let last = idle.pop_back()?;
        if instant().duration_since(last.since) > self.upstream.timeouts.idle {
            // Those below were used even longer ago.
            idle.clear();
            return None;
        }
        Some(last.sender)
    }
}

impl<B> Pool<B>
where
    B: Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + 'static,
{
    /// Sends a request on a kept connection or a new one. A request that a kept connection gave back unsent, since
    /// the upstream had closed it, goes out on another; nothing is ever sent twice.
    pub async fn send(
        self: &Arc<Self>,
        mut request: Request<B>,
        ledger: &Arc<Ledger>,
    ) -> Result<Response<UpstreamBody<B>>, SendFault> {
        loop {
            let kept = self.take();
            let is_kept = kept.is_some();
            let mut sender = match kept {
                Some(sender) => sender,
                None => self.connect().await?,
            };
            if !sender.is_ready()
                && let Err(error) = sender.ready().await
            {
                if is_kept {
                    continue;
                }
                return Err(SendFault::Broken(error));
            }
            match sender.try_send_request(request).await {
                Ok(response) => {
                    let (pool, ledger) = (Arc::clone(self), Arc::clone(ledger));
                    // A connection that goes on with another protocol is nobody else's any more.
                    let sender = (response.status() != StatusCode::SWITCHING_PROTOCOLS).then_some(sender);
                    return Ok(response.map(|body| UpstreamBody::new(body, sender, pool, ledger)));
                }
                Err(mut error) => match error.take_message() {
                    Some(unsent) if is_kept => request = unsent,
                    _ => return Err(SendFault::Broken(error.into_error())),
                },
            }
        }
    }

    async fn connect(&self) -> Result<SendRequest<B>, SendFault> {
        metrics::counter!("scopegate_upstream_connections_total").increment(1);
        match self.upstream.endpoint.connect().await.map_err(SendFault::Connect)? {
            Connected::Plain(stream) => handshake(stream).await,
            Connected::Tls(stream) => handshake(stream).await,
        }
    }
}

async fn handshake<I, B>(io: I) -> Result<SendRequest<B>, SendFault>
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    B: Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + 'static,
{
    let mut builder = http1::Builder::new();
    builder.max_buf_size(64 << 10);
    let (sender, connection) = builder.handshake(TokioIo::new(io)).await.map_err(SendFault::Broken)?;
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "upstream connection ended");
        }
    });
    Ok(sender)
}
