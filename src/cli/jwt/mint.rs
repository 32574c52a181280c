//! A token, made here.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use http::Uri;
use serde_json::{Map, Value};

use super::super::Failure;
use super::super::ask::ask;
use super::super::call::{CallArguments, base_address};
use super::super::encrypt::EncryptTo;
use super::super::signer::{Manner, SignerArgument};
use super::super::skew;
use super::curl::CurlArguments;
use crate::clock::{Clock, Timestamp};
use crate::config::positive_duration;
use crate::jose::sign;
use crate::model::{Algorithm, ClientId};

/// Make a token
///
/// What no flag and no variable gives is asked for, on a terminal or line by line on standard input: first the path of
/// the key, then the app's id. Standard output holds the token alone.
#[derive(Debug, Args)]
pub(in super::super) struct Mint {
    /// Whose rules the token follows; the flags below change single ones
    #[arg(long, value_enum, default_value = "kore")]
    profile: Profile,
    /// The app's id [env: SCOPEGATE_APP_ID or SCOPEGATE_CLIENT_ID]
    #[arg(long, visible_alias = "app-id", value_name = "ID")]
    client_id: Option<String>,
    /// The claim that names the app [default: appId; of icr: iss]
    #[arg(long, value_name = "NAME")]
    app_claim: Option<String>,
    /// The signature algorithm [default: HS256; of icr: RS256, and no other]
    #[arg(long)]
    alg: Option<Algorithm>,
    #[command(flatten)]
    key: SignerArgument,
    /// Sign also with a secret that is a tool's placeholder
    #[arg(long)]
    allow_placeholder: bool,
    /// The key's name, for apps with several keys
    #[arg(long)]
    kid: Option<String>,
    /// How long from now the token is good [default: 10m; of icr: 9m]
    #[arg(long, value_name = "TIME", value_parser = positive_duration)]
    lifetime: Option<Duration>,
    /// Leave exp and iat out
    #[arg(long)]
    no_times: bool,
    /// Another claim, also instead of exp or iat: the value is JSON, or text if it is none
    #[arg(long = "claim", value_name = "NAME=VALUE")]
    claims: Vec<String>,
    /// What this machine's clock says, RFC 3339 or seconds since 1970, instead of the clock itself
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// Correct the clock by that of the gateway at this address, which any answer of it tells
    #[arg(long, value_name = "URL")]
    clock_from: Option<String>,
    #[command(flatten)]
    call: CallArguments,
    /// Print the token and nothing else, also no warnings
    #[arg(long)]
    quiet: bool,
    #[command(flatten)]
    curl: CurlArguments,
    #[command(flatten)]
    encrypt: EncryptTo,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Profile {
    /// HS256, the app in appId
    Kore,
    /// RS256, the app in iss, iat a minute back, at most ten minutes ahead
    Icr,
}

/// What a profile says, where no flag does.
struct Shape {
    algorithm: Algorithm,
    app_claim: &'static str,
    /// How long ago the token says that it was made, for gateways whose clock is behind.
    backdated: Duration,
    lifetime: Duration,
}

impl Profile {
    fn shape(self) -> Shape {
        let seconds = Duration::from_secs;
        match self {
            Self::Kore => Shape {
                algorithm: Algorithm::Hs256,
                app_claim: "appId",
                backdated: Duration::ZERO,
                lifetime: seconds(600),
            },
            Self::Icr => icr(),
        }
    }
}

fn icr() -> Shape {
    Shape {
        algorithm: Algorithm::Rs256,
        app_claim: "iss",
        backdated: Duration::from_secs(60),
        lifetime: Duration::from_secs(540),
    }
}

/// Ahead of the gateway's clock, at the most (platforms.md section 3.1).
const ICR_CEILING: Duration = Duration::from_secs(600);
/// What leaves room for a clock that is a little fast.
const ICR_SENSIBLE: Duration = Duration::from_secs(590);

/// The claims of an ICR app's own token (platforms.md section 3.1): `iat` a minute back, `exp` nine minutes ahead.
pub(in super::super) fn icr_claims(app_id: &str, now: Timestamp) -> String {
    let shape = icr();
    times(app_id, &shape, now, shape.lifetime).to_string()
}

fn times(app_id: &str, shape: &Shape, now: Timestamp, lifetime: Duration) -> Value {
    let mut claims = Map::new();
    claims.insert(shape.app_claim.to_owned(), app_id.into());
    claims.insert("iat".to_owned(), now.before(shape.backdated).secs().into());
    claims.insert("exp".to_owned(), now.after(lifetime).secs().into());
    claims.into()
}

impl Mint {
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let shape = self.profile.shape();
        let algorithm = self.alg.unwrap_or(shape.algorithm);
        if self.profile == Profile::Icr && algorithm != shape.algorithm {
            return Err(Failure::new(format!("the icr profile takes RS256 and no {algorithm}")));
        }
        let may_ask = !self.key.takes_stdin();
        let manner = Manner { is_quiet: self.quiet, allows_placeholder: self.allow_placeholder, may_ask };
        let key = self.key.read(algorithm, manner)?;
        let app_id = app_id(self.client_id.clone(), manner)?;
        let claims = self.claims(&shape, &app_id, manner).await?;
        let signed = sign(algorithm, self.kid.as_deref(), &claims.to_string(), &key)?;
        let token = self.encrypt.wrap(signed)?;
        println!("{}", self.curl.line(&token)?.unwrap_or(token));
        Ok(ExitCode::SUCCESS)
    }

