//! The upstream: a pool of HTTP/1.1 connections per worker, and what can go wrong on the way.

mod body;
mod pool;
mod upstream;

pub use body::UpstreamBody;
pub use upstream::{Upstream, UpstreamSet, UpstreamTimeouts};

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http_body::Body;
use tower::Service;

use self::pool::{Pool, SendFault};
use super::{Call, Destination, Inbound, Outbound, Refused, hygiene, tunnel};
use crate::model::{Reason, Refusal, UpstreamName};

/// The last of the stack: sends the request to its upstream. One per worker, with connections of its own.
pub struct Forward<B> {
    upstreams: Arc<UpstreamSet>,
    pools: Arc<Mutex<Pools<B>>>,
}

type Pools<B> = HashMap<UpstreamName, Arc<Pool<Inbound<B>>>>;

impl<B> Forward<B> {
    pub fn new(upstreams: Arc<UpstreamSet>) -> Self {
        Self { upstreams, pools: Arc::default() }
    }

    /// The pool of an upstream; a new one where the upstream's settings changed.
    fn pool(&self, name: &UpstreamName) -> Option<Arc<Pool<Inbound<B>>>> {
        let upstream = self.upstreams.get(name)?;
        // Nothing panics while the map is locked.
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        match pools.get(name) {
            Some(pool) if Arc::ptr_eq(pool.upstream(), &upstream) => Some(Arc::clone(pool)),
            _ => {
                let pool = Arc::new(Pool::new(upstream));
                pools.insert(name.clone(), Arc::clone(&pool));
                Some(pool)
            }
        }
    }
}

impl<B> Clone for Forward<B> {
    fn clone(&self) -> Self {
        Self { upstreams: Arc::clone(&self.upstreams), pools: Arc::clone(&self.pools) }
    }
}

type Answer<B> = Response<UpstreamBody<Inbound<B>>>;

impl<B> Service<Outbound<B>> for Forward<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: std::fmt::Display,
{
    type Response = Answer<B>;
    type Error = Refused;
    /// The one boxed future of a request.
    type Future = Pin<Box<dyn Future<Output = Result<Answer<B>, Refused>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Refused>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut outbound: Outbound<B>) -> Self::Future {
        let upgrade = outbound.take_upgrade();
        let (request, call, destination) = outbound.into_parts();
        let pool = match destination {
            Destination::Upstream(name) => self.pool(&name).map(|pool| (name, pool)),
            Destination::Own(_) => None,
        };
        Box::pin(async move {
            let Some((name, pool)) = pool else { return Err(Refused::new(Reason::UpstreamUnreachable)) };
            send(&pool, request, upgrade, call, name).await
        })
    }
}

async fn send<B>(
    pool: &Arc<Pool<Inbound<B>>>,
    mut request: Request<Inbound<B>>,
    upgrade: Option<Box<tunnel::Asked>>,
    call: Call,
    name: UpstreamName,
) -> Result<Answer<B>, Refused>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: std::fmt::Display,
{
    let upstream = pool.upstream();
    _ = call.ledger.upstream.set(name.clone());
    request.headers_mut().insert(header::HOST, upstream.host.clone());
    frame(&mut request);
    if let Some(asked) = &upgrade {
        tunnel::ask(request.headers_mut(), asked);
    }
    let is_head = request.method() == Method::HEAD;
    let sent = pool.send(request, &call.ledger);
    let fault = match in_time(sent, &call, upstream.timeouts.response).await {
        Some(Ok(mut response)) => {
            let checked = match upgrade {
                Some(asked) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                    tunnel::agree(&mut response, *asked, &call.ledger)
                }
                _ => clean(&mut response, is_head, call.ledger.claimed()),
            };
            match checked {
                Ok(()) => return Ok(response),
                Err(why) => Refusal::new(Reason::UpstreamInvalid).found(why),
            }
        }
        Some(Err(fault)) => refusal_of(&fault, &call),
        None => Refusal::new(Reason::UpstreamTimeout)
            .expected(format!("an answer of upstream {name} within {:?}", upstream.timeouts.response)),
    };
    Err(refused(&call, &name, fault))
}

/// In the format of the call's route, and naming the upstream for the log.
fn refused(call: &Call, upstream: &UpstreamName, fault: Refusal) -> Refused {
    let expected = fault.expected.or_else(|| Some(format!("upstream {upstream}").into()));
    call.refused(Refusal { expected, ..fault })
}

/// Says how the body is framed where hyper would not: it takes a body without a length for none in some methods.
fn frame<B: Body>(request: &mut Request<B>) {
    let is_empty = request.body().is_end_stream();
    let is_sized = request.body().size_hint().exact().is_some();
    let may_have_body = matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH);
    if is_empty && may_have_body {
        request.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    } else if !is_empty && (!is_sized || request.headers().contains_key(header::TRAILER)) {
        // Trailers need chunks, also where HTTP/2 told a length beside them.
        request.headers_mut().insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
}

/// Waits for an answer, as long as the request's body moves and for the limit after that.
async fn in_time<F: Future>(sent: F, call: &Call, limit: std::time::Duration) -> Option<F::Output> {
    let mut sent = std::pin::pin!(sent);
    let mut seen = call.ledger.bytes_in();
    loop {
        match tokio::time::timeout(limit, sent.as_mut()).await {
            Ok(answer) => return Some(answer),
            Err(_) if call.ledger.bytes_in() != seen => seen = call.ledger.bytes_in(),
            Err(_) => return None,
        }
    }
}

fn refusal_of(fault: &SendFault, call: &Call) -> Refusal {
    // A body that broke off by itself breaks the sending too; the caller is told what began it.
    if let Some(reason) = call.ledger.body_fault.get() {
        return Refusal::new(*reason).found(fault.to_string());
    }
    let reason = match fault {
        SendFault::Connect(_) => Reason::UpstreamUnreachable,
        SendFault::Broken(_) => Reason::UpstreamInvalid,
    };
    Refusal::new(reason).found(fault.to_string())
}

/// Checks an answer's framing and cleans its header. The length that a HEAD or a 304 tells is kept: it frames nothing.
fn clean<B>(response: &mut Response<B>, is_head: bool, claimed: &[HeaderName]) -> Result<(), &'static str> {
    let status = response.status();
    if status.is_informational() {
        return Err("an answer that is none yet");
    }
    // The upstream's version is its own affair: an answer of HTTP/1.0 would end the caller's connection.
    *response.version_mut() = Version::HTTP_11;
    let keep_length = is_head || matches!(status, StatusCode::NOT_MODIFIED | StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    if !hygiene::is_plainly_framed(headers) {
        return Err("an answer with a transfer coding other than chunked");
    }
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let length = lengths.next().cloned();
    if lengths.next().is_some() || length.as_ref().is_some_and(|l| !l.as_bytes().iter().all(u8::is_ascii_digit)) {
        return Err("an answer with a Content-Length that is no number");
    }
    if length.is_some() && headers.contains_key(header::TRANSFER_ENCODING) {
        return Err("an answer with Content-Length and Transfer-Encoding");
    }
    hygiene::clean_response(headers, claimed);
    if let Some(length) = length.filter(|_| keep_length) {
        headers.insert(header::CONTENT_LENGTH, length);
    }
    Ok(())
}
