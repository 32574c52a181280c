//! `token`: what was issued to apps, what was revoked, and taking either back.

mod list;
mod reset;
mod revoke;

use std::process::ExitCode;

use clap::Subcommand;

use super::Failure;
use crate::model::{AppNumber, ClientId};
use crate::registry::Registry;

/// List, revoke and reset tokens of apps
///
/// Issued tokens are those that the gateway keeps on record, such as Khoros' tokens. Tokens that apps sign themselves are
/// on no record; they can be revoked.
#[derive(Debug, Subcommand)]
pub(super) enum Token {
    List(list::List),
    Revoke(revoke::Revoke),
    Reset(reset::Reset),
}

impl Token {
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::List(command) => command.run().await,
            Self::Revoke(command) => command.run().await,
            Self::Reset(command) => command.run().await,
        }
    }
}

fn number_of(registry: &Registry, app: &ClientId) -> Result<AppNumber, Failure> {
    let record = registry.apps.get(app.as_str());
    let absent = || Failure::new(format!("app {app} does not exist; `scopegate app list` shows those that do"));
    record.map(|record| record.number).ok_or_else(absent)
}
