//! The stack as a layer for somebody else's service.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::{Gate, Inbound, Outbound, RecordLayer, Refused};

/// Puts the whole stack, from `record` to `outbound`, in front of any HTTP service: each request that reaches the
/// service passed every check and carries the caller's identity in its headers. Upstreams that routes name are not used.
///
/// The layer is made once; the services that it makes, of which some servers want one per connection, share what it holds.
#[derive(Clone)]
pub struct ScopegateLayer {
    gate: Gate,
    record: RecordLayer,
}

impl ScopegateLayer {
    pub fn new(gate: Gate) -> Self {
        Self { record: RecordLayer::new(&gate), gate }
    }
}

impl<S> Layer<S> for ScopegateLayer {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        super::recorded_stack(self.record.clone(), &self.gate, Embedded(inner))
    }
}

/// The stack around an [`Embedded`] service.
pub type Guarded<S> = super::Stack<Embedded<S>>;

/// A service of others as the last of the stack.
#[derive(Clone, Debug)]
pub struct Embedded<S>(S);

impl<B, S, R> Service<Outbound<B>> for Embedded<S>
where
    S: Service<Request<Inbound<B>>, Response = Response<R>, Error = Infallible>,
    R: Body<Data = Bytes>,
{
    type Response = Response<R>;
    type Error = Refused;
    type Future = EmbeddedFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Refused>> {
        self.0.poll_ready(cx).map_err(|never| match never {})
    }

    fn call(&mut self, outbound: Outbound<B>) -> Self::Future {
        EmbeddedFuture { future: self.0.call(outbound.into_request()) }
    }
}

pin_project! {
    pub struct EmbeddedFuture<F> {
        #[pin]
        future: F,
    }
}

impl<F, R> Future for EmbeddedFuture<F>
where
    F: Future<Output = Result<R, Infallible>>,
{
    type Output = Result<R, Refused>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Ok(response) = ready!(self.project().future.poll(cx));
        Poll::Ready(Ok(response))
    }
}
