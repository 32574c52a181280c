use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::number_of;
use crate::cli::Failure;
use crate::cli::edit::EditArguments;
use crate::model::ClientId;
use crate::registry::Part;
use crate::tokens::TokenRepository as _;

/// End all tokens that an app has on record, at once
///
/// The way out when a token is lost or has expired: afterwards the app begins anew with a first token.
#[derive(Debug, Args)]
pub(in crate::cli) struct Reset {
    #[command(flatten)]
    edit: EditArguments,
    /// Whose
    #[arg(long, value_name = "CLIENT_ID", value_parser = ClientId::new)]
    app: ClientId,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Reset {
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let session = self.edit.open().await?;
        let registry = session.part(&Part::app(&self.app)).await?;
        let number = number_of(&registry, &self.app)?;
        let actor = session.actor();
        let ended = if session.dry_run {
            session.store.tokens_of(number).await?.invalidate(actor.at)
        } else {
            session.store.invalidate(number, &actor).await?
        };
        let is_rehearsal = session.dry_run && !ended.is_empty();
        if self.json {
            println!("{:#}", json!({ "app": self.app, "ended": ended, "dry_run": session.dry_run }));
        } else if ended.is_empty() {
            println!("app {} has no good token; there is nothing to end", self.app);
        } else {
            let ended: Vec<_> = ended.iter().map(ToString::to_string).collect();
            let would = if session.dry_run { "would be ended (dry run)" } else { "ended" };
            println!("{would}: {}", ended.join(", "));
        }
        session.store.close().await;
        Ok(if is_rehearsal { ExitCode::from(2) } else { ExitCode::SUCCESS })
    }
}
