//! What a route requires, against what the token leaves of its app's rights.

use super::{Bearer, NeededPermission, Requirement, Route};
use crate::model::{BotId, Level, Reason, Refusal, ScopeId};
use crate::registry::{Permissions, ResourceKind};

/// `param` gives what the path holds for a parameter.
///
/// # Errors
/// `credential.wrong_scheme`, `app.wrong_level`, `scope.insufficient`, `table.forbidden`, `permissions.insufficient`.
pub(super) fn check_requirement<'p>(
    bearer: Bearer<'_>,
    route: &Route,
    bot: Option<&BotId>,
    param: impl Fn(&str) -> Option<&'p str>,
) -> Result<(), Refusal> {
    match &route.requirement {
        Requirement::Nothing | Requirement::AnyApp => Ok(()),
        Requirement::Role(_) => Err(Refusal::new(Reason::CredentialWrongScheme).expected("a service account")),
        // Such a token may be narrower than its app, and says nothing of scopes or tables.
        Requirement::Scope { .. } | Requirement::AnyResource | Requirement::Resource { .. }
            if bearer.reach.is_some() =>
        {
            let refusal = Refusal::new(Reason::PermissionsInsufficient).expected("a token of the app itself");
            Err(refusal.found("one for an installation"))
        }
        scoped @ Requirement::Scope { .. } => check_scope(bearer, bot, scoped.scope_for(bearer.app.level), route),
        Requirement::AnyResource => check_any_resource(bearer),
        Requirement::Resource { kind, param: name, permissions } => {
            check_resource(bearer, *kind, param(name).unwrap_or_default(), *permissions)
        }
        Requirement::Permission(needed) => {
            let named = |name: &Option<String>| name.as_deref().map(|name| param(name).unwrap_or_default());
            check_permission(bearer, needed, named(&needed.owner_param), named(&needed.repository_param))
        }
    }
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
fn check_resource(bearer: Bearer<'_>, kind: ResourceKind, name: &str, needed: Permissions) -> Result<(), Refusal> {
    let left = bearer.permissions_on(kind, name);
    if left.includes(needed) {
        return Ok(());
    }
    let shown: String = name.chars().take(80).collect();
    let refusal = Refusal::new(Reason::TableForbidden).expected(format!("{needed} on {} {shown:?}", kind.as_str()));
    let held = bearer.app.permissions_on(kind, name);
    Err(refusal.found(if held == left { held.to_string() } else { narrowed(bearer, &held.to_string()) }))
}

fn check_any_resource(bearer: Bearer<'_>) -> Result<(), Refusal> {
    if bearer.has_a_resource() {
        return Ok(());
    }
    let refusal = Refusal::new(Reason::TableForbidden).expected("a permission on any table or view");
    Err(if bearer.app.has_a_resource() { refusal.found(narrowed(bearer, "some")) } else { refusal.found("none") })
}

fn narrowed(bearer: Bearer<'_>, held: &str) -> String {
    let left = bearer.left.filter(|left| !left.is_empty()).unwrap_or("none");
    format!("a token for {left}, of an app that holds {held}")
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
    if bearer.permission(needed.name.as_str()) < Some(needed.level) {
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
