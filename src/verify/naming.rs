//! Which app a token names. Nothing is proved by it.

use std::sync::Arc;

use super::TokenRules;
use crate::jose;
use crate::model::{AppNumber, Claims, ClientId, InvalidId, Reason, Refusal, quoted};
use crate::registry::{App, Snapshot};

/// Finds the app that the token names. Nothing is proved yet: the caller has to answer an unknown app, a disabled one
/// and a bad signature alike, in about the same time.
///
/// # Errors
/// `token.claim_invalid` for an app claim that can name no app, `app.unknown`, `app.disabled`, `app.wrong_authenticator`.
/// The refusal of a token that names no app at all has a claim, that of an unknown app has none.
pub fn find_app<'s>(claims: &Claims, rules: &TokenRules, snapshot: &'s Snapshot) -> Result<&'s Arc<App>, Refusal> {
    let (claim, named) = named(claims, rules)?;
    let Some(app) = named.find(rules, snapshot) else { return Err(unknown(claim, &named, rules, snapshot)) };
    if !app.enabled {
        return Err(Refusal::new(Reason::AppDisabled).found(app.fault.clone().unwrap_or_else(|| "disabled".into())));
    }
    if !app.may_use(&rules.authenticator) {
        let allowed: Vec<_> = app.authenticators.iter().map(|a| a.as_str()).collect();
        let refusal = Refusal::new(Reason::AppWrongAuthenticator).expected(format!("one of {}", allowed.join(", ")));
        return Err(refusal.found(rules.authenticator.to_string()));
    }
    Ok(app)
}

/// The app that the token names, good for anything or not: for the log, nothing may be built on it.
pub fn named_app<'s>(claims: &Claims, rules: &TokenRules, snapshot: &'s Snapshot) -> Option<&'s Arc<App>> {
    named(claims, rules).ok()?.1.find(rules, snapshot)
}

/// What an app claim holds.
enum Named {
    Text(Box<str>),
    Number(AppNumber),
}

impl Named {
    fn find<'s>(&self, rules: &TokenRules, snapshot: &'s Snapshot) -> Option<&'s Arc<App>> {
        match self {
            Self::Text(text) => snapshot.app(text).or_else(|| {
                let digits = rules.app_numbers && is_plain(text.as_bytes());
                snapshot.app_by_number(AppNumber(text.parse().ok().filter(|_| digits)?))
            }),
            Self::Number(number) => snapshot.app_by_number(*number),
        }
    }
}

/// Digits as a number has them: no sign, no zero before them.
fn is_plain(text: &[u8]) -> bool {
    !text.starts_with(b"0") && text.iter().all(u8::is_ascii_digit)
}

/// The first app claim that is present, and what it holds.
fn named<'r>(claims: &Claims, rules: &'r TokenRules) -> Result<(&'r str, Named), Refusal> {
    let mut first = None;
    for name in &rules.app_claims {
        let Some(raw) = claims.get(name) else { continue };
        let named = read(name, raw, rules)?;
        first = first.or(Some((&**name, named)));
    }
    let first = first.filter(|(_, named)| !matches!(named, Named::Text(text) if text.is_empty() && rules.app_numbers));
    first.ok_or_else(|| {
        let refusal =
            Refusal::new(Reason::AppUnknown).expected(format!("one of the claims {}", rules.app_claims.join(", ")));
        let refusal = rules.app_claims.iter().take(1).fold(refusal, |refusal, name| refusal.of_claim(name));
        match claims.iter().find(|(n, _)| resembles(n, &rules.app_claims)) {
            Some((name, _)) if rules.app_claims.iter().any(|wanted| **wanted == *name) => {
                refusal.found(format!("an empty {name}: perhaps a variable that is not set"))
            }
            Some((near, _)) => refusal.found(format!("no such claim, but {near:?}: names are compared exactly")),
            None => refusal.found("no such claim"),
        }
    })
}

fn read(name: &str, raw: &str, rules: &TokenRules) -> Result<Named, Refusal> {
    let kinds = if rules.app_numbers { "a client id, or the app's number" } else { "a string" };
    let invalid = || Refusal::new(Reason::TokenClaimInvalid).of_claim(name).expected(format!("{name}: {kinds}"));
    if let Ok(text) = serde_json::from_str::<Box<str>>(raw) {
        // Where apps may be named by their numbers, these come from files and variables, with what stands around them.
        if rules.app_numbers && ClientId::new(&text) == Err(InvalidId::NotPrintable) {
            return Err(invalid().found(quoted(&text)));
        }
        return Ok(Named::Text(text));
    }
    match raw.parse() {
        Ok(number) if rules.app_numbers && is_plain(raw.as_bytes()) => Ok(Named::Number(AppNumber(number))),
        _ => Err(invalid().found(format!("a JSON {}", jose::kind_of(raw)))),
    }
}

fn unknown(claim: &str, named: &Named, rules: &TokenRules, snapshot: &Snapshot) -> Refusal {
    let wanted = if rules.app_numbers { "the client id or the number of an app" } else { "the client id of an app" };
    let bot = match named {
        Named::Text(text) if snapshot.account_of_bot(text).is_some() => ", which is a bot's id",
        _ => "",
    };
    Refusal::new(Reason::AppUnknown).expected(format!("{claim}: {wanted}")).found(format!("{}{bot}", shown(named)))
}

fn shown(named: &Named) -> String {
    match named {
        Named::Text(text) => quoted(text),
        Named::Number(number) => number.0.to_string(),
    }
}

/// Whether a claim's name is one of the wanted names but for case, spaces and punctuation.
fn resembles(name: &str, wanted: &[Box<str>]) -> bool {
    let bare = |text: &str| text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    wanted.iter().any(|w| bare(w) == bare(name))
}
