use std::process::ExitCode;

use clap::{ArgGroup, Args};
use serde_json::json;

use super::number_of;
use crate::cli::Failure;
use crate::cli::edit::EditArguments;
use crate::clock::Timestamp;
use crate::model::{ClientId, TokenId};
use crate::registry::Part;
use crate::tokens::{Revocation, TokenRepository as _};

/// Revoke tokens of an app: one by its jti, those of a subject, or all that were issued before a time
///
/// Acts on the next request here, and within a second on other nodes. A token that does not say when it was issued counts
/// as issued before any time.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("which").required(true).multiple(true).args(["jti", "subject", "issued_before"])))]
pub(in crate::cli) struct Revoke {
    #[command(flatten)]
    edit: EditArguments,
    /// Whose
    #[arg(long, value_name = "CLIENT_ID", value_parser = ClientId::new)]
    app: ClientId,
    /// The one with this jti
    #[arg(long, value_name = "JTI", value_parser = TokenId::new, conflicts_with_all = ["subject", "issued_before"])]
    jti: Option<TokenId>,
    /// Those of this sub, issued before now if no time is given
    #[arg(long = "sub", value_name = "SUB")]
    subject: Option<String>,
    /// Those issued before: RFC 3339, or seconds since 1970
    #[arg(long, value_name = "TIME")]
    issued_before: Option<Timestamp>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Revoke {
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let Self { edit, app, jti, subject, issued_before, json } = self;
        let session = edit.open().await?;
        let registry = session.part(&Part::app(&app)).await?;
        let number = number_of(&registry, &app)?;
        let actor = session.actor();
        let before = issued_before.unwrap_or(actor.at);
        let revocation = match (jti, subject) {
            (Some(jti), _) => Revocation::Token(jti),
            (None, Some(subject)) => Revocation::Subject { subject: subject.into(), issued_before: before },
            (None, None) => Revocation::IssuedBefore(before),
        };
        if !session.dry_run {
            // A token is on no record, so nobody knows when the last of them ends.
            session.store.revoke(number, &revocation, Timestamp::MAX, &actor).await?;
        }
        let what = match &revocation {
            Revocation::Token(jti) => format!("the token with jti {jti}"),
            Revocation::Subject { subject, issued_before } => {
                format!("tokens of sub {subject:?} issued before {issued_before}")
            }
            Revocation::IssuedBefore(then) => format!("all tokens issued before {then}"),
        };
        if json {
            println!("{:#}", json!({ "app": app, "revoked": what, "dry_run": session.dry_run }));
        } else if session.dry_run {
            println!("would be revoked (dry run), of app {app}: {what}");
        } else {
            println!("revoked, of app {app}: {what}");
        }
        let status = if session.dry_run { ExitCode::from(2) } else { ExitCode::SUCCESS };
        session.store.close().await;
        Ok(status)
    }
}
