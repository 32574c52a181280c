//! What to do about a refusal, beyond the reason's own fix. Too costly for a request's way, and only for the operator:
//! some of it would help an attacker.

use super::diagnose::diagnose;
use super::mistakes::of_name;
use super::place::is_unfilled;
use super::{
    Attempt, AuthenticatorKind, Bearer, HostPattern, JwtAuthenticator, Near, Place, Requirement, Route, State,
    TABLES_SCOPE, allowed_methods, nearest,
};
use crate::clock::Timestamp;
use crate::jose::{self, Compact, ContentEncryption, KeyManagement};
use crate::model::{Algorithm, Claims, Level, Reason, Refusal, RegisteredClaims, shell_word};
use crate::registry::{App, Snapshot};
use crate::verify::{Origin, named_app};

/// The most clocks differ that nobody has set wrong by hand.
const DRIFT: std::time::Duration = std::time::Duration::from_secs(600);

/// Claims that are booleans wherever they are known.
const BOOLEANS: [&str; 3] = ["isAnonymous", "email_verified", "phone_number_verified"];

pub(super) fn of_path(attempt: Attempt<'_>, state: &State) -> Option<String> {
    nearest(&state.routes, attempt.host, attempt.method, attempt.path).map(|near| of_near(&near))
}

/// As a question, since nobody knows what was meant.
fn of_near(near: &Near) -> String {
    let path = near.route.patterns[near.pattern].as_str();
    let hosts = if near.differs.contains(&"the host") {
        let hosts: Vec<_> = near.route.hosts.iter().map(HostPattern::as_str).collect();
        format!(" on {}", hosts.join(" or "))
    } else {
        String::new()
    };
    format!("Did you mean {} {path}{hosts}? The call differs by {}.", near.method, near.differs.join(" and "))
}

pub(super) fn of_method(route: &Route) -> String {
    let title = route.title.as_deref().map_or_else(|| route.id.to_string(), |title| format!("{title} ({})", route.id));
    format!("{title} is called with {}.", allowed_methods(route.methods.iter()))
}

pub(super) fn of_credential(jwt: &JwtAuthenticator) -> String {
    if jwt.rules.origin == Origin::Installation {
        return format!(
            "Send the token for an installation, {}…, in the header {:?} after {:?} and a space. An app gets one with its own \
             token: POST /app/installations/{{installation_id}}/access_tokens.",
            jwt.prefix,
            jwt.header.as_str(),
            jwt.scheme
        );
    }
    let scheme = match jwt.scheme.as_str() {
        "" => ", bare".to_owned(),
        scheme => format!(" after {scheme:?} and a space"),
    };
    format!("Send the token in the header {:?}{scheme}.", jwt.header.as_str())
}

pub(super) fn of_basic(route: &Route) -> String {
    format!(
        "Route {} takes name and password of a service account in \"authorization\" after \"Basic\", no token.",
        route.id
    )
}

/// A parameter that holds what documents write in its place.
pub(super) fn of_unfilled(place: &Place<'_>) -> Option<String> {
    let (name, value) = place.params().find(|(_, value)| is_unfilled(value))?;
    Some(format!("The path holds {value:?} where the documents have {{{name}}}: put its value there."))
}

