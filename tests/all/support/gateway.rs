//! A gateway in one process.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use scopegate::clock::{Clock, ManualClock};
use scopegate::gateway::{Blocking, Embedded, Gate, Limits, Quotas, ScopegateLayer, SignIns, Stack};
use scopegate::policy::{Live, Route, RouteTable, State};
use scopegate::registry::{Registry, ScopeCatalogue, Snapshot, Version};
use scopegate::replay::{InProcess, ReplayMemory};
use scopegate::verify::Verifier;
use serde_json::Value;
use tower::{Layer as _, ServiceExt as _};

use super::log::Line;
use super::{Leaf, Log, Script, now, registry, routes};

/// Room for four used tokens, so that no app may use more than one.
const REPLAY_ENTRIES: usize = 4;

pub struct Gateway {
    pub gate: Gate,
    pub hands: Arc<ManualClock>,
    pub log: Arc<Log>,
    pub leaf: Leaf,
    stack: Stack<Embedded<Leaf>>,
}

/// What came back, and what the log says about it.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub log: Line,
}

impl Reply {
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|v| v.to_str().unwrap())
    }
}

impl Gateway {
    pub fn new() -> Self {
        Self::with_memory(|clock| Arc::new(InProcess::new(REPLAY_ENTRIES, clock).unwrap()))
    }

    /// With a memory of used tokens of the test's own.
    pub fn with_memory(memory: impl FnOnce(Clock) -> Arc<dyn ReplayMemory>) -> Self {
        let (clock, hands) = Clock::manual(now());
        let (log, leaf) = (Arc::<Log>::default(), Leaf::default());
        let limits = Limits {
            concurrent_requests: 3,
            header_bytes: 8192,
            body_bytes: 1000,
            body_idle: Duration::from_millis(20),
            body_rate: 0,
            body_grace: Duration::ZERO,
            tunnel_idle: Duration::from_secs(1),
            reason_header: false,
        };
        let gate = Gate {
            live: Arc::new(Live::new(state(registry::registry()))),
            verifier: Arc::new(Verifier::new(1 << 20)),
            quotas: Arc::new(Quotas::new(clock.clone())),
            blocking: Arc::new(Blocking::new(1)),
            sign_ins: Arc::new(SignIns::new(&clock).unwrap()),
            replay: memory(clock.clone()),
            identity: Arc::default(),
            usage: Arc::default(),
            log: Arc::clone(&log) as _,
            limits: Arc::new(ArcSwap::from_pointee(limits)),
            forwarding: Arc::default(),
            clock,
            in_hand: Arc::new(AtomicUsize::new(0)),
            route_histograms: 200,
        };
        let stack = ScopegateLayer::new(gate.clone()).layer(leaf.clone());
        Self { gate, hands, log, leaf, stack }
    }

    /// Sends a request and reads the whole answer. Whatever the answer is, it has the request's id and one log entry.
    pub async fn call(&self, request: Request<Script>) -> Reply {
        let response = self.stack.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let log = self.log.take_one();
        let reply = Reply { status: head.status.as_u16(), headers: head.headers, body, log };
        assert_eq!(reply.header("x-request-id"), Some(reply.log.request_id.as_str()));
        assert_eq!(reply.log.status, Some(reply.status));
        reply
    }

    /// Puts a changed registry in force.
    pub fn change(&self, change: impl FnOnce(&mut Registry)) {
        let mut registry = registry::registry();
        change(&mut registry);
        let registry = Snapshot::new(Version(2), registry);
        self.gate.live.update(|now| State {
            routes: Arc::clone(&now.routes),
            scopes: Arc::clone(&now.scopes),
            registry: registry.clone(),
        });
    }

    /// Puts other routes in force.
    pub fn route(&self, routes: Vec<Route>) {
        self.route_by(&Arc::new(RouteTable::new(routes.into_iter().map(Arc::new).collect()).unwrap()));
    }

    pub fn route_by(&self, routes: &Arc<RouteTable>) {
        self.gate.live.update(|now| State {
            routes: Arc::clone(routes),
            scopes: Arc::clone(&now.scopes),
            registry: now.registry.clone(),
        });
    }

    pub fn limit(&self, change: impl FnOnce(&mut Limits)) {
        let mut limits = Limits::clone(&self.gate.limits.load());
        change(&mut limits);
        self.gate.limits.store(Arc::new(limits));
    }
}

pub fn state(registry: Registry) -> State {
    State {
        routes: Arc::new(routes::table()),
        scopes: Arc::new(ScopeCatalogue::default()),
        registry: Snapshot::new(Version(1), registry),
    }
}
