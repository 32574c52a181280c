use sqlx::AssertSqlSafe;

use super::Store;
use super::error::failed;
use super::rows::{VERSION_COLUMNS, VersionRow, grant_version};
use crate::model::ClientId;
use crate::registry::{GrantVersion, StoreError};

impl Store {
    /// What was ever put in force, for an app or for all: by app and target, and each of them from its first version on.
    ///
    /// # Errors
    /// When the store can't be reached or read.
    pub async fn grant_history(&self, app: Option<&ClientId>) -> Result<Vec<GrantVersion>, StoreError> {
        let query = AssertSqlSafe(format!(
            "SELECT {VERSION_COLUMNS} FROM grant_history JOIN app ON app.number = grant_history.app \
             WHERE $1 IS NULL OR client_id = $1 ORDER BY client_id, target_kind, target_id, version"
        ));
        let query = sqlx::query_as(query).bind(app.map(ClientId::as_str));
        let rows: Vec<VersionRow> = query.fetch_all(&mut *self.database.read().await?).await.map_err(failed)?;
        rows.into_iter().map(grant_version).collect()
    }
}
