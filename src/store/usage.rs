//! When keys and scopes were last used. Written without a new version: nobody who follows the registry is disturbed.

use std::collections::BTreeMap;

use super::Store;
use super::error::failed;
use super::rows::{id, target, target_columns};
use super::sqlite::Connection;
use crate::clock::Timestamp;
use crate::model::{AppNumber, ClientId, ScopeId};
use crate::registry::{GrantTarget, KeyNumber, ScopeUse, StoreError, Use};

impl Store {
    /// Writes uses, all or none. A time that is already later stays; what belongs to no app or key any more is skipped.
    ///
    /// # Errors
    /// When the store can't be reached.
    pub async fn record_uses(&self, uses: &[Use]) -> Result<(), StoreError> {
        let mut transaction = self.database.write().await?;
        for used in uses {
            match used {
                Use::Key { key, at, .. } => record_key(&mut transaction, *key, *at).await?,
                Use::Scope { app, target, scope, at } => {
                    record_scope(&mut transaction, *app, target, scope, *at).await?;
                }
            }
        }
        transaction.commit().await.map_err(failed)
    }

    /// The last use of each of an app's keys, to a minute; keys that were never used are left out.
    ///
    /// # Errors
    /// When the store can't be reached.
    pub async fn uses_of_keys(&self, app: &ClientId) -> Result<BTreeMap<KeyNumber, Timestamp>, StoreError> {
        let query = "SELECT app_key.number, last_used_at FROM app_key JOIN app ON app.number = app_key.app \
                     WHERE client_id = $1 AND last_used_at IS NOT NULL";
        let query = sqlx::query_as(query).bind(app.as_str());
        let rows: Vec<(i64, i64)> = query.fetch_all(&mut *self.database.read().await?).await.map_err(failed)?;
        Ok(rows.into_iter().map(|(number, at)| (KeyNumber(number), Timestamp::from_millis(at))).collect())
    }

    /// The last use of each scope that the app, or any, has used since then, to a minute; the latest first.
    ///
    /// # Errors
    /// When the store can't be reached or read.
    pub async fn uses_of_scopes(&self, since: Timestamp, app: Option<&ClientId>) -> Result<Vec<ScopeUse>, StoreError> {
        let query = "SELECT app.client_id, target_kind, target_id, scope, last_used_at \
                     FROM scope_use JOIN app ON app.number = scope_use.app \
                     WHERE last_used_at >= $1 AND ($2 IS NULL OR app.client_id = $2) ORDER BY last_used_at DESC, app.client_id, scope";
        let rows = sqlx::query_as(query)
            .bind(since.millis())
            .bind(app.map(ClientId::as_str))
            .fetch_all(&mut *self.database.read().await?)
            .await;
        rows.map_err(failed)?.into_iter().map(scope_use).collect()
    }
}

async fn record_key(transaction: &mut Connection, key: KeyNumber, at: Timestamp) -> Result<(), StoreError> {
    let query =
        "UPDATE app_key SET last_used_at = $1 WHERE number = $2 AND (last_used_at IS NULL OR last_used_at < $1)";
    let query = sqlx::query(query).bind(at.millis()).bind(key.0);
    query.execute(&mut *transaction).await.map_err(failed)?;
    Ok(())
}

async fn record_scope(
    transaction: &mut Connection,
    app: AppNumber,
    target: &GrantTarget,
    scope: &ScopeId,
    at: Timestamp,
) -> Result<(), StoreError> {
    let (kind, name) = target_columns(target);
    // From the table of apps: an app that was deleted meanwhile gives no row.
    let query = "INSERT INTO scope_use (app, target_kind, target_id, scope, last_used_at) \
                 SELECT number, $1, $2, $3, $4 FROM app WHERE number = $5 \
                 ON CONFLICT (app, target_kind, target_id, scope) DO UPDATE SET last_used_at = excluded.last_used_at \
                 WHERE scope_use.last_used_at < excluded.last_used_at";
    let query = sqlx::query(query).bind(kind).bind(name).bind(scope.as_str()).bind(at.millis()).bind(app.0);
    query.execute(&mut *transaction).await.map_err(failed)?;
    Ok(())
}

type Row = (String, String, String, String, i64);

fn scope_use((app, kind, name, scope, at): Row) -> Result<ScopeUse, StoreError> {
    let target = target(&kind, &name)?;
    Ok(ScopeUse { app: id(&app)?, target, scope: id(&scope)?, at: Timestamp::from_millis(at) })
}
