//! Answers that last: a stream, or a tunnel, is judged again while it goes on, and ends when its caller may no longer.

mod body;
mod review;

pub use body::{Watched, WatchedError};
pub(super) use review::{Review, Spot};

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{HeaderMap, Response, StatusCode, header};
use http_body::Body;
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use self::review::Judges;
use super::ledger::Ledger;
use super::{Gate, Outbound, Refused};
use crate::policy::Route;

const GRPC: &str = "application/grpc";

/// Puts the watch in front of the leaf.
#[derive(Clone)]
pub struct WatchLayer(Arc<Judges>);

impl WatchLayer {
    pub fn new(gate: &Gate) -> Self {
        Self(Arc::new(Judges::new(gate)))
    }
}

impl<L> Layer<L> for WatchLayer {
    type Service = Watch<L>;

    fn layer(&self, leaf: L) -> Watch<L> {
        Watch { judges: Arc::clone(&self.0), leaf }
    }
}

/// A leaf whose answers end with the right to have them.
#[derive(Clone)]
pub struct Watch<L> {
    judges: Arc<Judges>,
    leaf: L,
}

impl<B, L, R> Service<Outbound<B>> for Watch<L>
where
    L: Service<Outbound<B>, Response = Response<R>, Error = Refused>,
    R: Body,
{
    type Response = Response<Watched<R>>;
    type Error = Refused;
    type Future = WatchFuture<L::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Refused>> {
        self.leaf.poll_ready(cx)
    }

    fn call(&mut self, outbound: Outbound<B>) -> Self::Future {
        let call = outbound.call();
        let (ledger, takes_trailers) = (Arc::clone(&call.ledger), call.takes_trailers);
        WatchFuture { future: self.leaf.call(outbound), judges: Arc::clone(&self.judges), ledger, takes_trailers }
    }
}

pin_project! {
    pub struct WatchFuture<F> {
        #[pin]
        future: F,
        judges: Arc<Judges>,
        ledger: Arc<Ledger>,
        takes_trailers: bool,
    }
}

impl<F, R> Future for WatchFuture<F>
where
    F: Future<Output = Result<Response<R>, Refused>>,
    R: Body,
{
    type Output = Result<Response<Watched<R>>, Refused>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let (head, body) = ready!(this.future.poll(cx))?.into_parts();
        let is_tunnel = head.status == StatusCode::SWITCHING_PROTOCOLS;
        let route = this.ledger.route.get();
        let lasts = route.is_some_and(|route| ends_with_token(route, is_tunnel, &head.headers));
        let review = if lasts { Review::new(this.judges, this.ledger) } else { None };
        let watched = if is_tunnel {
            this.ledger.with_tunnel(|tunnel| tunnel.review = review);
            Watched::unwatched(body)
        } else {
            Watched::new(body, review, *this.takes_trailers && is_grpc(&head.headers))
        };
        Poll::Ready(Ok(Response::from_parts(head, watched)))
    }
}

/// What the route says, or else whether it is a tunnel or a stream.
fn ends_with_token(route: &Route, is_tunnel: bool, headers: &HeaderMap) -> bool {
    route.ends_with_token.unwrap_or_else(|| is_tunnel || media_type(headers).is_some_and(is_stream))
}

fn is_stream(media_type: &str) -> bool {
    let is = |known: &str| media_type.eq_ignore_ascii_case(known);
    is("text/event-stream") || is("application/x-ndjson") || of_grpc(media_type).is_some()
}

/// Whether trailers may say how the answer ended. In gRPC-Web they are a part of the body.
fn is_grpc(headers: &HeaderMap) -> bool {
    media_type(headers).and_then(of_grpc).is_some_and(|more| !more.starts_with('-'))
}

/// What stands after the name.
fn of_grpc(media_type: &str) -> Option<&str> {
    let (name, more) = media_type.split_at_checked(GRPC.len())?;
    name.eq_ignore_ascii_case(GRPC).then_some(more)
}

/// Without its parameters.
fn media_type(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::CONTENT_TYPE)?.to_str().ok()?.split(';').next().map(str::trim)
}
