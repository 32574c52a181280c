use serde_json::{Value, json};

use super::{Trace, Writer, named};
use crate::model::{AccountId, BotId};
use crate::registry::{Account, Bot, DEFAULT_ACCOUNT, StoreError};
use crate::store::error::{failed, or_missing};

/// How many names a refusal gives.
const NAMED: u8 = 5;

impl Writer<'_> {
    pub(super) async fn put_account(&mut self, account: &Account) -> Result<Trace, StoreError> {
        let before = self.hosts(&account.id).await?;
        if before.is_none() {
            let query = sqlx::query("INSERT INTO account (id) VALUES ($1)").bind(account.id.as_str());
            query.execute(&mut *self.connection).await.map_err(failed)?;
        }
        let query = sqlx::query("DELETE FROM account_host WHERE account = $1").bind(account.id.as_str());
        query.execute(&mut *self.connection).await.map_err(failed)?;
        for host in &account.hosts {
            let query = sqlx::query("INSERT INTO account_host (account, host) VALUES ($1, $2)");
            let query = query.bind(account.id.as_str()).bind(host);
            query.execute(&mut *self.connection).await.map_err(failed)?;
        }
        Ok(Trace {
            before: before.map(|hosts| json!({ "hosts": hosts })),
            after: Some(json!({ "hosts": account.hosts })),
        })
    }

    pub(super) async fn delete_account(&mut self, id: &AccountId) -> Result<Trace, StoreError> {
        if id.as_str() == DEFAULT_ACCOUNT {
            return Err(StoreError::Conflict(format!("account {DEFAULT_ACCOUNT} always exists: it can't be deleted")));
        }
        let before = self.hosts(id).await?.ok_or_else(|| no_account(id))?;
        let apps = "SELECT client_id FROM app WHERE account = $1 ORDER BY client_id LIMIT $2";
        let apps = named("app", self.names(apps, id.as_str()).await?, NAMED.into());
        let bots = "SELECT id FROM bot WHERE account = $1 ORDER BY id LIMIT $2";
        let bots = named("bot", self.names(bots, id.as_str()).await?, NAMED.into());
        let grants = named("a grant to app", self.granted("account", id.as_str()).await?, NAMED.into());
        let services = "SELECT name FROM service_account WHERE account = $1 ORDER BY name LIMIT $2";
        let services = named("service account", self.names(services, id.as_str()).await?, NAMED.into());
        let installed = "SELECT client_id FROM app JOIN installation ON installation.app = app.number \
                         WHERE installation.account = $1 ORDER BY client_id LIMIT $2";
        let installed = named("an installation of app", self.names(installed, id.as_str()).await?, NAMED.into());
        let held: Vec<_> = [apps, bots, grants, services, installed].into_iter().flatten().collect();
        if !held.is_empty() {
            return Err(StoreError::Conflict(format!("account {id} can't be deleted: it has {}", held.join(", and "))));
        }
        let query = sqlx::query("DELETE FROM account WHERE id = $1").bind(id.as_str());
        query.execute(&mut *self.connection).await.map_err(failed)?;
        Ok(Trace { before: Some(json!({ "hosts": before })), after: None })
    }

    /// No two accounts have one host; asked at the end, when hosts have moved.
    pub(super) async fn check_hosts(&mut self) -> Result<(), StoreError> {
        let query = "SELECT host, MIN(account), MAX(account) FROM account_host GROUP BY host HAVING COUNT(*) > 1 \
                     ORDER BY host LIMIT 1";
        let shared: Option<(String, String, String)> =
            sqlx::query_as(query).fetch_optional(&mut *self.connection).await.map_err(failed)?;
        match shared {
            None => Ok(()),
            Some((host, one, other)) => {
                Err(StoreError::Conflict(format!("host {host} can't belong to both account {one} and account {other}")))
            }
        }
    }

    pub(super) async fn put_bot(&mut self, bot: &Bot) -> Result<Trace, StoreError> {
        let before = self.account_of(&bot.id).await?;
        let query = "INSERT INTO bot (id, account) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET account = $2";
        let query = sqlx::query(query).bind(bot.id.as_str()).bind(bot.account.as_str());
        query.execute(&mut *self.connection).await.map_err(|e| or_missing(e, || no_account_text(&bot.account)))?;
        Ok(Trace { before: before.as_deref().map(bot_json), after: Some(bot_json(bot.account.as_str())) })
    }

    pub(super) async fn delete_bot(&mut self, id: &BotId) -> Result<Trace, StoreError> {
        let before = self.account_of(id).await?.ok_or_else(|| StoreError::Conflict(no_bot(id.as_str())))?;
        let apps = "SELECT client_id FROM app JOIN app_bot ON app_bot.app = app.number WHERE bot = $1 \
                    ORDER BY client_id LIMIT $2";
        let apps = named("app", self.names(apps, id.as_str()).await?, NAMED.into());
        let grants = named("a grant to app", self.granted("bot", id.as_str()).await?, NAMED.into());
        if let Some(held) = apps.or(grants) {
            return Err(StoreError::Conflict(format!("bot {id} can't be deleted: it is named by {held}")));
        }
        let query = sqlx::query("DELETE FROM bot WHERE id = $1").bind(id.as_str());
        query.execute(&mut *self.connection).await.map_err(failed)?;
        Ok(Trace { before: Some(bot_json(&before)), after: None })
    }

    /// The account's hosts; none where there is no such account.
    async fn hosts(&mut self, account: &AccountId) -> Result<Option<Vec<String>>, StoreError> {
        let query = sqlx::query_scalar("SELECT 1 FROM account WHERE id = $1").bind(account.as_str());
        let found: Option<i64> = query.fetch_optional(&mut *self.connection).await.map_err(failed)?;
        if found.is_none() {
            return Ok(None);
        }
        let query = sqlx::query_scalar("SELECT host FROM account_host WHERE account = $1 ORDER BY host");
        query.bind(account.as_str()).fetch_all(&mut *self.connection).await.map(Some).map_err(failed)
    }

    /// None where there is no such bot.
    async fn account_of(&mut self, bot: &BotId) -> Result<Option<String>, StoreError> {
        let query = sqlx::query_scalar("SELECT account FROM bot WHERE id = $1").bind(bot.as_str());
        query.fetch_optional(&mut *self.connection).await.map_err(failed)
    }

    /// The apps that are granted something on a target.
    async fn granted(&mut self, kind: &str, id: &str) -> Result<Vec<String>, StoreError> {
        let query = "SELECT client_id FROM app JOIN app_grant ON app_grant.app = app.number \
                     WHERE target_id = $1 AND target_kind = $3 ORDER BY client_id LIMIT $2";
        let query = sqlx::query_scalar(query).bind(id).bind(i64::from(NAMED) + 1).bind(kind);
        query.fetch_all(&mut *self.connection).await.map_err(failed)
    }

    /// A few names and one more, which shows that there are more.
    async fn names(&mut self, query: &'static str, id: &str) -> Result<Vec<String>, StoreError> {
        let query = sqlx::query_scalar(query).bind(id).bind(i64::from(NAMED) + 1);
        query.fetch_all(&mut *self.connection).await.map_err(failed)
    }
}

pub fn no_account(id: &AccountId) -> StoreError {
    StoreError::Conflict(no_account_text(id))
}

pub fn no_account_text(id: &AccountId) -> String {
    format!("account {id} does not exist")
}

pub fn no_bot(id: &str) -> String {
    format!("bot {id} does not exist")
}

fn bot_json(account: &str) -> Value {
    json!({ "account": account })
}
