//! Bodies that do what they are told, frame by frame.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame};

/// A body of no declared length.
#[derive(Debug, Default)]
pub struct Script(VecDeque<Step>);

#[derive(Debug)]
enum Step {
    Data(&'static str),
    Trailers(HeaderMap),
    Break,
    Wait,
}

/// The body broke off, as it was told to.
#[derive(Debug)]
pub struct BrokeOff;

impl fmt::Display for BrokeOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("broke off as told")
    }
}

impl std::error::Error for BrokeOff {}

impl Script {
    pub fn empty() -> Self {
        Self::default()
    }

    pub fn of(text: &'static str) -> Self {
        Self::empty().data(text)
    }

    pub fn data(self, text: &'static str) -> Self {
        self.step(Step::Data(text))
    }

    pub fn trailers(self, trailers: HeaderMap) -> Self {
        self.step(Step::Trailers(trailers))
    }

    /// Fails here.
    pub fn breaks(self) -> Self {
        self.step(Step::Break)
    }

    /// Stands still here for ever.
    pub fn waits(self) -> Self {
        self.step(Step::Wait)
    }

    fn step(mut self, step: Step) -> Self {
        self.0.push_back(step);
        self
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = BrokeOff;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokeOff>>> {
        if matches!(self.0.front(), Some(Step::Wait)) {
            return Poll::Pending;
        }
        Poll::Ready(self.0.pop_front().and_then(|step| match step {
            Step::Data(text) => Some(Ok(Frame::data(Bytes::from_static(text.as_bytes())))),
            Step::Trailers(trailers) => Some(Ok(Frame::trailers(trailers))),
            Step::Break => Some(Err(BrokeOff)),
            Step::Wait => None,
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }
}
