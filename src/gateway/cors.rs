//! Pages of other origins: what a browser asks before it lets one call is answered here, without a credential and without
//! the upstream; and each answer of such a route says which pages may read it, refusals too.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::Full;
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::{Answered, Call, Matched, Refused};
use crate::policy::{Cors, Preflight, Route, RouteTable, one_origin};

/// What an upstream has no say in on a route with rules of ours.
const OURS: [HeaderName; 6] = [
    header::ACCESS_CONTROL_ALLOW_ORIGIN,
    header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
    header::ACCESS_CONTROL_ALLOW_HEADERS,
    header::ACCESS_CONTROL_ALLOW_METHODS,
    header::ACCESS_CONTROL_EXPOSE_HEADERS,
    header::ACCESS_CONTROL_MAX_AGE,
];

/// By what a browser's question is answered: caches have to tell all of it apart.
const ASKED: [HeaderName; 3] =
    [header::ORIGIN, header::ACCESS_CONTROL_REQUEST_METHOD, header::ACCESS_CONTROL_REQUEST_HEADERS];

/// What the answer to a call says about who may read it.
#[derive(Debug)]
pub(super) struct Reading {
    cors: Arc<Cors>,
    open_to: Option<HeaderValue>,
    is_preflight: bool,
}

impl Reading {
    /// Notes it for the answer of a route, whatever that will be.
    pub fn note(call: &Call, route: &Route, headers: &HeaderMap) {
        if let Some(cors) = &route.cors {
            let open_to = cors.open_to(one_origin(headers));
            _ = call.ledger.reading.set(Self { cors: Arc::clone(cors), open_to, is_preflight: false });
        }
    }

    /// Says it in an answer.
    pub fn tell(&self, headers: &mut HeaderMap) {
        if self.is_preflight {
            return ASKED.iter().for_each(|name| vary(headers, name));
        }
        for name in &OURS {
            headers.remove(name);
        }
        if self.cors.varies() {
            vary(headers, &header::ORIGIN);
        }
        if let Some(open_to) = &self.open_to {
            open(headers, &self.cors, open_to);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, self.cors.expose.clone());
        }
    }
}

fn open(headers: &mut HeaderMap, cors: &Cors, to: &HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, to.clone());
    if cors.credentials {
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
}

/// Says that the answer differs by this field of the request, unless that is said already (RFC 9110 section 12.5.5).
fn vary(headers: &mut HeaderMap, by: &HeaderName) {
    let said = headers.get_all(header::VARY).iter().flat_map(|value| value.as_bytes().split(|b| *b == b','));
    let mut said = said.map(<[u8]>::trim_ascii);
    if !said.any(|name| name == b"*" || name.eq_ignore_ascii_case(by.as_str().as_bytes())) {
        headers.append(header::VARY, HeaderValue::from(by.clone()));
    }
}

/// The answer to a question of a browser, if it is one about a route that pages may call at all.
pub(super) fn answer(
    call: &Call,
    table: &RouteTable,
    host: &str,
    path: &str,
    preflight: &Preflight<'_>,
) -> Option<Result<Permission, Refused>> {
    let (route, takes_method) = table.asked_by_page(host, path, preflight)?;
    let cors = route.cors.as_ref()?;
    _ = call.ledger.route.set(Arc::clone(route));
    _ = call.ledger.reading.set(Reading { cors: Arc::clone(cors), open_to: None, is_preflight: true });
    let judged = if takes_method { cors.judge(preflight) } else { Err(preflight.wrong_method(cors)) };
    Some(match judged {
        Ok(open_to) => {
            let mut headers = HeaderMap::new();
            open(&mut headers, cors, &open_to);
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, cors.allow_methods.clone());
            if let Some(allowed) = cors.allow_headers(preflight) {
                headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
            }
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, cors.max_age.clone());
            Ok(Permission(headers))
        }
        Err(refusal) => Err(Refused::new(refusal).on(route)),
    })
}

/// What a browser is told that may let a page call.
pub struct Permission(HeaderMap);

/// A request that was found its route: a call, which goes on, or a question of a browser, which has its answer.
#[expect(clippy::large_enum_variant, reason = "nearly all are the large one, and a box would cost each of them")]
pub enum Located<B> {
    Call(Matched<B>),
    Preflight(Permission),
}

/// Answers the questions of browsers.
#[derive(Clone, Copy, Debug)]
pub struct PreflightLayer;

impl<S> Layer<S> for PreflightLayer {
    type Service = Preflighted<S>;

    fn layer(&self, inner: S) -> Preflighted<S> {
        Preflighted { inner }
    }
}

/// Calls go on to the service behind it.
#[derive(Clone, Copy, Debug)]
pub struct Preflighted<S> {
    inner: S,
}

impl<B, S, R> Service<Located<B>> for Preflighted<S>
where
    S: Service<Matched<B>, Response = Response<R>, Error = Refused>,
{
    type Response = Response<Answered<R>>;
    type Error = Refused;
    type Future = PreflightFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Refused>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, located: Located<B>) -> Self::Future {
        match located {
            Located::Call(matched) => PreflightFuture::Call { future: self.inner.call(matched) },
            Located::Preflight(permission) => PreflightFuture::Answer { permission: Some(permission) },
        }
    }
}

pin_project! {
    /// The rest of the stack at work, or the answer to a browser.
    #[project = Projected]
    pub enum PreflightFuture<F> {
        Call { #[pin] future: F },
        Answer { permission: Option<Permission> },
    }
}

impl<F, R> Future for PreflightFuture<F>
where
    F: Future<Output = Result<Response<R>, Refused>>,
{
    type Output = Result<Response<Answered<R>>, Refused>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            Projected::Call { future } => {
                Poll::Ready(ready!(future.poll(cx)).map(|response| response.map(|body| Answered::Upstream { body })))
            }
            Projected::Answer { permission } => match permission.take() {
                Some(Permission(headers)) => {
                    let mut response = Response::new(Answered::Own { body: Full::new(Bytes::new()) });
                    *response.status_mut() = StatusCode::NO_CONTENT;
                    *response.headers_mut() = headers;
                    Poll::Ready(Ok(response))
                }
                None => Poll::Pending,
            },
        }
    }
}
