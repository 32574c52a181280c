//! When keys were last used: apart from the registry, of which a use is no change.

use std::collections::BTreeMap;

use super::Store;
use super::error::failed;
use crate::clock::Timestamp;
use crate::model::ClientId;
use crate::registry::{KeyNumber, StoreError};

impl Store {
    /// When each key of an app was last used, as far as that was written down; keys that never were are left out.
    ///
    /// # Errors
    /// When the store can't be reached.
    pub async fn key_uses(&self, app: &ClientId) -> Result<BTreeMap<KeyNumber, Timestamp>, StoreError> {
        let query = "SELECT app_key.number, last_used_at FROM app_key JOIN app ON app.number = app_key.app \
                     WHERE client_id = $1 AND last_used_at IS NOT NULL";
        let query = sqlx::query_as(query).bind(app.as_str());
        let rows: Vec<(i64, i64)> = query.fetch_all(self.database.readers()).await.map_err(failed)?;
        Ok(rows.into_iter().map(|(number, at)| (KeyNumber(number), Timestamp::from_millis(at))).collect())
    }
}
