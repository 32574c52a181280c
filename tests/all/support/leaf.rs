//! The service behind the gateway: it writes down what reaches it.

use std::convert::Infallible;
use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Uri};
use http_body::Body;
use http_body_util::{BodyExt as _, Full};
use tower::Service;

/// What it answers.
pub const ANSWER: &str = "from the leaf";

#[derive(Clone, Debug, Default)]
pub struct Leaf(Arc<Mutex<Vec<Seen>>>);

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    /// The whole body and its trailers, or why it broke off.
    pub body: Result<(Bytes, Option<HeaderMap>), String>,
}

impl Seen {
    /// The one value of a header.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let first = values.next();
        assert!(values.next().is_none(), "{name} stands more than once");
        first.and_then(|v| v.to_str().ok())
    }
}

impl Leaf {
    pub fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    #[track_caller]
    pub fn take_one(&self) -> Seen {
        let mut seen = self.take();
        assert_eq!(seen.len(), 1, "one call reaches the leaf: {seen:#?}");
        seen.remove(0)
    }
}

impl<B> Service<Request<B>> for Leaf
where
    B: Body<Data = Bytes, Error: Display> + Send + 'static,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let leaf = self.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.map_err(|error| error.to_string());
            let body = body.map(|b| (b.trailers().cloned(), b.to_bytes())).map(|(trailers, bytes)| (bytes, trailers));
            let seen = Seen { method: head.method, uri: head.uri, headers: head.headers, body };
            leaf.0.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
            Ok(Response::new(Full::from(ANSWER)))
        })
    }
}
