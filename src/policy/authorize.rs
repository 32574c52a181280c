//! May this app do this here? Account and bot first, then the scope, the table or the permission.

use std::borrow::Cow;

use super::place::is_unfilled;
use super::{NeededPermission, Params, Pattern, Requirement, Route};
use crate::model::{AccountId, BotId, Level, Reason, Refusal, RoleName, ScopeId};
use crate::registry::{App, Permissions, ResourceKind, ServiceAccount, Snapshot};
use crate::verify::{Reach, Verified};

/// What was found while an app was let through.
#[derive(Clone, Debug)]
pub struct Authorization {
    /// The bot in the path.
    pub bot: Option<BotId>,
}

/// An app as one of its tokens shows it: the token may leave less than the app holds.
#[derive(Clone, Copy, Debug)]
pub struct Bearer<'a> {
    pub app: &'a App,
    /// The scopes that are left, with a space between them; none where all are.
    pub left: Option<&'a str>,
    /// What the token reaches, where it is one for an installation.
    pub reach: Option<Reach<'a>>,
}

impl<'a> From<&'a App> for Bearer<'a> {
    fn from(app: &'a App) -> Self {
        Self { app, left: None, reach: None }
    }
}

impl<'a> From<&'a Verified> for Bearer<'a> {
    fn from(verified: &'a Verified) -> Self {
        Self { app: verified.app(), left: verified.claims().scope.as_deref(), reach: verified.reach() }
    }
}

impl<'a> Bearer<'a> {
    /// The account in whose name the app calls.
    fn account(self) -> &'a AccountId {
        self.reach.map_or(&self.app.account, |reach| &reach.installation().account)
    }

    /// Whether the token leaves the scope, if the app holds it.
    pub fn leaves(self, scope: &str) -> bool {
        self.left.is_none_or(|left| left.split(' ').any(|one| one == scope))
    }

    /// What may be done on a bot of the app's account, with a space between them.
    pub fn scopes_on(self, bot: Option<&str>) -> Cow<'a, str> {
        let held = self.app.scopes_on(bot);
        if held.iter().all(|scope| self.leaves(scope.as_str())) {
            return held.as_str().into();
        }
        let left = held.iter().map(ScopeId::as_str).filter(|scope| self.leaves(scope));
        left.collect::<Vec<_>>().join(" ").into()
    }
}

/// Judges an app on a route. `host_account` is the account that owns the host of the request.
///
/// # Errors
/// `app.wrong_account`, `app.mismatch`, `app.wrong_bot`, `bot.unknown`, `app.wrong_level`, `scope.insufficient`, `table.forbidden`,
/// `permissions.insufficient`.
pub fn authorize<'a>(
    bearer: impl Into<Bearer<'a>>,
    route: &Route,
    pattern: &Pattern,
    params: &Params,
    path: &str,
    host_account: Option<&AccountId>,
    snapshot: &Snapshot,
) -> Result<Authorization, Refusal> {
    let bearer = bearer.into();
    let app = bearer.app;
    if let Some(account) = host_account.filter(|account| *account != bearer.account()) {
        return Err(wrong_account("the host", account, bearer.account()));
    }
    let param = |name: &str| pattern.param(name).and_then(|i| params.get(path, i));
    if let Some(named) = route.app_param.as_deref().map(|name| param(name).unwrap_or_default())
        && named != app.client_id.as_str()
    {
        let found = format!("{:?}", named.chars().take(80).collect::<String>());
        return Err(Refusal::new(Reason::AppMismatch).expected(format!("app {}", app.client_id)).found(found));
    }
    let bot = match route.bot_param.as_deref().map(param) {
        Some(named) => Some(bind(app, named.unwrap_or_default(), snapshot)?),
        None => None,
    };
    match &route.requirement {
        Requirement::Nothing | Requirement::AnyApp => {}
        Requirement::Role(_) => return Err(Refusal::new(Reason::CredentialWrongScheme).expected("a service account")),
        // Such a token may be narrower than its app, and says nothing of scopes or tables.
        Requirement::Scope { .. } | Requirement::AnyResource | Requirement::Resource { .. }
            if bearer.reach.is_some() =>
        {
            let refusal = Refusal::new(Reason::PermissionsInsufficient).expected("a token of the app itself");
            return Err(refusal.found("one for an installation"));
        }
        scoped @ Requirement::Scope { .. } => check_scope(bearer, bot.as_ref(), scoped.scope_for(app.level), route)?,
        Requirement::AnyResource => check_any_resource(app)?,
        Requirement::Resource { kind, param: name, permissions } => {
            check_resource(app, *kind, param(name).unwrap_or_default(), *permissions)?;
        }
        Requirement::Permission(needed) => {
            let named = |name: &Option<String>| name.as_deref().map(|name| param(name).unwrap_or_default());
            check_permission(bearer, needed, named(&needed.owner_param), named(&needed.repository_param))?;
        }
    }
    Ok(Authorization { bot })
}

/// Judges a service account on a route.
///
/// # Errors
/// `app.wrong_account`, `role.missing`.
pub fn authorize_service(
    service: &ServiceAccount,
    route: &Route,
    host_account: Option<&AccountId>,
) -> Result<(), Refusal> {
    if let Some(owner) = host_account.filter(|account| **account != service.account) {
        let refusal =
            Refusal::new(Reason::AppWrongAccount).expected(format!("an account of {owner}, which owns the host"));
        return Err(refusal.found(format!("service account {} of {}", service.name, service.account)));
    }
    match &route.requirement {
        Requirement::Role(Some(role)) if !service.has_role(role.as_str()) => {
            let held: Vec<_> = service.roles.iter().map(RoleName::as_str).collect();
            let held = if held.is_empty() { "none".to_owned() } else { held.join(" ") };
            Err(Refusal::new(Reason::RoleMissing).expected(role.to_string()).found(held))
        }
        Requirement::Role(_) => Ok(()),
        _ => Err(Refusal::new(Reason::RoleMissing).expected("a route for service accounts")),
    }
}

