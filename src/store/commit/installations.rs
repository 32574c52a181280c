use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use super::accounts::no_account_text;
use super::{Trace, Writer, returned};
use crate::clock::Timestamp;
use crate::model::{ClientId, InstallationId};
use crate::registry::{Installation, InstallationSettings, Repositories, StoreError};
use crate::store::error::{failed, or_missing, or_taken};
use crate::store::rows::{INSTALLATION_COLUMNS, InstallationRow, encoded, installation};

impl Writer<'_> {
    pub(super) async fn put_installation(
        &mut self,
        app: &ClientId,
        wanted: &InstallationSettings,
    ) -> Result<Trace, StoreError> {
        let owner = self.app_number(app).await?;
        let before = self.installation(app, owner, "account", wanted.account.as_str()).await?;
        let kept = before.as_ref().map(|before| before.id);
        if let (Some(kept), Some(id)) = (kept, wanted.id)
            && kept != id
        {
            let account = &wanted.account;
            let why = format!("app {app} is installed on account {account} already, as installation {kept}");
            return Err(StoreError::Conflict(why));
        }
        let now = self.actor.at;
        let since = before.as_ref().and_then(|before| before.suspended_at).unwrap_or(now);
        let suspended_at = wanted.suspended.then_some(since);
        let id = match kept {
            Some(id) => id.get(),
            None => self.add_installation(app, owner, wanted, now).await?,
        };
        let query = "UPDATE installation SET target = $1, permissions = $2, repositories = $3, suspended_at = $4, \
                     updated_at = $5 WHERE id = $6";
        let query = sqlx::query(query)
            .bind(wanted.target.as_str())
            .bind(encoded(&wanted.permissions)?)
            .bind(selected(&wanted.repositories)?)
            .bind(suspended_at.map(Timestamp::millis))
            .bind(now.millis())
            .bind(id);
        query.execute(&mut *self.connection).await.map_err(failed)?;
        let after = Shown { id, settings: wanted, suspended_at }.json();
        let shown = |before: Installation| {
            let (settings, suspended_at) = (before.settings(), before.suspended_at);
            Shown { id: before.id.get(), settings: &settings, suspended_at }.json()
        };
        Ok(Trace { before: before.map(shown), after: Some(after) })
    }

    /// The row as far as it is for good; the rest follows.
    async fn add_installation(
        &mut self,
        app: &ClientId,
        owner: i64,
        wanted: &InstallationSettings,
        now: Timestamp,
    ) -> Result<i64, StoreError> {
        let (columns, values) = match wanted.id {
            Some(_) => (", id", ", $4"),
            None => ("", ""),
        };
        let query = AssertSqlSafe(format!(
            "INSERT INTO installation (app, account, created_at, updated_at, target, permissions{columns}) \
             VALUES ($1, $2, $3, $3, '', ''{values}) RETURNING id"
        ));
        let query = sqlx::query_scalar(query).bind(owner).bind(wanted.account.as_str()).bind(now.millis());
        let query = if let Some(id) = wanted.id { query.bind(id.get()) } else { query };
        let rows = query.fetch_all(&mut *self.connection).await;
        let taken = || {
            let id = wanted.id.map(|id| id.to_string()).unwrap_or_default();
            format!("there is an installation {id} already: give app {app} another id, or none")
        };
        let rows = rows.map_err(|error| match &error {
            sqlx::Error::Database(e) if e.is_unique_violation() => or_taken(error, taken),
            _ => or_missing(error, || no_account_text(&wanted.account)),
        })?;
        returned(rows)
    }

    pub(super) async fn delete_installation(
        &mut self,
        app: &ClientId,
        id: InstallationId,
    ) -> Result<Trace, StoreError> {
        let owner = self.app_number(app).await?;
        let missing = || StoreError::Conflict(format!("app {app} has no installation {id}"));
        let before = self.installation(app, owner, "id", id.get()).await?.ok_or_else(missing)?;
        let query = sqlx::query("DELETE FROM installation WHERE id = $1").bind(id.get());
        query.execute(&mut *self.connection).await.map_err(failed)?;
        let shown = Shown { id: id.get(), settings: &before.settings(), suspended_at: before.suspended_at };
        Ok(Trace { before: Some(shown.json()), after: None })
    }

    /// The app's one of which a column is this.
    async fn installation<'v, V>(
        &mut self,
        app: &ClientId,
        owner: i64,
        column: &'static str,
        value: V,
    ) -> Result<Option<Installation>, StoreError>
    where
        V: sqlx::Encode<'v, crate::store::sqlite::Db> + sqlx::Type<crate::store::sqlite::Db> + Send + 'v,
    {
        let text = format!("SELECT {INSTALLATION_COLUMNS} FROM installation WHERE app = $1 AND {column} = $2");
        let query = sqlx::query_as(AssertSqlSafe(text)).bind(owner).bind(value);
        let row: Option<InstallationRow> = query.fetch_optional(&mut *self.connection).await.map_err(failed)?;
        row.map(|row| installation(row, app)).transpose()
    }
}

fn selected(repositories: &Repositories) -> Result<Option<String>, StoreError> {
    match repositories {
        Repositories::All => Ok(None),
        Repositories::Selected(list) => encoded(list).map(Some),
    }
}

/// What the audit tells of an installation.
struct Shown<'a> {
    id: i64,
    settings: &'a InstallationSettings,
    suspended_at: Option<Timestamp>,
}

impl Shown<'_> {
    fn json(&self) -> Value {
        let InstallationSettings { account, target, permissions, repositories, .. } = self.settings;
        let repositories = match repositories {
            Repositories::All => json!("all"),
            Repositories::Selected(list) => json!(list),
        };
        json!({
            "id": self.id,
            "account": account,
            "target": target,
            "permissions": permissions,
            "repositories": repositories,
            "suspended_at": self.suspended_at.map(|at| at.to_string()),
        })
    }
}
