//! Every refusal becomes an answer here, in its route's format; the true reason goes to the record.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, UNIX_EPOCH};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Version, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::answer::grpc::Dialect;
use super::answer::{Detail, answer};
use super::{Call, Gate, Limits, Received};
use crate::clock::Timestamp;
use crate::model::{Reason, Refusal};
use crate::policy::{ErrorFormat, Route};

const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// A request that does not go on, and the route whose format the answer takes.
#[derive(Debug)]
pub struct Refused {
    refusal: Refusal,
    route: Option<Arc<Route>>,
    advice: Option<Box<Advice>>,
}

/// What some refusals tell beside their reason.
#[derive(Debug, Default)]
struct Advice {
    allow: Option<String>,
    /// In seconds.
    retry_after: Option<u64>,
    /// Where the caller should have gone.
    instead: Option<String>,
}

impl Refused {
    pub fn new(refusal: impl Into<Refusal>) -> Self {
        Self { refusal: refusal.into(), route: None, advice: None }
    }

    #[must_use]
    pub(super) fn on(mut self, route: &Arc<Route>) -> Self {
        self.route = Some(Arc::clone(route));
        self
    }

    #[must_use]
    pub(super) fn allowing(mut self, methods: String) -> Self {
        self.advice.get_or_insert_default().allow = Some(methods);
        self
    }

    #[must_use]
    pub(super) fn retrying_after(mut self, seconds: u64) -> Self {
        self.advice.get_or_insert_default().retry_after = Some(seconds);
        self
    }

    /// Tells the caller where to go instead.
    #[must_use]
    pub(super) fn advising(mut self, instead: String) -> Self {
        self.advice.get_or_insert_default().instead = Some(instead);
        self
    }

    pub fn refusal(&self) -> &Refusal {
        &self.refusal
    }
}

#[derive(Clone)]
pub struct RefuseLayer {
    limits: Arc<ArcSwap<Limits>>,
}

impl RefuseLayer {
    pub fn new(gate: &Gate) -> Self {
        Self { limits: Arc::clone(&gate.limits) }
    }
}

impl<S> Layer<S> for RefuseLayer {
    type Service = Refuse<S>;

    fn layer(&self, inner: S) -> Refuse<S> {
        Refuse { limits: Arc::clone(&self.limits), inner }
    }
}

#[derive(Clone)]
pub struct Refuse<S> {
    limits: Arc<ArcSwap<Limits>>,
    inner: S,
}

impl<B, S, R> Service<Received<B>> for Refuse<S>
where
    S: Service<Received<B>, Response = Response<R>, Error = Refused>,
{
    type Response = Response<Answered<R>>;
    type Error = Infallible;
    type Future = RefuseFuture<S::Future>;

    /// An inner service that fails to become ready is asked again by the call, which then fails for itself.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx).map(|_| Ok(()))
    }

    fn call(&mut self, received: Received<B>) -> Self::Future {
        let (request, call) = received.into_parts();
        let (kept, dialect) = (call.clone(), Dialect::of(request.headers()));
        let is_http2 = request.version() == Version::HTTP_2;
        let future = self.inner.call(Received::new(request, call));
        RefuseFuture { future, call: kept, dialect, is_http2, limits: Arc::clone(&self.limits) }
    }
}

pin_project! {
    pub struct RefuseFuture<F> {
        #[pin]
        future: F,
        call: Call,
        dialect: Option<Dialect>,
        is_http2: bool,
        limits: Arc<ArcSwap<Limits>>,
    }
}

