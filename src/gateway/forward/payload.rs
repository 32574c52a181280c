//! What is sent as a request's body: the caller's, or none, which can be sent again.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    #[project = Projected]
    pub enum Payload<B> {
        Callers { #[pin] body: B },
        Empty,
    }
}

impl<B: Body> Payload<B> {
    pub(super) fn of(body: B) -> Self {
        if body.is_end_stream() { Self::Empty } else { Self::Callers { body } }
    }
}

impl<B: Body<Data = Bytes>> Body for Payload<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project() {
            Projected::Callers { body } => body.poll_frame(cx),
            Projected::Empty => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Callers { body } => body.is_end_stream(),
            Self::Empty => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Callers { body } => body.size_hint(),
            Self::Empty => SizeHint::with_exact(0),
        }
    }
}
