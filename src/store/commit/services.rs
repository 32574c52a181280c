use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use super::accounts::no_account_text;
use super::{Trace, Writer, returned};
use crate::model::ServiceName;
use crate::password::PasswordHash;
use crate::registry::{ServiceSettings, StoreError};
use crate::store::error::{failed, or_missing};
use crate::store::rows::{SERVICE_COLUMNS, ServiceRow, json as column, service_settings};
use crate::store::service_place;

impl Writer<'_> {
    pub(super) async fn put_service(
        &mut self,
        service: &ServiceSettings,
        password: Option<&PasswordHash>,
    ) -> Result<Trace, StoreError> {
        let before = self.stored_service(&service.name).await?;
        if before.is_none() && password.is_none() {
            return Err(StoreError::Conflict(format!("service account {} needs a password", service.name)));
        }
        let query = "INSERT INTO service_account (name, account, kind, roles, enabled, credential_version) \
                     VALUES ($1, $2, $3, $4, $5, $6) \
                     ON CONFLICT (name) DO UPDATE SET account = $2, kind = $3, roles = $4, enabled = $5 RETURNING number";
        let query = sqlx::query_scalar(query)
            .bind(service.name.as_str())
            .bind(service.account.as_str())
            .bind(service.kind.as_str())
            .bind(column(&service.roles)?)
            .bind(service.enabled)
            .bind(self.version);
        let rows = query.fetch_all(&mut *self.connection).await;
        let number = returned(rows.map_err(|e| or_missing(e, || no_account_text(&service.account)))?)?;
        let mut after = service_json(service);
        if let Some(password) = password {
            let blob = self.sealer.seal(&password.to_phc(), service_place(service.name.as_str(), number))?;
            let query = "UPDATE service_account SET sealed = $1, credential_version = $2 WHERE number = $3";
            let query = sqlx::query(query).bind(blob).bind(self.version).bind(number);
            query.execute(&mut *self.connection).await.map_err(failed)?;
            after["password"] = "new".into();
        }
        Ok(Trace { before: before.as_ref().map(service_json), after: Some(after) })
    }

    pub(super) async fn delete_service(&mut self, name: &ServiceName) -> Result<Trace, StoreError> {
        let missing = || StoreError::Conflict(format!("service account {name} does not exist"));
        let before = self.stored_service(name).await?.ok_or_else(missing)?;
        let query = sqlx::query("DELETE FROM service_account WHERE name = $1").bind(name.as_str());
        query.execute(&mut *self.connection).await.map_err(failed)?;
        Ok(Trace { before: Some(service_json(&before)), after: None })
    }

    async fn stored_service(&mut self, name: &ServiceName) -> Result<Option<ServiceSettings>, StoreError> {
        let query = AssertSqlSafe(format!("SELECT {SERVICE_COLUMNS} FROM service_account WHERE name = $1"));
        let query = sqlx::query_as(query).bind(name.as_str());
        let row: Option<ServiceRow> = query.fetch_optional(&mut *self.connection).await.map_err(failed)?;
        row.as_ref().map(service_settings).transpose()
    }
}

fn service_json(service: &ServiceSettings) -> Value {
    json!({
        "account": service.account,
        "kind": service.kind,
        "roles": service.roles,
        "enabled": service.enabled,
    })
}
