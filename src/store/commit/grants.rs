use std::collections::BTreeSet;

use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use super::accounts::{no_account, no_bot};
use super::{Trace, Writer, returned};
use crate::model::{ClientId, ScopeId};
use crate::registry::{Difference, Grant, GrantTarget, Permissions, Resource, StoreError, TableGrant};
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
        self.change_grant(app, target, |grant| {
            let published = if publish { scopes.clone() } else { grant.published };
            Ok(Grant { draft: scopes.clone(), published, ..grant })
        })
        .await
    }

    pub(super) async fn alter_grant(
        &mut self,
        app: &ClientId,
        target: &GrantTarget,
        by: &Difference,
        seen: Option<&BTreeSet<ScopeId>>,
    ) -> Result<Trace, StoreError> {
        self.change_grant(app, target, |grant| match seen {
            Some(seen) if grant.draft != *seen => Err(draft_changed(app, target)),
            _ => Ok(grant.altered(by)),
        })
        .await
    }

    pub(super) async fn publish_grant(
        &mut self,
        app: &ClientId,
        target: &GrantTarget,
        draft: &BTreeSet<ScopeId>,
    ) -> Result<Trace, StoreError> {
        self.change_grant(app, target, |grant| {
            if grant.draft != *draft {
                return Err(draft_changed(app, target));
            }
            Ok(Grant { published: draft.clone(), ..grant })
        })
        .await
    }

    pub(super) async fn restore_grant(
        &mut self,
        app: &ClientId,
        target: &GrantTarget,
        scopes: &BTreeSet<ScopeId>,
    ) -> Result<Trace, StoreError> {
        self.change_grant(app, target, |grant| Ok(grant.restored(scopes))).await
    }

    /// Reads, changes and writes under the write lock: of two who edit at once, neither loses anything.
    async fn change_grant(
        &mut self,
        app: &ClientId,
        target: &GrantTarget,
        change: impl FnOnce(Grant) -> Result<Grant, StoreError>,
    ) -> Result<Trace, StoreError> {
        let number = self.app_number(app).await?;
        self.check_target(target).await?;
        let before = self.stored_grant(number, target).await?;
        let after = change(before.clone().unwrap_or_else(|| Grant::new(target.clone())))?;
        let was = before.as_ref().map(|grant| &grant.published);
        let version = self.put_version(number, target, was, &after.published).await?;
        self.put_grant_row(number, &Grant { version, ..after.clone() }).await?;
        Ok(Trace { before: before.as_ref().map(grant_json), after: Some(grant_json(&after)) })
    }

    pub(super) async fn delete_grant(&mut self, app: &ClientId, target: &GrantTarget) -> Result<Trace, StoreError> {
        let number = self.app_number(app).await?;
        let before = self.stored_grant(number, target).await?;
        let before = before.ok_or_else(|| StoreError::Conflict(format!("app {app} has no grant on {target}")))?;
        self.put_version(number, target, Some(&before.published), &BTreeSet::new()).await?;
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
        self.change_table_grant(app, resource, |_| permissions).await
    }

    pub(super) async fn alter_table_grant(
        &mut self,
        app: &ClientId,
        resource: &Resource,
        gained: Permissions,
        lost: Permissions,
    ) -> Result<Trace, StoreError> {
        let number = self.app_number(app).await?;
        let held = self.stored_table_grant(number, resource).await?;
        if held.is_some_and(|held| held.permissions.without(lost).with(gained) == Permissions::NONE) {
            return self.delete_table_grant(app, resource).await;
        }
        self.change_table_grant(app, resource, |held| held.without(lost).with(gained)).await
    }

    async fn change_table_grant(
        &mut self,
        app: &ClientId,
        resource: &Resource,
        change: impl FnOnce(Permissions) -> Permissions,
    ) -> Result<Trace, StoreError> {
        let number = self.app_number(app).await?;
        let before = self.stored_table_grant(number, resource).await?;
        let permissions = change(before.as_ref().map_or(Permissions::NONE, |held| held.permissions));
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

    async fn put_grant_row(&mut self, app: i64, grant: &Grant) -> Result<(), StoreError> {
        let query = "INSERT INTO app_grant (app, target_kind, target_id, draft, published, version, updated_at) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (app, target_kind, target_id) \
                     DO UPDATE SET draft = $4, published = $5, version = $6, updated_at = $7";
        let (kind, id) = target_columns(&grant.target);
        let query = sqlx::query(query)
            .bind(app)
            .bind(kind)
            .bind(id)
            .bind(column(&grant.draft)?)
            .bind(column(&grant.published)?)
            .bind(grant.version)
            .bind(self.actor.at.millis());
        query.execute(&mut *self.connection).await.map_err(failed)?;
        Ok(())
    }

    /// The version of what is in force: the next one where it changes.
    async fn put_version(
        &mut self,
        app: i64,
        target: &GrantTarget,
        before: Option<&BTreeSet<ScopeId>>,
        after: &BTreeSet<ScopeId>,
    ) -> Result<i64, StoreError> {
        let (kind, id) = target_columns(target);
        if before.map_or(after.is_empty(), |before| before == after) {
            let query = "SELECT COALESCE(MAX(version), 0) FROM grant_history \
                         WHERE app = $1 AND target_kind = $2 AND target_id = $3";
            let query = sqlx::query_scalar(query).bind(app).bind(kind).bind(id);
            return query.fetch_one(&mut *self.connection).await.map_err(failed);
        }
        let query = "INSERT INTO grant_history (app, target_kind, target_id, version, at, actor, why, scopes) \
                     SELECT $1, $2, $3, COALESCE(MAX(version), 0) + 1, $4, $5, $6, $7 FROM grant_history \
                     WHERE app = $1 AND target_kind = $2 AND target_id = $3 RETURNING version";
        let query = sqlx::query_scalar(query)
            .bind(app)
            .bind(kind)
            .bind(id)
            .bind(self.actor.at.millis())
            .bind(&self.actor.name)
            .bind(&self.actor.why)
            .bind(column(after)?);
        returned(query.fetch_all(&mut *self.connection).await.map_err(failed)?)
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

fn draft_changed(app: &ClientId, target: &GrantTarget) -> StoreError {
    StoreError::Conflict(format!(
        "the draft of app {app} on {target} was changed by somebody else meanwhile; nothing was done: look at it and try again"
    ))
}

pub(super) fn grant_json(grant: &Grant) -> Value {
    let (kind, id) = target_columns(&grant.target);
    json!({ kind: id, "draft": grant.draft, "published": grant.published })
}

fn table_grant_json(grant: &TableGrant) -> Value {
    let permissions: Vec<_> = grant.permissions.iter().collect();
    json!({ grant.resource.kind.as_str(): grant.resource.name, "permissions": permissions })
}