impl<F, R> Future for RefuseFuture<F>
where
    F: Future<Output = Result<Response<R>, Refused>>,
{
    type Output = Result<Response<Answered<R>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answered = match this.future.poll(cx) {
            Poll::Pending if this.call.is_cut() => {
                let refusal = Refusal::new(Reason::GatewayStopping);
                this.call.ledger.end(refusal.clone());
                Err(this.call.refused(refusal))
            }
            answered => ready!(answered),
        };
        let mut response = match answered {
            Ok(response) => response.map(|body| Answered::Upstream { body }),
            Err(refused) => {
                let reason_header = this.limits.load().reason_header;
                // A content type, which any client can send, turns no 401 into a 200 where no gRPC is spoken.
                let route = refused.route.as_deref().or(this.call.ledger.route.get().map(|route| &**route));
                let speaks_grpc = *this.is_http2 || route.is_some_and(|route| route.grpc);
                let response = match this.dialect.filter(|_| speaks_grpc) {
                    None => respond(&refused, this.call, reason_header),
                    Some(dialect) => respond_in(dialect, &refused, this.call),
                };
                if refused.route.is_some() {
                    _ = refused.route.map(|route| this.call.ledger.route.set(route));
                }
                _ = this.call.ledger.refusal.set(refused.refusal);
                response.map(|body| Answered::Own { body })
            }
        };
        if let Some(reading) = this.call.ledger.reading.get() {
            reading.tell(response.headers_mut());
        }
        if let Some(standing) = this.call.ledger.standing.get() {
            let headers = response.headers_mut();
            headers.insert(RATE_LIMIT_POLICY, standing.policy.clone());
            headers.insert(RATE_LIMIT, standing.left.clone());
        }
        Poll::Ready(Ok(response))
    }
}

fn respond(refused: &Refused, call: &Call, reason_header: bool) -> Response<Full<Bytes>> {
    let route = refused.route.as_deref();
    let reason = refused.refusal.reason;
    let scope = route.filter(|_| reason == Reason::ScopeInsufficient).and_then(|r| scope_of(r, call));
    let advice = refused.advice.as_deref();
    let detail = Detail { scope: scope.as_deref(), advice: advice.and_then(|a| a.instead.as_deref()) };
    let answer = answer(&refused.refusal, route, &detail, call.id.as_str());
    let mut response = Response::new(Full::from(answer.body));
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    set_moment(headers, call);
    if let Some(challenge) = answer.challenge.and_then(|c| HeaderValue::try_from(c).ok()) {
        headers.insert(header::WWW_AUTHENTICATE, challenge);
    }
    if let Some(allow) = advice.and_then(|a| HeaderValue::try_from(a.allow.as_deref()?).ok()) {
        headers.insert(header::ALLOW, allow);
    }
    let retry_after =
        advice.and_then(|a| a.retry_after).or((answer.status == StatusCode::SERVICE_UNAVAILABLE).then_some(1));
    if let Some(seconds) = retry_after {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    let is_vendor = route.is_some_and(|r| r.authenticator.error_format != ErrorFormat::Problem);
    if is_vendor && reason_header {
        headers.insert("x-scopegate-reason", HeaderValue::from_static(reason.public().code()));
        headers.insert("x-scopegate-hint", HeaderValue::from_static(reason.public().fix()));
    }
    response
}

/// As callers of gRPC read it, whatever the route's format is.
fn respond_in(dialect: Dialect, refused: &Refused, call: &Call) -> Response<Full<Bytes>> {
    let mut response = dialect.answer(refused.refusal.reason);
    let headers = response.headers_mut();
    set_moment(headers, call);
    if let Some(seconds) = refused.advice.as_ref().and_then(|advice| advice.retry_after) {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

fn set_moment(headers: &mut HeaderMap, call: &Call) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // By the clock that judged: callers measure by it how far theirs is off.
    headers.insert(header::DATE, http_date(call.now));
}

/// RFC 9110 section 5.6.7.
pub(super) fn http_date(now: Timestamp) -> HeaderValue {
    // What the format can write: years of four digits, from 1970.
    let seconds = now.secs().clamp(0, 253_402_300_799).unsigned_abs();
    let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT"))
}

/// The scope that the caller lacks; the app is known when it is asked for.
fn scope_of(route: &Route, call: &Call) -> Option<String> {
    let level = call.ledger.app.get()?.level;
    route.requirement.scope_for(level).map(ToString::to_string)
}

pin_project! {
    /// The upstream's body, or one of our own.
    #[project = Projected]
    pub enum Answered<R> {
        Upstream { #[pin] body: R },
        Own { #[pin] body: Full<Bytes> },
    }
}

impl<R: Body<Data = Bytes>> Body for Answered<R> {
    type Data = Bytes;
    type Error = R::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, R::Error>>> {
        match self.project() {
            Projected::Upstream { body } => body.poll_frame(cx),
            Projected::Own { body } => body.poll_frame(cx).map_err(|never| match never {}),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Upstream { body } => body.is_end_stream(),
            Self::Own { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Upstream { body } => body.size_hint(),
            Self::Own { body } => body.size_hint(),
        }
    }
}
