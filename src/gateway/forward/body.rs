//! An upstream's body on its way back: it holds the connection, and gives it back at its end.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;

use super::super::hygiene;
use super::super::ledger::Ledger;
use super::pool::Pool;
use crate::net::Stall;

/// Dropped before its end, it closes the connection: what is left of the answer reaches nobody else.
pub struct UpstreamBody<B> {
    body: Incoming,
    lease: Option<(SendRequest<B>, Arc<Pool<B>>)>,
    ledger: Arc<Ledger>,
    stall: Stall,
}

impl<B> UpstreamBody<B> {
    pub(super) fn new(body: Incoming, sender: Option<SendRequest<B>>, pool: Arc<Pool<B>>, ledger: Arc<Ledger>) -> Self {
        let idle = pool.upstream().timeouts.body_idle;
        let lease = sender.map(|sender| (sender, pool));
        let mut this = Self { body, lease, ledger, stall: Stall::new(idle) };
        this.give_back_at_end();
        this
    }

    fn give_back_at_end(&mut self) {
        if self.body.is_end_stream() {
            self.give_back();
        }
    }

    fn give_back(&mut self) {
        // An upstream may answer before it has read the whole request. Its connection is then still busy with this
        // caller's body, and nobody else may have to wait for that.
        if let Some((sender, pool)) = self.lease.take()
            && self.ledger.body_is_over.load(Ordering::Acquire)
        {
            pool.give_back(sender);
        }
    }
}

impl<B> fmt::Debug for UpstreamBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UpstreamBody")
    }
}

/// An answer that broke off.
#[derive(Debug)]
pub enum UpstreamBodyError {
    Broken(hyper::Error),
    Stalled,
}

impl fmt::Display for UpstreamBodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(error) => write!(f, "the upstream's answer broke off: {error}"),
            Self::Stalled => f.write_str("the upstream's answer stands still"),
        }
    }
}

impl std::error::Error for UpstreamBodyError {}

impl<B> Body for UpstreamBody<B> {
    type Data = Bytes;
    type Error = UpstreamBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UpstreamBodyError>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            ready!(self.stall.poll(cx));
            return Poll::Ready(Some(Err(UpstreamBodyError::Stalled)));
        };
        self.stall.progress();
        Poll::Ready(match frame {
            None => {
                self.give_back();
                None
            }
            Some(Err(error)) => Some(Err(UpstreamBodyError::Broken(error))),
            Some(Ok(frame)) => {
                self.give_back_at_end();
                Some(Ok(hygiene::clean_frame(frame, self.ledger.claimed())))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
