//! What the commands work on: the registry as it stands, what grants have to obey, and the way to change it.

use std::fmt::Display;
use std::process::ExitCode;
use std::time::Duration;

use super::words::{command, named, titled};
use super::{ChangeArguments, found};
use crate::cli::Failure;
use crate::cli::open::{ConfigArgument, now, open_store};
use crate::config::Config;
use crate::model::{AccountId, BotId, ClientId, Level, ScopeId, nearest, shell_word};
use crate::registry::{AppRecord, GrantTarget, Part, Proposal, Registry, Repository as _, ScopeUse, Selection};
use crate::store::Store;

/// Whoever used a scope within this span is told to miss it.
const RECENT: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) struct Desk {
    pub config: Config,
    pub store: Store,
    pub registry: Registry,
    /// ` -c FILE` for commands to paste; nothing where the default is in use.
    pub config_flag: String,
}

impl Desk {
    /// With what the command names alone, where it names an app; with all of the registry where it names none, or one that
    /// is not there and for which others may be meant.
    pub async fn open(argument: &ConfigArgument, app: Option<&ClientId>, bot: Option<&BotId>) -> Result<Self, Failure> {
        let config = argument.load()?;
        let store = open_store(&config).await?;
        let named = match app {
            Some(app) => Some(store.load_part(&Part::app(app).and(bot.map(Part::bot).unwrap_or_default())).await?.1),
            None => None,
        };
        let is_there = |registry: &Registry| {
            app.is_none_or(|app| registry.apps.contains_key(app))
                && bot.is_none_or(|bot| registry.bots.contains_key(bot))
        };
        let registry = match named.filter(is_there) {
            Some(named) => named,
            None => store.load().await?.1,
        };
        let config_flag = if argument.is_default() {
            String::new()
        } else {
            format!(" -c {}", shell_word(&argument.path.to_string_lossy()))
        };
        Ok(Self { config, store, registry, config_flag })
    }

    pub fn app(&self, id: &ClientId) -> Result<&AppRecord, Failure> {
        let known = || self.registry.apps.values().map(|app| &app.settings);
        self.registry.apps.get(id).ok_or_else(|| {
            let help = match known().find(|app| app.name == id.as_str()) {
                Some(app) => format!("; an app is meant by its client id, and {id} is the name of {}", app.client_id),
                None => did_you_mean(id, known().map(|app| app.client_id.as_str())),
            };
            Failure::new(format!("app {id} does not exist{help}"))
        })
    }

    /// Grants by what is named, all of which has to exist.
    pub fn selection(
        &self,
        app: Option<ClientId>,
        bot: Option<BotId>,
        account: Option<AccountId>,
    ) -> Result<Selection, Failure> {
        if let Some(app) = &app {
            self.app(app)?;
        }
        if let Some(bot) = bot.as_ref().filter(|bot| !self.registry.bots.contains_key(*bot)) {
            let help = did_you_mean(bot, self.registry.bots.keys().map(BotId::as_str));
            return Err(Failure::new(format!("bot {bot} does not exist{help}")));
        }
        if let Some(account) = account.as_ref().filter(|account| !self.registry.accounts.contains_key(*account)) {
            let help = did_you_mean(account, self.registry.accounts.keys().map(AccountId::as_str));
            return Err(Failure::new(format!("account {account} does not exist{help}")));
        }
        Ok(Selection { app, bot, account })
    }

    /// Of the app, or of all.
    pub async fn recent_uses(&self, app: Option<&ClientId>) -> Result<Vec<ScopeUse>, Failure> {
        Ok(self.store.uses_of_scopes(now().before(RECENT), app).await?)
    }

    /// What a proposal gains and loses, a line a scope, and who would miss what.
    pub fn print(&self, proposals: &[Proposal], uses: &[ScopeUse]) {
        for proposal in proposals {
            let Some(app) = self.registry.apps.get(&proposal.app) else { continue };
            let (target, level) = (&proposal.target, proposal.target.level());
            let draft = if proposal.in_force { "" } else { "draft of " };
            println!("{draft}{} on {target}, level {level}", named(&app.settings));
            for (sign, scope) in proposal.by.signed() {
                println!("  {sign} {}", titled(&self.config.scopes, scope, level));
            }
        }
        let missed: Vec<_> = proposals.iter().flat_map(|p| p.missed(uses)).collect();
        if !missed.is_empty() {
            println!("used in the last 24 hours, and lost:");
        }
        for ScopeUse { app, target, scope, at } in missed {
            let name = self.registry.apps.get(app).map_or_else(|| format!("app {app}"), |app| named(&app.settings));
            println!("  {name} on {target}: {}, last at {at}", titled(&self.config.scopes, scope, target.level()));
        }
    }

    /// Prints proposals and carries them out, or not where it is a dry run.
    pub async fn carry_out(&self, proposals: &[Proposal], arguments: &ChangeArguments) -> Result<Carried, Failure> {
        let app = proposals.first().map(|first| &first.app);
        let uses = self.recent_uses(app.filter(|app| proposals.iter().all(|other| other.app == **app))).await?;
        self.print(proposals, &uses);
        if proposals.is_empty() {
            return Ok(Carried::Nothing);
        }
        if arguments.dry_run {
            println!("nothing was changed (dry run)");
            return Ok(Carried::Shown);
        }
        let changes: Vec<_> = proposals.iter().map(|p| p.change.clone()).collect();
        self.store.commit(&changes, &arguments.actor()).await?;
        Ok(Carried::Done)
    }

    /// How a draft is put in force.
    pub fn how_to_publish(&self, app: &ClientId, target: &GrantTarget) -> String {
        format!("run `{}`", command("publish", app, target, &self.config_flag))
    }

    pub fn title_of(&self, scope: &ScopeId, level: Level) -> String {
        titled(&self.config.scopes, scope, level)
    }
}

/// What became of proposals.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Carried {
    /// There was nothing to change.
    Nothing,
    /// A dry run.
    Shown,
    Done,
}

impl Carried {
    pub fn status(self) -> ExitCode {
        if self == Self::Shown { found() } else { ExitCode::SUCCESS }
    }
}

/// A hint for whoever misspelt a name.
pub(super) fn did_you_mean<'k>(word: &impl Display, known: impl IntoIterator<Item = &'k str>) -> String {
    nearest(&word.to_string(), known).map(|near| format!("; did you mean {near}?")).unwrap_or_default()
}
