//! What the steps find out about a call, written once each, read by the record at its end.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tokio::time::Instant;

use super::cors::Reading;
use super::forward::{Address, Upstream};
use super::quota::Standing;
use super::tunnel::Tunnel;
use super::watch::Spot;
use crate::model::{BotId, Reason, Refusal};
use crate::policy::{ReservedHeaders, Route, State, reads_as};
use crate::registry::{App, ServiceAccount};
use crate::verify::Proof;

/// By what a call was refused where more can be found out about it than is good to find out while somebody waits. It
/// goes with the call.
pub(super) struct Doubt {
    pub state: Arc<State>,
    /// The header with the token, where the token is what is in doubt; else it is the path.
    pub credential: Option<HeaderValue>,
}

impl fmt::Debug for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Doubt")
    }
}

/// Survives the request: a dropped connection or a panic leaves what was written until then.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub route: OnceLock<Arc<Route>>,
    pub host: OnceLock<Box<str>>,
    /// The host as the client wrote it, with its port, once the call is let through.
    pub authority: OnceLock<HeaderValue>,
    /// The names of which no body's trailers may make use, once there is a route.
    pub reserved: OnceLock<Arc<ReservedHeaders>>,
    /// Who may read the answer, on a route that pages may call.
    pub reading: OnceLock<Reading>,
    /// The method that the call is judged by, where it overrides the one that was sent.
    pub overriding: OnceLock<Method>,
    pub app: OnceLock<Arc<App>>,
    /// Who signed in by a password.
    pub service: OnceLock<Arc<ServiceAccount>>,
    /// How much of its quota is left, once the call was counted or found to be one too many.
    pub standing: OnceLock<Standing>,
    /// What the token's signature proved, once every check of the token is passed.
    pub proof: OnceLock<Arc<Proof>>,
    /// The bot that the call is about, once the caller is known.
    pub bot: OnceLock<BotId>,
    /// Where the call was sent.
    pub upstream: OnceLock<Arc<Upstream>>,
    /// The address of it that was tried last.
    pub address: OnceLock<Arc<Address>>,
    /// Attempts at it beyond the first.
    pub retries: AtomicU32,
    pub refusal: OnceLock<Refusal>,
    pub doubt: OnceLock<Doubt>,
    /// Why the request's body broke off, if the body itself was at fault.
    pub body_fault: OnceLock<Reason>,
    headers: OnceLock<Box<HeaderMap>>,
    keeps_headers: bool,
    pub is_verified: AtomicBool,
    pub is_single_use: AtomicBool,
    /// Whether we ended the call in the middle of its answer, for the reason that then stands here as its refusal.
    pub is_ended: AtomicBool,
    /// Whether the next of the request's body is the caller's to send.
    pub waits_for_caller: AtomicBool,
    /// When some of the request's body was taken first.
    body_began: OnceLock<Instant>,
    /// When some of it was taken last, or it ended: nanoseconds since then.
    body_moved: AtomicU64,
    /// Whether the response has begun.
    pub is_answered: AtomicBool,
    /// Whether the request's body was sent to its end, or given up.
    pub body_is_over: AtomicBool,
    /// Whether it was read to its end.
    pub body_is_whole: AtomicBool,
    pub bytes_in: AtomicU64,
    /// Those of a tunnel; a body counts its own.
    pub bytes_out: AtomicU64,
    /// What judges the call again while its answer lasts.
    pub spot: OnceLock<Spot>,
    /// On its way to the record, which opens it.
    tunnel: Mutex<Option<Box<Tunnel>>>,
}

impl Ledger {
    /// `keeps_headers`: whether somebody wants to explain refusals as they happen.
    pub fn new(keeps_headers: bool) -> Self {
        Self { keeps_headers, ..Self::default() }
    }

    /// The headers of a request that is refused, for those who explain it; they hold the credential.
    pub fn keep(&self, headers: &HeaderMap) {
        if self.keeps_headers {
            _ = self.headers.set(Box::new(headers.clone()));
        }
    }

    pub fn headers(&self) -> Option<&HeaderMap> {
        self.headers.get().map(|headers| &**headers)
    }

    /// The names outside of our family that nobody else may set.
    pub fn claimed(&self) -> &[HeaderName] {
        self.reserved.get().map_or(&[], |reserved| reserved.claimed())
    }

    /// Whether the trailers of a request's body may not have the field: it carries credentials, or is one that the
    /// upstream gets from us.
    pub fn is_barred(&self, name: &HeaderName) -> bool {
        self.is_injected(name) || self.reserved.get().is_some_and(|reserved| reserved.is_credential(name.as_str()))
    }

    /// Whether the upstream gets a header of that name from us.
    fn is_injected(&self, name: &HeaderName) -> bool {
        let injected = self.upstream.get().map_or(&[][..], |upstream| &upstream.settings.headers);
        injected.iter().any(|(own, _)| reads_as(name.as_str(), own.as_str()))
    }

    pub fn received(&self, bytes: usize) -> u64 {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.bytes_in.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes)
    }

    /// Some of the request's body was taken just now, or it ended.
    pub fn body_moves(&self) {
        let now = Instant::now();
        let since = now.duration_since(*self.body_began.get_or_init(|| now));
        self.body_moved.store(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// When that was last.
    pub fn body_moved(&self) -> Option<Instant> {
        let since = Duration::from_nanos(self.body_moved.load(Ordering::Relaxed));
        self.body_began.get().map(|began| *began + since)
    }

    /// Whether the request is not over since the client has not sent more of it.
    pub fn waits_for_caller(&self) -> bool {
        self.waits_for_caller.load(Ordering::Relaxed) && !self.body_is_over.load(Ordering::Relaxed)
    }

    /// Ends the call from our side, in the middle of its answer. One that was refused before stays so.
    pub fn end(&self, refusal: Refusal) {
        if self.refusal.set(refusal).is_ok() {
            self.is_ended.store(true, Ordering::Release);
        }
    }

    pub fn dig(&self, tunnel: Tunnel) {
        *self.tunnel.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(tunnel));
    }

    pub fn with_tunnel(&self, change: impl FnOnce(&mut Tunnel)) {
        if let Some(tunnel) = &mut *self.tunnel.lock().unwrap_or_else(PoisonError::into_inner) {
            change(tunnel);
        }
    }

    pub fn take_tunnel(&self) -> Option<Box<Tunnel>> {
        self.tunnel.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub fn bytes_out(&self) -> u64 {
        self.bytes_out.load(Ordering::Relaxed)
    }

    pub fn bytes_in(&self) -> u64 {
        self.bytes_in.load(Ordering::Relaxed)
    }
}
