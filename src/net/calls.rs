//! The requests of one connection: counted while they are in flight, and told when the drain is over.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use pin_project_lite::pin_project;
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;
use tokio::time::Instant;
use tower::Service;

use super::http1::{Turn, encode_query};
use super::io::Protocol;
use super::{Peer, Stay};

/// The requests of a connection.
#[derive(Debug)]
pub(super) struct Calls {
    opened: Instant,
    begun: AtomicUsize,
    in_flight: AtomicUsize,
    /// When the last one ended, in milliseconds after the connection was opened.
    last_end: AtomicU64,
    begins: Notify,
    is_cut: AtomicBool,
    /// Wakes requests that run in tasks of their own, as those of HTTP/2 do.
    cut: Arc<Notify>,
    /// What the reader of HTTP/1.1 learns of them.
    pub turn: Turn,
}

impl Calls {
    fn new() -> Self {
        Self {
            opened: Instant::now(),
            begun: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            last_end: AtomicU64::new(0),
            begins: Notify::new(),
            is_cut: AtomicBool::new(false),
            cut: Arc::default(),
            turn: Turn::default(),
        }
    }

    pub fn are_none(&self) -> bool {
        self.begun.load(Ordering::Relaxed) == 0
    }

    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Waits until one begins from now on.
    pub async fn next(&self) {
        let before = self.begun.load(Ordering::Relaxed);
        // What is left of a call from before wakes it, too.
        while self.begun.load(Ordering::Relaxed) == before {
            self.begins.notified().await;
        }
    }

    /// Waits until none has been in flight for so long.
    pub async fn idle_for(&self, limit: Duration) {
        loop {
            let left = match self.in_flight() {
                0 => limit.saturating_sub(self.idle_time()),
                _ => limit,
            };
            if left.is_zero() {
                return;
            }
            // A little more, since the last end is known to the millisecond.
            tokio::time::sleep(left + Duration::from_millis(1)).await;
        }
    }

    fn idle_time(&self) -> Duration {
        self.opened.elapsed().saturating_sub(Duration::from_millis(self.last_end.load(Ordering::Relaxed)))
    }

    /// The drain is over: those that have no response yet get one that says so, and the others end.
    pub fn cut(&self) {
        self.is_cut.store(true, Ordering::Release);
        self.cut.notify_waiters();
    }

    pub fn are_cut(&self) -> bool {
        self.is_cut.load(Ordering::Acquire)
    }
}

/// A request in flight.
pub(super) struct InFlight(Arc<Calls>);

impl InFlight {
    fn begin(calls: &Arc<Calls>) -> Self {
        calls.begun.fetch_add(1, Ordering::Relaxed);
        calls.in_flight.fetch_add(1, Ordering::Relaxed);
        calls.begins.notify_one();
        Self(Arc::clone(calls))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let end = u64::try_from(self.0.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.last_end.store(end, Ordering::Relaxed);
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The service with its connection's peer.
#[derive(Clone)]
pub(super) struct Hosted<S> {
    service: S,
    peer: Peer,
    pub stay: Stay,
    pub calls: Arc<Calls>,
    protocol: Protocol,
}

impl<S> Hosted<S> {
    pub fn new(service: S, peer: Peer, stay: Stay, protocol: Protocol) -> Self {
        let calls = Arc::new(Calls::new());
        let peer = Peer { calls: Some(Arc::clone(&calls)), ..peer };
        Self { service, peer, stay, calls, protocol }
    }
}

impl<S, B> hyper::service::Service<Request<Incoming>> for Hosted<S>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone,
{
    type Response = Response<Served<B>>;
    type Error = S::Error;
    type Future = Hosting<S::Future>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let in_flight = Some(InFlight::begin(&self.calls));
        if let Some(malformed) = self.calls.turn.begin(&request) {
            request.extensions_mut().insert(malformed);
        }
        let asks_for_upgrade = request.extensions().get::<OnUpgrade>().is_some();
        request.extensions_mut().insert(self.peer.clone());
        if asks_for_upgrade {
            request.extensions_mut().insert(self.stay.clone());
        }
        if self.protocol == Protocol::Http2 {
            encode_query(request.uri_mut());
        }
        let cut = (self.protocol == Protocol::Http2).then(|| Arc::clone(&self.calls.cut).notified_owned());
        // The services that are served here are always ready.
        Hosting { future: self.service.clone().call(request), in_flight, cut }
    }
}

pin_project! {
    /// A request in flight, until its response begins.
    pub(super) struct Hosting<F> {
        #[pin]
        future: F,
        in_flight: Option<InFlight>,
        #[pin]
        cut: Option<OwnedNotified>,
    }
}

impl<F, B, E> Future for Hosting<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<Served<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let mut polled = this.future.as_mut().poll(cx);
        if polled.is_pending()
            && let Some(cut) = this.cut.as_mut().as_pin_mut()
            && cut.poll(cx).is_ready()
        {
            this.cut.set(None);
            polled = this.future.poll(cx);
        }
        let in_flight = this.in_flight;
        if let (Poll::Ready(Ok(response)), Some(InFlight(calls))) = (&polled, &*in_flight) {
            calls.turn.answered(response.status());
        }
        polled.map_ok(|response| response.map(|body| Served { body, _in_flight: in_flight.take() }))
    }
}

pin_project! {
    /// A response's body; its request is in flight until it is dropped.
    pub(super) struct Served<B> {
        #[pin]
        body: B,
        _in_flight: Option<InFlight>,
    }
}

impl<B: Body> Body for Served<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        self.project().body.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
