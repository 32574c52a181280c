use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use arc_swap::ArcSwap;
use clap::Args;
use tokio::sync::watch;

mod calls;
mod echo;
mod narrator;
mod setting;

use super::Failure;
use super::apply::plan;
use super::serve::stop_signal;
use crate::clock::Clock;
use crate::config::{self, RegistryFile};
use crate::net::{ClientConnections, Connections, ServerSettings, bind_alone, serve};
use crate::process::{ConfigSource, Parts, Prepared, StartError};
use crate::registry::{PlanOptions, Repository as _};
use crate::store::{Store, StoreSettings};
use crate::telemetry::install_metrics;
use crate::tokens::Issued;

/// Show what the gateway does: everything in one process, on loopback
///
/// Starts a gateway with example accounts, bots and apps in front of an upstream that echoes, prints calls that are ready
/// to paste with the status that each gives, and then tells of each refusal as it happens, with its reason and its fix.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Where calls go, instead of the echo
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
    /// Keep the registry in this folder, with a configuration for other commands, instead of one that goes with the process
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Where the gateway listens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where /healthz, /readyz and /metrics are
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8082")]
    telemetry_listen: SocketAddr,
}

impl Demo {
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let folder = Folder::new(self.keep.as_deref())?;
        let (stop, stopped) = watch::channel(false);
        let upstream = match &self.upstream {
            Some(url) => url.clone(),
            None => echo(stopped)?,
        };
        let setting = setting::Setting::new(Clock::System.now())?;
        let text = setting::Setting::configuration(&self.listen, &self.telemetry_listen, &upstream, folder.path());
        let config = config::parse("the demo's configuration", &text)?;
        let location = StoreSettings { url: config.store.url.clone(), key_file: None, create: true };
        let store = Store::open(&location).await?;
        let registry = setting.registry();
        if folder.is_kept {
            folder.keep("scopegate.toml", &text)?;
            folder.keep("registry.toml", &registry)?;
        }
        let file = RegistryFile::parse("the demo's registry", &registry)?;
        let changes = plan(&store, &file, &config.grants, PlanOptions::default()).await?;
        store.commit(&changes.0, &super::open::actor(Some("demo".into()))).await?;

        let parts = Parts {
            config,
            source: ConfigSource::Own,
            store: store.clone(),
            metrics: install_metrics()?,
            clock: Clock::System,
        };
        let narrate =
            |live: &_, issued: &Issued| Arc::new(narrator::Narrator::new(Arc::clone(live), issued.clone())) as Arc<_>;
        let prepared = Prepared::new(parts, narrate).await.map_err(with_flag)?;
        let running = prepared.start()?;
        let proxy = running.address().ok_or_else(|| Failure::new("the demo has no address"))?;
        calls::print(&setting, proxy, running.telemetry, &upstream);
        stop_signal().await?;
        println!("\nstopping");
        running.stop().await;
        _ = stop.send(true);
        store.close().await;
        Ok(ExitCode::SUCCESS)
    }
}

/// An upstream of our own, on a port that is free.
fn echo(stopped: watch::Receiver<bool>) -> Result<String, Failure> {
    let listener = bind_alone(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let address = listener.local_addr()?;
    let limit = std::time::Duration::from_secs(300);
    let settings = ServerSettings {
        tls: None,
        proxy_protocol: None,
        header_timeout: limit,
        handshake_timeout: limit,
        write_timeout: Arc::new(ArcSwap::from_pointee(limit)),
        max_connections: 10_000,
        clients: ClientConnections::new(0),
        max_age: std::time::Duration::ZERO,
        drain: limit,
    };
    tokio::spawn(serve(listener.into(), settings, Connections::default(), echo::Echo, stopped));
    Ok(format!("http://{address}"))
}

/// A port that is taken is mended with a flag here, not with a key of a file.
fn with_flag(error: StartError) -> Failure {
    match error {
        StartError::Proxy(error) => {
            Failure::new(format!("{error}; choose another address with --listen, for example --listen 127.0.0.1:0"))
        }
        StartError::Telemetry(error) => Failure::new(format!(
            "{error}; choose another address with --telemetry-listen, for example --telemetry-listen 127.0.0.1:0"
        )),
        error => error.into(),
    }
}

/// Where the demo keeps its store; removed at the end unless it is to be kept.
struct Folder {
    path: PathBuf,
    is_kept: bool,
}

impl Folder {
    fn new(keep: Option<&Path>) -> Result<Self, Failure> {
        let (path, is_kept) = match keep {
            Some(path) => (path.to_owned(), true),
            None => (std::env::temp_dir().join(format!("scopegate-demo-{}", std::process::id())), false),
        };
        std::fs::create_dir_all(&path).map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
        Ok(Self { path, is_kept })
    }

    fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves a file for other commands, for its owner alone: the registry holds secrets.
    fn keep(&self, name: &str, text: &str) -> Result<(), Failure> {
        let path = self.path.join(name);
        let fail = |error| Failure::new(format!("{}: {error}", path.display()));
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path).map_err(fail)?;
        file.write_all(text.as_bytes()).map_err(fail)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.is_kept {
            _ = std::fs::remove_dir_all(&self.path);
        }
    }
}
