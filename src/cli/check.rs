mod connect;
mod files;
mod listeners;
mod stores;
mod upstreams;

use std::process::ExitCode;

use clap::Args;

use super::Failure;
use super::live::readiness;
use super::open::{ConfigArgument, now};
use super::service::warn;
use super::table::table;
use crate::config::Config;
use crate::policy::{AuthenticatorKind, HostPattern, Requirement, Route, allowed_methods};
use crate::store::service_accounts_at;
use crate::verify::Origin;

/// Validate a configuration and print its routes
#[derive(Debug, Args)]
pub(super) struct Check {
    #[command(flatten)]
    config: ConfigArgument,
    /// Only ask the running gateway whether it takes calls: exit status 0 if so, else 1
    #[arg(long)]
    live: bool,
    /// Try everything that the configuration needs, too: store, files, listeners, upstreams. It changes nothing; exit status 1
    /// if something fails
    #[arg(long, conflicts_with = "live")]
    connect: bool,
    /// Print what was tried as JSON, and no routes
    #[arg(long, requires = "connect")]
    json: bool,
}

impl Check {
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let config = self.config.load()?;
        if self.live {
            let (is_ready, said) = readiness(config.telemetry.listen).await?;
            println!("{}", said.trim_end());
            return Ok(if is_ready { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        for warning in &config.warnings {
            eprintln!("warning: {warning}");
        }
        if !self.json {
            self.print_routes(&config).await;
        }
        if self.connect { self.try_all(&config).await } else { Ok(ExitCode::SUCCESS) }
    }

    async fn print_routes(&self, config: &Config) {
        let routes = config.routes.routes();
        let rows: Vec<_> = routes.iter().flat_map(|route| rows(route)).collect();
        print!(
            "{}",
            table(
                ["METHODS", "PATH", "BOT SCOPE", "ACCOUNT SCOPE", "AUTHENTICATOR", "UPSTREAM", "QUOTA", "ROUTE"],
                &rows
            )
        );
        for route in routes {
            if let Some(cors) = &route.cors {
                println!("\nroute {} may be called by pages of {}", route.id, cors.origins());
            }
        }
        look_at_the_registry(config).await;
        let warnings = match config.warnings.len() {
            0 => "good".to_owned(),
            1 => "good, with 1 warning".to_owned(),
            several => format!("good, with {several} warnings"),
        };
        println!(
            "\n{} is {warnings}: {} routes, {} scopes",
            self.config.path.display(),
            routes.len(),
            config.scopes.iter().count()
        );
    }

    async fn try_all(&self, config: &Config) -> Result<ExitCode, Failure> {
        let trials = connect::try_all(config, now()).await;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&trials)?);
        } else {
            println!();
            for trial in &trials {
                println!("{trial}");
            }
        }
        let has_failed = trials.iter().any(connect::Trial::has_failed);
        Ok(if has_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

/// Warns of what an operator should know of the registry, where there is one.
async fn look_at_the_registry(config: &Config) {
    match service_accounts_at(&config.store.url).await {
        Ok(services) => services.iter().for_each(warn),
        Err(error) => eprintln!("scopegate: the registry was not looked at: {error}"),
    }
}

fn rows(route: &Route) -> impl Iterator<Item = [String; 8]> {
    let (bot, account) = requirement(route);
    route.patterns.iter().map(move |pattern| {
        let hosts: Vec<_> = route.hosts.iter().map(HostPattern::as_str).collect();
        [
            methods(route),
            format!("{}{}", hosts.join(","), pattern.as_str()),
            bot.clone(),
            account.clone(),
            route.authenticator.name.to_string(),
            target(route),
            route.quota.as_ref().map_or_else(|| "-".into(), |q| q.name.to_string()),
            route.id.to_string(),
        ]
    })
}

/// Where the route leads, and by which path if by another.
fn target(route: &Route) -> String {
    match &route.rewrite {
        Some(rewrite) => format!("{} {rewrite}", route.target),
        None => route.target.to_string(),
    }
}

/// With the protocols that a call may go on with.
fn methods(route: &Route) -> String {
    let methods = allowed_methods(route.methods.iter());
    if route.upgrades.is_empty() { methods } else { format!("{methods} ({})", route.upgrades.join(", ")) }
}

/// What an app of each level has to hold.
pub(super) fn requirement(route: &Route) -> (String, String) {
    match &route.requirement {
        Requirement::Nothing => match route.authenticator.kind {
            AuthenticatorKind::Anonymous => ("(anybody)".into(), "(anybody)".into()),
            AuthenticatorKind::Jwt(_) | AuthenticatorKind::Basic => ("-".into(), "-".into()),
        },
        Requirement::AnyApp if route.authenticator.origin() == Some(Origin::Installation) => {
            ("(any installation)".into(), "(any installation)".into())
        }
        Requirement::AnyApp => ("(any app)".into(), "(any app)".into()),
        Requirement::Role(role) => {
            let role = role.as_ref().map_or_else(|| "(any service account)".to_owned(), |role| format!("role {role}"));
            (role.clone(), role)
        }
        Requirement::Scope { bot, account } => {
            let text =
                |scope: &Option<crate::model::ScopeId>| scope.as_ref().map_or_else(|| "-".into(), ToString::to_string);
            (text(bot), text(account))
        }
        Requirement::AnyResource => ("(any table app)".into(), "(any table app)".into()),
        Requirement::Resource { kind, permissions, .. } => {
            let needed = format!("{}: {permissions}", kind.as_str());
            (needed.clone(), needed)
        }
        Requirement::Permission(needed) => (format!("permission {needed}"), format!("permission {needed}")),
    }
}
