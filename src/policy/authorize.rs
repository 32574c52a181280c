//! May this app do this here? Account and bot first, then the scope, the table or the permission.

use super::place::is_unfilled;
use super::requirement::check_requirement;
use super::{Bearer, Params, Pattern, Requirement, Route};
use crate::model::{AccountId, BotId, Level, Reason, Refusal, RoleName};
use crate::registry::{App, ServiceAccount, Snapshot};

/// What was found while an app was let through.
#[derive(Clone, Debug)]
pub struct Authorization {
    /// The bot in the path.
    pub bot: Option<BotId>,
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
    check_requirement(bearer, route, bot.as_ref(), param)?;
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

fn wrong_account(what: &str, owner: &AccountId, theirs: &AccountId) -> Refusal {
    let refusal =
        Refusal::new(Reason::AppWrongAccount).expected(format!("an app of account {owner}, which owns {what}"));
    refusal.found(format!("an app of account {theirs}"))
}
