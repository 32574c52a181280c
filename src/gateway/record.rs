//! Outermost: whatever happens to a call, its end is recorded once, with all that was known by then.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::call::{RequestId, RequestIds};
use super::hygiene;
use super::ledger::Ledger;
use super::meters::Meters;
use super::{AccessLog, Call, Client, Entry, Forwarding, Gate, Outcome, Received};
use crate::clock::{Clock, instant};
use crate::model::{Reason, Refusal};
use crate::net::Peer;

#[derive(Clone)]
pub struct RecordLayer(Arc<Shared>);

struct Shared {
    clock: Clock,
    log: Arc<dyn AccessLog>,
    ids: RequestIds,
    forwarding: Arc<ArcSwap<Forwarding>>,
    meters: Meters,
}

impl RecordLayer {
    pub fn new(gate: &Gate) -> Self {
        let (clock, log) = (gate.clock.clone(), Arc::clone(&gate.log));
        let forwarding = Arc::clone(&gate.forwarding);
        let meters = Meters::new(gate.route_histograms);
        Self(Arc::new(Shared { clock, log, ids: RequestIds::default(), forwarding, meters }))
    }
}

impl Shared {
    fn begin<B>(&self, request: &Request<B>) -> Call {
        let peer = request.extensions().get::<Peer>().cloned();
        let forwarding = self.forwarding.load();
        let proxy = peer.as_ref().filter(|peer| forwarding.trusted.includes(&peer.address));
        Call {
            id: proxy.and_then(|_| RequestId::kept(request.headers())).unwrap_or_else(|| self.ids.next()),
            now: self.clock.now(),
            client: match proxy {
                Some(proxy) => Client::behind(proxy, request.headers(), &forwarding),
                None => Client::of(peer.as_ref(), &forwarding),
            },
            peer,
            takes_trailers: request.version() == Version::HTTP_2,
            ledger: Arc::new(Ledger::new(self.log.explains())),
        }
    }
}

impl<S> Layer<S> for RecordLayer {
    type Service = Record<S>;

    fn layer(&self, inner: S) -> Record<S> {
        Record { shared: Arc::clone(&self.0), inner }
    }
}

#[derive(Clone)]
pub struct Record<S> {
    shared: Arc<Shared>,
    inner: S,
}

impl<B, S, R> Service<Request<B>> for Record<S>
where
    S: Service<Received<B>, Response = Response<R>, Error = Infallible>,
    R: Body<Data = Bytes>,
{
    type Response = Response<Recorded<R>>;
    type Error = Infallible;
    type Future = RecordFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let call = self.shared.begin(&request);
        let pending = Pending {
            shared: Arc::clone(&self.shared),
            call: call.clone(),
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            started: instant(),
            status: None,
            bytes_out: 0,
            outcome: Outcome::Abandoned,
        };
        let inner = &mut self.inner;
        match catch_unwind(AssertUnwindSafe(|| inner.call(Received::new(request, call)))) {
            Ok(future) => RecordFuture { future: Some(future), pending: Some(pending) },
            Err(_) => RecordFuture { future: None, pending: Some(pending) },
        }
    }
}

/// A call that is not over. Dropping it records it.
pub(super) struct Pending {
    shared: Arc<Shared>,
    call: Call,
    method: Method,
    uri: Uri,
    version: Version,
    started: Instant,
    status: Option<u16>,
    bytes_out: u64,
    outcome: Outcome,
}

impl Pending {
    pub fn ledger(&self) -> &Ledger {
        &self.call.ledger
    }

