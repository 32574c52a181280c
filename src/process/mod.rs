//! The composition root: from a configuration and a store to a running gateway.
//!
//! One control runtime, the caller's, owns the store, the journal of first uses, the reload and the telemetry listener. Each worker is a thread
//! with a runtime, a listener and an upstream pool of its own; it reaches the rest by the atomic pointer, and the journal by a channel.

mod answers;
mod error;
mod files;
mod follow;
mod reload;
mod replay;
mod signing;
mod usage;
mod worker;

pub use error::StartError;
pub use follow::follow;
pub use reload::ConfigSource;

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::config::Config;
use crate::endpoints::{Endpoints, Verifying};
use crate::gateway::forward::{Forward, UpstreamSet, tend};
use crate::gateway::{AccessLog, Gate, GateSettings, IdentityTokens, OwnAnswers};
use crate::jose;
use crate::net::{self, Connections, ServerSettings};
use crate::policy::{AuthenticatorKind, Live, RouteTable, State};
use crate::registry::{Repository as _, Snapshot, UsageBook};
use crate::replay::Keeper;
use crate::store::{ReplayJournal, Store};
use crate::telemetry::{Health, Status};
use crate::tokens::{Issued, KeyRing, TokenService};
use crate::verify::Verifier;

/// What a gateway is started with.
pub struct Parts {
    pub config: Config,
    /// Where the configuration is read from again.
    pub source: ConfigSource,
    pub store: Store,
    pub metrics: PrometheusHandle,
    pub clock: Clock,
}

/// A gateway that takes calls.
pub struct Running {
    /// Where callers reach it, and where its telemetry is.
    pub proxy: SocketAddr,
    pub telemetry: SocketAddr,
    /// Last uses that are still to be written, and where to.
    usage: Arc<UsageBook>,
    store: Store,
    health: Health,
    shutdown: watch::Sender<bool>,
    /// Ends the telemetry listener, which tells until the last that no calls are taken any more.
    end: watch::Sender<bool>,
    workers: Vec<JoinHandle<()>>,
    control: JoinSet<()>,
    journal: Option<replay::Kept>,
}

/// A gateway whose ports are bound and whose registry is loaded, but which takes no calls yet.
pub struct Prepared {
    pub gate: Gate,
    parts: Parts,
    watch: files::Watch,
    upstreams: Arc<UpstreamSet>,
    open: Connections,
    listeners: Vec<TcpListener>,
    telemetry: TcpListener,
    journal: Option<Keeper<ReplayJournal>>,
    tokens: Arc<TokenService<Store>>,
}

impl Prepared {
    /// Binds the ports, loads the registry and reads the journal. `log` makes the access log, which may want to look at the state.
    ///
    /// # Errors
    /// When a port is taken, or the registry or the journal can't be read.
    pub async fn new(
        parts: Parts,
        log: impl FnOnce(&Arc<Live>, &Issued) -> Arc<dyn AccessLog>,
    ) -> Result<Self, StartError> {
        let config = &parts.config;
        let watch = files::Watch::new(&config.files);
        let listeners = net::bind(config.proxy.listen, config.proxy.workers).map_err(StartError::Proxy)?;
        let telemetry = net::bind_alone(config.telemetry.listen).map_err(StartError::Telemetry)?;
        let (version, registry) = parts.store.load().await.map_err(StartError::Store)?;
        let state = State {
            routes: Arc::clone(&config.routes),
            scopes: Arc::clone(&config.scopes),
            registry: Snapshot::new(version, registry),
        };
        let live = Arc::new(Live::new(state));
        let settings = GateSettings {
            limits: config.proxy.limits.clone(),
            cache_bytes: config.proxy.cache_bytes,
            replay_entries: config.replay.max_entries,
        };
        let (memory, journal) = replay::open(&config.replay, &parts.clock).await?;
        let tokens = TokenService::new(parts.store.clone(), Issued::default(), config.rotation.clone());
        let log = log(&live, tokens.issued());
        let gate = Gate::new(live, log, parts.clock.clone(), settings).map_err(|_| StartError::Randomness)?;
        gate.forwarding.store(Arc::new(config.proxy.forwarding.clone()));
        if signing::is_wanted(&config.routes) {
            signing::rotate_once(&tokens, &parts.clock).await.map_err(StartError::Store)?;
        }
        tokens.follow().await.map_err(StartError::Store)?;
        let verifier = Verifier::new(config.proxy.cache_bytes).with_issuance(Arc::new(tokens.issued().clone()));
        let identity = Arc::new(IdentityTokens::new(Arc::clone(&tokens.issued().ring)));
        let gate = Gate { replay: memory, verifier: Arc::new(verifier), identity, ..gate };
        let upstreams = Arc::new(UpstreamSet::new(config.upstreams.clone()));
        let tokens = Arc::new(tokens);
        Ok(Self { gate, parts, watch, upstreams, open: Arc::default(), listeners, telemetry, journal, tokens })
    }