    async fn claims(&self, shape: &Shape, app_id: &str, manner: Manner) -> Result<Value, Failure> {
        let lifetime = self.lifetime.unwrap_or(shape.lifetime);
        if self.profile == Profile::Icr && !self.no_times {
            warn_of_lifetime(lifetime, manner);
        }
        let mut claims = times(app_id, shape, self.now(manner).await?, lifetime);
        if self.no_times {
            claims = Value::Object(Map::from_iter([(shape.app_claim.to_owned(), app_id.into())]));
        }
        if let (Some(name), Some(members)) = (&self.app_claim, claims.as_object_mut()) {
            members.remove(shape.app_claim);
            members.insert(name.clone(), app_id.into());
        }
        for claim in &self.claims {
            let no_claim = || Failure::new(format!("{claim:?} is no claim: write NAME=VALUE"));
            let (name, text) = claim.split_once('=').ok_or_else(no_claim)?;
            if name == "alg" {
                return Err(Failure::new("alg stands in a token's header and in no claim: name it with --alg"));
            }
            claims[name] = serde_json::from_str(text).unwrap_or_else(|_| text.into());
        }
        Ok(claims)
    }

    /// By this machine's clock, corrected if that is wanted.
    async fn now(&self, manner: Manner) -> Result<Timestamp, Failure> {
        let clock = self.at.map_or(Clock::System, |at| Clock::manual(at).0);
        let Some(from) = &self.clock_from else { return Ok(clock.now()) };
        let url: Uri = base_address(from)?;
        let skew = skew::ask(&url, &self.call.caller(), &clock).await?;
        if skew.is_seen() {
            manner
                .warn(format_args!("this machine's clock is {skew}, by that of {url}; the token is corrected for it"));
        }
        Ok(skew.corrected(clock.now()))
    }
}

fn warn_of_lifetime(lifetime: Duration, manner: Manner) {
    let ahead = humantime::format_duration(lifetime);
    if lifetime > ICR_CEILING {
        manner.warn(format_args!("exp is {ahead} ahead, and more than 10 minutes are refused: use 9m"));
    } else if lifetime > ICR_SENSIBLE {
        manner.warn(format_args!(
            "exp is {ahead} ahead: where this machine's clock is a little fast, it is refused as too far in the future; \
             use 9m"
        ));
    }
}

/// By flag, else by environment, else by question; without what was copied with it.
pub(in super::super) fn app_id(given: Option<String>, manner: Manner) -> Result<String, Failure> {
    const VARIABLES: [&str; 2] = ["SCOPEGATE_APP_ID", "SCOPEGATE_CLIENT_ID"];
    let of_environment = || {
        let set = VARIABLES.into_iter().find_map(|name| Some((name, std::env::var(name).ok()?)));
        set.map(|(name, value)| (name.to_owned(), value))
    };
    let (origin, text) = match given.map(|id| ("--app-id".to_owned(), id)).or_else(of_environment) {
        Some(found) => found,
        None => {
            let answer = if manner.may_ask { ask("The app's id", manner.is_quiet)? } else { None };
            let missing = "there is no app id: give --app-id (or --client-id), or set SCOPEGATE_APP_ID";
            ("the answer".to_owned(), answer.ok_or_else(|| Failure::new(missing))?)
        }
    };
    let id = text.trim_matches(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '\'' | '\u{feff}'));
    if id.is_empty() {
        return Err(Failure::new(format!("{origin}: the app id is empty; is the variable set that should hold it?")));
    }
    if id.len() != text.len() {
        manner.warn(format_args!("{origin}: the app id is {text:?}, with what does not belong to it; {id} is used"));
    }
    let id = ClientId::new(id).map_err(|error| Failure::new(format!("{origin}: {id:?} is no app id: {error}")))?;
    Ok(id.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SILENT: Manner = Manner { is_quiet: true, allows_placeholder: false, may_ask: false };

    #[test]
    fn f170_an_app_token_ends_nine_minutes_ahead() {
        let now = Timestamp::from_secs(1_795_348_800);
        let claims: Value = serde_json::from_str(&icr_claims("123", now)).unwrap();
        assert_eq!(claims, serde_json::json!({ "iss": "123", "iat": 1_795_348_740, "exp": 1_795_349_340 }));
    }

    #[test]
    fn an_app_id_loses_what_was_copied_with_it() {
        let id = |text: &str| app_id(Some(text.to_owned()), SILENT);
        for text in ["123", " 123\n", "\"123\"", "123\r", "\u{feff}123"] {
            assert_eq!(id(text).unwrap(), "123", "{text:?}");
        }
        assert!(id("").unwrap_err().to_string().contains("is empty"));
        assert!(id("12\u{200b}3").unwrap_err().to_string().contains("\\u{200b}"));
    }
}
