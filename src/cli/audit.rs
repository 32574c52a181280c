use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value};

use super::Failure;
use super::open::{ConfigArgument, open_store};
use crate::clock::Timestamp;
use crate::model::{AccountId, ClientId};
use crate::store::{AuditFilter, AuditRow};

/// Tell what was changed in the registry: by whom, when, from what to what, and why; newest first
#[derive(Debug, Args)]
pub(super) struct Audit {
    #[command(flatten)]
    config: ConfigArgument,
    /// What was done to one app, its keys and its grants
    #[arg(long, value_name = "ID", value_parser = ClientId::new)]
    app: Option<ClientId>,
    /// What was done in one account
    #[arg(long, value_name = "ID", value_parser = AccountId::new)]
    account: Option<AccountId>,
    /// What one person did, as it stands in the audit: cli:USER@HOST
    #[arg(long)]
    actor: Option<String>,
    /// Since when: RFC 3339, or seconds since 1970
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// The most rows
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    limit: u32,
    /// Rows older than the one of this id: the next page
    #[arg(long, value_name = "ROW")]
    before: Option<i64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A row as `audit --json` prints it.
#[derive(Serialize)]
struct RowView<'a> {
    id: i64,
    at: String,
    actor: &'a str,
    account: Option<&'a str>,
    action: &'a str,
    kind: &'a str,
    subject: &'a str,
    before: Value,
    after: Value,
    why: Option<&'a str>,
}

impl<'a> RowView<'a> {
    fn of(row: &'a AuditRow) -> Self {
        let value = |text: &Option<String>| {
            text.as_deref().map_or(Value::Null, |text| serde_json::from_str(text).unwrap_or_else(|_| text.into()))
        };
        Self {
            id: row.id,
            at: row.at.to_string(),
            actor: &row.actor,
            account: row.account.as_deref(),
            action: &row.action,
            kind: &row.kind,
            subject: &row.subject,
            before: value(&row.before),
            after: value(&row.after),
            why: row.why.as_deref(),
        }
    }

    /// A headline, and a line for each part that is another one now.
    fn print(&self) {
        let Self { id, at, actor, action, kind, subject, .. } = self;
        let which = which(kind, if self.after.is_null() { &self.before } else { &self.after });
        println!("{id}  {at}  {}  {action} {kind} {}{which}", actor.escape_debug(), subject.escape_debug());
        for line in differences(&self.before, &self.after) {
            println!("    {line}");
        }
        if let Some(why) = self.why {
            println!("    why: {}", why.escape_debug());
        }
    }
}

/// Which of an app's keys, grants or installations it is.
fn which(kind: &str, shown: &Value) -> String {
    if matches!(kind, "account" | "bot" | "app" | "service_account") {
        return String::new();
    }
    let names = ["id", "number", "kid", "bot", "account", "table", "view"];
    let parts = names.iter().filter_map(|name| shown.get(name).filter(|v| !v.is_null()).map(|v| format!("{name} {v}")));
    let parts: Vec<_> = parts.collect();
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}

/// What differs between two objects, and what there is where there is only one. JSON shows no control characters.
fn differences(before: &Value, after: &Value) -> Vec<String> {
    let none = Map::new();
    let members = |value: &Value| value.as_object().unwrap_or(&none).clone();
    let (old, new) = (members(before), members(after));
    let names: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let line = |name: &String| match (old.get(name), new.get(name)) {
        (Some(old), Some(new)) if old == new => None,
        (Some(old), Some(new)) => Some(format!("{name}: {old} -> {new}")),
        (None, only) | (only, None) => only.filter(|value| !value.is_null()).map(|value| format!("{name}: {value}")),
    };
    names.into_iter().filter_map(line).collect()
}

impl Audit {
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let config = self.config.load()?;
        let store = open_store(&config).await?;
        let limit = self.limit;
        let Self { account, app, actor, since, before, .. } = self;
        let rows = store.audit(&AuditFilter { account, app, actor, since, before, limit }).await?;
        store.close().await;
        let views: Vec<_> = rows.iter().map(RowView::of).collect();
        if self.json {
            println!("{}", serde_json::to_string_pretty(&views)?);
            return Ok(ExitCode::SUCCESS);
        }
        for view in &views {
            view.print();
        }
        match views.last() {
            None => println!("nothing was changed"),
            Some(last) if u32::try_from(views.len()).is_ok_and(|count| count == limit) => {
                println!("older rows: --before {}", last.id);
            }
            Some(_) => {}
        }
        Ok(ExitCode::SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_and_a_grant_are_named_beside_their_app() {
        assert_eq!(which("key", &json!({ "number": 7, "kid": null, "state": "active" })), " (number 7)");
        assert_eq!(which("grant", &json!({ "bot": "st-1", "draft": [] })), " (bot \"st-1\")");
        assert_eq!(which("installation", &json!({ "id": 42, "account": "acme" })), " (id 42, account \"acme\")");
        assert_eq!(which("app", &json!({ "account": "acme" })), "");
        assert_eq!(which("service_account", &json!({ "account": "acme" })), "");
    }

    #[test]
    fn a_change_shows_what_differs_and_the_rest_shows_all() {
        let (before, after) = (json!({ "a": 1, "b": "x", "c": null }), json!({ "a": 1, "b": "y", "c": [2] }));
        assert_eq!(differences(&before, &after), [r#"b: "x" -> "y""#, "c: null -> [2]"]);
        assert_eq!(differences(&Value::Null, &before), ["a: 1", r#"b: "x""#]);
        assert_eq!(differences(&before, &Value::Null), ["a: 1", r#"b: "x""#]);
        assert_eq!(differences(&Value::Null, &json!({ "why": "\u{1b}[2J" })), [r#"why: "\u001b[2J""#]);
    }
}
