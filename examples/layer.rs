//! The checks of the gateway in front of an axum service.

use std::path::Path;
use std::sync::Arc;

use axum::{Router, http::HeaderMap, routing::get};
use scopegate::ScopegateLayer;
use scopegate::clock::Clock;
use scopegate::gateway::{Gate, GateSettings};
use scopegate::policy::{Live, State};
use scopegate::registry::{Repository as _, Snapshot};
use scopegate::store::{Store, StoreSettings};
use scopegate::telemetry::JsonLog;
use scopegate::tokens::{Issued, TokenService};
use scopegate::verify::Verifier;

type Error = Box<dyn std::error::Error>;

async fn gate(path: &Path) -> Result<Gate, Error> {
    let config = scopegate::config::load(path)?;
    let (url, key_file) = (config.store.url, config.store.key_file);
    let store = Store::open(&StoreSettings { url, key_file, create: true }).await?;
    let (version, registry) = store.load().await?;
    let registry = Snapshot::new(version, registry);
    let live = Arc::new(Live::new(State { routes: config.routes, scopes: config.scopes, registry }));
    // What was revoked, and which tokens are our own.
    let tokens = Arc::new(TokenService::new(store.clone(), Issued::default(), config.rotation));
    tokens.follow().await?;
    let settings = GateSettings::default();
    let verifier = Verifier::new(settings.cache_bytes).with_issuance(Arc::new(tokens.issued().clone()));
    tokio::spawn(scopegate::process::follow(store, Arc::clone(&live), tokens));
    let log = Arc::new(JsonLog::new(std::io::stdout())?);
    let gate = Gate::new(live, log, Clock::System, settings)?;
    Ok(Gate { verifier: Arc::new(verifier), ..gate })
}

async fn report(headers: HeaderMap) -> String {
    format!("called by {:?}\n", headers["x-scopegate-app"])
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let gate = gate(Path::new("config/scopegate.toml")).await?;
    let app = Router::new().route("/reports/{*file}", get(report)).layer(ScopegateLayer::new(gate));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:18090").await?;
    Ok(axum::serve(listener, app).await?)
}
