use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::Args;

use super::desk::{Desk, did_you_mean};
use super::words::{command, named};
use crate::cli::Failure;
use crate::cli::open::ConfigArgument;
use crate::model::{BotId, ClientId, Level, RouteId, ScopeId};
use crate::policy::{NeededPermission, Requirement, Route};
use crate::registry::{AppRecord, Grant, GrantTarget, Installation, Permissions, ResourceKind};

/// Whether an app holds what an API asks for
///
/// Exit status 0 if it does, 1 if not. An app of several bots has to hold it on each of them, or on the one that is named.
#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    config: ConfigArgument,
    /// The app's client id
    #[arg(long, value_name = "CLIENT_ID", value_parser = ClientId::new)]
    app: ClientId,
    /// The API, by the id of its route: `scopegate catalog list --json` shows it
    #[arg(long, value_name = "ROUTE", value_parser = RouteId::new)]
    api: RouteId,
    /// The bot
    #[arg(long, value_parser = BotId::new)]
    bot: Option<BotId>,
}

impl Check {
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let desk = Desk::open(&self.config, Some(&self.app), self.bot.as_ref()).await?;
        let app = desk.app(&self.app)?;
        let routes = desk.config.routes.routes();
        let route = routes.iter().find(|route| route.id == self.api).ok_or_else(|| {
            let help = did_you_mean(&self.api, routes.iter().map(|route| route.id.as_str()));
            Failure::new(format!("there is no API {}{help}", self.api))
        })?;
        let targets = self.targets(&desk, app)?;
        let missing = Question { desk: &desk, app, route }.missing(&targets);
        for line in &missing {
            println!("{line}");
        }
        if missing.is_empty() {
            println!("{} holds what {} asks for", named(&app.settings), route.id);
        }
        desk.store.close().await;
        Ok(if missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// Where the app has to hold a scope: on the bots that are asked about, or on its account.
    fn targets(&self, desk: &Desk, app: &AppRecord) -> Result<Vec<GrantTarget>, Failure> {
        let settings = &app.settings;
        match (settings.level, &self.bot) {
            (Level::Bot, None) => Ok(settings.bots.iter().cloned().map(GrantTarget::Bot).collect()),
            (Level::Bot, Some(_)) => Ok(vec![settings.target(self.bot.as_ref())?]),
            (Level::Account, bot) => {
                let own = |bot: &BotId| desk.registry.bots.get(bot).is_some_and(|bot| bot.account == settings.account);
                match bot.as_ref().filter(|bot| !own(bot)) {
                    Some(bot) => Err(Failure::new(format!("bot {bot} is not of account {}", settings.account))),
                    None => Ok(vec![GrantTarget::Account(settings.account.clone())]),
                }
            }
        }
    }
}

struct Question<'a> {
    desk: &'a Desk,
    app: &'a AppRecord,
    route: &'a Route,
}

impl Question<'_> {
    /// A line for each thing that the app lacks, with the way to get it.
    fn missing(&self, targets: &[GrantTarget]) -> Vec<String> {
        let (settings, route) = (&self.app.settings, self.route);
        let mut lines = Vec::new();
        let authenticator = &route.authenticator.name;
        if !settings.enabled {
            lines.push(format!("{} is disabled", named(settings)));
        }
        if !settings.authenticators.is_empty() && !settings.authenticators.contains(authenticator) {
            lines.push(format!(
                "{} may not be used with authenticator {authenticator}, as {} is",
                named(settings),
                route.id
            ));
        }
        match &route.requirement {
            Requirement::Nothing => lines.clear(),
            Requirement::AnyApp => {}
            Requirement::Role(_) => lines.push(format!("{} is for service accounts", route.id)),
            Requirement::Permission(needed) => lines.extend(self.missing_permission(needed)),
            scoped @ Requirement::Scope { .. } => lines.extend(self.missing_scopes(scoped, targets)),
            Requirement::AnyResource => {
                let holds_any = self.app.table_grants.iter().any(|g| g.permissions != Permissions::NONE);
                if !holds_any {
                    lines.push(self.missing_on("do anything on any table or view", ResourceKind::Table, "read"));
                }
            }
            Requirement::Resource { kind, permissions, .. } => {
                lines.extend(self.missing_permissions(*kind, *permissions));
            }
        }
        lines
    }

    /// Held by installations, each for itself: one of them is enough.
    fn missing_permission(&self, needed: &NeededPermission) -> Option<String> {
        let has = |i: &Installation| i.permissions.level(needed.name.as_str()) >= Some(needed.level);
        let some = self.app.installations.iter().any(has);
        let app = named(&self.app.settings);
        (!some).then(|| format!("{} needs {needed}, which no installation of {app} has", self.route.id))
    }

    fn missing_scopes(&self, requirement: &Requirement, targets: &[GrantTarget]) -> Vec<String> {
        let level = self.app.settings.level;
        let other_level = |wanted: &str| {
            let (app, api) = (named(&self.app.settings), &self.route.id);
            vec![format!("{app} is of level {level}, and {api} is for apps of level {wanted}")]
        };
        match requirement.scope_for(level) {
            None => other_level(level.other().as_str()),
            Some(_) if level == Level::Bot && self.route.bot_param.is_none() => other_level("account"),
            Some(scope) => targets.iter().filter_map(|target| self.missing_scope(scope, target)).collect(),
        }
    }

    fn missing_scope(&self, scope: &ScopeId, target: &GrantTarget) -> Option<String> {
        let grant = self.app.grants.iter().find(|g| g.target == *target);
        let holds = |set: fn(&Grant) -> &BTreeSet<ScopeId>| grant.is_some_and(|g| set(g).contains(scope));
        if holds(|grant| &grant.published) {
            return None;
        }
        let (level, id, flag) = (target.level(), &self.app.settings.client_id, &self.desk.config_flag);
        let way = if holds(|grant| &grant.draft) {
            format!("it is in the draft and waits for publishing: {}", self.desk.how_to_publish(id, target))
        } else {
            format!("run `{}`", command(&format!("grant {scope}"), id, target, flag))
        };
        let title = self.desk.title_of(scope, level);
        Some(format!("{} on {target}: missing {title}, level {level}\n  {way}", named(&self.app.settings)))
    }

    /// Which table or view is meant, a call says; so any will do.
    fn missing_permissions(&self, kind: ResourceKind, needed: Permissions) -> Option<String> {
        let enough = |held: Permissions| held.includes(needed);
        if self.app.table_grants.iter().any(|g| g.resource.kind == kind && enough(g.permissions)) {
            return None;
        }
        let list: Vec<_> = needed.iter().map(|p| p.as_str()).collect();
        Some(self.missing_on(&format!("{needed} on any {}", kind.as_str()), kind, &list.join(",")))
    }

    fn missing_on(&self, what: &str, kind: ResourceKind, permissions: &str) -> String {
        let grant = format!("grant --{} NAME --permission {permissions}", kind.as_str());
        let target = GrantTarget::Account(self.app.settings.account.clone());
        let way = command(&grant, &self.app.settings.client_id, &target, &self.desk.config_flag);
        format!("{} may not {what}\n  run `{way}`", named(&self.app.settings))
    }
}
