//! `scopegate agent`: keeps a long-lived token fresh in a file that others read.
//!
//! [`Schedule`] says when, and is pure; [`TokenFile`] is replaced whole; [`Issuer`] knows whom to ask and how;
//! [`Keeper`] does it, with a clock and a [`Transport`] that are given to it.

mod file;
mod issuer;
mod keeper;
mod metrics;
mod schedule;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

pub use self::file::{FileError, Replacement, TokenFile, publish};
pub use self::issuer::{Fresh, Issuer, Refused};
pub use self::keeper::{Event, Keeper, Numbers, Parts, Step};
pub use self::metrics::render;
pub use self::schedule::{Action, Last, Life, Schedule, alert};
pub use super::call::{CallError, Transport};
pub use super::skew::Skew;

use super::Failure;
use super::call::{CallArguments, Caller, base_address};
use super::jwt::app_id;
use super::signer::{Manner, SignerArgument};
use crate::clock::Clock;
use crate::config::duration;
use crate::model::Algorithm;
use crate::secret::random;

/// How often the file is looked at between refreshes, in case somebody replaces it.
const LOOK: Duration = Duration::from_secs(60);

/// How often a new token is tried to be put into the file, a second apart: as long as the old one is good.
const UNKEPT_TRIES: u32 = 600;

/// Keep a token fresh in a file
///
/// The file always holds one good token: it is replaced whole, and its owner alone may read it. Exit status 1 when a
/// refresh failed and too little of the token's life is left.
#[derive(Debug, Subcommand)]
pub(super) enum Agent {
    Khoros(Box<Khoros>),
    Icr(Box<Icr>),
}

/// Refresh a Khoros token with itself
///
/// The file has to hold the app's first token: what POST /api/v2/tokens/khorosapi/ownerId/APP_ID gives, as it is or the
/// token alone.
#[derive(Debug, Args)]
pub(super) struct Khoros {
    /// The app whose token it is [env: SCOPEGATE_APP_ID or SCOPEGATE_CLIENT_ID]
    #[arg(long, visible_alias = "client-id", value_name = "ID")]
    app_id: Option<String>,
    #[command(flatten)]
    keeping: KeepingArguments,
}

/// Keep the token of an ICR app's installation
#[derive(Debug, Args)]
pub(super) struct Icr {
    /// The app that is installed [env: SCOPEGATE_APP_ID or SCOPEGATE_CLIENT_ID]
    #[arg(long, visible_alias = "client-id", value_name = "ID")]
    app_id: Option<String>,
    /// The installation's id
    #[arg(long, value_name = "ID")]
    installation: String,
    #[command(flatten)]
    key: SignerArgument,
    #[command(flatten)]
    keeping: KeepingArguments,
}

#[derive(Debug, Args)]
struct KeepingArguments {
    /// The gateway's address
    #[arg(long, value_name = "URL")]
    url: String,
    /// The file that holds the token
    #[arg(long, value_name = "FILE")]
    token_file: PathBuf,
    /// Refresh when less than this of the token's life is left [default: a third of it, at most 30 days]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    refresh_below: Option<Duration>,
    /// Exit with status 1 when a refresh failed and less than this is left [default: a twelfth of the life, at most 7 days]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    exit_below: Option<Duration>,
    /// Look once, refresh if it is time to, and end
    #[arg(long)]
    once: bool,
    /// A file for metrics in Prometheus' text form, such as the days that are left
    #[arg(long, value_name = "FILE")]
    metrics: Option<PathBuf>,
    #[command(flatten)]
    call: CallArguments,
}

impl Agent {
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let manner = |may_ask| Manner { is_quiet: false, allows_placeholder: false, may_ask };
        match self {
            Self::Khoros(khoros) => {
                let (url, app_id) = (khoros.keeping.base()?, app_id(khoros.app_id, manner(true))?);
                khoros.keeping.keep(Issuer::Khoros { url, app_id }).await
            }
            Self::Icr(icr) => {
                let manner = manner(!icr.key.takes_stdin());
                let key = icr.key.read(Algorithm::Rs256, manner)?;
                let (url, app_id) = (icr.keeping.base()?, app_id(icr.app_id, manner)?);
                icr.keeping.keep(Issuer::Icr { url, app_id, installation: icr.installation, key }).await
            }
        }
    }
}

impl KeepingArguments {
    fn base(&self) -> Result<String, Failure> {
        let url = base_address(&self.url)?;
        if url.query().is_some() {
            return Err(Failure::new("the gateway's address has no query"));
        }
        Ok(url.to_string().trim_end_matches('/').to_owned())
    }

    async fn keep(self, issuer: Issuer) -> Result<ExitCode, Failure> {
        let file = TokenFile::new(&self.token_file);
        if issuer.needs_current() && file.read()?.is_none() {
            let path = self.token_file.display();
            return Err(Failure::new(format!(
                "{path} holds no token: put the app's first one there, which POST /api/v2/tokens/khorosapi/ownerId/{} \
                 gives (with Basic)",
                issuer.name()
            )));
        }
        if file.is_open_to_others() {
            say(format_args!(
                "{}: others may read this token; the next one is its owner's alone",
                file.path().display()
            ));
        }
        let name = issuer.name().to_owned();
        let schedule = Schedule { refresh_below: self.refresh_below, exit_below: self.exit_below };
        let (clock, transport) = (Clock::System, self.call.caller());
        let keeper = Keeper::new(Parts { issuer, file, schedule, clock, transport, draw: Box::new(draw) });
        self.watch(keeper, &name).await
    }

    async fn watch(&self, mut keeper: Keeper<Caller>, name: &str) -> Result<ExitCode, Failure> {
        let (mut end, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let mut tries = 0;
        loop {
            let step = keeper.step().await;
            keeper.take_events().iter().for_each(say);
            if let Some(path) = &self.metrics {
                // The token matters more than what is told of it.
                _ = publish(path, &render(name, &keeper.numbers(), keeper.now())).map_err(say);
            }
            let until = match step? {
                Step::GiveUp => {
                    say("the refresh failed, and too little of the token's life is left to wait in silence");
                    return Ok(ExitCode::FAILURE);
                }
                // A disk that is full may not be so for long.
                Step::Wait(until) if keeper.holds_unkept() && tries < UNKEPT_TRIES => {
                    tries += 1;
                    until
                }
                Step::Wait(_) if keeper.holds_unkept() => {
                    say("the new token could not be kept, and is lost: the one in the file ends with its grace");
                    return Ok(ExitCode::FAILURE);
                }
                Step::Wait(_) if self.once => return Ok(ExitCode::SUCCESS),
                Step::Wait(until) => until,
            };
            let pause = Clock::System.now().until(until).min(LOOK);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = end.recv() => return Ok(ExitCode::SUCCESS),
                _ = interrupt.recv() => return Ok(ExitCode::SUCCESS),
            }
        }
    }
}

/// A line for whoever reads this process's log.
fn say(what: impl std::fmt::Display) {
    eprintln!("{} scopegate agent: {what}", Clock::System.now());
}

/// Where the system has no chance to give, waits are as long as they may be.
fn draw() -> f64 {
    random::<4>().map_or(1.0, |bytes| f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX))
}
