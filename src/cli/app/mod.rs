//! `scopegate app`: a file a command.

mod change;
mod create;
mod list;
mod move_to;
mod show;

use std::process::ExitCode;

use clap::Subcommand;

use super::Failure;

/// Apps: whoever calls, with keys and grants of its own
#[derive(Debug, Subcommand)]
pub(super) enum App {
    Create(Box<create::Create>),
    List(list::List),
    Show(show::Show),
    Set(Box<change::Set>),
    Move(move_to::Move),
    /// Take the app's tokens again
    Enable(change::Switch),
    /// Refuse every token of the app, until it is enabled
    Disable(change::Switch),
    Delete(change::Delete),
}

impl App {
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Create(create) => create.run().await,
            Self::List(list) => list.run().await,
            Self::Show(show) => show.run().await,
            Self::Set(set) => set.run().await,
            Self::Move(to) => to.run().await,
            Self::Enable(switch) => switch.run(true).await,
            Self::Disable(switch) => switch.run(false).await,
            Self::Delete(delete) => delete.run().await,
        }
    }
}
