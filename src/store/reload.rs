//! Requests to read the configuration anew, left in the store for running servers, and their answers.

use super::Store;
use super::commit::returned;
use super::error::{failed, or_missing};
use crate::clock::Timestamp;
use crate::registry::StoreError;

/// What a node made of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReloadOutcome {
    pub node: String,
    pub ok: bool,
    pub message: String,
}

impl Store {
    /// Asks every running server to reload; the number names the request.
    ///
    /// # Errors
    /// When the store can't be reached.
    pub async fn request_reload(&self, actor: &str, now: Timestamp) -> Result<i64, StoreError> {
        let mut transaction = self.database.write().await?;
        let query = "INSERT INTO reload_request (at, actor) VALUES ($1, $2) RETURNING id";
        let query = sqlx::query_scalar(query).bind(now.millis()).bind(actor);
        let id = returned(query.fetch_all(&mut *transaction).await.map_err(failed)?)?;
        transaction.commit().await.map_err(failed)?;
        Ok(id)
    }

    /// The requests after one, oldest first.
    ///
    /// # Errors
    /// When the store can't be reached.
    pub async fn reload_requests_since(&self, id: i64) -> Result<Vec<i64>, StoreError> {
        let query = sqlx::query_scalar("SELECT id FROM reload_request WHERE id > $1 ORDER BY id").bind(id);
        query.fetch_all(&mut *self.database.read().await?).await.map_err(failed)
    }

    /// The newest request, 0 if there was none: where a server that starts begins to listen.
    ///
    /// # Errors
    /// When the store can't be reached.
    pub async fn latest_reload_request(&self) -> Result<i64, StoreError> {
        let query = sqlx::query_scalar("SELECT COALESCE(MAX(id), 0) FROM reload_request");
        query.fetch_one(&mut *self.database.read().await?).await.map_err(failed)
    }

    /// Answers a request for a node; a second answer replaces the first.
    ///
    /// # Errors
    /// When the store can't be reached, or there is no such request.
    pub async fn report_reload(
        &self,
        request: i64,
        node: &str,
        ok: bool,
        message: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut transaction = self.database.write().await?;
        let query = "INSERT INTO reload_outcome (request_id, node, ok, message, at) VALUES ($1, $2, $3, $4, $5) \
                     ON CONFLICT (request_id, node) DO UPDATE SET ok = $3, message = $4, at = $5";
        let query = sqlx::query(query).bind(request).bind(node).bind(ok).bind(message).bind(now.millis());
        let done = query.execute(&mut *transaction).await;
        done.map_err(|e| or_missing(e, || format!("reload request {request} does not exist")))?;
        transaction.commit().await.map_err(failed)
    }

    /// The answers so far, by node.
    ///
    /// # Errors
    /// When the store can't be reached.
    pub async fn reload_outcomes(&self, request: i64) -> Result<Vec<ReloadOutcome>, StoreError> {
        let query = "SELECT node, ok, message FROM reload_outcome WHERE request_id = $1 ORDER BY node";
        let rows =
            sqlx::query_as(query).bind(request).fetch_all(&mut *self.database.read().await?).await.map_err(failed)?;
        Ok(rows.into_iter().map(|(node, ok, message)| ReloadOutcome { node, ok, message }).collect())
    }
}
