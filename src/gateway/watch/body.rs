//! A body that ends when its caller may have no more of it.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::super::answer::grpc;
use super::Review;
use crate::model::Reason;

pin_project! {
    /// An answer's body, and the watch over it where it is a stream.
    pub struct Watched<R> {
        // None once it was ended.
        #[pin]
        body: Option<R>,
        watch: Option<Box<Watching>>,
    }
}

struct Watching {
    review: Review,
    /// Whether its end is told in trailers. Whoever would not get them has to see it break off, not come to an end.
    has_trailers: bool,
}

impl<R> Watched<R> {
    pub(super) fn new(body: R, review: Option<Review>, has_trailers: bool) -> Self {
        Self { body: Some(body), watch: review.map(|review| Box::new(Watching { review, has_trailers })) }
    }

    pub(super) fn unwatched(body: R) -> Self {
        Self { body: Some(body), watch: None }
    }
}

impl<R> fmt::Debug for Watched<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watched")
    }
}

/// A body that broke off, or that was ended.
#[derive(Debug)]
pub enum WatchedError<E> {
    Body(E),
    Ended(Reason),
}

impl<E: fmt::Display> fmt::Display for WatchedError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body(error) => error.fmt(f),
            Self::Ended(reason) => write!(f, "the caller may have no more of the answer: {reason}"),
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for WatchedError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Body(error) => Some(error),
            Self::Ended(_) => None,
        }
    }
}

impl<R: Body<Data = Bytes>> Body for Watched<R> {
    type Data = Bytes;
    type Error = WatchedError<R::Error>;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let mut this = self.project();
        if let Some(watch) = this.watch
            && let Poll::Ready(refusal) = watch.review.poll_ended(cx)
        {
            let (reason, has_trailers) = (refusal.reason, watch.has_trailers);
            watch.review.conclude(refusal);
            // The upstream learns of it now, not when the caller is done.
            this.body.set(None);
            *this.watch = None;
            let trailers = Frame::trailers(grpc::trailers(reason));
            return Poll::Ready(Some(if has_trailers { Ok(trailers) } else { Err(WatchedError::Ended(reason)) }));
        }
        match this.body.as_pin_mut() {
            Some(body) => body.poll_frame(cx).map_err(WatchedError::Body),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
