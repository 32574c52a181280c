//! An upstream that tells what reached it.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use serde_json::{Map, Value, json};
use tower::Service;

const MAX_SHOWN: usize = 64 << 10;

#[derive(Clone, Copy)]
pub(super) struct Echo;

impl Service<Request<Incoming>> for Echo {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = match Limited::new(body, MAX_SHOWN).collect().await {
                Ok(body) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
                Err(_) => format!("(more than {MAX_SHOWN} bytes, or broken off)"),
            };
            let field = |(name, value): (&http::HeaderName, &HeaderValue)| {
                (name.to_string(), Value::from(String::from_utf8_lossy(value.as_bytes())))
            };
            let headers: Map<String, Value> = head.headers.iter().map(field).collect();
            let shown = json!({ "method": head.method.as_str(), "target": head.uri.to_string(), "headers": headers, "body": body });
            let mut response = Response::new(Full::from(format!("{shown:#}\n")));
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            Ok(response)
        })
    }
}