    /// Takes calls.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn start(self) -> Result<Running, StartError> {
        let Self { gate, parts, watch, upstreams, open, listeners, telemetry, journal, tokens } = self;
        let Parts { config, source, store, metrics, clock } = parts;
        let (shutdown, stop) = watch::channel(false);
        let (end, ended) = watch::channel(false);
        let journal = journal.map(replay::Kept::new);
        let address = |listener: &TcpListener| listener.local_addr().map_err(StartError::Socket);
        let proxy = address(&listeners[0])?;
        let telemetry_address = address(&telemetry)?;
        let endpoints = Endpoints {
            tokens: Arc::clone(&tokens),
            repository: store.clone(),
            live: Arc::clone(&gate.live),
            verifying: Verifying::new(Arc::clone(&gate.verifier)),
            replay: Arc::clone(&gate.replay),
            usage: Arc::clone(&gate.usage),
            settings: config.endpoints.clone(),
        };
        let answers: Arc<dyn OwnAnswers> = Arc::new(answers::Answers::start(endpoints).map_err(StartError::Socket)?);
        let forward = Forward::new(Arc::clone(&upstreams));
        let mut workers = Vec::with_capacity(listeners.len());
        for (number, listener) in listeners.into_iter().enumerate() {
            let worker = worker::Worker {
                gate: gate.clone(),
                forward: forward.for_worker(),
                answers: Arc::clone(&answers),
                settings: config.proxy.server.clone(),
                drain: config.proxy.drain,
                open: Arc::clone(&open),
                shutdown: stop.clone(),
            };
            workers.push(worker.spawn(number, listener).map_err(StartError::Socket)?);
        }
        let health = Health::default();
        let mut control = JoinSet::new();
        control.spawn(follow::follow(store.clone(), Arc::clone(&gate.live), Arc::clone(&tokens)));
        if takes_encrypted(&config.routes) {
            control.spawn_blocking(jose::make_decoys);
        }
        let key_set = key_set(Arc::clone(&tokens.issued().ring), clock.clone());
        control.spawn(signing::rotate(Arc::clone(&tokens), Arc::clone(&gate.live), clock));
        let usage = Arc::clone(&gate.usage);
        control.spawn(tend(Arc::clone(&upstreams)));
        control.spawn(usage::write(store.clone(), Arc::clone(&usage)));
        let reload = reload::Reload::new(config, source, watch, store.clone(), gate.clone(), upstreams, tokens);
        control.spawn(reload::run(reload));
        control.spawn(upkeep(metrics.clone(), gate, Arc::clone(&open)));
        let status = Status::new(health.clone(), metrics, key_set);
        control.spawn(net::serve(telemetry, telemetry_server(), Connections::default(), status, ended));
        health.set_ready(true);
        Ok(Running {
            proxy,
            telemetry: telemetry_address,
            usage,
            store,
            health,
            shutdown,
            end,
            workers,
            control,
            journal,
        })
    }
}

impl Running {
    /// Takes no new calls, lets those in hand finish within the drain time, and returns when all is over.
    pub async fn stop(mut self) {
        self.health.set_ready(false);
        _ = self.shutdown.send(true);
        let workers = std::mem::take(&mut self.workers);
        let joined = tokio::task::spawn_blocking(move || workers.into_iter().for_each(|worker| _ = worker.join()));
        _ = joined.await;
        _ = self.end.send(true);
        self.control.shutdown().await;
        usage::write_once(&self.store, &self.usage).await;
        if let Some(journal) = self.journal {
            journal.close().await;
        }
    }
}

/// The keys by which upstreams verify what we sign.
fn key_set(ring: Arc<KeyRing>, clock: Clock) -> impl Fn() -> String + Send + Sync + 'static {
    move || ring.jwks(clock.now()).to_string()
}

fn takes_encrypted(routes: &RouteTable) -> bool {
    let takes = |kind: &AuthenticatorKind| matches!(kind, AuthenticatorKind::Jwt(jwt) if jwt.rules.encrypted);
    routes.routes().iter().any(|route| takes(&route.authenticator.kind))
}

fn telemetry_server() -> ServerSettings {
    let limit = Duration::from_secs(10);
    ServerSettings {
        tls: None,
        header_timeout: limit,
        handshake_timeout: limit,
        write_timeout: limit,
        max_connections: 64,
    }
}

/// Once a second: drains the histograms and sets the gauges.
async fn upkeep(metrics: PrometheusHandle, gate: Gate, open: Connections) {
    use std::sync::atomic::Ordering::Relaxed;
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    loop {
        tick.tick().await;
        metrics.run_upkeep();
        let (replay, now) = (Arc::clone(&gate.replay), gate.clock.now());
        // Among millions of entries it takes some milliseconds for each of them.
        let swept = gate.clone();
        let sweep = move || {
            replay.sweep(now);
            swept.quotas.sweep(&swept.live);
            swept.sign_ins.sweep();
        };
        _ = tokio::task::spawn_blocking(sweep).await;
        let state = gate.live.load();
        #[expect(clippy::cast_precision_loss, reason = "gauges are floating-point numbers")]
        let set = |name: &'static str, value: u64| metrics::gauge!(name).set(value as f64);
        set("scopegate_connections", open.load(Relaxed) as u64);
        set("scopegate_requests_in_hand", gate.in_hand.load(Relaxed) as u64);
        set("scopegate_registry_version", state.registry.version().0.unsigned_abs());
        set("scopegate_apps", state.registry.counts().2 as u64);
        set("scopegate_verified_tokens", gate.verifier.remembered());
        set("scopegate_decryptions_waiting", gate.blocking.waiting() as u64);
        set("scopegate_replay_entries", gate.replay.entries() as u64);
        set("scopegate_quota_keys", gate.quotas.len() as u64);
    }
}
