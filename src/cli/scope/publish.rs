use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::desk::{Carried, Desk};
use super::list::Titled;
use super::words::command;
use super::{ChangeArguments, found};
use crate::cli::Failure;
use crate::cli::open::ConfigArgument;
use crate::model::{BotId, ClientId, Level, shell_word};
use crate::registry::{Proposal, ScopeUse, Selection, faults, waiting};

/// Who gains and loses what when drafts are published
///
/// Exit status 0 if every draft is what is in force, 2 if not.
#[derive(Debug, Args)]
pub struct Diff {
    #[command(flatten)]
    config: ConfigArgument,
    /// Drafts of this app
    #[arg(long, value_name = "CLIENT_ID", value_parser = ClientId::new)]
    app: Option<ClientId>,
    /// Drafts on this bot
    #[arg(long, value_parser = BotId::new)]
    bot: Option<BotId>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Put drafts in force
///
/// Of an app, on a bot, or of an app on a bot; all of them together or none. What was changed by somebody else since it was
/// read is not published.
#[derive(Debug, Args)]
pub struct Publish {
    #[command(flatten)]
    change: ChangeArguments,
    /// Drafts of this app
    #[arg(long, value_name = "CLIENT_ID", value_parser = ClientId::new)]
    app: Option<ClientId>,
    /// Drafts on this bot
    #[arg(long, value_parser = BotId::new)]
    bot: Option<BotId>,
    /// Every draft
    #[arg(long, required_unless_present_any = ["app", "bot"], conflicts_with_all = ["app", "bot"])]
    all: bool,
}

/// A draft as `scope diff --json` prints it.
#[derive(Serialize)]
struct Waiting<'a> {
    app: &'a str,
    client_id: &'a str,
    account: &'a str,
    level: Level,
    bot: Option<&'a str>,
    gains: Vec<Titled<'a>>,
    loses: Vec<Titled<'a>>,
    /// What would be missed: used in the last 24 hours.
    missed: Vec<Missed<'a>>,
}

#[derive(Serialize)]
struct Missed<'a> {
    id: &'a str,
    last_used_at: String,
}

impl Diff {
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let desk = Desk::open(&self.config, self.app.as_ref(), self.bot.as_ref()).await?;
        let selection = desk.selection(self.app, self.bot, None)?;
        let proposals = waiting(selection.of(&desk.registry));
        let uses = desk.recent_uses(selection.app.as_ref()).await?;
        if self.json {
            let drafts: Vec<_> = proposals.iter().filter_map(|p| Waiting::of(&desk, p, &uses)).collect();
            println!("{}", serde_json::to_string_pretty(&drafts)?);
        } else if proposals.is_empty() {
            println!("no draft differs from what is in force");
        } else {
            desk.print(&proposals, &uses);
            for fault in faults(&proposals, &desk.registry, &desk.config.grants) {
                println!("can't be published: {fault}");
            }
            println!("not live yet: run `{}`", publication(&proposals, &selection, &desk.config_flag));
        }
        desk.store.close().await;
        Ok(if proposals.is_empty() { ExitCode::SUCCESS } else { found() })
    }
}

/// The command that publishes what was compared.
fn publication(proposals: &[Proposal], selection: &Selection, config: &str) -> String {
    if let [only] = proposals {
        return command("publish", &only.app, &only.target, config);
    }
    let bot = selection.bot.iter().map(|bot| format!(" --bot {}", shell_word(bot.as_str())));
    let app = selection.app.iter().map(|app| format!(" --app {}", shell_word(app.as_str())));
    let named: String = bot.chain(app).collect();
    format!("scopegate scope publish{}{config}", if named.is_empty() { " --all" } else { &named })
}

impl<'a> Waiting<'a> {
    fn of(desk: &'a Desk, proposal: &'a Proposal, uses: &'a [ScopeUse]) -> Option<Self> {
        let settings = &desk.registry.apps.get(&proposal.app)?.settings;
        let missed = |used: &'a ScopeUse| Missed { id: used.scope.as_str(), last_used_at: used.at.to_string() };
        let titled = |scope| Titled::of(&desk.config.scopes, scope, proposal.target.level());
        Some(Self {
            app: &settings.name,
            client_id: settings.client_id.as_str(),
            account: settings.account.as_str(),
            level: settings.level,
            bot: proposal.target.bot().map(BotId::as_str),
            gains: proposal.by.gained.iter().map(titled).collect(),
            loses: proposal.by.lost.iter().map(titled).collect(),
            missed: proposal.missed(uses).map(missed).collect(),
        })
    }
}

impl Publish {
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let desk = Desk::open(&self.change.config, self.app.as_ref(), self.bot.as_ref()).await?;
        let selection = desk.selection(self.app, self.bot, None)?;
        let proposals = waiting(selection.of(&desk.registry));
        let faults = faults(&proposals, &desk.registry, &desk.config.grants);
        if !faults.is_empty() {
            let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
            return Err(Failure::new(format!("nothing was published\n{}", faults.join("\n"))));
        }
        let carried = desk.carry_out(&proposals, &self.change).await?;
        match carried {
            Carried::Nothing => println!("nothing to publish"),
            Carried::Shown => {}
            Carried::Done => println!("published"),
        }
        desk.store.close().await;
        Ok(carried.status())
    }
}
