//! The upstream: an address of it, a connection there, and what can go wrong on the way.

mod address;
mod attempt;
mod body;
mod circuit;
mod connection;
mod exchange;
mod fault;
mod http2;
mod io;
mod payload;
mod pool;
mod resend;
mod response_head;
mod response_timeout;
mod retry;
mod tend;
mod upstream;
mod wire;

pub use address::Address;
pub(super) use address::Ticket;
pub use body::UpstreamBody;
pub use circuit::{Ejection, Thresholds};
pub use payload::Payload;
pub use retry::Retries;
pub use tend::{Unhealthy, check_health, tend};
pub use upstream::{
    HeaderBounds, HealthCheck, Origin, OriginHost, Protocol, Upstream, UpstreamHost, UpstreamSet, UpstreamSettings,
    UpstreamTimeouts,
};

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use http_body::Body;
use tower::Service;

use self::pool::Pool;
use super::{Destination, Inbound, Outbound, Refused};
use crate::model::{Reason, UpstreamName};

/// The last of the stack: sends the request to its upstream. Each worker has one, with connections of its own.
pub struct Forward<B> {
    upstreams: Arc<UpstreamSet>,
    own: Arc<Mutex<Pools<B>>>,
    /// Of upstreams whose connections are counted: all workers draw on the same ones.
    shared: Arc<Mutex<Pools<B>>>,
}

type Pools<B> = HashMap<UpstreamName, Arc<Pool<Payload<Inbound<B>>>>>;

impl<B> Forward<B> {
    pub fn new(upstreams: Arc<UpstreamSet>) -> Self {
        Self { upstreams, own: Arc::default(), shared: Arc::default() }
    }

    /// Another one for another worker.
    #[must_use]
    pub fn for_worker(&self) -> Self {
        Self { own: Arc::default(), ..self.clone() }
    }
}

impl<B: Send + 'static> Forward<B> {
    /// The pool of an upstream; a new one where the upstream's settings changed.
    fn pool(&self, name: &UpstreamName) -> Option<Arc<Pool<Payload<Inbound<B>>>>> {
        let upstream = self.upstreams.get(name)?;
        let pools = if upstream.settings.max_calls.is_some() { &self.shared } else { &self.own };
        // Nothing panics while the map is locked.
        let mut pools = pools.lock().unwrap_or_else(PoisonError::into_inner);
        match pools.get(name) {
            Some(pool) if Arc::ptr_eq(pool.upstream(), &upstream) => Some(Arc::clone(pool)),
            _ => {
                let pool = Pool::start(upstream);
                pools.insert(name.clone(), Arc::clone(&pool));
                Some(pool)
            }
        }
    }
}

impl<B> Clone for Forward<B> {
    fn clone(&self) -> Self {
        Self { upstreams: Arc::clone(&self.upstreams), own: Arc::clone(&self.own), shared: Arc::clone(&self.shared) }
    }
}

type Answer<B> = Response<UpstreamBody<Payload<Inbound<B>>>>;

impl<B> Service<Outbound<B>> for Forward<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
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
            Destination::Upstream(name) => self.pool(&name),
            Destination::Own(_) => None,
        };
        Box::pin(async move {
            let Some(pool) = pool else { return Err(Refused::new(Reason::UpstreamUnreachable)) };
            exchange::send(&pool, request, upgrade, call).await
        })
    }
}
