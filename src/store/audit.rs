use serde_json::Value;
use sqlx::QueryBuilder;

use super::Store;
use super::error::failed;
use super::sqlite::{Connection, Db};
use crate::clock::Timestamp;
use crate::model::{AccountId, ClientId};
use crate::registry::{Actor, StoreError};

/// What was changed, by whom, when and why. No secret is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    pub id: i64,
    pub at: Timestamp,
    pub actor: String,
    /// Whose it was; none where that was not known.
    pub account: Option<String>,
    /// `account`, `bot`, `service_account`, `app`, `key`, `grant`, `table_grant`, `installation`, `token`, `signing_key`, or
    /// `registry` for all of them.
    pub kind: String,
    /// The id of the account or bot, the name of the service account, or the client id of the app that the rest belongs to.
    pub subject: String,
    /// `add`, `change` or `delete`; `reveal` where a secret was asked for; `issue`, `refresh`, `invalidate` or `revoke` of tokens.
    pub action: String,
    /// As JSON.
    pub before: Option<String>,
    /// As JSON.
    pub after: Option<String>,
    pub why: Option<String>,
}

/// Which rows of the audit; those that every given part names.
#[derive(Clone, Debug)]
pub struct AuditFilter {
    pub account: Option<AccountId>,
    /// The app with its keys and grants.
    pub app: Option<ClientId>,
    pub actor: Option<String>,
    /// Not before then.
    pub since: Option<Timestamp>,
    /// Rows older than that one: the next page.
    pub before: Option<i64>,
    /// The most that are read.
    pub limit: u32,
}

impl AuditFilter {
    /// The latest rows of all.
    pub fn latest(limit: u32) -> Self {
        Self { account: None, app: None, actor: None, since: None, before: None, limit }
    }
}

/// Something that changed nothing and is to be known all the same, such as that a secret was shown.
#[derive(Clone, Copy, Debug)]
pub struct Note<'a> {
    pub kind: &'a str,
    pub subject: &'a str,
    pub account: Option<&'a AccountId>,
    pub action: &'a str,
    pub after: &'a Value,
}

type Row = (i64, i64, String, Option<String>, String, String, String, Option<String>, Option<String>, Option<String>);

impl Note<'_> {
    /// Within a transaction, beside what it tells of.
    pub(super) async fn write(&self, connection: &mut Connection, actor: &Actor) -> Result<(), StoreError> {
        let query = "INSERT INTO audit (at, actor, account, kind, subject, action, after, why) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        let query = sqlx::query(query)
            .bind(actor.at.millis())
            .bind(&actor.name)
            .bind(self.account.map(AccountId::as_str))
            .bind(self.kind)
            .bind(self.subject)
            .bind(self.action)
            .bind(self.after.to_string())
            .bind(actor.why.as_ref());
        query.execute(connection).await.map_err(failed)?;
        Ok(())
    }
}

impl Store {
    /// Rows of the audit, newest first.
    ///
    /// # Errors
    /// When the store can't be reached.
    pub async fn audit(&self, filter: &AuditFilter) -> Result<Vec<AuditRow>, StoreError> {
        let text = "SELECT id, at, actor, account, kind, subject, action, before, after, why FROM audit WHERE 1 = 1";
        let mut query = QueryBuilder::<Db>::new(text);
        if let Some(account) = &filter.account {
            query.push(" AND account = ").push_bind(account.as_str());
        }
        if let Some(app) = &filter.app {
            query
                .push(" AND kind NOT IN ('account', 'bot', 'service_account', 'registry') AND subject = ")
                .push_bind(app.as_str());
        }
        if let Some(actor) = &filter.actor {
            query.push(" AND actor = ").push_bind(actor);
        }
        if let Some(since) = filter.since {
            query.push(" AND at >= ").push_bind(since.millis());
        }
        if let Some(before) = filter.before {
            query.push(" AND id < ").push_bind(before);
        }
        query.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from(filter.limit));
        let rows = query.build_query_as().fetch_all(&mut *self.database.read().await?).await.map_err(failed)?;
        Ok(rows.into_iter().map(audit_row).collect())
    }

    /// Writes a row of the audit that belongs to no change.
    ///
    /// # Errors
    /// When the store can't be reached.
    pub async fn note(&self, note: Note<'_>, actor: &Actor) -> Result<(), StoreError> {
        let mut transaction = self.database.write().await?;
        note.write(&mut transaction, actor).await?;
        transaction.commit().await.map_err(failed)
    }
}

fn audit_row((id, at, actor, account, kind, subject, action, before, after, why): Row) -> AuditRow {
    let at = Timestamp::from_millis(at);
    AuditRow { id, at, actor, account, kind, subject, action, before, after, why }
}
