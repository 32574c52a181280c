//! `[[route]]`: a method and path, who may call it, and where it leads.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::Method;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use super::authenticator::EncodingKey;
use super::certificate::ClientCertificateKey;
use super::cors::CorsSection;
use super::diagnostic::nearest;
use super::methods::methods;
use super::quota::KeyPart;
use crate::model::{Endpoint, Level, PermissionName, RoleName, RouteId, ScopeId, UpstreamName};
use crate::policy::{
    Authenticator, AuthenticatorKind, CertificateRule, Cors, HostPattern, NeededPermission, PathRules, Pattern, Quota,
    QuotaKey, Requirement, Rewrite, Route, Target, WEBSOCKET,
};
use crate::registry::{Permission, PermissionLevel, ResourceKind, ScopeCatalogue};
use crate::verify::Origin;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RouteSection {
    pub id: RouteId,
    title: Option<String>,
    group: Option<String>,
    #[serde(default)]
    pub hosts: Vec<String>,
    methods: Vec<String>,
    path: OneOrMany,
    pub upstream: Option<String>,
    endpoint: Option<EndpointKey>,
    advice: Option<String>,
    pub authenticator: String,
    /// The authenticator whose hosts a profile's route has, where it is another than the route's own.
    pub hosts_of: Option<String>,
    scope: Option<ScopeKey>,
    table: Option<TableKey>,
    view: Option<ResourceKey>,
    permission: Option<PermissionKey>,
    role: Option<RoleName>,
    bot_param: Option<String>,
    app_param: Option<String>,
    pub quota: Option<QuotaChoice>,
    client_certificate: Option<ClientCertificateKey>,
    #[serde(default)]
    keep_credential: bool,
    strip_prefix: Option<String>,
    rewrite: Option<String>,
    #[serde(default)]
    upgrade: Vec<String>,
    ends_with_token: Option<bool>,
    encoded_slashes: Option<EncodingKey>,
    double_encoding: Option<EncodingKey>,
    #[serde(default)]
    grpc: bool,
    cors: Option<CorsSection>,
}

/// An endpoint's name; the error lists all.
#[derive(Clone, Copy, Debug)]
struct EndpointKey(Endpoint);

impl<'de> Deserialize<'de> for EndpointKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Endpoint::ALL.iter().find(|e| e.as_str() == name).map(|e| Self(*e)).ok_or_else(|| {
            let known: Vec<_> = Endpoint::ALL.iter().map(|e| e.as_str()).collect();
            D::Error::custom(format!("{name:?} is no endpoint: {}", known.join(", ")))
        })
    }
}

/// A quota's name, or a quota that counts this route's calls by another key.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "expected a quota's name, or { name = \"…\", key = [\"…\"] }")]
pub(super) enum QuotaChoice {
    Named(String),
    Keyed(KeyedQuota),
}

