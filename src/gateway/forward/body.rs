//! An upstream's body on its way back: it holds the connection, and gives it back at its end.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::super::hygiene;
use super::super::ledger::Ledger;
use super::address::Ticket;
use super::connection::Connection;
use super::pool::Pool;
use super::response_head::BodyEnd;
use crate::model::{Reason, Refusal};
use crate::net::Stall;

/// Dropped before its end, it ends the call on the upstream's side too: what is left of the answer reaches nobody else.
pub struct UpstreamBody<B> {
    body: Incoming,
    /// None once the answer is complete. Boxed, since answers are moved through the whole stack.
    lease: Option<Box<Lease<B>>>,
    ledger: Arc<Ledger>,
    stall: Stall,
    end: BodyEnd,
}

/// What an answer holds until its end.
struct Lease<B> {
    connection: Connection<B>,
    ticket: Ticket,
    pool: Arc<Pool<B>>,
}

impl<B> UpstreamBody<B> {
    pub(super) fn new(
        body: Incoming,
        end: BodyEnd,
        connection: Connection<B>,
        ticket: Ticket,
        pool: Arc<Pool<B>>,
        ledger: Arc<Ledger>,
    ) -> Self {
        let stall = Stall::new(pool.upstream().settings.timeouts.body_idle);
        let mut this = Self { body, lease: Some(Box::new(Lease { connection, ticket, pool })), ledger, stall, end };
        if end == BodyEnd::After(0) {
            this.lease = None;
        }
        this.give_back_at_end();
        this
    }

    /// Of a connection that goes on with another protocol, and is nobody else's any more.
    pub(super) fn of_upgrade(body: Incoming, ledger: Arc<Ledger>) -> Self {
        Self { body, lease: None, ledger, stall: Stall::new(Duration::ZERO), end: BodyEnd::Framed }
    }

    /// A frame, or less of it where the body ends within it. What then comes on the connection is not looked at.
    fn cut(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        let BodyEnd::After(left) = &mut self.end else { return frame };
        let Ok(mut data) = frame.into_data() else { return Frame::data(Bytes::new()) };
        data.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
        *left -= u64::try_from(data.len()).unwrap_or(*left);
        if *left == 0 {
            self.lease = None;
        }
        Frame::data(data)
    }

    /// Whether all of it is here, whatever happens to the connection now.
    fn is_whole(&self) -> bool {
        match self.end {
            BodyEnd::Framed => self.body.size_hint().exact() == Some(0),
            BodyEnd::After(_) => false,
            // A reset is how a server ends a connection that still brings it a request.
            BodyEnd::WithConnection => !self.ledger.body_is_whole.load(Ordering::Acquire),
        }
    }

    fn give_back_at_end(&mut self) {
        if self.body.is_end_stream() {
            self.give_back();
        }
    }

    fn give_back(&mut self) {
        let Some(lease) = self.lease.take() else { return };
        let Lease { connection, ticket, pool } = *lease;
        // An upstream may answer before it has read the whole request. Its connection is then still busy with this
        // caller's body, and nobody else may have to wait for that.
        if let Connection::Exclusive(connection) = connection
            && self.ledger.body_is_over.load(Ordering::Acquire)
        {
            pool.give_back(ticket.address(), connection);
        }
    }

    fn broke_off(&mut self, reason: Reason, error: &UpstreamBodyError) {
        // A caller's body that broke off takes the answer with it.
        let reason = self.ledger.body_fault.get().copied().unwrap_or(reason);
        _ = self.ledger.refusal.set(Refusal::new(reason).found(error.to_string()));
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
    /// It ended before the length that was told.
    Short,
    Stalled,
}

impl fmt::Display for UpstreamBodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(error) => write!(f, "the upstream's answer broke off: {error}"),
            Self::Short => f.write_str("the upstream's answer broke off: it is shorter than its Content-Length"),
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
        let this = &mut *self;
        if this.end == BodyEnd::After(0) {
            return Poll::Ready(None);
        }
        let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) else {
            ready!(this.stall.poll(cx));
            this.broke_off(Reason::UpstreamTimeout, &UpstreamBodyError::Stalled);
            return Poll::Ready(Some(Err(UpstreamBodyError::Stalled)));
        };
        this.stall.progress();
        Poll::Ready(match frame {
            None if matches!(this.end, BodyEnd::After(_)) => {
                this.broke_off(Reason::UpstreamReset, &UpstreamBodyError::Short);
                Some(Err(UpstreamBodyError::Short))
            }
            None => {
                this.give_back();
                None
            }
            // An upstream may close the connection as soon as it has answered, while the request still comes.
            Some(Err(_)) if this.is_whole() => None,
            Some(Err(error)) => {
                let error = UpstreamBodyError::Broken(error);
                this.broke_off(Reason::UpstreamReset, &error);
                Some(Err(error))
            }
            Some(Ok(frame)) => {
                this.give_back_at_end();
                let frame = this.cut(frame);
                Some(Ok(hygiene::clean_frame(frame, this.ledger.claimed(), |_| false)))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.end == BodyEnd::After(0) || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.end {
            BodyEnd::After(left) => SizeHint::with_exact(left),
            BodyEnd::Framed | BodyEnd::WithConnection => self.body.size_hint(),
        }
    }
}
