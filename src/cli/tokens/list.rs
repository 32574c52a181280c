use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::number_of;
use crate::cli::Failure;
use crate::cli::open::{ConfigArgument, now, open_store};
use crate::cli::table::table;
use crate::clock::Timestamp;
use crate::model::{AppNumber, ClientId};
use crate::registry::Repository as _;
use crate::tokens::{AppTokens, IssuedToken, Revocation, TokenRepository as _, TokenStates, TokenVersion};

/// List the tokens that are on record, and what was revoked
#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    #[command(flatten)]
    config: ConfigArgument,
    /// Those of one app
    #[arg(long, value_name = "CLIENT_ID", value_parser = ClientId::new)]
    app: Option<ClientId>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// One token on record, or one revocation.
#[derive(Serialize)]
struct Row {
    app: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_before: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issued: Option<String>,
    /// Until when it is, or was, good; of a revocation: until when it is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
}

impl List {
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let config = self.config.load()?;
        let store = open_store(&config).await?;
        let (_, registry) = store.load().await?;
        let delta = store.token_changes_since(TokenVersion::default()).await?;
        store.close().await;
        let wanted = self.app.as_ref().map(|app| number_of(&registry, app)).transpose()?;
        let name = |number: AppNumber| registry.apps.values().find(|app| app.number == number);
        let now = now();
        let apps = delta.apps.iter().filter(|(number, _)| wanted.is_none_or(|wanted| wanted == *number));
        let named = apps.filter_map(|(number, states)| Some((name(*number)?.settings.client_id.as_str(), states)));
        let rows: Vec<_> = named.flat_map(|(app, states)| rows(app, states, now)).collect();
        if self.json {
            println!("{}", serde_json::to_string_pretty(&rows)?);
        } else if rows.is_empty() {
            println!("no tokens are on record, and none were revoked");
        } else {
            print!("{}", shown(&rows));
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn rows(app: &str, states: &TokenStates, now: Timestamp) -> Vec<Row> {
    let TokenStates { issued: AppTokens { current, superseded }, revoked } = states;
    let issued = |token: &IssuedToken, state, until: Timestamp| Row {
        app: app.to_owned(),
        state,
        jti: Some(token.jti.to_string()),
        sub: None,
        issued_before: None,
        issued: Some(token.issued_at.to_string()),
        until: Some(until.to_string()),
    };
    let ended = |until: Timestamp, state, ended| if now < until { state } else { ended };
    let current =
        current.iter().map(|token| issued(token, ended(token.expires_at, "current", "expired"), token.expires_at));
    let superseded =
        superseded.iter().map(|s| issued(&s.token, ended(s.good_until, "in grace", "superseded"), s.good_until));
    let revoked = revoked.iter().map(|(revocation, until)| {
        let (mut jti, mut sub, mut before) = (None, None, None);
        match revocation {
            Revocation::Token(id) => jti = Some(id.to_string()),
            Revocation::Subject { subject, issued_before } => {
                (sub, before) = (Some(subject.to_string()), Some(issued_before.to_string()));
            }
            Revocation::IssuedBefore(then) => before = Some(then.to_string()),
        }
        let until = (*until != Timestamp::MAX).then(|| until.to_string());
        Row { app: app.to_owned(), state: "revoked", jti, sub, issued_before: before, issued: None, until }
    });
    current.chain(superseded).chain(revoked).collect()
}

fn shown(rows: &[Row]) -> String {
    let cells: Vec<_> = rows
        .iter()
        .map(|row| {
            let what = match (&row.jti, &row.sub, &row.issued_before) {
                (Some(jti), ..) => format!("jti {jti}"),
                (None, Some(sub), Some(before)) => format!("sub {sub}, issued before {before}"),
                (None, _, Some(before)) => format!("all issued before {before}"),
                (None, ..) => String::new(),
            };
            let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
            [row.app.clone(), row.state.into(), what, text(&row.issued), text(&row.until)]
        })
        .collect();
    table(["APP", "STATE", "TOKENS", "ISSUED", "UNTIL"], &cells)
}