    /// How the call ended, where it became a tunnel.
    pub fn ends(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let ledger = &self.call.ledger;
        if self.outcome == Outcome::Abandoned && self.call.is_cut() {
            ledger.end(Refusal::new(Reason::GatewayStopping));
        }
        // One that was never opened closes what there is of it.
        drop(ledger.take_tunnel());
        let (refusal, proof) = (ledger.refusal.get(), ledger.proof.get().map(|p| &**p));
        let is_single_use = ledger.is_single_use.load(Ordering::Relaxed);
        let overriding = ledger.overriding.get();
        let entry = Entry {
            at: self.call.now,
            request_id: self.call.id.as_str(),
            peer: self.call.peer.as_ref(),
            client: self.call.client.behind_proxies(),
            method: overriding.unwrap_or(&self.method),
            overridden: overriding.map(|_| &self.method),
            uri: &self.uri,
            host: ledger.host.get().map(|h| &**h),
            route: ledger.route.get(),
            app: ledger.app.get().map(|a| &**a),
            service: ledger.service.get().map(|s| &**s),
            is_verified: ledger.is_verified.load(Ordering::Relaxed),
            proof,
            single_use: proof.filter(|_| is_single_use).and_then(|p| p.claims.token_id.as_deref()),
            bot: ledger.bot.get(),
            upstream: ledger.upstream.get().map(|upstream| &upstream.name),
            address: ledger.address.get().map(|address| &*address.label),
            retries: ledger.retries.load(Ordering::Relaxed),
            status: self.status,
            reason: refusal.map(|r| r.reason),
            expected: refusal.and_then(|r| r.expected.as_deref()),
            found: refusal.and_then(|r| r.found.as_deref()),
            outcome: if ledger.is_ended.load(Ordering::Acquire) { Outcome::Ended } else { self.outcome },
            duration: instant().duration_since(self.started),
            bytes_in: ledger.bytes_in(),
            bytes_out: self.bytes_out + ledger.bytes_out(),
            headers: ledger.headers(),
            doubt: ledger.doubt.get(),
        };
        self.shared.meters.count(&entry);
        self.shared.log.write(&entry);
    }
}

pin_project! {
    pub struct RecordFuture<F> {
        // None where the stack panicked before there was a future.
        #[pin]
        future: Option<F>,
        pending: Option<Pending>,
    }
}

impl<F, R> Future for RecordFuture<F>
where
    F: Future<Output = Result<Response<R>, Infallible>>,
    R: Body<Data = Bytes>,
{
    type Output = Result<Response<Recorded<R>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = match this.future.as_pin_mut() {
            None => None,
            Some(future) => match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
                Ok(poll) => {
                    let Ok(response) = ready!(poll);
                    Some(response)
                }
                Err(_) => None,
            },
        };
        let Some(mut pending) = this.pending.take() else { return Poll::Pending };
        let id = pending.call.id.header_value();
        let mut response = match answer {
            Some(response) => {
                let (mut head, body) = response.into_parts();
                if pending.version == Version::HTTP_10 && body.size_hint().exact().is_none() {
                    // The end of the connection is the end of the body; hyper would promise to keep it.
                    head.version = Version::HTTP_10;
                }
                pending.status = Some(head.status.as_u16());
                pending.call.ledger.is_answered.store(true, Ordering::Relaxed);
                // Nobody reads the body of an answer to HEAD.
                if body.is_end_stream() || pending.method == Method::HEAD {
                    pending.outcome = Outcome::Complete;
                }
                match pending.call.ledger.take_tunnel() {
                    None => Response::from_parts(head, Recorded { body: Some(body), pending: Some(pending) }),
                    // The body of this answer is nothing, and the call is not over with it.
                    Some(tunnel) => {
                        tunnel.begin(pending);
                        Response::from_parts(head, Recorded { body: None, pending: None })
                    }
                }
            }
            None => panicked(pending),
        };
        response.headers_mut().insert(hygiene::REQUEST_ID, id);
        Poll::Ready(Ok(response))
    }
}

/// One call fails; the process and its other calls do not.
fn panicked<R>(mut pending: Pending) -> Response<Recorded<R>> {
    _ = pending.call.ledger.refusal.set(Refusal::new(Reason::GatewayInternal));
    pending.status = Some(500);
    pending.outcome = Outcome::Panicked;
    let mut response = Response::new(Recorded { body: None, pending: Some(pending) });
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

pin_project! {
    /// A body at whose end the call is over.
    pub struct Recorded<R> {
        #[pin]
        body: Option<R>,
        // None where a tunnel has it.
        pending: Option<Pending>,
    }
}

impl<R> fmt::Debug for Recorded<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recorded")
    }
}

impl<R: Body<Data = Bytes>> Body for Recorded<R> {
    type Data = Bytes;
    type Error = R::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, R::Error>>> {
        let mut this = self.project();
        let Some(body) = this.body.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        let frame = ready!(body.poll_frame(cx));
        let Some(pending) = this.pending else { return Poll::Ready(frame) };
        match &frame {
            None => pending.outcome = Outcome::Complete,
            Some(Err(_)) => pending.outcome = Outcome::Cut,
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                pending.bytes_out += u64::try_from(length).unwrap_or(u64::MAX);
                // Nothing comes after trailers, and not every server asks for it.
                if frame.is_trailers() || this.body.as_ref().as_pin_ref().is_some_and(|b| b.is_end_stream()) {
                    pending.outcome = Outcome::Complete;
                }
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
