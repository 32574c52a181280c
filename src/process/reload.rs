//! Reads the configuration again: on SIGHUP, when `scopegate reload` asks through the store, and when followed files change.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use super::aside::Aside;
use super::files::{self, Watch};
use super::{notify, signing};
use crate::config::{self, Config, ConfigError, Diagnostic};
use crate::gateway::Gate;
use crate::gateway::forward::UpstreamSet;
use crate::policy::State;
use crate::store::Store;
use crate::tokens::TokenService;

/// Where a configuration comes from.
#[derive(Clone, Debug)]
pub enum ConfigSource {
    File(PathBuf),
    /// Made by the process itself: there is nothing to read again.
    Own,
}

pub(super) struct Reload {
    running: Config,
    source: ConfigSource,
    store: Store,
    gate: Gate,
    upstreams: Arc<UpstreamSet>,
    tokens: Arc<TokenService<Store>>,
    watch: Watch,
    aside: Aside,
    /// Why the files are no good, if they are not.
    fault: Option<String>,
    hangup: Option<Signal>,
}

/// How long the files of a configuration may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often the store is asked whether somebody wants a reload.
const REQUESTS: Duration = Duration::from_millis(300);
/// What a reload was made for, if it was changed files.
const FILES: &str = "files";

impl Reload {
    pub fn new(
        running: Config,
        source: ConfigSource,
        watch: Watch,
        store: Store,
        gate: Gate,
        upstreams: Arc<UpstreamSet>,
        tokens: Arc<TokenService<Store>>,
    ) -> Self {
        // Before anybody is told that calls are taken: by default the signal ends a process.
        let hangup = signal(SignalKind::hangup());
        let tell = |error: &io::Error| tracing::warn!(%error, "SIGHUP can't be received; `scopegate reload` can");
        let hangup = hangup.inspect_err(tell).ok();
        Self {
            running,
            source,
            store,
            gate,
            upstreams,
            tokens,
            watch,
            aside: Aside::new(PATIENCE),
            fault: None,
            hangup,
        }
    }

    /// Puts a new configuration in force, or keeps the old one and says why.
    async fn reload(&mut self) -> Result<String, ConfigError> {
        let ConfigSource::File(path) = &self.source else { return Ok("nothing to read again".into()) };
        let config = self.read(path.clone()).await?;
        config.check_listener(&self.running.proxy)?;
        let mut waiting = config.needs_restart(&self.running);
        // A file that was emptied says nothing of watching, and what comes after it is to be seen.
        let watch = self.running.watch || config.watch;
        if watch != config.watch {
            waiting.push("watch");
        }
        // Before the first call that needs a key.
        signing::prepare(&config.routes, &self.tokens, &self.gate.clock).await;
        // New upstreams first, so that no route is ever without its upstream; those that are gone stay reachable for
        // calls that were matched before.
        self.upstreams.replace(&config.upstreams);
        if let (Some(running), Some(new)) = (&self.running.proxy.server.tls, &config.proxy.server.tls) {
            running.replace(new);
        }
        if let Some(trusted) = &self.running.proxy.server.proxy_protocol {
            trusted.store(Arc::new(config.proxy.forwarding.trusted.clone()));
        }
        self.running.proxy.server.clients.trust(&config.proxy.forwarding.trusted);
        self.running.proxy.server.write_timeout.store(config.proxy.server.write_timeout.load_full());
        self.gate.limits.store(Arc::new(config.proxy.limits.clone()));
        self.gate.forwarding.store(Arc::new(config.proxy.forwarding.clone()));
        self.gate.live.update(|state| State {
            routes: Arc::clone(&config.routes),
            scopes: Arc::clone(&config.scopes),
            registry: state.registry.clone(),
        });
        let routes = config.routes.routes().len();
        let mut message = format!("{routes} routes in force");
        if !waiting.is_empty() {
            message.push_str("; waiting for a restart: ");
            message.push_str(&waiting.join(", "));
        }
        // What waits for a restart is compared again with what runs, so the running values stay.
        let Config { proxy, telemetry, store, replay, endpoints, rotation, .. } = &self.running;
        let (proxy, telemetry, store, replay) = (proxy.clone(), telemetry.clone(), store.clone(), replay.clone());
        let (endpoints, rotation) = (endpoints.clone(), rotation.clone());
        self.running = Config { proxy, telemetry, store, replay, endpoints, rotation, watch, ..config };
        Ok(message)
    }