impl QuotaChoice {
    pub fn name(&self) -> &str {
        match self {
            Self::Named(name) | Self::Keyed(KeyedQuota { name, .. }) => name,
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyedQuota {
    name: String,
    key: Vec<KeyPart>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "expected a path, or a list of paths")]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// `"any"`, the same id at both levels, or an id for each.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "expected a scope, \"any\", or { bot = \"…\", account = \"…\" }")]
enum ScopeKey {
    Same(ScopeId),
    Each(EachScope),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EachScope {
    bot: Option<ScopeId>,
    account: Option<ScopeId>,
}

/// `"any"`, or the parameter that names the table.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "expected { param = \"…\", permissions = [\"read\"] }, or \"any\"")]
enum TableKey {
    Any(Any),
    Named(ResourceKey),
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Any {
    Any,
}

impl TableKey {
    fn named(&self) -> Option<&ResourceKey> {
        match self {
            Self::Any(Any::Any) => None,
            Self::Named(key) => Some(key),
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ResourceKey {
    param: String,
    permissions: Vec<Permission>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PermissionKey {
    name: PermissionName,
    level: PermissionLevel,
    owner_param: Option<String>,
    repository_param: Option<String>,
}

/// What a route refers to.
pub(super) struct Names<'a> {
    pub authenticators: &'a BTreeMap<String, Arc<Authenticator>>,
    pub upstreams: &'a [UpstreamName],
    /// For routes that name none, if there is one that is meant.
    pub upstream: Option<&'a UpstreamName>,
    pub scopes: &'a ScopeCatalogue,
    pub quotas: &'a BTreeMap<String, Arc<Quota>>,
}

/// The key, what is wrong with it, and what would be right.
type Fault = (&'static str, String, Option<String>);

fn fault<T>(key: &'static str, message: impl Into<String>) -> Result<T, Fault> {
    Err((key, message.into(), None))
}

impl RouteSection {
    /// What pages may do with the routes of a profile, where this one says nothing else and leads anywhere.
    pub fn open_to(&mut self, cors: &CorsSection) {
        if self.advice.is_none() {
            self.cors.get_or_insert_with(|| cors.clone());
        }
    }

    /// # Errors
    /// What is wrong, and with which key.
    pub fn resolve(&self, names: &Names<'_>) -> Result<Route, Fault> {
        let Some(authenticator) = names.authenticators.get(&self.authenticator) else {
            let known = names.authenticators.keys().map(String::as_str);
            return Err(unknown("authenticator", &self.authenticator, known));
        };
        let patterns = self.patterns()?;
        let resource = self.table.as_ref().and_then(TableKey::named).or(self.view.as_ref());
        let of_permission = self.permission.iter().flat_map(|p| p.owner_param.iter().chain(&p.repository_param));
        let params = self.bot_param.iter().chain(&self.app_param).chain(resource.map(|r| &r.param));
        for name in params.chain(of_permission) {
            if let Some(pattern) = patterns.iter().find(|p| p.param(name).is_none()) {
                return fault("path", format!("{} has no parameter {{{name}}}", pattern.as_str()));
            }
            let rest = format!("{{*{name}}}");
            if let Some(pattern) = patterns.iter().find(|p| p.as_str().contains(&rest)) {
                let why = format!("{}: whatever is named is one segment; write {{{name}}}", pattern.as_str());
                return fault("path", why);
            }
        }
        let quota = self.quota(names, authenticator, &patterns)?;
        Ok(Route {
            id: self.id.clone(),
            title: self.title.clone(),
            group: self.group.clone(),
            hosts: self
                .hosts
                .iter()
                .map(|h| h.parse::<HostPattern>().map_err(|why| ("hosts", why, None)))
                .collect::<Result<_, _>>()?,
            methods: self.methods()?,
            cors: self.cors(authenticator)?.map(Arc::new),
            rewrite: self.rewrite(&patterns)?,
            patterns,
            target: self.target(names)?,
            requirement: self.requirement(authenticator, names.scopes)?,
            authenticator: Arc::clone(authenticator),
            bot_param: self.bot_param.clone(),
            app_param: self.app_param.clone(),
            quota,
            client_certificate: self.client_certificate()?,
            keep_credential: self.keep_credential,
            upgrades: self.upgrades()?,
            ends_with_token: self.ends_with_token,
            path_rules: self.path_rules(authenticator)?,
            grpc: self.grpc()?,
        })
    }

    /// The endpoint that the route leads to.
    pub fn endpoint(&self) -> Option<Endpoint> {
        self.endpoint.map(|EndpointKey(endpoint)| endpoint)
    }

    /// The paths as they are written.
    pub fn paths(&self) -> &[String] {
        match &self.path {
            OneOrMany::One(path) => std::slice::from_ref(path),
            OneOrMany::Many(paths) => paths,
        }
    }

    fn patterns(&self) -> Result<Vec<Pattern>, Fault> {
        let paths = self.paths();
        if paths.is_empty() {
            return fault("path", "name at least one path");
        }
        let parse = |path: &String| path.parse::<Pattern>().map_err(|e| ("path", format!("{path:?}: {e}"), None));
        paths.iter().map(parse).collect()
    }

    fn rewrite(&self, patterns: &[Pattern]) -> Result<Option<Rewrite>, Fault> {
        let (key, rewrite) = match (&self.strip_prefix, &self.rewrite) {
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => return fault("rewrite", "rewrite or strip_prefix, not both"),
            (Some(prefix), None) => ("strip_prefix", Rewrite::strip(prefix, patterns)),
            (None, Some(template)) => ("rewrite", Rewrite::template(template, patterns)),
        };
        if self.endpoint.is_some() || self.advice.is_some() {
            return fault(key, "only an upstream gets another path");
        }
        rewrite.map(Some).map_err(|why| (key, format!("{key}: {why}"), None))
    }

    fn path_rules(&self, authenticator: &Authenticator) -> Result<PathRules, Fault> {
        let has_upstream = self.endpoint.is_none() && self.advice.is_none();
        for (key, choice) in [("encoded_slashes", self.encoded_slashes), ("double_encoding", self.double_encoding)] {
            if choice == Some(EncodingKey::Keep) && !has_upstream {
                return fault(key, "only an upstream gets a path");
            }
        }
        Ok(PathRules {
            keeps_slashes: self.encoded_slashes.map_or(authenticator.encoded_slashes, EncodingKey::is_kept),
            keeps_double: self.double_encoding.is_some_and(EncodingKey::is_kept),
        })
    }

    fn grpc(&self) -> Result<bool, Fault> {
        if self.grpc && !self.methods.iter().any(|method| method == "POST") {
            return fault("methods", "a gRPC call is a POST");
        }
        Ok(self.grpc)
    }

    fn client_certificate(&self) -> Result<Option<CertificateRule>, Fault> {
        let rule = self.client_certificate.as_ref().map(ClientCertificateKey::resolve).transpose();
        rule.map(Option::flatten).map_err(|why| ("client_certificate", why, None))
    }

    fn cors(&self, authenticator: &Authenticator) -> Result<Option<Cors>, Fault> {
        let Some(section) = &self.cors else { return Ok(None) };
        if self.advice.is_some() {
            return fault("cors", "an advice is nothing that a page could call");
        }
        let settings = section.settings().map_err(|why| ("cors", format!("cors.{why}"), None))?;
        let credential = authenticator.credential().map(|(header, _)| header);
        let cors = Cors::new(settings, credential, &self.methods()?, authenticator.method_override);
        cors.map(Some).map_err(|why| ("cors", format!("cors: {why}"), None))
    }

    fn methods(&self) -> Result<Vec<Method>, Fault> {
        methods(&self.methods).map_err(|(why, help)| ("methods", why, help))
    }

    /// RFC 9110 section 7.8: names of protocols, with a version or without.
    fn upgrades(&self) -> Result<Vec<Box<str>>, Fault> {
        if !self.upgrade.is_empty() && (self.endpoint.is_some() || self.advice.is_some()) {
            return fault("upgrade", "only an upstream can go on with another protocol");
        }
        let is_name =
            |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._+/".contains(&b));
        for name in &self.upgrade {
            let lower = name.to_ascii_lowercase();
            if !is_name(name) {
                return fault(
                    "upgrade",
                    format!("{name:?} is no protocol; write for example upgrade = [\"websocket\"]"),
                );
            }
            if matches!(lower.split('/').next(), Some("h2c" | "h2" | "http" | "tls")) {
                return fault("upgrade", format!("{name:?}: calls inside it would be judged by nobody"));
            }
            if lower == WEBSOCKET && !self.methods.iter().any(|method| method == "GET") {
                return fault("methods", "a WebSocket begins with GET");
            }
        }
        Ok(self.upgrade.iter().map(|name| name.to_ascii_lowercase().into()).collect())
    }

    fn target(&self, names: &Names<'_>) -> Result<Target, Fault> {
        match (self.endpoint, &self.advice) {
            (None, None) => self.upstream(names).map(Target::Upstream),
            (Some(EndpointKey(endpoint)), None) => Ok(Target::Endpoint(endpoint)),
            (None, Some(path)) => Ok(Target::Advice(path.clone())),
            (Some(_), Some(_)) => fault("advice", "an endpoint or an advice, not both"),
        }
    }

    fn upstream(&self, names: &Names<'_>) -> Result<UpstreamName, Fault> {
        match &self.upstream {
            Some(name) => match names.upstreams.iter().find(|u| u.as_str() == name) {
                Some(upstream) => Ok(upstream.clone()),
                None => Err(unknown("upstream", name, names.upstreams.iter().map(UpstreamName::as_str))),
            },
            None => match names.upstream {
                Some(upstream) => Ok(upstream.clone()),
                None if names.upstreams.is_empty() => {
                    let help = "add one: [upstream.bots] with urls = [\"http://127.0.0.1:9000\"]";
                    Err(("upstream", "there is no upstream".into(), Some(help.into())))
                }
                None => {
                    let known = names.upstreams.iter().map(|name| format!("{:?}", name.as_str()));
                    let known = known.collect::<Vec<_>>().join(", ");
                    fault("upstream", format!("which upstream? There are {known}: name one here or in [profile.…]"))
                }
            },
        }
    }

    fn quota(
        &self,
        names: &Names<'_>,
        authenticator: &Authenticator,
        patterns: &[Pattern],
    ) -> Result<Option<Arc<Quota>>, Fault> {
        let (name, key) = match &self.quota {
            None => return Ok(None),
            Some(QuotaChoice::Named(name)) => (name, None),
            Some(QuotaChoice::Keyed(KeyedQuota { name, key })) => (name, Some(key)),
        };
        let Some(named) = names.quotas.get(name) else {
            return Err(unknown("quota", name, names.quotas.keys().map(String::as_str)));
        };
        let quota = match key {
            None => Arc::clone(named),
            Some(key) => {
                let key = key.iter().map(|part| part.0.clone()).collect();
                Arc::new(Quota { key, ..Quota::clone(named) })
            }
        };
        let has_no_app = !matches!(authenticator.kind, AuthenticatorKind::Jwt(_));
        for part in &quota.key {
            let lacks = |pattern: &&Pattern| matches!(part, QuotaKey::Param(name) if pattern.param(name).is_none());
            let why = match part {
                part if part.needs_app() && has_no_app => "a caller without a token has none".to_owned(),
                QuotaKey::Bot if self.bot_param.is_none() => "the route has no bot_param".to_owned(),
                _ => match patterns.iter().find(lacks) {
                    Some(pattern) => format!("{} has no such parameter", pattern.as_str()),
                    None => continue,
                },
            };
            let help = format!("count by something else here: quota = {{ name = {name:?}, key = [\"route\"] }}");
            return Err(("quota", format!("quota {name} counts by {part}, and {why}"), Some(help)));
        }
        Ok(Some(quota))
    }

    fn requirement(&self, authenticator: &Authenticator, scopes: &ScopeCatalogue) -> Result<Requirement, Fault> {
        let is_anonymous = matches!(authenticator.kind, AuthenticatorKind::Anonymous);
        let is_basic = matches!(authenticator.kind, AuthenticatorKind::Basic);
        let asks_of_apps =
            self.scope.is_some() || self.table.is_some() || self.view.is_some() || self.permission.is_some();
        match &self.role {
            Some(_) if !is_basic => {
                return fault("role", "roles are held by service accounts: use a basic authenticator");
            }
            _ if is_basic && asks_of_apps => {
                return fault("scope", "a service account holds roles: write role = \"…\"");
            }
            None if is_basic => {
                let help = "write role = \"…\", or role = \"any\" for any service account";
                return Err(("role", "the route asks for no role".into(), Some(help.into())));
            }
            Some(role) => return Ok(Requirement::Role((role.as_str() != "any").then(|| role.clone()))),
            None => {}
        }
        if authenticator.origin() == Some(Origin::Installation) {
            return self.permission();
        }
        if self.permission.is_some() {
            return fault(
                "permission",
                "permissions are held by tokens for installations: use an authenticator for them",
            );
        }
        let requirement = match (&self.scope, &self.table, &self.view) {
            (None, None, None) if is_anonymous => return Ok(Requirement::Nothing),
            _ if is_anonymous => return fault("scope", "an anonymous route can ask for nothing: leave it out"),
            (Some(ScopeKey::Same(any)), None, None) if any.as_str() == "any" => return Ok(Requirement::AnyApp),
            (Some(ScopeKey::Same(id)), None, None) => {
                let at = |level| scopes.get(id.as_str(), level).map(|_| id.clone());
                let bot = at(Level::Bot).filter(|_| self.bot_param.is_some());
                match (bot, at(Level::Account)) {
                    (None, None) => return Err(undeclared(id, None, scopes)),
                    (bot, account) => Requirement::Scope { bot, account },
                }
            }
            (Some(ScopeKey::Each(each)), None, None) => self.each(each, scopes)?,
            (None, Some(TableKey::Any(Any::Any)), None) => Requirement::AnyResource,
            (None, Some(TableKey::Named(table)), None) => resource(ResourceKind::Table, table)?,
            (None, None, Some(view)) => resource(ResourceKind::View, view)?,
            (None, None, None) => {
                let help =
                    "write scope = \"…\", or scope = \"any\" for any valid app, or use an anonymous authenticator";
                return Err(("scope", "the route asks for no scope".into(), Some(help.into())));
            }
            _ => return fault("scope", "one of scope, table and view, not several"),
        };
        Ok(requirement)
    }

    /// What a route asks of tokens for installations.
    fn permission(&self) -> Result<Requirement, Fault> {
        if self.bot_param.is_some() {
            return fault("bot_param", "a token for an installation is for an account, and for none of its bots");
        }
        let is_any = matches!(&self.scope, Some(ScopeKey::Same(any)) if any.as_str() == "any");
        match &self.permission {
            _ if self.table.is_some() || self.view.is_some() || self.scope.is_some() && !is_any => fault(
                "scope",
                "a token for an installation holds permissions: write permission = { name = \"…\", level = \"…\" }",
            ),
            Some(_) if is_any => fault("permission", "one of permission and scope, not both"),
            Some(PermissionKey { name, level, owner_param, repository_param }) => {
                let (owner_param, repository_param) = (owner_param.clone(), repository_param.clone());
                let (name, level) = (name.clone(), *level);
                Ok(Requirement::Permission(NeededPermission { name, level, owner_param, repository_param }))
            }
            None if is_any => Ok(Requirement::AnyApp),
            None => {
                let help = "write permission = { name = \"contents\", level = \"read\" }, or scope = \"any\" for any valid token";
                Err(("permission", "the route asks for no permission".into(), Some(help.into())))
            }
        }
    }

    fn each(&self, each: &EachScope, scopes: &ScopeCatalogue) -> Result<Requirement, Fault> {
        let EachScope { bot, account } = each.clone();
        if bot.is_none() && account.is_none() {
            return fault("scope", "a scope for neither level: nobody could call this route");
        }
        for (id, level) in [(&bot, Level::Bot), (&account, Level::Account)] {
            if let Some(id) = id.as_ref().filter(|id| scopes.get(id.as_str(), level).is_none()) {
                return Err(undeclared(id, Some(level), scopes));
            }
        }
        if bot.is_some() && self.bot_param.is_none() {
            return fault("scope", "a scope at bot level on a route without bot_param: no bot could be judged");
        }
        Ok(Requirement::Scope { bot, account })
    }
}

fn resource(kind: ResourceKind, key: &ResourceKey) -> Result<Requirement, Fault> {
    if key.permissions.is_empty() {
        return fault(kind.as_str(), "name at least one of read, write and delete");
    }
    let permissions = key.permissions.iter().copied().collect();
    Ok(Requirement::Resource { kind, param: key.param.clone(), permissions })
}

fn undeclared(id: &ScopeId, level: Option<Level>, scopes: &ScopeCatalogue) -> Fault {
    let at = level.map(|l| format!(" at level {l}")).unwrap_or_default();
    let known = scopes.iter().filter(|s| level.is_none_or(|l| s.level == l)).map(|s| s.id.as_str());
    let near = nearest(id.as_str(), known).map(|near| format!("did you mean {near:?}?"));
    let help = near.unwrap_or_else(|| "declare it with [[scope]]".into());
    ("scope", format!("no scope {id:?} is declared{at}"), Some(help))
}

pub(super) fn unknown<'k>(key: &'static str, name: &str, known: impl Iterator<Item = &'k str> + Clone) -> Fault {
    let help = match nearest(name, known.clone()) {
        Some(near) => format!("did you mean {near:?}?"),
        None => format!("known: {}", known.collect::<Vec<_>>().join(", ")),
    };
    (key, format!("there is no {key} {name:?}"), Some(help))
}