/// The refusal with what is behind it, and what to do.
pub(super) fn of_proof(
    refusal: Refusal,
    compact: &Compact<'_>,
    jwt: &JwtAuthenticator,
    registry: &Snapshot,
) -> (Refusal, Vec<String>) {
    let claimed = jwt.rules.app_claims.iter().find(|name| compact.claims.get(name).is_some());
    let diagnosis = diagnose(refusal.reason, compact, &jwt.rules, registry);
    let mut hints = Vec::new();
    match (refusal.reason, &diagnosis, claimed, jwt.rules.app_claims.first()) {
        (Reason::AppUnknown, _, None, Some(wanted)) => {
            hints.push(format!("Name the app in the claim {wanted:?}, written exactly so."));
        }
        (Reason::AppUnknown, Some(diagnosis), Some(claim), _) => hints.push(format!("{claim:?} {}", diagnosis.hint())),
        (Reason::AppUnknown, None, Some(claim), _) => {
            hints.push(of_name(&compact.claims, claim).unwrap_or_else(|| {
                format!(
                    "No app has this id: was it saved? `scopegate app list` shows them; {claim:?} is compared exactly."
                )
            }));
        }
        (
            Reason::AppDisabled
            | Reason::AppNoKey
            | Reason::KeyUnknown
            | Reason::KeyRetired
            | Reason::KeyExpired
            | Reason::KeyNotYetValid,
            _,
            Some(claim),
            _,
        ) => {
            let app = named_app(&compact.claims, &jwt.rules, registry);
            let client_id = app.map(|app| app.client_id.to_string()).or_else(|| compact.claims.string(claim));
            hints.extend(client_id.and_then(|client_id| of_app_itself(refusal.reason, &client_id)));
        }
        (_, Some(diagnosis), ..) => hints.push(diagnosis.hint()),
        (Reason::TokenSignatureInvalid, None, ..) => hints.extend(of_other_app(compact, registry)),
        (Reason::TokenAlgorithmNotAllowed, None, ..) => hints.extend(of_algorithm(&compact.header.algorithm)),
        _ => {}
    }
    let refusal = match &diagnosis {
        Some(diagnosis) => diagnosis.tell(refusal),
        None => refusal,
    };
    (refusal, hints)
}

fn of_app_itself(reason: Reason, client_id: &str) -> Option<String> {
    let app = shell_word(client_id);
    match reason {
        Reason::AppDisabled => Some(format!("Enable it: scopegate app enable {app}")),
        Reason::AppNoKey => Some(format!("Give it a key: scopegate key add {app}")),
        Reason::KeyUnknown | Reason::KeyRetired | Reason::KeyExpired | Reason::KeyNotYetValid => {
            Some(format!("Its keys: scopegate key list {app}"))
        }
        _ => None,
    }
}

fn of_algorithm(theirs: &str) -> Option<String> {
    if theirs.eq_ignore_ascii_case("none") {
        return Some("An unsigned token is never taken, whatever it says: somebody tries what happens.".to_owned());
    }
    // Samples are about that put the content's encryption into the header of a signed token.
    if ContentEncryption::named(theirs).is_some() || KeyManagement::named(theirs).is_some() {
        return Some(format!(
            "{theirs} encrypts and signs nothing. An encrypted token has five parts, and this one has three: sign it \
             first, then encrypt the result, for example with alg RSA-OAEP-256 and enc A256GCM."
        ));
    }
    let known = Algorithm::named().find(|a| a.as_str().eq_ignore_ascii_case(theirs))?;
    (known.as_str() != theirs).then(|| format!("The name of an algorithm has its case: {known}."))
}

/// Every key of every app: for one who can wait.
fn of_other_app(compact: &Compact<'_>, registry: &Snapshot) -> Option<String> {
    let algorithm = compact.header.algorithm.parse().ok()?;
    let signed = |app: &&std::sync::Arc<App>| {
        let mut keys = app.keys().iter().filter_map(|key| key.prepared_for(algorithm));
        keys.any(|key| key.verifies(compact.signing_input, &compact.signature))
    };
    let app = registry.apps().find(signed)?;
    Some(format!("The signature is by a key of app {} ({}): sign with this app's own.", app.client_id, app.name))
}

