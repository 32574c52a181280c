//! Grants: edited as drafts, compared, published, rolled back. Data tables have permissions of their own.

mod check;
mod desk;
mod edit;
mod history;
mod list;
mod publish;
mod tables;
mod words;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::Failure;
use super::open::{ConfigArgument, actor};
use crate::registry::Actor;

/// What apps may do: list, grant, revoke, compare, publish, roll back
///
/// Scopes on a bot are edited as a draft and take effect when they are published; scopes on an account, and permissions
/// on data tables, take effect at once. A running gateway notices within a second.
#[derive(Debug, Subcommand)]
pub(super) enum Scope {
    List(list::List),
    Grant(edit::Grant),
    Revoke(edit::Revoke),
    Diff(publish::Diff),
    Publish(publish::Publish),
    History(history::History),
    Rollback(history::Rollback),
    Check(check::Check),
}

impl Scope {
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::List(command) => command.run().await,
            Self::Grant(command) => command.run().await,
            Self::Revoke(command) => command.run().await,
            Self::Diff(command) => command.run().await,
            Self::Publish(command) => command.run().await,
            Self::History(command) => command.run().await,
            Self::Rollback(command) => command.run().await,
            Self::Check(command) => command.run().await,
        }
    }
}

/// What every command has that changes something.
#[derive(Debug, Args)]
struct ChangeArguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// Print what would change, and change nothing; exit status 2 if there is anything
    #[arg(long)]
    dry_run: bool,
    /// Why, for the audit and the history
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
}

impl ChangeArguments {
    fn actor(&self) -> Actor {
        actor(self.why.clone())
    }
}

/// The status of a dry run that found changes, and of a comparison that found differences.
fn found() -> ExitCode {
    ExitCode::from(2)
}
