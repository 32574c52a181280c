use std::process::ExitCode;

use clap::Args;

use crate::cli::Failure;
use crate::cli::edit::EditArguments;
use crate::model::{AccountId, ClientId};
use crate::registry::{AppSettings, Part};

/// Give an app to another account
///
/// For an app that the gateway created for a service account of the wrong account, so that the right one can have its id.
/// Tokens that were issued to the app end, and its permissions on tables and views are gone. An app with bots, grants or
/// installations is not moved: take these away first.
#[derive(Debug, Args)]
pub(in crate::cli) struct Move {
    /// The app's client id
    #[arg(value_name = "APP", value_parser = ClientId::new)]
    app: ClientId,
    /// The account that it belongs to from then on
    #[arg(long, value_name = "ID", value_parser = AccountId::new)]
    account: AccountId,
    #[command(flatten)]
    edit: EditArguments,
}

impl Move {
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let session = self.edit.open().await?;
        let part = Part::app(&self.app).and(Part::account(&self.account));
        // No other app of the new account may have its name.
        let (_, registry) = session.store.load_part(&part).await?;
        let app_names = registry.apps.get(&self.app).map(|app| app.settings.name.clone()).into_iter().collect();
        let part = part.and(Part { app_names, ..Part::default() });
        let to = |app: &mut AppSettings| app.account = self.account.clone();
        let done = session.edit(&part, |editor| editor.change_app(&self.app, to)).await?;
        session.store.close().await;
        Ok(done.print())
    }
}
