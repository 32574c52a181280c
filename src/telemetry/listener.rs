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

/// Whether the process takes calls. It lives as long as it answers.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<AtomicBool>);

impl Health {
    pub fn set_ready(&self, is_ready: bool) {
        self.0.store(is_ready, Ordering::Release);
    }

    fn is_ready(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

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
            "/readyz" if self.health.is_ready() => (StatusCode::OK, "ready\n".into()),
            "/readyz" => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n".into()),
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
