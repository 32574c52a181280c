use std::process::ExitCode;

use clap::Args;

use crate::cli::Failure;
use crate::cli::open::{ConfigArgument, now};
use crate::cli::table::table;
use crate::cli::view::{AppView, list, switches};
use crate::model::{AccountId, BotId};
use crate::registry::{AppRecord, Editor};

/// List the apps
#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    #[command(flatten)]
    config: ConfigArgument,
    /// Those of one account
    #[arg(long, value_name = "ID", value_parser = AccountId::new)]
    account: Option<AccountId>,
    /// Those of level bot that act on one bot
    #[arg(long, value_name = "ID", value_parser = BotId::new)]
    bot: Option<BotId>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl List {
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let (config, registry) = self.config.read_registry().await?;
        let editor = Editor { registry: &registry, rules: &config.grants, now: now() };
        self.account.as_ref().map(|account| editor.account(account)).transpose()?;
        if let Some(bot) = self.bot.as_ref().filter(|bot| !registry.bots.contains_key(*bot)) {
            return Err(Failure::new(format!("bot {bot} does not exist")));
        }
        let wanted = |record: &&AppRecord| {
            let app = &record.settings;
            self.account.as_ref().is_none_or(|account| app.account == *account)
                && self.bot.as_ref().is_none_or(|bot| app.bots.contains(bot))
        };
        let apps: Vec<_> = registry.apps.values().filter(wanted).collect();
        if self.json {
            let apps: Vec<_> = apps.into_iter().map(|app| AppView::of(app, &config.grants)).collect();
            println!("{}", serde_json::to_string_pretty(&apps)?);
            return Ok(ExitCode::SUCCESS);
        }
        if apps.is_empty() {
            println!("no apps; `scopegate app create --name NAME` makes one");
            return Ok(ExitCode::SUCCESS);
        }
        let may_lack_exp = |record: &AppRecord| config.grants.may_lack_exp(&record.settings);
        let rows = apps.iter().map(|record| {
            let app = &record.settings;
            let state = if app.enabled { "enabled" } else { "disabled" };
            [
                app.client_id.to_string(),
                app.name.clone(),
                app.account.to_string(),
                app.level.to_string(),
                list(&app.bots, "-"),
                list(&app.algorithms, "-"),
                state.into(),
                switches(app),
                if may_lack_exp(record) { "may lack" } else { "needed" }.into(),
            ]
        });
        let heading = ["CLIENT ID", "NAME", "ACCOUNT", "LEVEL", "BOTS", "ALGORITHMS", "STATE", "SWITCHES", "EXP"];
        print!("{}", table(heading, &rows.collect::<Vec<_>>()));
        let lacking = apps.iter().filter(|record| may_lack_exp(record)).count();
        if lacking > 0 {
            println!(
                "\n{lacking} of them may use tokens that never expire; `scopegate app set ID --require-exp on` ends that"
            );
        }
        Ok(ExitCode::SUCCESS)
    }
}