/// The bot in the path is one of the app's.
fn bind(app: &App, named: &str, snapshot: &Snapshot) -> Result<BotId, Refusal> {
    let owner = snapshot.account_of_bot(named);
    let shown = || {
        let unfilled = if is_unfilled(named) { ", which the documents have in place of an id" } else { "" };
        format!("{:?}{unfilled}", named.chars().take(80).collect::<String>())
    };
    match (app.level, owner) {
        (Level::Account, None) => return Err(Refusal::new(Reason::BotUnknown).found(shown())),
        (_, Some(owner)) if *owner != app.account => return Err(wrong_account("the bot", owner, &app.account)),
        (Level::Account, Some(_)) => {}
        (Level::Bot, _) if app.bots.contains(named) => {}
        (Level::Bot, _) => {
            let bots = app.bots.iter().take(5).map(BotId::as_str).collect::<Vec<_>>().join(", ");
            let bots = if bots.is_empty() { "a bot of the app, which has none".to_owned() } else { bots };
            return Err(Refusal::new(Reason::AppWrongBot).expected(bots).found(shown()));
        }
    }
    BotId::new(named).map_err(|_| Refusal::new(Reason::BotUnknown).found(shown()))
}

fn check_scope(bearer: Bearer<'_>, bot: Option<&BotId>, scope: Option<&ScopeId>, route: &Route) -> Result<(), Refusal> {
    let app = bearer.app;
    let wrong_level =
        |expected: String| Refusal::new(Reason::AppWrongLevel).expected(expected).found(format!("level {}", app.level));
    let Some(scope) = scope else {
        let levels: Vec<_> = route.levels().into_iter().map(Level::as_str).collect();
        return Err(wrong_level(format!("an app of level {}", levels.join(" or "))));
    };
    if app.level == Level::Bot && bot.is_none() {
        return Err(wrong_level("an app of level account: the route names no bot".to_owned()));
    }
    let held = app.scopes_on(bot.map(BotId::as_str));
    let wanted = Refusal::new(Reason::ScopeInsufficient).expected(format!("{scope} at level {}", app.level));
    if held.contains(scope.as_str()) {
        if bearer.leaves(scope.as_str()) {
            return Ok(());
        }
        let left = bearer.scopes_on(bot.map(BotId::as_str));
        let left = if left.is_empty() { "none" } else { &left };
        return Err(wanted.found(format!("a token for {left}, of an app that holds {held}")));
    }
    let draft = if app.waits_for_publishing(bot, scope) { "; it is in the draft and waits for publishing" } else { "" };
    Err(wanted.found(format!("{held}{draft}")))
}

/// The name is compared as it was sent, once decoded: with case, and with whatever spaces there are.
fn check_resource(app: &App, kind: ResourceKind, name: &str, needed: Permissions) -> Result<(), Refusal> {
    let held = app.permissions_on(kind, name);
    if held.includes(needed) {
        return Ok(());
    }
    let shown: String = name.chars().take(80).collect();
    let refusal = Refusal::new(Reason::TableForbidden).expected(format!("{needed} on {} {shown:?}", kind.as_str()));
    Err(refusal.found(held.to_string()))
}

fn check_any_resource(app: &App) -> Result<(), Refusal> {
    if app.has_a_resource() {
        return Ok(());
    }
    Err(Refusal::new(Reason::TableForbidden).expected("a permission on any table or view").found("none"))
}

/// The names of account and repository are compared as they were sent, once decoded.
fn check_permission(
    bearer: Bearer<'_>,
    needed: &NeededPermission,
    owner: Option<&str>,
    repository: Option<&str>,
) -> Result<(), Refusal> {
    let insufficient = |expected: String| Refusal::new(Reason::PermissionsInsufficient).expected(expected);
    let shown = |name: &str| format!("{:?}", name.chars().take(80).collect::<String>());
    let Some(reach) = bearer.reach else {
        return Err(insufficient(format!("a token for an installation with {needed}")).found("a token for none"));
    };
    if reach.level(needed.name.as_str()) < Some(needed.level) {
        return Err(insufficient(needed.to_string()).found(reach.permissions().to_string()));
    }
    let installation = reach.installation();
    if let Some(owner) = owner.filter(|owner| *owner != installation.account.as_str()) {
        let expected = format!("account {}, where installation {} is", installation.account, installation.id);
        return Err(insufficient(expected).found(shown(owner)));
    }
    match repository {
        Some(name) if !reach.reaches(name) => {
            let found = format!("{}, which the token does not reach", shown(name));
            Err(insufficient(format!("a repository of the {} ones", installation.repositories.as_str())).found(found))
        }
        _ => Ok(()),
    }
}

fn wrong_account(what: &str, owner: &AccountId, theirs: &AccountId) -> Refusal {
    let refusal =
        Refusal::new(Reason::AppWrongAccount).expected(format!("an app of account {owner}, which owns {what}"));
    refusal.found(format!("an app of account {theirs}"))
}
