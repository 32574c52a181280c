use super::Store;
use super::error::failed;
use crate::clock::Timestamp;
use crate::registry::StoreError;

/// What was changed, by whom, when and why. No secret is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    pub id: i64,
    pub at: Timestamp,
    pub actor: String,
    /// `account`, `bot`, `app`, `key`, `grant` or `table_grant`.
    pub kind: String,
    /// The id of the account or bot, or the client id of the app that the key or grant belongs to.
    pub subject: String,
    /// `add`, `change` or `delete`.
    pub action: String,
    /// As JSON.
    pub before: Option<String>,
    /// As JSON.
    pub after: Option<String>,
    pub why: Option<String>,
}

type Row = (i64, i64, String, String, String, String, Option<String>, Option<String>, Option<String>);

impl Store {
    /// The latest rows of the audit, newest first.
    ///
    /// # Errors
    /// When the store can't be reached.
    pub async fn audit(&self, limit: u32) -> Result<Vec<AuditRow>, StoreError> {
        let query = "SELECT id, at, actor, kind, subject, action, before, after, why FROM audit \
                     ORDER BY id DESC LIMIT $1";
        let rows = sqlx::query_as(query).bind(i64::from(limit)).fetch_all(self.database.readers()).await;
        Ok(rows.map_err(failed)?.into_iter().map(audit_row).collect())
    }
}

fn audit_row((id, at, actor, kind, subject, action, before, after, why): Row) -> AuditRow {
    AuditRow { id, at: Timestamp::from_millis(at), actor, kind, subject, action, before, after, why }
}
