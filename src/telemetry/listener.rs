//! `/healthz`, `/readyz`, `/metrics` and our public keys, on a listener of their own.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use metrics_exporter_prometheus::PrometheusHandle;
use tower::Service;

use crate::health::Fault;

/// Whether the process takes calls, and what is wrong with its parts.
#[derive(Clone, Debug, Default)]
pub struct Health {
    takes_calls: Arc<AtomicBool>,
    parts: Arc<[Fault]>,
}

impl Health {
    /// Not ready while one of the parts has a fault.
    pub fn new(parts: impl IntoIterator<Item = Fault>) -> Self {
        Self { takes_calls: Arc::default(), parts: parts.into_iter().collect() }
    }

    pub fn set_ready(&self, is_ready: bool) {
        self.takes_calls.store(is_ready, Ordering::Release);
    }

    /// What keeps the process from being ready, a line each.
    fn faults(&self) -> Vec<String> {
        let stopped = (!self.takes_calls.load(Ordering::Acquire)).then(|| "no new calls are taken".to_owned());
        stopped.into_iter().chain(self.parts.iter().filter_map(Fault::get)).collect()
    }

    fn answer(&self) -> (StatusCode, String) {
        let faults = self.faults();
        if faults.is_empty() {
            return (StatusCode::OK, READY.to_owned());
        }
        let lines = faults.iter().map(|fault| format!("{}\n", fault.replace('\n', " ")));
        (StatusCode::SERVICE_UNAVAILABLE, lines.fold(NOT_READY.to_owned(), |text, line| text + &line))
    }
}

/// How every answer of `/readyz` begins.
pub const READY: &str = "ready\n";
pub const NOT_READY: &str = "not ready\n";

/// The service behind the telemetry listener.
#[derive(Clone)]
pub struct Status {
    health: Health,
    metrics: PrometheusHandle,
    keys: Arc<dyn Fn() -> String + Send + Sync>,
}

const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";
const KEYS: &str = "/.well-known/jwks.json";

impl Status {
    /// `keys` gives the key set (RFC 7517) by which our tokens are verified now.
    pub fn new(health: Health, metrics: PrometheusHandle, keys: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self { health, metrics, keys: Arc::new(keys) }
    }

    fn answer(&self, method: &Method, path: &str) -> (StatusCode, String) {
        let known = matches!(path, "/healthz" | "/readyz" | "/metrics" | KEYS);
        match path {
            _ if known && method != Method::GET && method != Method::HEAD => {
                (StatusCode::METHOD_NOT_ALLOWED, "use GET\n".into())
            }
            "/healthz" => (StatusCode::OK, "ok\n".into()),
            "/readyz" => self.health.answer(),
            "/metrics" => (StatusCode::OK, self.metrics.render()),
            KEYS => (StatusCode::OK, (self.keys)()),
            _ => (StatusCode::NOT_FOUND, format!("here are /healthz, /readyz, /metrics and {KEYS}\n")),
        }
    }
}

impl Service<Request<Incoming>> for Status {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let (status, text) = self.answer(request.method(), request.uri().path());
        let is_key_set = status == StatusCode::OK && request.uri().path() == KEYS;
        let mut response = Response::new(Full::from(text));
        *response.status_mut() = status;
        let media = HeaderValue::from_static(if is_key_set { "application/jwk-set+json" } else { PLAIN });
        response.headers_mut().insert(header::CONTENT_TYPE, media);
        if status == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        ready(Ok(response))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_says_what_is_wrong_and_recovers() {
        let (store, journal) = (Fault::default(), Fault::default());
        let health = Health::new([store.clone(), journal.clone()]);
        let ready = (StatusCode::OK, "ready\n".to_owned());
        let not_ready = |lines: &str| (StatusCode::SERVICE_UNAVAILABLE, format!("not ready\n{lines}"));
        assert_eq!(health.answer(), not_ready("no new calls are taken\n"));
        health.set_ready(true);
        assert_eq!(health.answer(), ready);
        store.set("the store is full");
        journal.set("the journal\nis gone");
        assert_eq!(health.answer(), not_ready("the store is full\nthe journal is gone\n"));
        store.clear();
        journal.clear();
        assert_eq!(health.answer(), ready);
    }
}