pub(super) fn of_claims(reason: Reason, claims: &RegisteredClaims, now: Timestamp) -> Option<String> {
    let late = || claims.expires.map(|exp| exp.until(now)).filter(|late| !late.is_zero() && *late < DRIFT);
    let early = |claim: Option<Timestamp>| claim.map(|at| now.until(at)).filter(|early| *early < DRIFT);
    match reason {
        Reason::TokenExpired if claims.expires.is_some_and(jose::looks_like_a_duration) => {
            Some("exp is an absolute time: the time now in seconds since 1970, plus the lifetime.".to_owned())
        }
        Reason::TokenExpired => late().map(|late| format!("It was good until {late:?} ago: a clock may be wrong.")),
        Reason::TokenNotYetValid => {
            early(claims.not_before).map(|early| format!("The signer's clock may be {early:?} fast."))
        }
        Reason::TokenIssuedInFuture => {
            early(claims.issued_at).map(|early| format!("The signer's clock may be {early:?} fast."))
        }
        Reason::TokenLifetimeTooLong if early(claims.issued_at).is_some_and(|early| !early.is_zero()) => {
            early(claims.issued_at).map(|early| format!("The signer's clock may be {early:?} fast."))
        }
        Reason::TokenLifetimeTooLong | Reason::TokenExpRequired if claims.token_id.is_some() => Some(
            "A token with a jti is good for one call and a short time; leave the jti out if the app enforces none."
                .to_owned(),
        ),
        Reason::TokenLifetimeTooLong => claims.expires.filter(|exp| now.until(*exp) < 2 * DRIFT).map(|_| {
            "exp is as far ahead as the gateway takes, by the signer's clock, which may be fast: use a shorter lifetime, \
             such as 9 minutes where 10 are taken."
                .to_owned()
        }),
        Reason::TokenJtiRequired => Some("Make one token for each call, each with a jti of its own.".to_owned()),
        _ => None,
    }
}

/// The text "false" is true to whoever asks only whether there is something.
pub(super) fn of_booleans(claims: &Claims) -> impl Iterator<Item = String> {
    let quoted = claims.iter().filter(|(name, value)| BOOLEANS.contains(name) && value.starts_with('"'));
    quoted.map(|(name, value)| {
        format!("{name:?} is the text {value}: write true or false without quotes, or it may count as true.")
    })
}

/// What to do about a call that was refused some time ago, when this state may not have been the one in force. `app` is
/// the one that the token named.
pub fn advise_call(reason: Reason, attempt: Attempt<'_>, app: Option<&App>, state: &State) -> Vec<String> {
    let Ok(place) = Place::find(attempt, state) else {
        return of_path(attempt, state).into_iter().collect();
    };
    match (reason, &place.route.authenticator.kind) {
        (Reason::MethodNotAllowed, _) => vec![of_method(place.route)],
        (
            Reason::CredentialMissing
            | Reason::CredentialMalformed
            | Reason::CredentialAmbiguous
            | Reason::CredentialWrongScheme,
            AuthenticatorKind::Jwt(jwt),
        ) => vec![of_credential(jwt)],
        (
            Reason::CredentialMissing | Reason::CredentialMalformed | Reason::CredentialWrongScheme,
            AuthenticatorKind::Basic,
        ) => {
            vec![of_basic(place.route)]
        }
        _ => app.map(|app| advise(reason, &place, app.into(), state)).unwrap_or_default(),
    }
}

/// What to do where an app that proved itself may not do this here.
pub(super) fn advise(reason: Reason, place: &Place<'_>, bearer: Bearer<'_>, state: &State) -> Vec<String> {
    let app = bearer.app;
    let hint = match reason {
        Reason::ScopeInsufficient => return of_scope(place, bearer, state),
        Reason::AppWrongLevel => Some(of_level(place, app, state)),
        Reason::AppWrongAccount => of_account(place, app, state),
        Reason::AppWrongBot => Some(of_bot(place, app)),
        Reason::TableForbidden => of_table(place, bearer),
        Reason::BotUnknown => place
            .bot()
            .map(|bot| format!("No account has a bot {bot:?}; {} is of account {}.", app.client_id, app.account)),
        _ => of_app_itself(reason, app.client_id.as_str()),
    };
    hint.into_iter().collect()
}

