use std::collections::BTreeSet;

use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use super::accounts::{no_account, no_bot};
use super::{Trace, Writer};
use crate::model::{ClientId, ScopeId};
use crate::registry::{Grant, GrantTarget, Permissions, Resource, StoreError, TableGrant};
use crate::store::error::failed;
use crate::store::rows::{
    GRANT_COLUMNS, GrantRow, TABLE_GRANT_COLUMNS, TableGrantRow, grant, json as column, table_grant, target_columns,
};

impl Writer<'_> {
    pub(super) async fn put_grant(
        &mut self,
        app: &ClientId,
        target: &GrantTarget,
        scopes: &BTreeSet<ScopeId>,
        publish: bool,
    ) -> Result<Trace, StoreError> {
        let number = self.app_number(app).await?;
        self.check_target(target).await?;
        let before = self.stored_grant(number, target).await?;
        let published = match &before {
            _ if publish => scopes.clone(),
            Some(before) => before.published.clone(),
            None => BTreeSet::new(),
        };
        let after = Grant { target: target.clone(), draft: scopes.clone(), published };
        self.put_grant_row(number, &after, publish).await?;
        Ok(Trace { before: before.as_ref().map(grant_json), after: Some(grant_json(&after)) })
    }

    pub(super) async fn delete_grant(&mut self, app: &ClientId, target: &GrantTarget) -> Result<Trace, StoreError> {
        let number = self.app_number(app).await?;
        let before = self.stored_grant(number, target).await?;
        let before = before.ok_or_else(|| StoreError::Conflict(format!("app {app} has no grant on {target}")))?;
        let (kind, id) = target_columns(target);
        let query = sqlx::query("DELETE FROM app_grant WHERE app = $1 AND target_kind = $2 AND target_id = $3");
        let query = query.bind(number).bind(kind).bind(id);
        query.execute(&mut *self.connection).await.map_err(failed)?;
        Ok(Trace { before: Some(grant_json(&before)), after: None })
    }

    pub(super) async fn put_table_grant(
        &mut self,
        app: &ClientId,
        resource: &Resource,
        permissions: Permissions,
    ) -> Result<Trace, StoreError> {
        let number = self.app_number(app).await?;
        let before = self.stored_table_grant(number, resource).await?;
        let query = "INSERT INTO table_grant (app, resource_kind, resource_name, permissions) VALUES ($1, $2, $3, $4) \
                     ON CONFLICT (app, resource_kind, resource_name) DO UPDATE SET permissions = $4";
        let query = sqlx::query(query)
            .bind(number)
            .bind(resource.kind.as_str())
            .bind(&resource.name)
            .bind(column(permissions.iter())?);
        query.execute(&mut *self.connection).await.map_err(failed)?;
        let after = TableGrant { resource: resource.clone(), permissions };
        Ok(Trace { before: before.as_ref().map(table_grant_json), after: Some(table_grant_json(&after)) })
    }

    pub(super) async fn delete_table_grant(
        &mut self,
        app: &ClientId,
        resource: &Resource,
    ) -> Result<Trace, StoreError> {
        let number = self.app_number(app).await?;
        let before = self.stored_table_grant(number, resource).await?;
        let before = before.ok_or_else(|| StoreError::Conflict(format!("app {app} has no grant on {resource}")))?;
        let query = "DELETE FROM table_grant WHERE app = $1 AND resource_kind = $2 AND resource_name = $3";
        let query = sqlx::query(query).bind(number).bind(resource.kind.as_str()).bind(&resource.name);
        query.execute(&mut *self.connection).await.map_err(failed)?;
        Ok(Trace { before: Some(table_grant_json(&before)), after: None })
    }

    /// Deletes all of an app's; returns them as the audit tells them.
    pub(super) async fn drop_table_grants(&mut self, app: i64) -> Result<Vec<Value>, StoreError> {
        let query = format!("DELETE FROM table_grant WHERE app = $1 RETURNING {TABLE_GRANT_COLUMNS}");
        let query = sqlx::query_as(AssertSqlSafe(query)).bind(app);
        let rows: Vec<TableGrantRow> = query.fetch_all(&mut *self.connection).await.map_err(failed)?;
        rows.into_iter().map(|row| table_grant(row).map(|(_, grant)| table_grant_json(&grant))).collect()
    }

    async fn check_target(&mut self, target: &GrantTarget) -> Result<(), StoreError> {
        let (query, id) = match target {
            GrantTarget::Bot(bot) => ("SELECT 1 FROM bot WHERE id = $1", bot.as_str()),
            GrantTarget::Account(account) => ("SELECT 1 FROM account WHERE id = $1", account.as_str()),
        };
        let query = sqlx::query_scalar(query).bind(id);
        let found: Option<i64> = query.fetch_optional(&mut *self.connection).await.map_err(failed)?;
        match (found, target) {
            (Some(_), _) => Ok(()),
            (None, GrantTarget::Bot(bot)) => Err(StoreError::Conflict(no_bot(bot.as_str()))),
            (None, GrantTarget::Account(account)) => Err(no_account(account)),
        }
    }

    async fn stored_grant(&mut self, app: i64, target: &GrantTarget) -> Result<Option<Grant>, StoreError> {
        let query =
            format!("SELECT {GRANT_COLUMNS} FROM app_grant WHERE app = $1 AND target_kind = $2 AND target_id = $3");
        let (kind, id) = target_columns(target);
        let query = sqlx::query_as(AssertSqlSafe(query)).bind(app).bind(kind).bind(id);
        let row: Option<GrantRow> = query.fetch_optional(&mut *self.connection).await.map_err(failed)?;
        Ok(row.map(grant).transpose()?.map(|(_, grant)| grant))
    }

    async fn put_grant_row(&mut self, app: i64, grant: &Grant, publish: bool) -> Result<(), StoreError> {
        let query = "INSERT INTO app_grant (app, target_kind, target_id, draft, published, version) \
                     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (app, target_kind, target_id) \
                     DO UPDATE SET draft = $4, published = $5, \
                     version = CASE WHEN $7 THEN $6 ELSE app_grant.version END";
        let (kind, id) = target_columns(&grant.target);
        let query = sqlx::query(query)
            .bind(app)
            .bind(kind)
            .bind(id)
            .bind(column(&grant.draft)?)
            .bind(column(&grant.published)?)
            .bind(if publish { self.version } else { 0 })
            .bind(publish);
        query.execute(&mut *self.connection).await.map_err(failed)?;
        Ok(())
    }

    async fn stored_table_grant(&mut self, app: i64, resource: &Resource) -> Result<Option<TableGrant>, StoreError> {
        let query = format!(
            "SELECT {TABLE_GRANT_COLUMNS} FROM table_grant \
             WHERE app = $1 AND resource_kind = $2 AND resource_name = $3"
        );
        let query = sqlx::query_as(AssertSqlSafe(query)).bind(app).bind(resource.kind.as_str()).bind(&resource.name);
        let row: Option<TableGrantRow> = query.fetch_optional(&mut *self.connection).await.map_err(failed)?;
        Ok(row.map(table_grant).transpose()?.map(|(_, grant)| grant))
    }
}

fn grant_json(grant: &Grant) -> Value {
    let (kind, id) = target_columns(&grant.target);
    json!({ kind: id, "draft": grant.draft, "published": grant.published })
}

fn table_grant_json(grant: &TableGrant) -> Value {
    let permissions: Vec<_> = grant.permissions.iter().collect();
    json!({ grant.resource.kind.as_str(): grant.resource.name, "permissions": permissions })
}
