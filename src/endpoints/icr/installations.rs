//! The app, its installations, and what one of them reaches.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};

use super::super::{Answer, Call, json};
use super::shapes::{self, Page};
use crate::model::{AppNumber, Reason, Refusal};
use crate::registry::{App, Installation, InstallationTarget, Repositories};

pub(super) fn app(call: &Call) -> Answer {
    let (app, _) = call.app()?;
    Ok(json(StatusCode::OK, &shapes::app(app)))
}

pub(super) fn list(call: &Call) -> Answer {
    let (app, _) = call.app()?;
    let (page, all) = (Page::of(call)?, call.state.registry.installations_of(app.number));
    let body: Vec<_> = page.part(all).iter().map(|i| shapes::installation(app, i)).collect();
    Ok(page.answer("/app/installations", all.len(), &body.into()))
}

/// By its number, or by the organization, user or repository that it is for.
pub(super) fn one(call: &Call) -> Answer {
    let (app, _) = call.app()?;
    let named = |name| Some(call.param(name)).filter(|value| !value.is_empty());
    if let Some(number) = named("installation_id") {
        let found = find(call, app, number)?;
        return Ok(json(StatusCode::OK, &shapes::installation(app, found)));
    }
    let (account, target) = match (named("org"), named("user")) {
        (Some(org), _) => (org, Some(InstallationTarget::Organization)),
        (_, Some(user)) => (user, Some(InstallationTarget::User)),
        _ => (call.param("owner"), None),
    };
    let is_meant = |i: &&Arc<Installation>| {
        let reaches = named("repo").is_none_or(|name| match &i.repositories {
            Repositories::All => true,
            Repositories::Selected(selected) => selected.iter().any(|r| r.name == name),
        });
        i.account.as_str() == account && target.is_none_or(|target| i.target == target) && reaches
    };
    let all = call.state.registry.installations_of(app.number);
    let found = all.iter().find(is_meant).ok_or_else(|| {
        let others: Vec<_> = all.iter().take(5).map(|i| format!("{} ({})", i.account, i.target.as_str())).collect();
        let others = if others.is_empty() { "the app, which has none".to_owned() } else { others.join(", ") };
        let shown: String = account.chars().take(80).collect();
        Refusal::new(Reason::InstallationUnknown)
            .expected(format!("an installation of {others}"))
            .found(format!("{shown:?}"))
    })?;
    Ok(json(StatusCode::OK, &shapes::installation(app, found)))
}

/// An installation of the app, by a number in the path.
pub(super) fn find<'c>(call: &'c Call, app: &App, number: &str) -> Result<&'c Arc<Installation>, Refusal> {
    let registry = &call.state.registry;
    let shown: String = number.chars().take(40).collect();
    let unknown = |found: String| {
        let all = registry.installations_of(app.number);
        let known: Vec<_> = all.iter().take(5).map(|i| format!("{} on {}", i.id, i.account)).collect();
        let known =
            if known.is_empty() { "an installation of the app, which has none".to_owned() } else { known.join(", ") };
        Refusal::new(Reason::InstallationUnknown).expected(known).found(found)
    };
    let Ok(id) = number.parse() else { return Err(unknown(format!("{shown:?}, which is no number"))) };
    match registry.installation(id) {
        Some(installation) if installation.app == app.client_id => Ok(installation),
        Some(other) => Err(unknown(format!("{id}, which is an installation of app {}", other.app))),
        None => Err(unknown(match registry.app_by_number(AppNumber(id)) {
            Some(other) => format!("{id}, which is the id of app {}, not of an installation", other.client_id),
            None => id.to_string(),
        })),
    }
}

/// What the token of the call reaches. Of an installation on all repositories no list is kept, so there is none.
pub(super) fn repositories(call: &Call) -> Answer {
    let (reach, page) = (call.reach()?, Page::of(call)?);
    let reached = reach.repositories();
    let selection = if reached.is_some() { "selected" } else { "all" };
    let all = reached.unwrap_or_default();
    let shown: Vec<Value> =
        page.part(&all).iter().map(|(id, name)| shapes::repository(reach.installation(), *id, name)).collect();
    let body = json!({ "total_count": all.len(), "repository_selection": selection, "repositories": shown });
    Ok(page.answer("/installation/repositories", all.len(), &body))
}
