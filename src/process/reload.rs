//! Reads the configuration again: on SIGHUP, and when `scopegate reload` asks through the store.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::signing;
use crate::config::{self, Config, ConfigError};
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
}

impl Reload {
    pub fn new(
        running: Config,
        source: ConfigSource,
        store: Store,
        gate: Gate,
        upstreams: Arc<UpstreamSet>,
        tokens: Arc<TokenService<Store>>,
    ) -> Self {
        Self { running, source, store, gate, upstreams, tokens }
    }

    /// Puts a new configuration in force, or keeps the old one and says why.
    async fn reload(&mut self) -> Result<String, ConfigError> {
        let ConfigSource::File(path) = &self.source else { return Ok("nothing to read again".into()) };
        let config = config::load(path)?;
        config.check_listener(&self.running.proxy)?;
        let waiting = config.needs_restart(&self.running);
        // Before the first call that needs a key.
        signing::prepare(&config.routes, &self.tokens, &self.gate.clock).await;
        // New upstreams first, so that no route is ever without its upstream; those that are gone stay reachable for
        // calls that were matched before.
        self.upstreams.extend(&config.upstreams);
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
        self.running = Config { proxy, telemetry, store, replay, endpoints, rotation, ..config };
        Ok(message)
    }

    async fn reload_and_tell(&mut self) -> (bool, String) {
        let (ok, message) = match self.reload().await {
            Ok(message) => {
                tracing::info!(outcome = message, "configuration reloaded");
                (true, message)
            }
            Err(error) => {
                for diagnostic in &error.0 {
                    tracing::error!(%diagnostic, "configuration not reloaded; the old one stays in force");
                }
                (false, error.to_string())
            }
        };
        metrics::counter!("scopegate_reloads_total", "ok" => if ok { "true" } else { "false" }).increment(1);
        (ok, message)
    }
}

pub(super) async fn run(mut reload: Reload) {
    let node = node();
    // Requests from before the start are answered by having started.
    let mut seen = reload.store.latest_reload_request().await.unwrap_or(0);
    let mut hangup = match signal(SignalKind::hangup()) {
        Ok(hangup) => Some(hangup),
        Err(error) => {
            tracing::warn!(%error, "SIGHUP can't be received; `scopegate reload` can");
            None
        }
    };
    loop {
        let hung_up = async {
            match &mut hangup {
                Some(hangup) => _ = hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = hung_up => {
                reload.reload_and_tell().await;
            }
            () = tokio::time::sleep(Duration::from_millis(300)) => {
                let Ok(requests) = reload.store.reload_requests_since(seen).await else { continue };
                let Some(&last) = requests.last() else { continue };
                seen = last;
                let (ok, message) = reload.reload_and_tell().await;
                for request in requests {
                    let now = reload.gate.clock.now();
                    if let Err(error) = reload.store.report_reload(request, &node, ok, &message, now).await {
                        tracing::warn!(%error, "the outcome of a reload can't be reported");
                    }
                }
            }
        }
    }
}

/// How this process is named among several.
fn node() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}:{}", host.trim(), std::process::id())
}
