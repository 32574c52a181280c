use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::Failure;
use super::open::{ConfigArgument, make_store};
use crate::clock::Clock;
use crate::config::AccessLogTarget;
use crate::gateway::AccessLog;
use crate::process::{ConfigSource, Parts, Prepared};
use crate::telemetry::{JsonLog, NoLog, install_logs, install_metrics};

/// Run the gateway
///
/// Standard output is the access log, one JSON object a call, unless the configuration names a file; standard error has
/// operational events. SIGHUP reloads the
/// configuration; SIGTERM and SIGINT stop taking calls and let those in hand finish.
#[derive(Debug, Args)]
pub(super) struct Serve {
    #[command(flatten)]
    config: ConfigArgument,
}

impl Serve {
    pub async fn run(self) -> Result<ExitCode, Failure> {
        install_logs();
        let config = self.config.load()?;
        let store = make_store(&config).await?;
        let log = access_log(&config.telemetry.access_log)?;
        let (routes, url) = (config.routes.routes().len(), config.store.url.clone());
        let source = ConfigSource::File(self.config.path);
        let parts = Parts { config, source, store: store.clone(), metrics: install_metrics()?, clock: Clock::System };
        let prepared = Prepared::new(parts, |_, _| log).await?;
        let (_, _, apps) = prepared.gate.live.load().registry.counts();
        let running = prepared.start()?;
        let proxy: Vec<_> = running.proxy.iter().map(ToString::to_string).collect();
        let (proxy, telemetry) = (proxy.join(", "), running.telemetry);
        tracing::info!(proxy, %telemetry, routes, apps, store = url, "taking calls");
        if apps == 0 {
            tracing::warn!(
                "the registry has no apps, so every token is refused: add some with `scopegate app create` or `scopegate apply`"
            );
        }
        tokio::select! {
            stopped = stop_signal() => {
                stopped?;
                tracing::info!("draining");
                running.stop().await;
            }
            successor = running.relieved() => {
                // Draining is what the first signal would ask for.
                tokio::spawn(async {
                    if stop_signal().await.is_ok() {
                        tracing::info!("draining already");
                    }
                });
                tracing::info!("another process takes calls; draining");
                running.stop_for(successor).await;
            }
        }
        store.close().await;
        tracing::info!("stopped");
        Ok(ExitCode::SUCCESS)
    }
}

fn access_log(target: &AccessLogTarget) -> Result<Arc<dyn AccessLog>, Failure> {
    Ok(match target {
        AccessLogTarget::Nowhere => Arc::new(NoLog),
        AccessLogTarget::Stdout => Arc::new(JsonLog::new(io::stdout())?),
        AccessLogTarget::File(path) => Arc::new(JsonLog::to_file(path).map_err(|error| {
            Failure::new(format!("telemetry.access_log: {} can't be written to: {error}", path.display()))
        })?),
    })
}

/// Waits for SIGTERM or SIGINT. A second one ends the process at once.
pub(super) async fn stop_signal() -> Result<(), Failure> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        std::process::exit(1);
    });
    Ok(())
}
