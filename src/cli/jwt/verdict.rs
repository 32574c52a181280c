//! Whether a token is good for a gateway, whichever route it is used on.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::super::Failure;
use super::super::open::{issued_tokens, now, open_store};
use crate::config;
use crate::model::printable_lines;
use crate::policy::{AuthenticatorKind, Explanation, JwtAuthenticator, Moment, explain_token};
use crate::registry::{Repository as _, Snapshot};

const DEFAULT: &str = "config/scopegate.toml";

#[derive(Debug, Args)]
pub(super) struct GatewayArgument {
    /// The configuration of the gateway that is to judge the token [default: config/scopegate.toml, if it is there]
    #[arg(id = "config", short = 'c', long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl GatewayArgument {
    /// Prints a verdict for each kind of route. Exit status 1 where a configuration was named and the token is good for none
    /// of its routes.
    pub async fn judge(&self, token: &str) -> Result<ExitCode, Failure> {
        let path = match &self.config {
            Some(path) => path.clone(),
            None if PathBuf::from(DEFAULT).exists() => DEFAULT.into(),
            None => {
                println!("the signature was not checked: -c FILE names the configuration of a gateway that does");
                return Ok(ExitCode::SUCCESS);
            }
        };
        match verdicts(token, &path).await {
            Ok((is_good, text)) => {
                print!("{}", printable_lines(&text));
                Ok(if is_good || self.config.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
            }
            // The token was read all the same; only who asks for a verdict is owed one.
            Err(failure) if self.config.is_none() => {
                println!("the signature was not checked: {}", printable_lines(&failure.to_string()));
                Ok(ExitCode::SUCCESS)
            }
            Err(failure) => Err(failure),
        }
    }
}

async fn verdicts(token: &str, path: &std::path::Path) -> Result<(bool, String), Failure> {
    let config =
        config::load(path).map_err(|error| Failure::new(format!("the configuration can't be used\n{error}")))?;
    let store = open_store(&config).await?;
    let (loaded, issued) = (store.load().await, issued_tokens(&store, &config).await);
    store.close().await;
    let issued = issued?;
    let (version, registry) = loaded?;
    let registry = Snapshot::new(version, registry);
    let (mut seen, mut is_good, mut text) = (Vec::new(), false, String::new());
    for authenticator in config.routes.routes().iter().map(|route| &route.authenticator) {
        let AuthenticatorKind::Jwt(jwt) = &authenticator.kind else { continue };
        if seen.contains(&&authenticator.name) {
            continue;
        }
        seen.push(&authenticator.name);
        let story = explain_token(token.as_bytes(), jwt, Moment { registry: &registry, issuance: &issued, now: now() });
        is_good |= story.is_allowed();
        text.push_str(&verdict(authenticator.name.as_str(), jwt, &story));
    }
    if seen.is_empty() {
        text.push_str("verdict: no route of this gateway takes tokens\n");
    }
    Ok((is_good, text))
}

fn verdict(name: &str, jwt: &JwtAuthenticator, story: &Explanation) -> String {
    let mut text = match story.failure() {
        None => {
            let of = |check: &str| story.checks.iter().find(|c| c.name == check).map_or("", |c| c.detail.as_str());
            format!("verdict for {name} (header {}): good; app {}; {}\n", jwt.header, of("app"), of("signature"))
        }
        Some(check) => {
            let reason = story.reason.map(|reason| reason.code()).unwrap_or_default();
            format!("verdict for {name} (header {}): {reason}: {}\n", jwt.header, check.detail)
        }
    };
    let lines = story.hints.iter().chain(&story.warnings);
    lines.for_each(|line| text.push_str(&format!("  {line}\n")));
    text
}