fn of_scope(place: &Place<'_>, bearer: Bearer<'_>, state: &State) -> Vec<String> {
    let app = bearer.app;
    let Some(id) = place.route.requirement.scope_for(app.level) else { return Vec::new() };
    if app.scopes_on(place.bot()).contains(id.as_str()) && !bearer.leaves(id.as_str()) {
        return vec![format!("The app holds {id}, but the token was asked for without it: ask for a token with it.")];
    }
    let title = state.scopes.get(id.as_str(), app.level).map_or("", |s| s.title.as_str());
    let (client_id, name) = (&app.client_id, &app.name);
    let needs =
        format!("The route needs {id} ({title}) at level {}; app {client_id} ({name}) does not hold it.", app.level);
    let bot = place.bot().and_then(|bot| app.bots.get(bot));
    let target = bot.map(|bot| format!("--bot {} ", shell_word(bot.as_str()))).unwrap_or_default();
    let target = format!("{target}--app {}", shell_word(client_id.as_str()));
    let mend = if app.waits_for_publishing(bot, id) {
        format!("The scope is in the draft and not in force; publish it: scopegate scope publish {target}")
    } else {
        format!("Grant it: scopegate scope grant {target} {}", shell_word(id.as_str()))
    };
    vec![needs, mend]
}

fn of_level(place: &Place<'_>, app: &App, state: &State) -> String {
    let route = place.route;
    let Requirement::Scope { account: Some(id), .. } = &route.requirement else {
        return format!("Route {} is closed to apps of level {}.", route.id, app.level);
    };
    let title = state.scopes.get(id.as_str(), Level::Account).map_or("", |s| s.title.as_str());
    format!(
        "Route {} is closed to apps of level {}: use an app of the account (an admin console app), with {id} ({title}).",
        route.id, app.level
    )
}

fn of_account(place: &Place<'_>, app: &App, state: &State) -> Option<String> {
    let bot = place.bot().and_then(|bot| Some((bot, state.registry.account_of_bot(bot)?)));
    let (what, owner) = match (place.account.filter(|account| **account != app.account), bot) {
        (Some(account), _) => ("The host".to_owned(), account),
        (None, Some((bot, account))) => (format!("Bot {bot}"), account),
        (None, None) => return None,
    };
    Some(format!("{what} belongs to account {owner}; app {} ({}) to account {}.", app.client_id, app.name, app.account))
}

fn of_bot(place: &Place<'_>, app: &App) -> String {
    let bots = app.bots.iter().take(5).map(|b| b.as_str()).collect::<Vec<_>>().join(", ");
    let bots = if bots.is_empty() { "no bot yet".to_owned() } else { bots };
    let bot = place.bot().unwrap_or_default();
    format!("App {} ({}) is for {bots}; the path names {bot:?}.", app.client_id, app.name)
}

/// A grant that is meant perhaps: on a name that differs in case or in spaces, or on a view instead of a table.
fn of_table(place: &Place<'_>, bearer: Bearer<'_>) -> Option<String> {
    let app = bearer.app;
    if app.has_a_resource() && !bearer.has_a_resource() {
        return Some(format!(
            "The app holds permissions on tables, but the token was asked for without them: ask for a token with \
             {TABLES_SCOPE} in its scope, or leave scope out for all that the app holds."
        ));
    }
    let Requirement::Resource { kind, param, .. } = &place.route.requirement else { return None };
    let name = place.param(param)?;
    let near = |other: &str| other.trim().to_lowercase() == name.trim().to_lowercase();
    let (resource, held) = app.resources().find(|(r, _)| near(&r.name) && (r.kind != *kind || r.name != name))?;
    let what = if resource.kind == *kind { "names are compared exactly" } else { "tables and views are granted apart" };
    let (kind, granted) = (resource.kind.as_str(), &resource.name);
    Some(format!("App {} holds {held} on {kind} {granted:?}, not on {name:?}: {what}.", app.client_id))
}
