//! Reading a part of the registry: what a change of it touches.

use std::collections::BTreeSet;

use super::error::failed;
use super::rows::id;
use super::sqlite::Connection;
use crate::model::{AccountId, InvalidId};
use crate::registry::{Part, StoreError};

/// Adds what belongs to what the part names.
pub async fn complete(connection: &mut Connection, mut part: Part) -> Result<Part, StoreError> {
    for installation in &part.installations {
        // The number may be an app's, given in place of the other.
        let query = "SELECT client_id FROM app WHERE number IN ((SELECT app FROM installation WHERE id = $1), $1)";
        let query = sqlx::query_scalar(query).bind(installation.get());
        add(&mut part.apps, query.fetch_all(&mut *connection).await.map_err(failed)?)?;
    }
    for app in &part.apps {
        let query = "SELECT app_bot.bot FROM app_bot JOIN app ON app.number = app_bot.app WHERE app.client_id = $1";
        let bots = sqlx::query_scalar(query).bind(app.as_str()).fetch_all(&mut *connection).await;
        add(&mut part.bots, bots.map_err(failed)?)?;
    }
    let of_app = "SELECT account FROM app WHERE client_id = $1 \
                  UNION SELECT installation.account FROM installation JOIN app ON app.number = installation.app \
                  WHERE app.client_id = $1";
    let apps = part.apps.iter().map(|app| (of_app, app.as_str()));
    let bots = part.bots.iter().map(|bot| ("SELECT account FROM bot WHERE id = $1", bot.as_str()));
    let services = part.service_accounts.iter();
    let services = services.map(|name| ("SELECT account FROM service_account WHERE name = $1", name.as_str()));
    for (query, name) in apps.chain(bots).chain(services) {
        let accounts = sqlx::query_scalar(query).bind(name).fetch_all(&mut *connection).await;
        add(&mut part.accounts, accounts.map_err(failed)?)?;
    }
    for name in &part.app_names {
        for account in part.accounts.iter().map(AccountId::as_str) {
            let query = "SELECT client_id FROM app WHERE account = $1 AND name = $2";
            let apps = sqlx::query_scalar(query).bind(account).bind(name).fetch_all(&mut *connection).await;
            add(&mut part.apps, apps.map_err(failed)?)?;
        }
    }
    Ok(part)
}

fn add<I>(ids: &mut BTreeSet<I>, found: Vec<String>) -> Result<(), StoreError>
where
    I: TryFrom<String, Error = InvalidId> + Ord,
{
    for name in found {
        ids.insert(id(&name)?);
    }
    Ok(())
}

/// The names of what a part has of a kind.
pub fn names(part: &Part, kind: &str) -> Vec<String> {
    match kind {
        "account" => part.accounts.iter().map(ToString::to_string).collect(),
        "bot" => part.bots.iter().map(ToString::to_string).collect(),
        "app" => part.apps.iter().map(ToString::to_string).collect(),
        _ => part.service_accounts.iter().map(ToString::to_string).collect(),
    }
}
