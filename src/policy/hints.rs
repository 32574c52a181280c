//! Likely mistakes behind a refusal. Too costly for a request's way, and only for the operator: some of them would help
//! an attacker.

use super::{Attempt, AuthenticatorKind, Explanation, Found, JwtAuthenticator, Requirement, Route, State, judge};
use crate::jose::{Compact, ContentEncryption, KeyManagement, KeyMaterial};
use crate::model::{Algorithm, Reason};
use crate::registry::{App, ScopeCatalogue};
use crate::secret::Secret;
use crate::verify::find_app;

/// Secrets that tools and tutorials print in their examples.
const PLACEHOLDERS: [&str; 6] = [
    "your-256-bit-secret",
    "your-384-bit-secret",
    "your-512-bit-secret",
    "a-string-secret-at-least-256-bits-long",
    "secret",
    "",
];

/// Adds what can be told beyond the reason's own fix.
pub(super) fn add(story: &mut Explanation, attempt: Attempt<'_>, state: &State) {
    let Some(reason) = story.reason else { return };
    let Ok(path) = judge(attempt.path) else { return };
    let route = match state.routes.find(attempt.host, attempt.method, &path) {
        Found::Route { route, .. } | Found::OtherMethods { route, .. } => route,
        Found::Nothing => return story.hints.extend(near_paths(&path, attempt, state)),
    };
    let AuthenticatorKind::Jwt(jwt) = &route.authenticator.kind else { return };
    let hint = match reason {
        Reason::CredentialMissing => {
            Some(format!("Send the token in the header {:?}{}.", jwt.header.as_str(), with_scheme(jwt)))
        }
        Reason::AppUnknown => token(attempt, jwt).and_then(|t| of_unknown_app(&t, jwt, state)),
        Reason::TokenAlgorithmNotAllowed => token(attempt, jwt).and_then(|t| of_encryption_as_signature(&t)),
        Reason::TokenSignatureInvalid => token(attempt, jwt).and_then(|t| of_bad_signature(&t)),
        Reason::ScopeInsufficient | Reason::AppWrongLevel => {
            let app = token(attempt, jwt).and_then(|t| find_app(&t.claims, &jwt.rules, &state.registry).ok().cloned());
            app.and_then(|app| of_scope(route, &app, &state.scopes))
        }
        _ => None,
    };
    story.hints.extend(hint);
}

fn with_scheme(jwt: &JwtAuthenticator) -> String {
    if jwt.scheme.is_empty() { ", bare".to_owned() } else { format!(" after {:?} and a space", jwt.scheme) }
}

fn token<'a>(attempt: Attempt<'a>, jwt: &JwtAuthenticator) -> Option<Compact<'a>> {
    let token = super::credential(attempt.headers, jwt).ok()?;
    Compact::parse(token, jwt.rules.max_token_bytes).ok()
}

fn of_unknown_app(token: &Compact<'_>, jwt: &JwtAuthenticator, state: &State) -> Option<String> {
    let wanted = jwt.rules.app_claims.first()?;
    let Some(value) = jwt.rules.app_claims.iter().find_map(|name| token.claims.string(name)) else {
        return Some(format!("Name the app in the claim {wanted:?}, written exactly so."));
    };
    if state.registry.account_of_bot(&value).is_some() || value.starts_with("st-") {
        return Some(format!("{wanted:?} holds a bot's id; put the app's client id there."));
    }
    let named = state.registry.apps().find(|app| app.name == value);
    let named =
        named.map(|app| format!("{wanted:?} holds the app's name; put its client id there: {}.", app.client_id));
    named.or_else(|| {
        Some(format!(
            "No app has this id: was it saved? `scopegate export` lists them; {wanted:?} is compared exactly."
        ))
    })
}

/// Samples are about that put the content's encryption into the header of a signed token.
fn of_encryption_as_signature(token: &Compact<'_>) -> Option<String> {
    let algorithm = &*token.header.algorithm;
    let encrypts = ContentEncryption::named(algorithm).is_some() || KeyManagement::named(algorithm).is_some();
    encrypts.then(|| {
        format!(
            "{algorithm} encrypts and signs nothing. An encrypted token has five parts, and this one has three: sign it \
             first, then encrypt the result, for example with alg RSA-OAEP-256 and enc A256GCM."
        )
    })
}

fn of_bad_signature(token: &Compact<'_>) -> Option<String> {
    let algorithm: Algorithm = token.header.algorithm.parse().ok()?;
    let signed_with = |secret: &&&str| {
        // Placeholders are shorter than what the registry takes, so the bare primitive is asked.
        KeyMaterial::Secret(Secret::new(**secret))
            .prepare(algorithm)
            .is_ok_and(|key| key.verifies(token.signing_input, &token.signature))
    };
    PLACEHOLDERS.iter().find(signed_with).map(|placeholder| match *placeholder {
        "" => "The token is signed with an empty secret: sign it with the app's own.".to_owned(),
        text => format!("The token is signed with the placeholder {text:?} of a tool: put the app's own secret there."),
    })
}

fn of_scope(route: &Route, app: &App, scopes: &ScopeCatalogue) -> Option<String> {
    if !matches!(route.requirement, Requirement::Scope { .. }) {
        return None;
    }
    let Some(id) = route.requirement.scope_for(app.level) else {
        return Some(format!("Route {} is closed to apps of level {}.", route.id, app.level));
    };
    let title = scopes.get(id.as_str(), app.level).map_or("", |s| s.title.as_str());
    Some(format!(
        "The route needs {id} ({title}) at level {}; app {} ({}) does not hold it.",
        app.level, app.client_id, app.name
    ))
}

/// The same path but for case and a slash at the end.
fn near_paths(path: &str, attempt: Attempt<'_>, state: &State) -> Option<String> {
    let bare = path.trim_end_matches('/');
    let candidates = [bare.to_owned(), bare.to_ascii_lowercase()];
    candidates.into_iter().filter(|c| c != path).find_map(|candidate| {
        match state.routes.find(attempt.host, attempt.method, &candidate) {
            Found::Route { route, pattern, .. } => Some(format!("Did you mean {}?", route.patterns[pattern].as_str())),
            _ => None,
        }
    })
}
