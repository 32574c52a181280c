//! What the steps share.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use arc_swap::ArcSwap;
use aws_lc_rs::error::Unspecified;
use http::{Method, Uri};

use super::ledger::Doubt;
use super::{Blocking, Forwarding, IdentityTokens, Quotas, SignIns};
use crate::clock::{Clock, Timestamp};
use crate::model::{BotId, Reason, Refusal, UpstreamName};
use crate::net::Peer;
use crate::policy::{AuthenticatorKind, Case, Live, Route, Unsolved, token_in};
use crate::registry::{App, ServiceAccount, UsageBook};
use crate::replay::{InProcess, ReplayMemory};
use crate::secret::Secret;
use crate::verify::{Proof, Verifier};

/// The parts that every stack of a process shares. Cheap to clone.
#[derive(Clone)]
pub struct Gate {
    pub live: Arc<Live>,
    /// Which tokens are our own and which were revoked it knows only if it is made so.
    pub verifier: Arc<Verifier>,
    pub quotas: Arc<Quotas>,
    /// Where encrypted tokens are decrypted.
    pub blocking: Arc<Blocking>,
    /// Sign-ins by password. Whoever makes the gate sweeps it.
    pub sign_ins: Arc<SignIns>,
    /// Which tokens of single use were used. Whoever makes the gate sweeps it.
    pub replay: Arc<dyn ReplayMemory>,
    /// Signs who calls, where routes tell it in a token. A new gate has no key for that.
    pub identity: Arc<IdentityTokens>,
    /// Last uses, for whoever writes them.
    pub usage: Arc<UsageBook>,
    pub log: Arc<dyn AccessLog>,
    pub limits: Arc<ArcSwap<Limits>>,
    /// Whose word about callers counts, and what upstreams are told of them.
    pub forwarding: Arc<ArcSwap<Forwarding>>,
    pub clock: Clock,
    /// Calls in hand, over all stacks.
    pub in_hand: Arc<AtomicUsize>,
    /// How many routes have a histogram of their own.
    pub route_histograms: usize,
}

/// What a gate is made with, beside the parts that are the caller's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateSettings {
    pub limits: Limits,
    /// Memory for verified tokens, in bytes; 0 remembers none.
    pub cache_bytes: u64,
    /// How many used tokens are remembered at most, by the memory that a new gate has.
    pub replay_entries: usize,
    /// How many routes have a histogram of their own, first come first served; the others share one.
    pub route_histograms: usize,
}

impl Default for GateSettings {
    fn default() -> Self {
        Self { limits: Limits::default(), cache_bytes: 64 << 20, replay_entries: 10_000_000, route_histograms: 200 }
    }
}

impl Gate {
    /// A gate that remembers used tokens in this process alone; put another memory into it for more.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn new(
        live: Arc<Live>,
        log: Arc<dyn AccessLog>,
        clock: Clock,
        settings: GateSettings,
    ) -> Result<Self, Unspecified> {
        Ok(Self {
            live,
            verifier: Arc::new(Verifier::new(settings.cache_bytes)),
            quotas: Arc::new(Quotas::new(clock.clone())),
            blocking: Arc::new(Blocking::for_this_machine()),
            sign_ins: Arc::new(SignIns::new(&clock)?),
            replay: Arc::new(InProcess::new(settings.replay_entries, clock.clone())?),
            identity: Arc::default(),
            usage: Arc::default(),
            log,
            limits: Arc::new(ArcSwap::from_pointee(settings.limits)),
            forwarding: Arc::default(),
            clock,
            in_hand: Arc::default(),
            route_histograms: settings.route_histograms,
        })
    }
}

/// Bounds on a request. They can change while the gateway runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    pub concurrent_requests: usize,
    /// Names and values of all header fields together.
    pub header_bytes: usize,
    pub body_bytes: u64,
    /// The longest pause within a request's body, and of a caller who reads nothing; zero for none.
    pub body_idle: Duration,
    /// The least average of a request's body, in bytes a second of waiting for it; 0 for none. gRPC, and requests whose
    /// response has begun, may be as slow as they like.
    pub body_rate: u64,
    /// How long a body may be waited for before `body_rate` counts.
    pub body_grace: Duration,
    /// How long nothing may go through an upgraded connection; zero for none.
    pub tunnel_idle: Duration,
    /// Whether vendor formats carry the public reason in `x-scopegate-reason`.
    pub reason_header: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            concurrent_requests: 10_000,
            header_bytes: 32 << 10,
            body_bytes: u64::MAX,
            body_idle: Duration::from_secs(60),
            body_rate: 240,
            body_grace: Duration::from_secs(60),
            tunnel_idle: Duration::from_secs(300),
            reason_header: false,
        }
    }
}

