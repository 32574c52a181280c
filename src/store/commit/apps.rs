use std::collections::BTreeSet;

use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use super::accounts::{no_account_text, no_bot};
use super::{Trace, Writer, returned};
use crate::model::{BotId, ClientId};
use crate::registry::{AppSettings, SERVICE_ACTOR, StoreError};
use crate::store::error::{failed, or_missing};
use crate::store::rows::{APP_COLUMNS, AppRow, id, json as column};

/// An app as it stands, before a change of it.
struct Stored {
    number: i64,
    credential_version: i64,
    settings: AppSettings,
}

impl Writer<'_> {
    /// Keys and grants stay as they are, but for permissions on tables and views of an account that the app leaves, and for
    /// the tokens that were issued to it there.
    pub(super) async fn put_app(&mut self, settings: &AppSettings, is_new: bool) -> Result<Trace, StoreError> {
        let id = &settings.client_id;
        let stored = match (self.stored_app(id).await?, is_new) {
            (None, false) => return Err(no_app(id)),
            // Adding the same app twice is adding it once.
            (Some(stored), true) if stored.settings != *settings => {
                return Err(StoreError::Conflict(format!("app {id} exists already, with other settings")));
            }
            (stored, _) => stored,
        };
        let kept = stored.as_ref().filter(|s| s.settings.algorithms == settings.algorithms);
        let number = self.put_app_row(settings, kept.map_or(self.version, |s| s.credential_version)).await?;
        let bots = stored.as_ref().map(|s| &s.settings.bots);
        if bots != Some(&settings.bots) {
            self.put_app_bots(number, bots, &settings.bots).await?;
        }
        self.numbers.insert(id.clone(), number);
        let mut before = stored.as_ref().map(|s| app_json(&s.settings));
        match stored {
            None => self.note_creator(number).await?,
            Some(stored) if stored.settings.account != settings.account => {
                let dropped = self.drop_table_grants(number).await?;
                let ended = self.end_tokens(number).await?;
                if let Some(before) = before.as_mut().filter(|_| !dropped.is_empty()) {
                    before["table_grants"] = dropped.into();
                }
                if let Some(before) = before.as_mut().filter(|_| !ended.is_empty()) {
                    before["tokens"] = ended.into();
                }
            }
            Some(_) => {}
        }
        Ok(Trace { before, after: Some(app_json(settings)) })
    }

    /// Only apps that the gateway creates for a service account are counted.
    async fn note_creator(&mut self, number: i64) -> Result<(), StoreError> {
        if self.actor.name.starts_with(SERVICE_ACTOR) {
            let query =
                sqlx::query("UPDATE app SET created_by = $1 WHERE number = $2").bind(&self.actor.name).bind(number);
            query.execute(&mut *self.connection).await.map_err(failed)?;
        }
        Ok(())
    }

    /// Holders of an app's tokens call in the name of its account: the tokens end when the app goes to another. The ids
    /// of those that ended.
    async fn end_tokens(&mut self, number: i64) -> Result<Vec<String>, StoreError> {
        let query = sqlx::query("UPDATE app SET created_by = NULL WHERE number = $1").bind(number);
        query.execute(&mut *self.connection).await.map_err(failed)?;
        let query = sqlx::query_scalar("DELETE FROM issued_token WHERE app = $1 RETURNING jti").bind(number);
        let ended: Vec<String> = query.fetch_all(&mut *self.connection).await.map_err(failed)?;
        if !ended.is_empty() {
            let query = sqlx::query("INSERT INTO token_change (app) VALUES ($1)").bind(number);
            query.execute(&mut *self.connection).await.map_err(failed)?;
        }
        Ok(ended)
    }

    pub(super) async fn delete_app(&mut self, id: &ClientId) -> Result<Trace, StoreError> {
        let stored = self.stored_app(id).await?.ok_or_else(|| no_app(id))?;
        let query = sqlx::query("DELETE FROM app WHERE number = $1").bind(stored.number);
        query.execute(&mut *self.connection).await.map_err(failed)?;
        self.numbers.remove(id);
        Ok(Trace { before: Some(app_json(&stored.settings)), after: None })
    }

    /// The app's number.
    pub(super) async fn app_number(&mut self, id: &ClientId) -> Result<i64, StoreError> {
        if let Some(number) = self.numbers.get(id) {
            return Ok(*number);
        }
        let query = sqlx::query_scalar("SELECT number FROM app WHERE client_id = $1").bind(id.as_str());
        let number = query.fetch_optional(&mut *self.connection).await.map_err(failed)?.ok_or_else(|| no_app(id))?;
        self.numbers.insert(id.clone(), number);
        Ok(number)
    }

    /// The app's number, after all that was proved with its keys has been made void.
    pub(super) async fn renew_credentials(&mut self, id: &ClientId) -> Result<i64, StoreError> {
        let query = "UPDATE app SET credential_version = $1 WHERE client_id = $2 RETURNING number";
        let query = sqlx::query_scalar(query).bind(self.version).bind(id.as_str());
        let rows = query.fetch_all(&mut *self.connection).await.map_err(failed)?;
        rows.into_iter().next().ok_or_else(|| no_app(id))
    }

    async fn stored_app(&mut self, client_id: &ClientId) -> Result<Option<Stored>, StoreError> {
        let query = AssertSqlSafe(format!("SELECT {APP_COLUMNS} FROM app WHERE client_id = $1"));
        let query = sqlx::query_as(query).bind(client_id.as_str());
        let row: Option<AppRow> = query.fetch_optional(&mut *self.connection).await.map_err(failed)?;
        let Some(row) = row else { return Ok(None) };
        let (number, credential_version) = (row.number, row.credential_version);
        let query = sqlx::query_scalar("SELECT bot FROM app_bot WHERE app = $1").bind(number);
        let bots: Vec<String> = query.fetch_all(&mut *self.connection).await.map_err(failed)?;
        let bots = bots.iter().map(|bot| id(bot)).collect::<Result<_, _>>()?;
        let settings = AppSettings { bots, ..row.into_settings()? };
        Ok(Some(Stored { number, credential_version, settings }))
    }

    async fn put_app_row(&mut self, settings: &AppSettings, credential_version: i64) -> Result<i64, StoreError> {
        let query = "INSERT INTO app (client_id, name, account, level, authenticators, algorithms, enforce_jti, \
                     enforce_jwe, require_exp, max_lifetime, networks, enabled, credential_version) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
                     ON CONFLICT (client_id) DO UPDATE SET name = $2, account = $3, level = $4, authenticators = $5, \
                     algorithms = $6, enforce_jti = $7, enforce_jwe = $8, require_exp = $9, max_lifetime = $10, \
                     networks = $11, enabled = $12, credential_version = $13 RETURNING number";
        let query = sqlx::query_scalar(query)
            .bind(settings.client_id.as_str())
            .bind(&settings.name)
            .bind(settings.account.as_str())
            .bind(settings.level.as_str())
            .bind(column(&settings.authenticators)?)
            .bind(column(&settings.algorithms)?)
            .bind(settings.enforce_jti)
            .bind(settings.enforce_jwe)
            .bind(settings.require_exp)
            .bind(lifetime_millis(settings))
            .bind(column(&settings.networks)?)
            .bind(settings.enabled)
            .bind(credential_version);
        let rows = query.fetch_all(&mut *self.connection).await;
        returned(rows.map_err(|e| or_missing(e, || no_account_text(&settings.account)))?)
    }

    async fn put_app_bots(
        &mut self,
        app: i64,
        before: Option<&BTreeSet<BotId>>,
        bots: &BTreeSet<BotId>,
    ) -> Result<(), StoreError> {
        if before.is_some() {
            let query = sqlx::query("DELETE FROM app_bot WHERE app = $1").bind(app);
            query.execute(&mut *self.connection).await.map_err(failed)?;
        }
        for bot in bots {
            let query = sqlx::query("INSERT INTO app_bot (app, bot) VALUES ($1, $2)").bind(app).bind(bot.as_str());
            let done = query.execute(&mut *self.connection).await;
            done.map_err(|e| or_missing(e, || no_bot(bot.as_str())))?;
        }
        Ok(())
    }
}

fn no_app(id: &ClientId) -> StoreError {
    StoreError::Conflict(format!("app {id} does not exist"))
}

pub(super) fn lifetime_millis(settings: &AppSettings) -> Option<i64> {
    settings.max_lifetime.map(|span| i64::try_from(span.as_millis()).unwrap_or(i64::MAX))
}

pub(super) fn app_json(settings: &AppSettings) -> Value {
    json!({
        "name": settings.name,
        "account": settings.account,
        "level": settings.level,
        "bots": settings.bots,
        "authenticators": settings.authenticators,
        "algorithms": settings.algorithms,
        "enforce_jti": settings.enforce_jti,
        "enforce_jwe": settings.enforce_jwe,
        "require_exp": settings.require_exp,
        "max_lifetime_ms": lifetime_millis(settings),
        "networks": settings.networks,
        "enabled": settings.enabled,
    })
}
