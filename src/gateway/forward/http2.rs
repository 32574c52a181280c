//! Connections of HTTP/2, each of which carries many calls.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::Body;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::sync::oneshot;

use super::HeaderBounds;
use super::connection::Connection;
use super::fault::Fault;
use super::io::{IoState, UpstreamIo};
use crate::clock::instant;
use crate::net::Connected;

/// A share in a connection.
pub(super) struct Multiplexed<B> {
    pub(super) sender: http2::SendRequest<B>,
    state: Arc<State>,
}

/// What all who share it know of it.
struct State {
    born: Instant,
    streams: AtomicUsize,
    /// How many streams the server takes at once, by its last SETTINGS that were looked at.
    most: AtomicUsize,
    /// How many it took when it refused one more.
    refused_at: AtomicUsize,
    is_lost: AtomicBool,
    /// Whether the server has said goodbye, or broken off: no more calls go there.
    is_retired: AtomicBool,
}

impl<B> Clone for Multiplexed<B> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone(), state: Arc::clone(&self.state) }
    }
}

/// A call on a connection, until it is over.
pub(super) struct Stream(Arc<State>);

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<B> Multiplexed<B> {
    /// For one more call.
    pub fn take(&self) -> Connection<B> {
        self.state.streams.fetch_add(1, Ordering::Relaxed);
        Connection::Multiplexed { share: self.clone(), _stream: Stream(Arc::clone(&self.state)) }
    }

    pub fn is_closed(&self) -> bool {
        self.sender.is_closed() || self.state.is_retired.load(Ordering::Relaxed)
    }

    pub fn streams(&self) -> usize {
        self.state.streams.load(Ordering::Relaxed)
    }

    /// How many calls it takes at once, of so many that it is given at most.
    pub fn most(&self, most: usize) -> usize {
        let state = &self.state;
        most.min(state.most.load(Ordering::Relaxed)).min(state.refused_at.load(Ordering::Relaxed)).max(1)
    }

    pub fn born(&self) -> Instant {
        self.state.born
    }

    /// Whether this is the first call that it is lost for.
    pub fn is_lost_first(&self) -> bool {
        !self.state.is_lost.swap(true, Ordering::Relaxed)
    }

    /// No more calls go there; those that it carries go on.
    pub fn retire(&self) {
        self.state.is_retired.store(true, Ordering::Relaxed);
    }

    /// The server took one call less than there are.
    pub fn refused_one(&self) {
        self.state.refused_at.fetch_min(self.streams().saturating_sub(1).max(1), Ordering::Relaxed);
    }
}

/// Waits for the server's SETTINGS, the first that it sends (RFC 9113 section 3.4): until then it is not known how many
/// streams it takes.
pub(super) async fn begin<B>(connected: Connected, bounds: HeaderBounds) -> Result<Multiplexed<B>, Fault>
where
    B: Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + Unpin + 'static,
{
    let io_state = IoState::of_http2();
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.timer(TokioTimer::new()).keep_alive_interval(Duration::from_secs(20));
    builder.keep_alive_timeout(Duration::from_secs(10));
    // What is larger than its bound is told so; what is much larger is not read.
    builder.max_header_list_size(u32::try_from(bounds.bytes.saturating_mul(2)).unwrap_or(u32::MAX));
    builder.initial_stream_window_size(256 << 10).initial_connection_window_size(1 << 20);
    // None before the SETTINGS: the bound tells that they came.
    builder.initial_max_send_streams(0);
    let io = UpstreamIo::new(connected, Arc::clone(&io_state));
    let (sender, mut connection) = builder.handshake(TokioIo::new(io)).await.map_err(Fault::Broken)?;
    let state = Arc::new(State {
        born: instant(),
        streams: AtomicUsize::new(0),
        most: AtomicUsize::new(0),
        refused_at: AtomicUsize::new(usize::MAX),
        is_lost: AtomicBool::new(false),
        is_retired: AtomicBool::new(false),
    });
    let (begun, settings) = oneshot::channel();
    let (driven, socket) = (Arc::clone(&state), Arc::clone(&io_state));
    tokio::spawn(async move {
        let mut begun = Some(begun);
        let ended = poll_fn(|cx| {
            let polled = Pin::new(&mut connection).poll(cx);
            let most = connection.current_max_send_streams();
            driven.most.store(most, Ordering::Relaxed);
            if most > 0 {
                begun.take().map(|begun: oneshot::Sender<()>| begun.send(()));
            } else if polled.is_pending() {
                socket.wake_on_read(cx.waker());
            }
            polled
        });
        if let Err(error) = ended.await {
            tracing::debug!(%error, "upstream connection ended");
        }
    });
    match settings.await {
        Ok(()) => Ok(Multiplexed { sender, state }),
        Err(_) if io_state.received() > 0 => Err(Fault::Invalid("no SETTINGS, with which HTTP/2 begins")),
        Err(_) => Err(Fault::Closed),
    }
}
