mod curl;
pub(super) mod export;
mod openapi;
mod postman;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::Failure;
use super::check::requirement;
use super::open::ConfigArgument;
use super::table::table;
use crate::model::Level;
use crate::policy::{AuthenticatorKind, HostPattern, Requirement, Route, allowed_methods};
use crate::registry::ScopeDefinition;
use crate::verify::Origin;

/// The APIs that routes describe, and the scopes that they ask for
#[derive(Debug, Subcommand)]
pub(super) enum Catalog {
    List(List),
    Scopes(Scopes),
    Export(export::Export),
}

/// List the APIs: method, path, scope, levels
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    config: ConfigArgument,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// List the scopes that apps can be granted
#[derive(Debug, Args)]
pub(super) struct Scopes {
    #[command(flatten)]
    config: ConfigArgument,
    /// Those of one level
    #[arg(long, value_parser = ["bot", "account"])]
    level: Option<String>,
    /// Those of one group
    #[arg(long)]
    group: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Catalog {
    pub fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::List(list) => list.run(),
            Self::Scopes(scopes) => scopes.run(),
            Self::Export(export) => export.run(),
        }
    }
}

/// An API as `catalog list --json` prints it.
#[derive(Serialize)]
struct Api<'a> {
    id: &'a str,
    title: Option<&'a str>,
    group: Option<&'a str>,
    methods: Vec<&'a str>,
    paths: Vec<&'a str>,
    hosts: Vec<&'a str>,
    authenticator: &'a str,
    auth: &'static str,
    quota: Option<&'a str>,
    /// Of the apps that can call it: bot, account, table.
    levels: Vec<&'static str>,
    bot_scope: Option<&'a str>,
    account_scope: Option<&'a str>,
    needs: String,
}

impl<'a> Api<'a> {
    fn of(route: &'a Route) -> Self {
        let (bot_scope, account_scope) = match &route.requirement {
            Requirement::Scope { bot, account } => (bot.as_ref(), account.as_ref()),
            _ => (None, None),
        };
        let levels = match &route.requirement {
            Requirement::AnyResource | Requirement::Resource { .. } => vec!["table"],
            _ => route.levels().into_iter().map(Level::as_str).collect(),
        };
        Self {
            id: route.id.as_str(),
            title: route.title.as_deref(),
            group: route.group.as_deref(),
            methods: route.methods.iter().map(http::Method::as_str).collect(),
            paths: route.patterns.iter().map(|p| p.as_str()).collect(),
            hosts: route.hosts.iter().map(HostPattern::as_str).collect(),
            authenticator: route.authenticator.name.as_str(),
            auth: auth(route),
            quota: route.quota.as_ref().map(|q| q.name.as_str()),
            levels,
            bot_scope: bot_scope.map(|s| s.as_str()),
            account_scope: account_scope.map(|s| s.as_str()),
            needs: requirement(route).1,
        }
    }
}

/// What a caller comes with: which kind of token, if it is one.
fn auth(route: &Route) -> &'static str {
    match (&route.authenticator.kind, route.authenticator.origin()) {
        (AuthenticatorKind::Basic, _) => "basic",
        (_, None) => "none",
        (_, Some(Origin::App)) => "app-jwt",
        (_, Some(Origin::Held)) => "held-token",
        (_, Some(Origin::Access)) => "access-token",
        (_, Some(Origin::Installation)) => "installation",
    }
}

impl List {
    fn run(self) -> Result<ExitCode, Failure> {
        let config = self.config.load()?;
        let routes = config.routes.routes();
        if self.json {
            let apis: Vec<_> = routes.iter().map(|route| Api::of(route)).collect();
            println!("{}", serde_json::to_string_pretty(&apis)?);
            return Ok(ExitCode::SUCCESS);
        }
        let rows = routes.iter().map(|route| {
            let (bot, account) = requirement(route);
            let path = route.patterns.first().map_or("", |p| p.as_str());
            let title = route.title.clone().unwrap_or_default();
            [title, allowed_methods(route.methods.iter()), path.into(), auth(route).into(), bot, account]
        });
        let rows: Vec<_> = rows.collect();
        print!("{}", table(["API", "METHODS", "PATH", "AUTH", "BOT SCOPE", "ACCOUNT SCOPE"], &rows));
        Ok(ExitCode::SUCCESS)
    }
}

/// A scope as `catalog scopes --json` prints it.
#[derive(Serialize)]
struct Scope<'a> {
    id: &'a str,
    level: Level,
    title: &'a str,
    group: Option<&'a str>,
    description: Option<&'a str>,
    addition: bool,
}

impl Scopes {
    fn run(self) -> Result<ExitCode, Failure> {
        let config = self.config.load()?;
        let wanted = |scope: &&ScopeDefinition| {
            let level = self.level.as_ref().is_none_or(|level| scope.level.as_str() == level);
            level && self.group.as_ref().is_none_or(|group| scope.group.as_ref() == Some(group))
        };
        let scopes: Vec<_> = config.scopes.iter().filter(wanted).collect();
        if self.json {
            let scopes = scopes.iter().map(|s| Scope {
                id: s.id.as_str(),
                level: s.level,
                title: &s.title,
                group: s.group.as_deref(),
                description: s.description.as_deref(),
                addition: s.addition,
            });
            println!("{}", serde_json::to_string_pretty(&scopes.collect::<Vec<_>>())?);
            return Ok(ExitCode::SUCCESS);
        }
        let rows = scopes.iter().map(|s| {
            let title = if s.addition { format!("{} (addition)", s.title) } else { s.title.clone() };
            [s.id.to_string(), s.level.to_string(), title, s.group.clone().unwrap_or_default()]
        });
        print!("{}", table(["SCOPE", "LEVEL", "TITLE", "GROUP"], &rows.collect::<Vec<_>>()));
        Ok(ExitCode::SUCCESS)
    }
}
