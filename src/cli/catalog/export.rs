//! The catalogue for other tools.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use http::{HeaderName, Method, Uri};

use super::super::Failure;
use super::super::open::ConfigArgument;
use super::{curl, openapi, postman};
use crate::config::Config;
use crate::model::{Level, port_of};
use crate::net::ListenAddress;
use crate::policy::{ErrorFormat, Pattern, Requirement, Route};
use crate::verify::Origin;

/// Print the APIs for another tool: a shell script of curl calls, a Postman collection, or an OpenAPI document
#[derive(Debug, Args)]
pub(in super::super) struct Export {
    #[command(flatten)]
    config: ConfigArgument,
    /// For which tool
    #[arg(long, value_enum)]
    format: Format,
    /// Where callers reach the gateway; by default on this machine, at the port of proxy.listen
    #[arg(long, value_name = "URL", value_parser = base_url)]
    base_url: Option<String>,
    /// Only this API, by its route's id; repeatable
    #[arg(long, value_name = "ROUTE_ID")]
    api: Vec<String>,
    /// The client id of the app that calls, for the line that mints its token
    #[arg(long, value_name = "ID", default_value = "CLIENT_ID")]
    client_id: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// A shell script
    Curl,
    /// A collection of version 2.1
    Postman,
    /// OpenAPI 3.1, as JSON
    Openapi,
}

impl Export {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let config = self.config.load()?;
        let base_url = self.base_url.unwrap_or_else(|| of_listener(&config));
        let export = Exported { base_url, client_id: self.client_id, calls: calls(&config, &self.api)? };
        match self.format {
            Format::Curl => print!("{}", curl::script(&export)),
            Format::Postman => println!("{}", serde_json::to_string_pretty(&postman::collection(&export))?),
            Format::Openapi => println!("{}", serde_json::to_string_pretty(&openapi::document(&export))?),
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What is exported, and for whom.
pub(super) struct Exported<'a> {
    /// Without a slash at its end.
    pub base_url: String,
    pub client_id: String,
    pub calls: Vec<Call<'a>>,
}

/// A method at a path of a route.
pub(super) struct Call<'a> {
    /// The route's id; with a number for all but its first call.
    pub id: String,
    pub route: &'a Route,
    pub method: &'a Method,
    pub pattern: &'a Pattern,
}

fn calls<'a>(config: &'a Config, wanted: &[String]) -> Result<Vec<Call<'a>>, Failure> {
    let routes = config.routes.routes();
    if let Some(unknown) = wanted.iter().find(|id| !routes.iter().any(|r| r.id.as_str() == **id)) {
        return Err(Failure::new(format!("there is no route {unknown:?}; `scopegate check` prints them")));
    }
    let wanted = routes.iter().filter(|route| wanted.is_empty() || wanted.iter().any(|id| id == route.id.as_str()));
    Ok(wanted.flat_map(|route| of_route(route)).collect())
}

fn of_route(route: &Route) -> impl Iterator<Item = Call<'_>> {
    let calls = route.patterns.iter().flat_map(|pattern| route.methods.iter().map(move |method| (pattern, method)));
    calls.enumerate().map(move |(i, (pattern, method))| {
        let id = if i == 0 { route.id.to_string() } else { format!("{}-{}", route.id, i + 1) };
        Call { id, route, method, pattern }
    })
}

impl<'a> Call<'a> {
    pub fn title(&self) -> &'a str {
        self.route.title.as_deref().unwrap_or(self.route.id.as_str())
    }

    /// The header that carries the token and what stands before the token in it; none where anybody may call.
    pub fn credential(&self) -> Option<(&'a HeaderName, &'a str)> {
        self.route.authenticator.credential()
    }

    /// What the caller has to hold, in words.
    pub fn needs(&self) -> String {
        match &self.route.requirement {
            Requirement::Nothing => "open to anybody".to_owned(),
            Requirement::AnyApp if self.route.authenticator.origin() == Some(Origin::Installation) => {
                "any installation of an app".to_owned()
            }
            Requirement::AnyApp => "any valid app".to_owned(),
            Requirement::Permission(needed) => format!("needs a token for an installation, with {needed}"),
            Requirement::Role(None) => "any service account".to_owned(),
            Requirement::Role(Some(role)) => format!("a service account with role {role}"),
            Requirement::Scope { .. } => {
                let at = |level| self.route.requirement.scope_for(level).map(|s| format!("{s} at level {level}"));
                let scopes: Vec<_> = [at(Level::Bot), at(Level::Account)].into_iter().flatten().collect();
                format!("needs {}", scopes.join(", or "))
            }
            Requirement::AnyResource => "needs any permission on any table or view".to_owned(),
            Requirement::Resource { kind, permissions, .. } => format!("needs {permissions} on the {}", kind.as_str()),
        }
    }

    pub fn parts(&self) -> impl Iterator<Item = Part<'a>> {
        parts(self.pattern)
    }

    pub fn may_have_body(&self) -> bool {
        matches!(*self.method, Method::POST | Method::PUT | Method::PATCH)
    }

    pub fn error_format(&self) -> ErrorFormat {
        self.route.authenticator.error_format
    }
}

/// A segment of a pattern.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Part<'a> {
    Literal(&'a str),
    Param(&'a str),
    Rest(&'a str),
}

pub(in super::super) fn parts(pattern: &Pattern) -> impl Iterator<Item = Part<'_>> {
    pattern.as_str().split('/').skip(1).map(|segment| {
        let name = segment.strip_prefix('{').and_then(|s| s.strip_suffix('}'));
        match (name, name.and_then(|n| n.strip_prefix('*'))) {
            (_, Some(rest)) => Part::Rest(rest),
            (Some(name), None) => Part::Param(name),
            (None, None) => Part::Literal(segment),
        }
    })
}

/// Where the listener is reached from its own machine.
pub(in super::super) fn of_listener(config: &Config) -> String {
    let scheme = if config.proxy.server.tls.is_some() { "https" } else { "http" };
    let of_internet = config.proxy.listen.iter().find_map(|address| match address {
        ListenAddress::Internet(address) => Some(address),
        ListenAddress::Unix(_) | ListenAddress::Systemd(_) => None,
    });
    // Nobody knows by which name others reach it.
    let Some(listen) = of_internet else { return format!("{scheme}://localhost") };
    let host = if listen.ip().is_unspecified() { "localhost".to_owned() } else { listen.ip().to_string() };
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    format!("{scheme}://{host}:{}", listen.port())
}

/// An address with a scheme and a host, and perhaps a path.
pub(in super::super) fn base_url(text: &str) -> Result<String, String> {
    let wrong = || format!("{text:?} is no base URL: write http://host:port or https://host, without a query");
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
    if !is_http || uri.query().is_some() || uri.host().is_none_or(str::is_empty) {
        return Err(wrong());
    }
    uri.authority().map(port_of).transpose().map_err(|why| format!("{text:?} {why}"))?;
    Ok(text.trim_end_matches('/').to_owned())
}
