//! The composition root: from a configuration and a store to a running gateway.
//!
//! One control runtime, the caller's, owns the store, the journal of first uses, the reload and the telemetry listener. Each worker is a thread
//! with a runtime, a listener and an upstream pool of its own; it reaches the rest by the atomic pointer, and the journal by a channel.

mod answers;
mod aside;
mod descriptors;
mod error;
mod files;
mod follow;
mod listeners;
mod notify;
mod reload;
mod replay;
mod signing;
mod takeover;
mod usage;
mod worker;

pub use error::StartError;
pub use follow::follow;
pub use reload::ConfigSource;
pub use takeover::Successor;

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::{Barrier, oneshot, watch};
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::config::Config;
use crate::endpoints::{Endpoints, Verifying};
use crate::gateway::forward::{Forward, UpstreamSet, tend};
use crate::gateway::{AccessLog, Gate, GateSettings, IdentityTokens, OwnAnswers};
use crate::health::Fault;
use crate::jose;
use crate::net::{self, ClientConnections, Connections, ListenAddress, Listener, ServerSettings, Socket, SocketFile};
use crate::policy::{AuthenticatorKind, Live, RouteTable, State};
use crate::registry::{Repository as _, Snapshot, UsageBook};
use crate::replay::{Keeper, ReplayMemory};
use crate::store::{ReplayJournal, Store};
use crate::telemetry::{Health, Status, report_left_out};
use crate::tokens::{Issued, KeyRing, TokenService};
use crate::verify::Verifier;
use listeners::{Listeners, Named};
use takeover::{Offer, Predecessor};

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
    pub proxy: Vec<ListenAddress>,
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
    open: Connections,
    /// Unix sockets that are to be removed at the end.
    files: Vec<SocketFile>,
    /// To the process that is to come after this one.
    offer: Option<Offer>,
}

/// A journal that is open, or that another process has, or none.
enum Journal {
    None,
    Open(Keeper<ReplayJournal>),
    Inherited(replay::Inheritance),
}

/// A gateway whose ports are bound and whose registry is loaded, but which takes no calls yet.
pub struct Prepared {
    pub gate: Gate,
    parts: Parts,
    watch: files::Watch,
    upstreams: Arc<UpstreamSet>,
    open: Connections,
    listeners: Listeners,
    /// Questions that the telemetry listener takes at once.
    telemetry: usize,
    journal: Journal,
    predecessor: Option<Predecessor>,
    tokens: Arc<TokenService<Store>>,
}

