//! Bounds that need no token: calls in hand, size of header and body.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Request, header};
use http_body::Body;
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::hygiene;
use super::pace::Pace;
use super::step::SteppedFuture;
use super::{Call, Gate, Inbound, Limits, Received, Refused};
use crate::model::{Reason, Refusal};
use crate::net::{HEADER_FIELDS, Malformed};

/// A request within its bounds; its body stays within them.
pub struct Bounded<B> {
    request: Request<Inbound<B>>,
    call: Call,
}

impl<B> Bounded<B> {
    pub(super) fn into_parts(self) -> (Request<Inbound<B>>, Call) {
        (self.request, self.call)
    }
}

#[derive(Clone)]
pub struct LimitsLayer {
    limits: Arc<ArcSwap<Limits>>,
    in_hand: Arc<AtomicUsize>,
}

impl LimitsLayer {
    pub fn new(gate: &Gate) -> Self {
        Self { limits: Arc::clone(&gate.limits), in_hand: Arc::clone(&gate.in_hand) }
    }
}

impl<S> Layer<S> for LimitsLayer {
    type Service = Limited<S>;

    fn layer(&self, inner: S) -> Limited<S> {
        Limited { layer: self.clone(), inner }
    }
}

#[derive(Clone)]
pub struct Limited<S> {
    layer: LimitsLayer,
    inner: S,
}

impl<B, S> Service<Received<B>> for Limited<S>
where
    B: Body<Data = Bytes>,
    S: Service<Bounded<B>, Error = Refused>,
{
    type Response = S::Response;
    type Error = Refused;
    type Future = LimitedFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Refused>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, received: Received<B>) -> Self::Future {
        let limits = self.layer.limits.load();
        let (request, call) = received.into_parts();
        let permit = Permit::take(&self.layer.in_hand, limits.concurrent_requests);
        let refusal = match &permit {
            None => {
                Some(Refusal::new(Reason::GatewayOverloaded).expected(format!("{} calls", limits.concurrent_requests)))
            }
            Some(_) => malformed(&request).or_else(|| exceeded(&request, &limits).map(Refusal::new)),
        };
        if let Some(refusal) = refusal {
            return LimitedFuture { future: SteppedFuture::Refused { refused: Some(Refused::new(refusal)) }, permit };
        }
        let (head, body) = request.into_parts();
        let pace = Pace::new(&limits, &head.headers, head.version);
        let body = Inbound::new(body, Arc::clone(&call.ledger), limits.body_bytes, limits.body_idle, pace);
        let future = self.inner.call(Bounded { request: Request::from_parts(head, body), call });
        LimitedFuture { future: SteppedFuture::Inner { future }, permit }
    }
}

/// Stands for a request that could not be read.
fn malformed<B>(request: &Request<B>) -> Option<Refusal> {
    let malformed = request.extensions().get::<Malformed>()?;
    let reason = match malformed {
        Malformed::Timeout => Reason::RequestTimeout,
        Malformed::TooLarge | Malformed::TooManyFields => Reason::RequestHeadersTooLarge,
        _ => Reason::RequestInvalid,
    };
    Some(Refusal::new(reason).found(malformed.as_str()))
}

fn exceeded<B: Body>(request: &Request<B>, limits: &Limits) -> Option<Reason> {
    if !hygiene::is_plainly_framed(request.headers()) {
        return Some(Reason::RequestInvalid);
    }
    let header: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    // HTTP/1.1 is read with this bound; HTTP/2 has none of its own.
    if header > limits.header_bytes || request.headers().len() > HEADER_FIELDS {
        return Some(Reason::RequestHeadersTooLarge);
    }
    let declared = request.headers().get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    let body = declared.unwrap_or_else(|| request.body().size_hint().lower());
    (body > limits.body_bytes).then_some(Reason::RequestBodyTooLarge)
}

/// One call in hand, until the head of its answer is there.
struct Permit(Arc<AtomicUsize>);

impl Permit {
    fn take(in_hand: &Arc<AtomicUsize>, limit: usize) -> Option<Self> {
        let permit = Self(Arc::clone(in_hand));
        (in_hand.fetch_add(1, Ordering::Relaxed) < limit).then_some(permit)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

pin_project! {
    /// The rest of the stack at work, with its place among the calls in hand.
    pub struct LimitedFuture<F> {
        #[pin]
        future: SteppedFuture<F>,
        permit: Option<Permit>,
    }
}

impl<F, T> Future for LimitedFuture<F>
where
    F: Future<Output = Result<T, Refused>>,
{
    type Output = Result<T, Refused>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().future.poll(cx)
    }
}
