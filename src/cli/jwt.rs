mod clock;
mod curl;
mod lint;
mod mint;
mod verdict;

use std::net::IpAddr;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Map, Value};

pub(super) use mint::{app_id, icr_claims};

use super::Failure;
use super::encrypt;
use super::open::{ConfigArgument, issued_tokens, now, open_store};
use super::token::TokenArgument;
use crate::clock::Timestamp;
use crate::gateway::told;
use crate::jose::{Compact, read_time};
use crate::model::{printable_json, printable_lines};
use crate::policy::{
    Attempt, Explanation, Found, Outcome, RouteTable, State, canonical_host, explain, judge, likely_mistakes,
};
use crate::registry::{Repository as _, Snapshot};

/// Make tokens, read them, and find out why one is refused
#[derive(Debug, Subcommand)]
pub(super) enum Jwt {
    Mint(Box<mint::Mint>),
    Decode(Decode),
    Explain(Box<Explain>),
    Clock(clock::CompareClock),
    Lint(lint::Lint),
}

impl Jwt {
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Mint(mint) => mint.run().await,
            Self::Decode(decode) => decode.run().await,
            Self::Explain(explain) => explain.run().await,
            Self::Clock(clock) => clock.run().await,
            Self::Lint(lint) => lint.run(),
        }
    }
}

/// More than any gateway takes.
const MAX_TOKEN: usize = 1 << 20;

/// Print what a token says, and whether it is good for the gateway whose configuration is at hand
#[derive(Debug, Args)]
pub(super) struct Decode {
    #[command(flatten)]
    token: TokenArgument,
    #[command(flatten)]
    gateway: verdict::GatewayArgument,
}

impl Decode {
    async fn run(self) -> Result<ExitCode, Failure> {
        let token = self.token.read()?;
        if let Some(described) = encrypt::describe(&token, MAX_TOKEN) {
            println!("{}", printable_lines(&described?));
            return self.gateway.judge(&token).await;
        }
        let compact =
            Compact::parse(token.as_bytes(), MAX_TOKEN).map_err(|error| Failure::new(format!("no token: {error}")))?;
        let header = &compact.header;
        let optional =
            |name: &str, text: &Option<Box<str>>| text.as_ref().map(|t| (name.to_owned(), Value::from(&**t)));
        let mut shown = Map::from_iter([("alg".to_owned(), Value::from(&*header.algorithm))]);
        let named = [("kid", &header.key_id), ("typ", &header.token_type), ("x5t#S256", &header.thumbprint)];
        shown.extend(named.into_iter().filter_map(|(name, text)| optional(name, text)));
        let claims: Value = serde_json::from_str(compact.claims.as_json())?;
        let (header, claims) = (serde_json::to_string_pretty(&shown)?, serde_json::to_string_pretty(&claims)?);
        println!("header {}\nclaims {}", printable_json(&header), printable_json(&claims));
        for name in ["iat", "nbf", "exp"] {
            if let Some(raw) = compact.claims.get(name) {
                match read_time(raw) {
                    Ok(time) => println!("{name} is {time}"),
                    Err(what) => println!("{name} is no time: {}", printable_lines(&what)),
                }
            }
        }
        for mistake in likely_mistakes(&compact.claims, now()) {
            println!("mistake: {}", printable_lines(&mistake));
        }
        self.gateway.judge(&token).await
    }
}

/// Print every check's verdict for a token on a call
///
/// Reads the configuration and the registry, asks nobody, and uses nothing up. Exit status 1 when the call would be refused.
#[derive(Debug, Args)]
pub(super) struct Explain {
    #[command(flatten)]
    token: TokenArgument,
    #[command(flatten)]
    config: ConfigArgument,
    /// The method of the call
    #[arg(long, default_value = "GET")]
    method: Method,
    /// The path of the call, without the query
    #[arg(long)]
    path: String,
    /// The host of the call
    #[arg(long, default_value = "localhost")]
    host: String,
    /// The header that carries the token, as the caller writes it; the route's own if absent
    #[arg(long, value_name = "NAME")]
    header: Option<HeaderName>,
    /// The address of the caller; absent, the networks that the app may call from are not judged
    #[arg(long, value_name = "ADDRESS")]
    from: Option<IpAddr>,
    /// When: RFC 3339, or seconds since 1970; now if absent
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Explain {
    async fn run(self) -> Result<ExitCode, Failure> {
        let config = self.config.load()?;
        let token = self.token.read()?;
        let store = open_store(&config).await?;
        let (version, registry) = store.load().await?;
        let issued = issued_tokens(&store, &config).await?;
        store.close().await;
        let state = State { routes: config.routes, scopes: config.scopes, registry: Snapshot::new(version, registry) };
        // As the gateway reads it: without a port, in lower case.
        let host = canonical_host(&self.host).map_err(|_| Failure::new(format!("{:?} is no host name", self.host)))?;
        let headers = self.headers(&token, &host, &state.routes)?;
        let (method, path, from) = (&self.method, &self.path, self.from);
        let attempt = Attempt { method, host: &host, path, headers: &headers, from };
        let story = explain(attempt, &state, &issued, self.at.unwrap_or_else(now));
        if self.json {
            println!("{}", printable_json(&serde_json::to_string_pretty(&story)?));
        } else {
            print!("{}", printable_lines(&render(&story)));
        }
        Ok(if story.is_allowed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// The token in the header, and after the scheme, that the route wants.
    fn headers(&self, token: &str, host: &str, routes: &RouteTable) -> Result<HeaderMap, Failure> {
        let jwt = judge(&self.path).ok().and_then(|path| match routes.find(host, &self.method, &path.text) {
            Found::Route { route, .. } | Found::OtherMethods { route, .. } => {
                route.authenticator.credential().map(|(header, scheme)| (header.clone(), scheme.to_owned()))
            }
            Found::Nothing => None,
        });
        let (header, scheme) = jwt.unwrap_or((http::header::AUTHORIZATION, "Bearer".into()));
        let value = match &self.header {
            Some(_) => token.to_owned(),
            None if scheme.is_empty() => token.to_owned(),
            None => format!("{scheme} {token}"),
        };
        let value = HeaderValue::from_str(&value)
            .map_err(|_| Failure::new("the token holds characters that no header can carry"))?;
        Ok(HeaderMap::from_iter([(self.header.clone().unwrap_or(header), value)]))
    }
}

/// A story for a person.
pub(super) fn render(story: &Explanation) -> String {
    let mut text = String::new();
    for check in &story.checks {
        let mark = match check.outcome {
            Outcome::Passed => "ok    ",
            Outcome::Failed => "FAILED",
            Outcome::NotReached | Outcome::NotJudged => "-     ",
        };
        let reason = check.reason.map(|r| format!("{r}: ")).unwrap_or_default();
        text.push_str(format!("{mark}  {:20} {reason}{}", check.name, check.detail).trim_end());
        text.push('\n');
    }
    match story.reason {
        None => text.push_str("\nthe call goes on\n"),
        Some(reason) => {
            let (_, words) = told(reason, story.error_format);
            text.push_str(&format!("\nrefused: {reason}; the caller is told {words}\n"));
            for hint in &story.hints {
                text.push_str(&format!("  {hint}\n"));
            }
        }
    }
    for warning in &story.warnings {
        text.push_str(&format!("warning: {warning}\n"));
    }
    text
}
