//! Routes and the kinds of authentication that they name.

use std::fmt;
use std::sync::Arc;

use http::{HeaderName, Method, header};

use super::{CertificateRule, Cors, HostPattern, PathRules, Pattern, Quota, Rewrite};
use crate::model::{AuthenticatorName, Endpoint, Level, PermissionName, RoleName, RouteId, ScopeId, UpstreamName};
use crate::registry::{PermissionLevel, Permissions, ResourceKind};
use crate::verify::{Origin, TokenRules};

/// One configured route, resolved.
#[derive(Debug)]
pub struct Route {
    pub id: RouteId,
    pub title: Option<String>,
    pub group: Option<String>,
    /// None means any.
    pub hosts: Vec<HostPattern>,
    pub methods: Vec<Method>,
    pub patterns: Vec<Pattern>,
    pub target: Target,
    /// How the upstream gets another path than the one that is judged.
    pub rewrite: Option<Rewrite>,
    pub authenticator: Arc<Authenticator>,
    pub requirement: Requirement,
    /// The parameter that names the bot.
    pub bot_param: Option<String>,
    /// The parameter that names the app, which has to be the caller.
    pub app_param: Option<String>,
    /// How many calls are let through; none bounds them not at all.
    pub quota: Option<Arc<Quota>>,
    /// The certificate that a client has to have; its upstream gets to see it.
    pub client_certificate: Option<CertificateRule>,
    /// What pages of other origins may do; none gives the upstream the say.
    pub cors: Option<Arc<Cors>>,
    /// Whether the upstream gets to see the credential.
    pub keep_credential: bool,
    /// Which encodings its paths may have.
    pub path_rules: PathRules,
    /// Whether gRPC is spoken here, also over HTTP/1.1: refusals are then told as callers of gRPC read them.
    pub grpc: bool,
    /// The protocols that a call may go on with, in lower case.
    pub upgrades: Vec<Box<str>>,
    /// Whether an answer in progress ends with the caller's token; where it is not said, upgrades and streams do.
    pub ends_with_token: Option<bool>,
}

impl Route {
    /// How closely the route names the host, if it serves it: 0 where it serves any.
    pub fn rank(&self, host: &str) -> Option<usize> {
        if self.hosts.is_empty() {
            return Some(0);
        }
        self.hosts.iter().filter_map(|pattern| pattern.rank(host)).max()
    }

    /// The levels of the apps that can call this route.
    pub fn levels(&self) -> Vec<Level> {
        match &self.requirement {
            Requirement::Scope { bot, account } => {
                let bot = bot.as_ref().map(|_| Level::Bot);
                bot.into_iter().chain(account.as_ref().map(|_| Level::Account)).collect()
            }
            Requirement::AnyApp | Requirement::AnyResource | Requirement::Resource { .. } => {
                vec![Level::Bot, Level::Account]
            }
            Requirement::Nothing | Requirement::Role(_) | Requirement::Permission(_) => vec![],
        }
    }
}

/// Where a route leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Upstream(UpstreamName),
    /// To an answer of the gateway's own.
    Endpoint(Endpoint),
    /// To the advice that this path template is the right one.
    Advice(String),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Upstream(name) => name.fmt(f),
            Self::Endpoint(endpoint) => write!(f, "({endpoint})"),
            Self::Advice(path) => write!(f, "(see {path})"),
        }
    }
}

/// What a caller has to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// Nothing: the authenticator is anonymous.
    Nothing,
    /// A valid app of any level.
    AnyApp,
    /// A service account with the role, or of any role.
    Role(Option<RoleName>),
    /// The scope for the app's level; a level without one can't call.
    Scope { bot: Option<ScopeId>, account: Option<ScopeId> },
    /// Any permission on any table or view.
    AnyResource,
    /// Permissions on the table or view that a parameter names.
    Resource { kind: ResourceKind, param: String, permissions: Permissions },
    /// A permission of the installation that the token is for.
    Permission(NeededPermission),
}

/// A permission, and where the path says on what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeededPermission {
    pub name: PermissionName,
    pub level: PermissionLevel,
    /// The parameter that names the account, which has to be the installation's.
    pub owner_param: Option<String>,
    /// The parameter that names the repository, which has to be within the token's reach.
    pub repository_param: Option<String>,
}

impl fmt::Display for NeededPermission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.level)
    }
}

impl Requirement {
    /// The scope that an app of the level needs, if scopes are what is asked for and the level can call at all.
    pub fn scope_for(&self, level: Level) -> Option<&ScopeId> {
        match (self, level) {
            (Self::Scope { bot, .. }, Level::Bot) => bot.as_ref(),
            (Self::Scope { account, .. }, Level::Account) => account.as_ref(),
            _ => None,
        }
    }

    /// Whether permissions on tables or views are asked for.
    pub fn is_of_resources(&self) -> bool {
        matches!(self, Self::AnyResource | Self::Resource { .. })
    }
}

/// How a kind of route is authenticated, and how it answers.
#[derive(Debug)]
pub struct Authenticator {
    pub name: AuthenticatorName,
    pub kind: AuthenticatorKind,
    /// Whether a wrong method is answered before the credential is looked at.
    pub method_first: bool,
    /// Whether a POST may stand for another method ([`METHOD_OVERRIDE`](super::METHOD_OVERRIDE)).
    pub method_override: bool,
    /// Whether routes keep encoded slashes that say nothing of them.
    pub encoded_slashes: bool,
    pub error_format: ErrorFormat,
}

impl Authenticator {
    /// The header that carries the credential, and the scheme before it; none where anybody may call.
    pub fn credential(&self) -> Option<(&HeaderName, &str)> {
        match &self.kind {
            AuthenticatorKind::Anonymous => None,
            AuthenticatorKind::Jwt(jwt) => Some((&jwt.header, &jwt.scheme)),
            AuthenticatorKind::Basic => Some((&header::AUTHORIZATION, "Basic")),
        }
    }

    /// Whose tokens are taken, if it is tokens at all.
    pub fn origin(&self) -> Option<Origin> {
        match &self.kind {
            AuthenticatorKind::Jwt(jwt) => Some(jwt.rules.origin),
            AuthenticatorKind::Anonymous | AuthenticatorKind::Basic => None,
        }
    }
}

#[derive(Debug)]
pub enum AuthenticatorKind {
    Anonymous,
    /// Name and password of a service account (RFC 7617).
    Basic,
    Jwt(Box<JwtAuthenticator>),
}

#[derive(Debug)]
pub struct JwtAuthenticator {
    pub header: HeaderName,
    /// Before the token; empty for a bare token.
    pub scheme: String,
    /// Other schemes that are taken for it.
    pub other_schemes: Vec<String>,
    /// What each token begins with, so that a leaked one is recognised; the rest is the token itself.
    pub prefix: String,
    /// The name under which a WebSocket may offer its token as a subprotocol, since browsers send no header with it.
    pub websocket_protocol: Option<Box<str>>,
    pub rules: TokenRules,
}

/// Whose error bodies a route answers with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ErrorFormat {
    /// `application/problem+json` (RFC 9457).
    #[default]
    Problem,
    Kore,
    /// Of Khoros: one shape where Basic is the scheme, another where it is Bearer.
    Khoros,
    /// Of ICR apps, where they come with tokens of their own.
    Icr,
    /// The same, where they come with tokens for installations.
    IcrInstallation,
    /// RFC 6749 section 5.2.
    Oauth,
}
