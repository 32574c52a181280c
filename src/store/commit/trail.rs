//! What a commit leaves behind: the change log, which nodes follow, and the audit.

use serde_json::Value;
use sqlx::QueryBuilder;

use crate::registry::{Actor, Change, StoreError};
use crate::store::error::failed;
use crate::store::sqlite::{Connection, Db};

/// Rows a statement: a plan may have 100,000 changes, and each statement is a message to the database's thread.
const BATCH: usize = 64;

/// What a change met and what it left; without secrets.
pub struct Trace {
    pub before: Option<Value>,
    pub after: Option<Value>,
}

impl Trace {
    fn action(&self) -> &'static str {
        match (&self.before, &self.after) {
            (None, _) => "add",
            (Some(_), Some(_)) => "change",
            (Some(_), None) => "delete",
        }
    }

    /// The account that stands in it, of a bot or an app.
    pub fn account(&self) -> Option<String> {
        let shown = self.after.as_ref().or(self.before.as_ref())?;
        shown.get("account")?.as_str().map(str::to_owned)
    }
}

/// The rows of both tables that are not written yet.
pub struct Trail<'a> {
    actor: &'a Actor,
    rows: Vec<Step<'a>>,
}

/// A change that was carried out.
pub struct Step<'a> {
    pub version: i64,
    pub change: &'a Change,
    pub account: Option<String>,
    pub trace: Trace,
}

impl<'a> Trail<'a> {
    pub fn new(actor: &'a Actor) -> Self {
        Self { actor, rows: Vec::with_capacity(BATCH) }
    }

    pub async fn add(&mut self, connection: &mut Connection, step: Step<'a>) -> Result<(), StoreError> {
        self.rows.push(step);
        if self.rows.len() < BATCH { Ok(()) } else { self.write(connection).await }
    }

    /// Writes what is not written yet.
    pub async fn write(&mut self, connection: &mut Connection) -> Result<(), StoreError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let at = self.actor.at.millis();
        let mut log = QueryBuilder::<Db>::new("INSERT INTO change (version, at, kind, id) ");
        log.push_values(&self.rows, |mut row, step| {
            let (kind, id) = step.entity();
            row.push_bind(step.version).push_bind(at).push_bind(kind).push_bind(id);
        });
        log.build().execute(&mut *connection).await.map_err(failed)?;
        let text = "INSERT INTO audit (at, actor, account, kind, subject, action, before, after, why) ";
        let mut audit = QueryBuilder::<Db>::new(text);
        audit.push_values(&self.rows, |mut row, step| {
            let (kind, subject) = step.change.subject();
            row.push_bind(at).push_bind(&self.actor.name).push_bind(step.account.as_ref());
            row.push_bind(kind).push_bind(subject);
            row.push_bind(step.trace.action()).push_bind(step.trace.before.as_ref().map(Value::to_string));
            row.push_bind(step.trace.after.as_ref().map(Value::to_string)).push_bind(self.actor.why.as_ref());
        });
        audit.build().execute(&mut *connection).await.map_err(failed)?;
        self.rows.clear();
        Ok(())
    }
}

impl Step<'_> {
    /// What nodes have to read anew; a key, a grant or an installation is a part of its app.
    fn entity(&self) -> (&'static str, &str) {
        match self.change.subject() {
            (kind @ ("account" | "bot" | "service_account"), id) => (kind, id),
            (_, app) => ("app", app),
        }
    }
}
