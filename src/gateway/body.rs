//! A request's body on its way through: counted, bounded, never left waiting, its trailers cleaned.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::hygiene;
use super::ledger::Ledger;
use super::pace::Pace;
use crate::model::Reason;
use crate::net::Stall;

pin_project! {
    /// The caller's body as the upstream gets it.
    pub struct Inbound<B> {
        #[pin]
        body: B,
        ledger: Arc<Ledger>,
        limit: u64,
        stall: Stall,
        pace: Pace,
    }

    impl<B> PinnedDrop for Inbound<B> {
        fn drop(this: Pin<&mut Self>) {
            let ledger = this.project().ledger;
            ledger.body_moves();
            ledger.body_is_over.store(true, Ordering::Release);
        }
    }
}

impl<B> Inbound<B> {
    pub(super) fn new(body: B, ledger: Arc<Ledger>, limit: u64, idle: Duration, pace: Pace) -> Self {
        Self { body, ledger, limit, stall: Stall::new(idle), pace }
    }
}

impl<B> fmt::Debug for Inbound<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inbound")
    }
}

/// Why a request's body broke off.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum InboundError {
    /// The caller sent no more of it, or no valid HTTP.
    Broken(String),
    TooLarge,
    Stalled,
}

impl fmt::Display for InboundError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(why) => write!(f, "the request's body broke off: {why}"),
            Self::TooLarge => f.write_str("the request's body is too large"),
            Self::Stalled => f.write_str("the request's body did not arrive in time"),
        }
    }
}

impl std::error::Error for InboundError {}

impl<B> Body for Inbound<B>
where
    B: Body<Data = Bytes>,
    B::Error: fmt::Display,
{
    type Data = Bytes;
    type Error = InboundError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, InboundError>>> {
        let mut this = self.project();
        let Poll::Ready(frame) = this.body.as_mut().poll_frame(cx) else {
            this.ledger.waits_for_caller.store(true, Ordering::Relaxed);
            this.pace.waits();
            ready!(this.stall.poll(cx));
            _ = this.ledger.body_fault.set(Reason::RequestTimeout);
            return Poll::Ready(Some(Err(InboundError::Stalled)));
        };
        this.stall.progress();
        this.ledger.body_moves();
        this.ledger.waits_for_caller.store(false, Ordering::Relaxed);
        let frame = match frame {
            None => {
                this.ledger.body_is_whole.store(true, Ordering::Release);
                return Poll::Ready(None);
            }
            Some(Err(error)) => {
                _ = this.ledger.body_fault.set(Reason::RequestInvalid);
                return Poll::Ready(Some(Err(InboundError::Broken(error.to_string()))));
            }
            Some(Ok(frame)) => frame,
        };
        if this.pace.is_too_slow(this.ledger) {
            _ = this.ledger.body_fault.set(Reason::RequestTimeout);
            return Poll::Ready(Some(Err(InboundError::Stalled)));
        }
        if this.body.is_end_stream() {
            this.ledger.body_is_whole.store(true, Ordering::Release);
        }
        if let Some(data) = frame.data_ref()
            && this.ledger.received(data.len()) > *this.limit
        {
            _ = this.ledger.body_fault.set(Reason::RequestBodyTooLarge);
            return Poll::Ready(Some(Err(InboundError::TooLarge)));
        }
        let is_barred = |name: &_| this.ledger.is_barred(name);
        Poll::Ready(Some(Ok(hygiene::clean_frame(frame, this.ledger.claimed(), is_barred))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