impl Prepared {
    /// Binds the ports, loads the registry and reads the journal. `log` makes the access log, which may want to look at the state.
    ///
    /// # Errors
    /// When a port is taken, or the registry or the journal can't be read.
    pub async fn new(
        mut parts: Parts,
        log: impl FnOnce(&Arc<Live>, &Issued) -> Arc<dyn AccessLog>,
    ) -> Result<Self, StartError> {
        let descriptors = descriptors::divide(&mut parts.config.proxy);
        parts.store = parts.store.with_lock_wait(LOCK_WAIT);
        let config = &parts.config;
        let watch = files::Watch::new(files::look(&config.files));
        let (predecessor, handed) = find_predecessor(config).await?;
        let listeners = Listeners::open(&config.proxy, config.telemetry.listen, handed)?;
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
            route_histograms: config.telemetry.route_histograms,
        };
        let (memory, journal) = open_replay(&parts, predecessor.is_some()).await?;
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
        let open = Arc::default();
        let telemetry = descriptors.telemetry;
        Ok(Self { gate, parts, watch, upstreams, open, listeners, telemetry, journal, predecessor, tokens })
    }

    /// Takes calls.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn start(self) -> Result<Running, StartError> {
        let Self { gate, parts, watch, upstreams, open, listeners, telemetry, journal, predecessor, tokens } = self;
        let status_server = telemetry_server(telemetry);
        let Parts { config, source, store, metrics, clock } = parts;
        let takeover_path = config.proxy.takeover.clone();
        let (shutdown, stop) = watch::channel(false);
        let (end, ended) = watch::channel(false);
        let (free, freed) = oneshot::channel();
        let journal_fault = Fault::default();
        let journal = match journal {
            Journal::None => None,
            Journal::Open(keeper) => Some(replay::Kept::new(keeper.telling(journal_fault.clone()))),
            Journal::Inherited(inheritance) => {
                Some(replay::Kept::inheriting(inheritance, freed, journal_fault.clone()))
            }
        };
        let proxy = listeners.addresses();
        let copies = config.proxy.takeover.is_some().then(|| listeners.copies());
        let (shares, telemetry, files) = listeners.share_out(config.proxy.workers).map_err(StartError::Socket)?;
        let (telemetry, telemetry_address) = telemetry_listener(telemetry).map_err(StartError::Socket)?;
        let endpoints = Endpoints {
            tokens: Arc::clone(&tokens),
            repository: store.clone(),
            live: Arc::clone(&gate.live),
            verifying: Verifying::new(Arc::clone(&gate.verifier)),
            replay: Arc::clone(&gate.replay),
            usage: Arc::clone(&gate.usage),
            settings: config.endpoints.clone(),
            creating: tokio::sync::Mutex::default(),
        };
        let answers: Arc<dyn OwnAnswers> = Arc::new(answers::Answers::start(endpoints).map_err(StartError::Socket)?);
        let forward = Forward::new(Arc::clone(&upstreams));
        let together = Arc::new(Barrier::new(shares.len()));
        let mut workers = Vec::with_capacity(shares.len());
        for (number, sockets) in shares.into_iter().enumerate() {
            let worker = worker::Worker {
                gate: gate.clone(),
                forward: forward.for_worker(),
                answers: Arc::clone(&answers),
                settings: config.proxy.server.clone(),
                drain: config.proxy.drain,
                open: Arc::clone(&open),
                shutdown: stop.clone(),
                together: Arc::clone(&together),
            };
            workers.push(worker.spawn(number, sockets).map_err(StartError::Socket)?);
        }
        let unfollowed = Fault::default();
        let health = Health::new([unfollowed.clone(), store.write_fault(), journal_fault]);
        let mut control = JoinSet::new();
        control.spawn(follow::follow_telling(store.clone(), Arc::clone(&gate.live), Arc::clone(&tokens), unfollowed));
        control.spawn(follow::try_writing(store.clone()));
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
        control.spawn(net::serve(telemetry, status_server, Connections::default(), status, ended));
        health.set_ready(true);
        let offer = takeover_path.zip(copies.transpose().map_err(StartError::Socket)?);
        let offer =
            offer.map(|(path, copies)| Offer::new(&path, copies).map_err(|error| StartError::Takeover(path, error)));
        let offer = offer.transpose()?;
        if let Some(predecessor) = predecessor {
            control.spawn(predecessor.relieve(free));
        }
        notify::ready();
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
            open,
            files,
            offer,
        })
    }
}

impl Running {
    /// The first address of the internet where callers reach it.
    pub fn address(&self) -> Option<SocketAddr> {
        self.proxy.iter().find_map(|address| match address {
            ListenAddress::Internet(address) => Some(*address),
            ListenAddress::Unix(_) | ListenAddress::Systemd(_) => None,
        })
    }

    /// Waits for a process that takes calls in place of this one; for ever where none is wanted.
    pub async fn relieved(&self) -> Successor {
        match &self.offer {
            Some(offer) => offer.wait().await,
            None => std::future::pending().await,
        }
    }

    /// Takes no new calls, lets those in hand finish within the drain time, and returns when all is over.
    pub async fn stop(self) {
        notify::stopping();
        self.end_for(None).await;
    }

    /// The same, for a process that takes calls in place of this one.
    pub async fn stop_for(self, successor: Successor) {
        self.end_for(Some(successor)).await;
    }