/// Takes one entry for each call, when it is over. Called on the request's way: it may not block, nor panic.
pub trait AccessLog: Send + Sync {
    fn write(&self, entry: &Entry<'_>);

    /// Whether the entries of refused calls are to carry the headers. They hold the credential: never write them.
    fn explains(&self) -> bool {
        false
    }
}

/// How a call ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The whole answer was handed over.
    Complete,
    /// The caller went away, before the answer or in the middle of it.
    Abandoned,
    /// The upstream broke off in the middle of its answer.
    Cut,
    /// We ended it, for the reason that is told: its caller may have no more of it, it stood still, or the gateway stops.
    Ended,
    /// The gateway itself failed.
    Panicked,
}

impl Outcome {
    /// As the log and the metrics name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Abandoned => "abandoned",
            Self::Cut => "cut",
            Self::Ended => "ended",
            Self::Panicked => "panicked",
        }
    }
}

/// What is known of a call at its end. Not to be printed whole: the headers may be in it.
pub struct Entry<'a> {
    pub at: Timestamp,
    pub request_id: &'a str,
    /// The other end of the connection.
    pub peer: Option<&'a Peer>,
    /// Who stands behind it, where it is a trusted proxy that says so.
    pub client: Option<IpAddr>,
    /// The one that the call was judged by.
    pub method: &'a Method,
    /// The one that was sent, where it was overridden.
    pub overridden: Option<&'a Method>,
    pub uri: &'a Uri,
    pub host: Option<&'a str>,
    pub route: Option<&'a Arc<Route>>,
    /// The app that the token named, proved or not.
    pub app: Option<&'a App>,
    /// The service account that signed in.
    pub service: Option<&'a ServiceAccount>,
    /// Whether the token was good.
    pub is_verified: bool,
    /// What the token's signature proved, if the token was good.
    pub proof: Option<&'a Proof>,
    /// The jti of a token that is good for one call.
    pub single_use: Option<&'a str>,
    /// The bot that the path names, once the app was known.
    pub bot: Option<&'a BotId>,
    /// Where the call was sent, if it was.
    pub upstream: Option<&'a UpstreamName>,
    /// The address of it that was tried last.
    pub address: Option<&'a str>,
    /// Attempts at it beyond the first.
    pub retries: u32,
    /// None where the caller left before there was one.
    pub status: Option<u16>,
    /// The true reason of a refusal.
    pub reason: Option<Reason>,
    pub expected: Option<&'a str>,
    pub found: Option<&'a str>,
    pub outcome: Outcome,
    pub duration: Duration,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// The headers of a refused request, for a log that explains; they hold the credential.
    pub headers: Option<&'a http::HeaderMap>,
    pub(super) doubt: Option<&'a Doubt>,
}

impl Entry<'_> {
    /// Whether something is left to find out, as [`Entry::case`] may give it.
    pub fn is_open(&self) -> bool {
        self.doubt.is_some()
    }

    /// What is left to find out about a refused call, to be looked into when it is over and by nobody who is on a
    /// request's way. It is copied out of the call, with the token: ask no more often than it is worth.
    pub fn case(&self) -> Option<Case> {
        let owned = |text: &str| text.to_owned().into();
        let (expected, found) = (self.expected.map(owned), self.found.map(owned));
        let (refusal, doubt) = (Refusal { expected, found, ..Refusal::new(self.reason?) }, self.doubt?);
        let call = match (&doubt.credential, self.route) {
            (Some(value), Some(route)) => {
                let AuthenticatorKind::Jwt(jwt) = &route.authenticator.kind else { return None };
                let token = token_in(value.as_bytes(), jwt).ok()?;
                Unsolved::Token { route: Arc::clone(route), token: Secret::new(token) }
            }
            (Some(_), None) => return None,
            (None, _) => {
                let host = self.host.unwrap_or_default().to_owned();
                Unsolved::Path { host, method: self.method.clone(), path: self.uri.path().to_owned() }
            }
        };
        Some(Case { refusal, state: Arc::clone(&doubt.state), call })
    }
}
