use std::cmp::Reverse;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::ChangeArguments;
use super::desk::{Carried, Desk};
use crate::cli::Failure;
use crate::cli::open::ConfigArgument;
use crate::cli::table::table;
use crate::model::{BotId, ClientId};
use crate::registry::{Difference, GrantTarget, GrantVersion, roll_back, with_differences};

/// What was put in force, when, by whom and why; the latest first
#[derive(Debug, Args)]
pub struct History {
    #[command(flatten)]
    config: ConfigArgument,
    /// Of this app
    #[arg(long, value_name = "CLIENT_ID", value_parser = ClientId::new)]
    app: Option<ClientId>,
    /// On this bot
    #[arg(long, value_parser = BotId::new)]
    bot: Option<BotId>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Put the scopes of an earlier version in force again
///
/// They become a new version. What waits in the draft goes on waiting.
#[derive(Debug, Args)]
pub struct Rollback {
    #[command(flatten)]
    change: ChangeArguments,
    /// The app's client id
    #[arg(long, value_name = "CLIENT_ID", value_parser = ClientId::new)]
    app: ClientId,
    /// The bot, of an app that acts on several
    #[arg(long, value_parser = BotId::new)]
    bot: Option<BotId>,
    /// The version, as `scope history` shows it
    #[arg(long, value_name = "VERSION")]
    to: i64,
}

/// A version as `scope history --json` prints it.
#[derive(Serialize)]
struct Entry<'a> {
    client_id: &'a str,
    bot: Option<&'a str>,
    account: Option<&'a str>,
    version: i64,
    at: String,
    by: &'a str,
    why: Option<&'a str>,
    scopes: Vec<&'a str>,
    gained: Vec<&'a str>,
    lost: Vec<&'a str>,
}

impl History {
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let desk = Desk::open(&self.config, self.app.as_ref(), self.bot.as_ref()).await?;
        let selection = desk.selection(self.app, self.bot, None)?;
        let history = desk.store.grant_history(selection.app.as_ref()).await?;
        let mut told = with_differences(&history);
        told.retain(|(version, _)| selection.bot.is_none() || version.target.bot() == selection.bot.as_ref());
        told.sort_by_key(|(version, _)| Reverse((version.at, version.version)));
        if self.json {
            let versions: Vec<_> = told.iter().map(|(version, by)| Entry::of(version, by)).collect();
            println!("{}", serde_json::to_string_pretty(&versions)?);
        } else {
            let rows: Vec<_> = told.iter().map(|(version, by)| row(version, by)).collect();
            print!("{}", table(["WHEN", "APP", "ON", "VERSION", "CHANGE", "WHO", "WHY"], &rows));
        }
        desk.store.close().await;
        Ok(ExitCode::SUCCESS)
    }
}

impl<'a> Entry<'a> {
    fn of(version: &'a GrantVersion, by: &'a Difference) -> Self {
        let account = match &version.target {
            GrantTarget::Account(account) => Some(account.as_str()),
            GrantTarget::Bot(_) => None,
        };
        Self {
            client_id: version.app.as_str(),
            bot: version.target.bot().map(BotId::as_str),
            account,
            version: version.version,
            at: version.at.to_string(),
            by: &version.actor,
            why: version.why.as_deref(),
            scopes: version.scopes.iter().map(|s| s.as_str()).collect(),
            gained: by.gained.iter().map(|s| s.as_str()).collect(),
            lost: by.lost.iter().map(|s| s.as_str()).collect(),
        }
    }
}

fn row(version: &GrantVersion, by: &Difference) -> [String; 7] {
    let (app, target, number) = (version.app.to_string(), version.target.to_string(), version.version.to_string());
    let why = version.why.clone().unwrap_or_default();
    [version.at.to_string(), app, target, number, by.to_string(), version.actor.clone(), why]
}

impl Rollback {
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let desk = Desk::open(&self.change.config, Some(&self.app), self.bot.as_ref()).await?;
        let app = desk.app(&self.app)?;
        let target = app.settings.target(self.bot.as_ref())?;
        let history = desk.store.grant_history(Some(&self.app)).await?;
        let Some(proposal) = roll_back(app, target, &history, self.to, &desk.config.grants)? else {
            println!("nothing to change: the scopes of version {} are in force", self.to);
            return Ok(ExitCode::SUCCESS);
        };
        let carried = desk.carry_out(std::slice::from_ref(&proposal), &self.change).await?;
        if carried == Carried::Done {
            println!("in force: the scopes of version {}", self.to);
            let grant = app.grants.iter().find(|g| g.target == proposal.target);
            if grant.is_some_and(|grant| !grant.waiting().is_empty()) {
                println!("the draft keeps its edits: look at `scopegate scope diff{}`", desk.config_flag);
            }
        }
        desk.store.close().await;
        Ok(carried.status())
    }
}
