//! `scopegate why`: the story of one past call, from the access log and the registry as it is now.

mod search;
mod story;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use self::search::{Found, Logs, Wanted};
use self::story::Story;
use super::Failure;
use super::open::{ConfigArgument, open_store};
use crate::config::{AccessLogTarget, Config};
use crate::model::{printable_json, printable_lines};
use crate::policy::State;
use crate::registry::{Repository as _, Snapshot};

/// Tell the story of one past call: what was answered, what is true, and what to do
///
/// Reads the access log for the call, and the configuration and the registry for what they say about it now. Exit status 1
/// when the call is not found.
#[derive(Debug, Args)]
pub(super) struct Why {
    /// The call's id: the answer's x-request-id, a problem's request_id. The first eight digits are enough where no other
    /// call begins with them
    #[arg(value_name = "REQUEST_ID")]
    id: Wanted,
    /// A file of the access log, newest first where there are several; `-` is standard input. Absent: the one that the
    /// configuration names
    #[arg(long, value_name = "FILE")]
    log: Vec<PathBuf>,
    #[command(flatten)]
    config: ConfigArgument,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Why {
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let config = self.config.load();
        let logs = match (self.log.is_empty(), &config) {
            (false, _) => Logs::new(self.log),
            (true, Ok(config)) => Logs::new(vec![of_config(config)?]),
            (true, Err(failure)) => return Err(Failure::new(failure.to_string())),
        };
        let call = match logs.find(&self.id)? {
            Found::One(call) => call,
            Found::Several(ids) => {
                let text = format!("several calls begin with {}: {}", self.id, ids.join(", "));
                return Err(Failure::new(text));
            }
            Found::Nothing => return Err(Failure::new(format!("no call {} in {logs}", self.id))),
        };
        let first_use = logs.first_use(&call)?;
        // A log from elsewhere can be read where there is no registry.
        let state = match config {
            Ok(config) => state(config).await.map_err(|failure| failure.to_string()),
            Err(failure) => Err(failure.to_string()),
        };
        let story = Story::new(call, first_use, state.as_ref());
        if self.json {
            println!("{}", printable_json(&serde_json::to_string_pretty(&story)?));
        } else {
            print!("{}", printable_lines(&story.render()));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The file of the configuration.
fn of_config(config: &Config) -> Result<PathBuf, Failure> {
    match &config.telemetry.access_log {
        AccessLogTarget::File(path) => Ok(path.clone()),
        AccessLogTarget::Stdout => Err(Failure::new(
            "the access log goes to standard output: say where it is kept with --log FILE, or pipe it in with --log -, or \
             let telemetry.access_log name a file",
        )),
        AccessLogTarget::Nowhere => Err(Failure::new(
            "the access log is turned off (telemetry.access_log = false), so nothing is known of past calls; --log FILE \
             reads one from before",
        )),
    }
}

async fn state(config: Config) -> Result<State, Failure> {
    let store = open_store(&config).await?;
    let loaded = store.load().await;
    store.close().await;
    let (version, registry) = loaded?;
    Ok(State { routes: config.routes, scopes: config.scopes, registry: Snapshot::new(version, registry) })
}
