use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Failure;
use super::edit::EditArguments;
use super::open::{ConfigArgument, now};
use super::table::table;
use crate::model::{AccountId, BotId};
use crate::registry::{Bot as Record, Change, DEFAULT_ACCOUNT, Editor, Part};

/// Bots: what a path names, each of one account
#[derive(Debug, Subcommand)]
pub(super) enum Bot {
    Add(Add),
    List(List),
    Delete(Delete),
}

/// Add a bot to an account
#[derive(Debug, Args)]
pub(super) struct Add {
    /// The bot as it stands in paths, such as st-0c6e2d3a-9e8f-5c62-8a57-1d2f3e4a5b6c
    #[arg(value_name = "ID", value_parser = BotId::new)]
    id: BotId,
    /// The account that owns it
    #[arg(long, value_name = "ID", value_parser = AccountId::new, default_value = DEFAULT_ACCOUNT)]
    account: AccountId,
    #[command(flatten)]
    edit: EditArguments,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// List the bots
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    config: ConfigArgument,
    /// Those of one account
    #[arg(long, value_name = "ID", value_parser = AccountId::new)]
    account: Option<AccountId>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Delete a bot that no app names any more
#[derive(Debug, Args)]
pub(super) struct Delete {
    /// The bot
    #[arg(value_name = "ID", value_parser = BotId::new)]
    id: BotId,
    #[command(flatten)]
    edit: EditArguments,
}

impl Bot {
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Add(add) => add.run().await,
            Self::List(list) => list.run().await,
            Self::Delete(delete) => delete.run().await,
        }
    }
}

impl Add {
    async fn run(self) -> Result<ExitCode, Failure> {
        let session = self.edit.make().await?;
        let bot = Record { id: self.id, account: self.account };
        let part = Part::bot(&bot.id).and(Part::account(&bot.account));
        let done = session.edit(&part, |editor| editor.add_bot(bot.clone())).await?;
        session.store.close().await;
        if self.json {
            let added = json!({ "id": bot.id, "account": bot.account });
            println!("{}", done.rehearsed_json().unwrap_or_else(|| format!("{added:#}")));
            return Ok(done.exit_code());
        }
        let code = done.print();
        if done.is_committed() {
            println!("next: `scopegate app create --name NAME --account {} --bot {}`", bot.account, bot.id);
        }
        Ok(code)
    }
}

impl List {
    async fn run(self) -> Result<ExitCode, Failure> {
        let (config, registry) = self.config.read_registry().await?;
        let editor = Editor { registry: &registry, rules: &config.grants, now: now() };
        self.account.as_ref().map(|account| editor.account(account)).transpose()?;
        let wanted = |bot: &&Record| self.account.as_ref().is_none_or(|account| bot.account == *account);
        let bots = registry.bots.values().filter(wanted);
        if self.json {
            let bots: Value = bots.map(|bot| json!({ "id": bot.id, "account": bot.account })).collect();
            println!("{bots:#}");
            return Ok(ExitCode::SUCCESS);
        }
        let rows: Vec<_> = bots
            .map(|bot| {
                let apps = registry.apps.values().filter(|app| app.settings.bots.contains(&bot.id)).count();
                [bot.id.to_string(), bot.account.to_string(), apps.to_string()]
            })
            .collect();
        print!("{}", table(["BOT", "ACCOUNT", "APPS"], &rows));
        Ok(ExitCode::SUCCESS)
    }
}

impl Delete {
    async fn run(self) -> Result<ExitCode, Failure> {
        let session = self.edit.open().await?;
        let done = session.edit(&Part::bot(&self.id), |_| Ok(vec![Change::DeleteBot(self.id.clone())])).await?;
        session.store.close().await;
        Ok(done.print())
    }
}
