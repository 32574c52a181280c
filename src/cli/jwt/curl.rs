//! A token in a call that is ready to be pasted.

use std::path::PathBuf;

use clap::Args;
use http::{HeaderName, Method, Uri, header};

use super::super::Failure;
use super::super::catalog::export::{Part, base_url, of_listener, parts};
use crate::config::{self, Config};
use crate::model::{path_segment, port_of, shell_word};
use crate::policy::{Found, Route, canonical_host, judge};

#[derive(Debug, Args)]
pub(super) struct CurlArguments {
    /// Print a curl command that carries the token, in the header that the route wants
    #[arg(long)]
    copy_curl: bool,
    /// Where the command calls
    #[arg(long, value_name = "URL", requires = "copy_curl", conflicts_with = "api")]
    url: Option<Uri>,
    /// Call this API, by its route's id
    #[arg(long, value_name = "ROUTE_ID", requires = "copy_curl")]
    api: Option<String>,
    /// A parameter of the API's path
    #[arg(long = "param", value_name = "NAME=VALUE", requires = "api")]
    params: Vec<String>,
    /// Where callers reach the gateway; by default on this machine, at the port of proxy.listen
    #[arg(long, value_name = "URL", requires = "api", value_parser = base_url)]
    base_url: Option<String>,
    /// The method of the call; the API's own if absent
    #[arg(short = 'X', long, value_name = "METHOD", requires = "copy_curl")]
    method: Option<Method>,
    /// The header that carries the token, where no configuration is at hand; authorization means a Bearer token
    #[arg(long, value_name = "NAME", requires = "url")]
    header: Option<HeaderName>,
    /// The configuration file with the routes
    #[arg(id = "config", short = 'c', long, value_name = "FILE", default_value = "config/scopegate.toml")]
    config: PathBuf,
}

/// Header and scheme.
type Credential = (HeaderName, String);

impl CurlArguments {
    /// The command, where one is asked for.
    pub fn line(&self, token: &str) -> Result<Option<String>, Failure> {
        if !self.copy_curl {
            return Ok(None);
        }
        let (method, url, credential) = match (&self.url, &self.api) {
            (Some(url), _) => self.of_url(url)?,
            (None, Some(id)) => self.of_api(id)?,
            (None, None) => return Err(Failure::new("say where the command calls: --url URL, or --api ROUTE_ID")),
        };
        let method = if method == Method::GET { String::new() } else { format!(" -X {method}") };
        let header = credential.map(|(header, scheme)| {
            let scheme = if scheme.is_empty() { scheme } else { format!("{scheme} ") };
            format!(" -H '{header}: {scheme}{token}'")
        });
        Ok(Some(format!("curl -sS -i{method}{} {}", header.unwrap_or_default(), shell_word(&url))))
    }

    fn load(&self) -> Result<Config, Failure> {
        config::load(&self.config).map_err(|error| {
            let help = "the header of a call is the route's; without the configuration, name it with --header";
            Failure::new(format!("the configuration can't be used\n{error}\n{help}"))
        })
    }

    fn of_url(&self, url: &Uri) -> Result<(Method, String, Option<Credential>), Failure> {
        let method = self.method.clone().unwrap_or(Method::GET);
        let is_http = matches!(url.scheme_str(), Some("http" | "https"));
        let Some(host) = url.authority().filter(|_| is_http) else {
            return Err(Failure::new(format!("{url} is no address to call: write http://host:port/path")));
        };
        port_of(host).map_err(|why| Failure::new(format!("{url} {why}")))?;
        if let Some(header) = &self.header {
            let scheme = if *header == header::AUTHORIZATION { "Bearer" } else { "" };
            return Ok((method, url.to_string(), Some((header.clone(), scheme.to_owned()))));
        }
        let config = self.load()?;
        let host = canonical_host(host.as_str()).map_err(|why| Failure::new(format!("{host}: {why}")))?;
        let judged = judge(url.path()).map_err(|why| Failure::new(format!("{}: {why}", url.path())))?;
        let path = &judged.text;
        match config.routes.find(&host, &method, path) {
            Found::Route { route, .. } => Ok((method, url.to_string(), credential(route))),
            Found::OtherMethods { allow, .. } => {
                Err(Failure::new(format!("{path} is called with {allow}; --method names one")))
            }
            Found::Nothing => Err(Failure::new(format!(
                "no route matches {method} {host}{path}; `scopegate check` prints them, and --header does without one"
            ))),
        }
    }

    fn of_api(&self, id: &str) -> Result<(Method, String, Option<Credential>), Failure> {
        let config = self.load()?;
        let unknown = || Failure::new(format!("there is no route {id:?}; `scopegate check` prints them"));
        let route = config.routes.routes().iter().find(|r| r.id.as_str() == id).ok_or_else(unknown)?;
        let method = self.method.clone().or_else(|| route.methods.first().cloned()).unwrap_or(Method::GET);
        if !route.methods.contains(&method) {
            return Err(Failure::new(format!("route {id} has no method {method}")));
        }
        let base = self.base_url.clone().unwrap_or_else(|| of_listener(&config));
        Ok((method, format!("{base}{}", self.path(route)?), credential(route)))
    }

    /// The route's first path, with its parameters filled in.
    fn path(&self, route: &Route) -> Result<String, Failure> {
        let mut params = Vec::new();
        for param in &self.params {
            let no_pair = || Failure::new(format!("{param:?} is no parameter: write NAME=VALUE"));
            params.push(param.split_once('=').ok_or_else(no_pair)?);
        }
        let Some(pattern) = route.patterns.first() else { return Ok(String::new()) };
        if let Some((name, _)) = params.iter().find(|(name, _)| pattern.param(name).is_none()) {
            return Err(Failure::new(format!("the path {} has no parameter {name:?}", pattern.as_str())));
        }
        let value = |name: &str| {
            let value = params.iter().find(|(n, v)| *n == name && !v.is_empty()).map(|(_, value)| *value);
            value.ok_or_else(|| Failure::new(format!("the path {} needs --param {name}=…", pattern.as_str())))
        };
        let mut path = String::new();
        for part in parts(pattern) {
            path.push('/');
            match part {
                Part::Literal(text) => path.push_str(text),
                Part::Param(name) => path.push_str(&path_segment(value(name)?, "")),
                Part::Rest(name) => path.push_str(&path_segment(value(name)?, "/")),
            }
        }
        judge(&path).map_err(|why| Failure::new(format!("{path}: {why}")))?;
        Ok(path)
    }
}

fn credential(route: &Route) -> Option<Credential> {
    route.authenticator.credential().map(|(header, scheme)| (header.clone(), scheme.to_owned()))
}