    /// Reads the configuration aside: whatever its files are, the store is followed meanwhile, and signals are heard.
    async fn read(&self, path: PathBuf) -> Result<Config, ConfigError> {
        let fault = |place: String, message: String, help: &str| {
            ConfigError(vec![Diagnostic { place, line: None, message, help: Some(help.to_owned()) }])
        };
        let place = path.display().to_string();
        let read = self.aside.run(move || config::load(&path)).await;
        let config = read.map_err(|error| {
            let help = "look at the files that it names, too: certificates, keys, and what it includes";
            fault(place.clone(), error.to_string(), help)
        })??;
        if config.routes.routes().is_empty() {
            let message = "it has no routes, so every request would be rejected".to_owned();
            return Err(fault(place, message, "to take no requests any more, stop the gateway"));
        }
        Ok(config)
    }

    /// Reloads and tells how that went.
    async fn take(&mut self, why: &'static str) -> (bool, String) {
        notify::reloading();
        let reloaded = self.reload().await;
        notify::reloaded();
        let (ok, message) = match reloaded {
            Ok(message) => {
                tracing::info!(why, outcome = message, "configuration reloaded");
                self.fault = None;
                (true, message)
            }
            Err(error) => {
                let message = error.to_string();
                // A fault of files that are followed is told once, and not at every look.
                if why != FILES || self.fault.as_ref() != Some(&message) {
                    for diagnostic in &error.0 {
                        tracing::error!(why, %diagnostic, "configuration not reloaded; the old one stays in force");
                    }
                }
                self.fault = Some(message.clone());
                (false, message)
            }
        };
        metrics::counter!("scopegate_reloads_total", "ok" => if ok { "true" } else { "false" }).increment(1);
        self.watch.took(ok);
        if let Ok(now) = self.look().await {
            self.watch.follow(now);
        }
        (ok, message)
    }

    async fn follow_files(&mut self) {
        let is_followed = self.running.watch && matches!(self.source, ConfigSource::File(_));
        if !is_followed {
            return;
        }
        match self.look().await {
            Ok(now) => {
                if self.watch.is_time(now) {
                    self.take(FILES).await;
                }
            }
            Err(error) => {
                let message = format!("the files of the configuration can't be looked at: {error}");
                if self.fault.as_ref() != Some(&message) {
                    tracing::error!(%error, "the files of the configuration can't be looked at; it is tried again");
                    self.fault = Some(message);
                }
            }
        }
    }

    async fn look(&self) -> io::Result<files::Look> {
        let files = self.running.files.clone();
        self.aside.run(move || files::look(&files)).await
    }

    /// Does what was asked for through the store since a request, and answers; returns the last request.
    async fn follow_requests(&mut self, seen: i64, node: &str) -> i64 {
        let Ok(requests) = self.store.reload_requests_since(seen).await else { return seen };
        let Some(&last) = requests.last() else { return seen };
        let (ok, message) = self.take("command").await;
        for request in requests {
            let now = self.gate.clock.now();
            if let Err(error) = self.store.report_reload(request, node, ok, &message, now).await {
                tracing::warn!(%error, "the outcome of a reload can't be reported");
            }
        }
        last
    }
}

pub(super) async fn run(mut reload: Reload) {
    let node = node();
    // Requests from before the start are answered by having started.
    let mut seen = reload.store.latest_reload_request().await.unwrap_or(0);
    let mut hangup = reload.hangup.take();
    let (mut requests, mut looks) = (interval(REQUESTS), interval(files::INTERVAL));
    requests.set_missed_tick_behavior(MissedTickBehavior::Delay);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let hung_up = async {
            match &mut hangup {
                Some(hangup) => _ = hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = hung_up => {
                reload.take("SIGHUP").await;
            }
            _ = requests.tick() => seen = reload.follow_requests(seen, &node).await,
            _ = looks.tick() => reload.follow_files().await,
        }
    }
}

/// How this process is named among several.
fn node() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}:{}", host.trim(), std::process::id())
}