    async fn end_for(mut self, successor: Option<Successor>) {
        self.health.set_ready(false);
        _ = self.shutdown.send(true);
        let workers = std::mem::take(&mut self.workers);
        let joined = tokio::task::spawn_blocking(move || workers.into_iter().for_each(|worker| _ = worker.join()));
        match successor {
            Some(successor) => {
                _ = self.end.send(true);
                // The sockets are the successor's, and so are their files.
                self.files.clear();
                self.offer = None;
                self.give_up_journal().await;
                successor.release().await;
            }
            None => self.offer.take().into_iter().for_each(Offer::withdraw),
        }
        _ = joined.await;
        _ = self.end.send(true);
        self.control.shutdown().await;
        report_left_out();
        usage::write_once(&self.store, &self.usage).await;
        if let Some(journal) = self.journal {
            journal.close().await;
        }
        self.files.into_iter().for_each(SocketFile::remove);
    }

    /// As soon as no call can begin any more: those that have begun may still need it.
    async fn give_up_journal(&mut self) {
        let Some(journal) = self.journal.take() else { return };
        let over = async {
            while self.open.load(std::sync::atomic::Ordering::Relaxed) > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        _ = tokio::time::timeout(LAST_CALLS, over).await;
        journal.close().await;
    }
}

/// How long calls to endpoints wait for the store, where another process has locked it.
const LOCK_WAIT: Duration = Duration::from_millis(2500);
/// How long connections take calls at most when they are about to end.
const LAST_CALLS: Duration = Duration::from_millis(1500);

async fn find_predecessor(config: &Config) -> Result<(Option<Predecessor>, Named), StartError> {
    let Some(path) = &config.proxy.takeover else { return Ok((None, Vec::new())) };
    let found = Predecessor::find(path).await.map_err(|error| StartError::Takeover(path.clone(), error))?;
    Ok(found.map_or((None, Vec::new()), |(predecessor, sockets)| (Some(predecessor), sockets)))
}

async fn open_replay(parts: &Parts, is_takeover: bool) -> Result<(Arc<dyn ReplayMemory>, Journal), StartError> {
    let (settings, clock) = (&parts.config.replay, &parts.clock);
    if is_takeover && let Some((memory, inheritance)) = replay::inherit(settings, clock) {
        return Ok((memory, Journal::Inherited(inheritance)));
    }
    let (memory, keeper) = replay::open(settings, clock).await?;
    Ok((memory, keeper.map_or(Journal::None, Journal::Open)))
}

fn telemetry_listener(socket: Socket) -> std::io::Result<(Listener, SocketAddr)> {
    let address = match &socket {
        Socket::Internet(socket) => socket.local_addr()?,
        Socket::Unix(_) => return Err(std::io::ErrorKind::Unsupported.into()),
    };
    Ok((Listener::new(socket)?, address))
}

/// The keys by which upstreams verify what we sign.
fn key_set(ring: Arc<KeyRing>, clock: Clock) -> impl Fn() -> String + Send + Sync + 'static {
    move || ring.jwks(clock.now()).to_string()
}

fn takes_encrypted(routes: &RouteTable) -> bool {
    let takes = |kind: &AuthenticatorKind| matches!(kind, AuthenticatorKind::Jwt(jwt) if jwt.rules.encrypted);
    routes.routes().iter().any(|route| takes(&route.authenticator.kind))
}

fn telemetry_server(max_connections: usize) -> ServerSettings {
    let limit = Duration::from_secs(10);
    ServerSettings {
        tls: None,
        proxy_protocol: None,
        header_timeout: limit,
        handshake_timeout: limit,
        write_timeout: Arc::new(ArcSwap::from_pointee(limit)),
        max_connections,
        clients: ClientConnections::new(0),
        max_age: Duration::ZERO,
        drain: limit,
    }
}

/// An allocator gives freed memory back while it frees more: without a request after a burst, the burst's memory stays.
fn give_memory_back() {
    const LARGE: usize = 1 << 20;
    drop(std::hint::black_box(Vec::<u8>::with_capacity(LARGE)));
}

/// Once a second: drains the histograms and sets the gauges.
async fn upkeep(metrics: PrometheusHandle, gate: Gate, open: Connections) {
    use std::sync::atomic::Ordering::Relaxed;
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    loop {
        tick.tick().await;
        metrics.run_upkeep();
        report_left_out();
        give_memory_back();
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
