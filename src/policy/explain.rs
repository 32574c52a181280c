//! Each check's verdict for one call: what the stack would do, and why, with what to do about it.

use std::net::IpAddr;

use http::{HeaderMap, Method};
use serde::Serialize;

use super::network::listed;
use super::{
    AuthenticatorKind, Bearer, ErrorFormat, JwtAuthenticator, Place, Preflight, Requirement, Route, State,
    check_network, credential, hints, judge, name_and_password,
};
use crate::clock::Timestamp;
use crate::jose::{Certificate, Compact, ENDS_SOON, Encrypted, read_registered};
use crate::model::{Reason, Refusal, RegisteredClaims, printable};
use crate::registry::{App, KeyState, RegisteredKey, Snapshot};
use crate::verify::{self, Form, InstallationGrant, Issuance, Opened, Origin, Reach};

/// A call to be explained. Nothing is recorded: a jti is not used up, no quota is touched.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    pub method: &'a Method,
    pub host: &'a str,
    /// As it would stand in the request, without the query.
    pub path: &'a str,
    pub headers: &'a HeaderMap,
    /// Whence it comes; absent, the networks of its app are not judged.
    pub from: Option<IpAddr>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Passed,
    Failed,
    /// An earlier failure left nothing to judge.
    NotReached,
    /// What it is judged by was not given.
    NotJudged,
}

/// One check and its verdict.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    pub name: &'static str,
    pub outcome: Outcome,
    /// What was found, where the check passed; what was expected and found instead, where it failed.
    pub detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// The story of a call.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    pub checks: Vec<Check>,
    /// The first failure, for which the call is refused; none where it goes on.
    pub reason: Option<Reason>,
    /// What to do about it, most likely first.
    pub hints: Vec<String>,
    /// What nobody refuses, and is hardly meant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// In whose words the caller is told.
    #[serde(skip)]
    pub error_format: ErrorFormat,
}

impl Explanation {
    fn new() -> Self {
        let (checks, hints, warnings) = (Vec::new(), Vec::new(), Vec::new());
        Self { checks, reason: None, hints, warnings, error_format: ErrorFormat::default() }
    }

    /// The check that failed first.
    pub fn failure(&self) -> Option<&Check> {
        self.checks.iter().find(|check| check.reason.is_some())
    }

    pub fn is_allowed(&self) -> bool {
        self.reason.is_none()
    }

    fn passed(&mut self, name: &'static str, detail: impl Into<String>) {
        let detail = printable(detail.into().into()).into_owned();
        self.checks.push(Check { name, outcome: Outcome::Passed, detail, reason: None });
    }

    /// Whether it is the first failure, to which hints may be added.
    fn failed(&mut self, name: &'static str, refusal: &Refusal) -> bool {
        let mut detail = refusal.reason.title().to_owned();
        if let Some(expected) = &refusal.expected {
            detail.push_str(&format!(" Expected: {expected}."));
        }
        if let Some(found) = &refusal.found {
            detail.push_str(&format!(" Found: {found}."));
        }
        self.checks.push(Check { name, outcome: Outcome::Failed, detail, reason: Some(refusal.reason) });
        let is_first = self.reason.is_none();
        if is_first {
            self.reason = Some(refusal.reason);
            self.hints.push(refusal.reason.fix().to_owned());
        }
        is_first
    }

    /// Whether it is the first failure.
    fn judged(&mut self, name: &'static str, verdict: Result<impl Into<String>, Refusal>) -> bool {
        match verdict {
            Ok(detail) => {
                self.passed(name, detail);
                false
            }
            Err(refusal) => self.failed(name, &refusal),
        }
    }

    /// With what can be found out behind it.
    fn failed_to_prove(
        &mut self,
        name: &'static str,
        refusal: Refusal,
        compact: &Compact<'_>,
        jwt: &JwtAuthenticator,
        registry: &Snapshot,
    ) {
        let (refusal, hints) = hints::of_proof(refusal, compact, jwt, registry);
        if self.failed(name, &refusal) {
            self.hints.extend(hints);
        }
    }

    fn not_reached(&mut self, names: &[&'static str]) {
        let rest = names.iter().filter(|n| !self.checks.iter().any(|c| c.name == **n));
        let checks = rest.map(|name| Check { name, outcome: Outcome::NotReached, detail: String::new(), reason: None });
        let checks: Vec<_> = checks.collect();
        self.checks.extend(checks);
    }
}

const NAMES: [&str; 12] = [
    "route",
    "method",
    "credential",
    "form",
    "app",
    "signature",
    "claims",
    "times",
    "audience and issuer",
    "single use",
    "scope",
    "quota",
];

/// By what a token is judged.
#[derive(Clone, Copy)]
pub struct Moment<'a> {
    pub registry: &'a Snapshot,
    /// Our own keys, and what was issued and revoked.
    pub issuance: &'a dyn Issuance,
    pub now: Timestamp,
}

/// Judges a call check by check, each that still can be judged.
pub fn explain(attempt: Attempt<'_>, state: &State, issuance: &dyn Issuance, now: Timestamp) -> Explanation {
    let mut story = Explanation::new();
    walk(&mut story, attempt, state, Moment { registry: &state.registry, issuance, now });
    story.not_reached(&NAMES);
    story
}

/// Judges a token alone, for a kind of route, whichever route it is.
pub fn explain_token(token: &[u8], jwt: &JwtAuthenticator, moment: Moment<'_>) -> Explanation {
    let mut story = Explanation::new();
    walk_token(&mut story, token, jwt, moment);
    story
}

fn walk(story: &mut Explanation, attempt: Attempt<'_>, state: &State, moment: Moment<'_>) {
    if walk_preflight(story, attempt, state).is_some() {
        return;
    }
    let place = match Place::find(attempt, state) {
        Ok(place) => place,
        Err(refusal) => {
            if story.failed("route", &refusal) {
                story.hints.extend(hints::of_path(attempt, state));
            }
            return;
        }
    };
    story.error_format = place.route.authenticator.error_format;
    let sent = place.sent.as_ref().map(|sent| format!(", sent as {sent}")).unwrap_or_default();
    story.passed("route", format!("{} ({}){sent}", place.route.id, place.pattern.as_str()));
    if let Some(rule) = &place.route.client_certificate {
        let detail = format!("{rule} is needed; connections are not judged here");
        story.checks.push(Check { name: CERTIFICATE, outcome: Outcome::NotJudged, detail, reason: None });
    }
    story.warnings.extend(hints::of_unfilled(&place));
    let method_first = place.route.authenticator.method_first;
    if method_first {
        judge_method(story, &place);
    }
    let walked = match &place.route.authenticator.kind {
        AuthenticatorKind::Anonymous => {
            story.passed("credential", "none needed");
            None
        }
        AuthenticatorKind::Basic => {
            walk_password(story, attempt.headers, place.route);
            None
        }
        AuthenticatorKind::Jwt(jwt) => walk_credential(story, attempt.headers, jwt, moment),
    };
    if !method_first {
        judge_method(story, &place);
    }
    match walked {
        Some(walked) => {
            judge_network(story, walked.app, attempt.from);
            walk_scope(story, &walked, &place, state);
        }
        None if matches!(place.route.authenticator.kind, AuthenticatorKind::Anonymous) => {
            tell_quota(story, place.route);
        }
        None => {}
    }
}

/// What a browser asks for a page needs no credential, and is answered here.
fn walk_preflight(story: &mut Explanation, attempt: Attempt<'_>, state: &State) -> Option<()> {
    let preflight = Preflight::of(attempt.method, attempt.headers)?;
    let path = judge(attempt.path).ok()?;
    let (route, takes_method) = state.routes.asked_by_page(attempt.host, &path.text, &preflight)?;
    let cors = route.cors.as_ref()?;
    story.error_format = route.authenticator.error_format;
    story.passed("route", format!("{}, for a page of another origin", route.id));
    let judged = if takes_method { cors.judge(&preflight) } else { Err(preflight.wrong_method(cors)) };
    story.judged("origin", judged.map(|_| format!("one of {}", cors.origins())));
    Some(())
}

fn walk_password(story: &mut Explanation, headers: &HeaderMap, route: &Route) {
    match name_and_password(headers) {
        Ok(_) => story.passed("credential", "a name and a password, which are not judged here"),
        Err(refusal) => {
            if story.failed("credential", &refusal) {
                story.hints.push(hints::of_basic(route));
            }
        }
    }
}

fn judge_method(story: &mut Explanation, place: &Place<'_>) {
    let by_override = if place.is_overridden { ", which overrides POST" } else { "" };
    let right = || Ok(format!("{}{by_override}", place.method));
    if story.judged("method", place.wrong_method.clone().map_or_else(right, Err)) {
        story.hints.push(hints::of_method(place.route));
    }
}

/// Stands in the stories of apps that may not call from anywhere.
fn judge_network(story: &mut Explanation, app: &App, from: Option<IpAddr>) {
    match from {
        _ if app.networks.is_empty() => {}
        Some(_) => {
            story.judged(NETWORK, check_network(app, from).map(|()| listed(app)));
        }
        None => {
            let detail = format!("calls are taken from {}; no address was given to judge", listed(app));
            story.checks.push(Check { name: NETWORK, outcome: Outcome::NotJudged, detail, reason: None });
        }
    }
}

fn walk_credential<'s>(
    story: &mut Explanation,
    headers: &HeaderMap,
    jwt: &JwtAuthenticator,
    moment: Moment<'s>,
) -> Option<Walked<'s>> {
    match credential(headers, jwt) {
        Ok(token) => {
            story.passed("credential", format!("in {}", jwt.header));
            walk_token(story, token, jwt, moment)
        }
        Err(refusal) => {
            if story.failed("credential", &refusal) {
                story.hints.push(hints::of_credential(jwt));
            }
            None
        }
    }
}

/// What can still be judged of a token.
struct Walked<'s> {
    app: &'s App,
    claims: Option<RegisteredClaims>,
    /// What was granted with it, if it is one of ours for an installation.
    grant: Option<InstallationGrant>,
}

impl Walked<'_> {
    fn bearer<'b>(&'b self, registry: &'b Snapshot) -> Bearer<'b> {
        let reach = self.grant.as_ref().and_then(|grant| Reach::of(grant, self.app, registry).ok());
        let left = self.claims.as_ref().and_then(|claims| claims.scope.as_deref());
        Bearer { app: self.app, left, reach }
    }
}

/// From the token's bytes to its last claim; the app, if there is one, and the claims, if they can be read.
fn walk_token<'s>(
    story: &mut Explanation,
    token: &[u8],
    jwt: &JwtAuthenticator,
    moment: Moment<'s>,
) -> Option<Walked<'s>> {
    let length = token.len();
    match verify::read(token, &jwt.rules) {
        Ok(Form::Signed(compact)) => {
            story.passed("form", format!("three parts, {length} bytes, {}", compact.header.algorithm));
            walk_signed(story, &compact, None, jwt, moment)
        }
        Ok(Form::Encrypted(encrypted)) => {
            let (algorithm, encryption) = (encrypted.header.algorithm, encrypted.header.encryption);
            story.passed("form", format!("five parts, {length} bytes, {algorithm} with {encryption}"));
            walk_encrypted(story, &encrypted, jwt, moment)
        }
        Err(refusal) => {
            story.failed("form", &refusal);
            None
        }
    }
}

/// Stand in the stories alone where they matter.
const ENCRYPTION: &str = "encryption";
const STATE: &str = "state";
const INSTALLATION: &str = "installation";
const NETWORK: &str = "network";
const CERTIFICATE: &str = "client certificate";

fn walk_encrypted<'s>(
    story: &mut Explanation,
    encrypted: &Encrypted<'_>,
    jwt: &JwtAuthenticator,
    moment: Moment<'s>,
) -> Option<Walked<'s>> {
    let opened = verify::open(encrypted, moment.registry, moment.now);
    let opened = opened.map_err(|refusal| story.failed(ENCRYPTION, &refusal)).ok()?;
    let compact = verify::inner(&opened.text, &jwt.rules);
    let compact = compact.map_err(|refusal| story.failed(ENCRYPTION, &refusal)).ok()?;
    story.passed(ENCRYPTION, format!("opened with key {} of app {}", opened.key.kid, opened.app.client_id));
    if let KeyState::Retiring(until) = opened.key.state {
        story.warnings.push(format!("The token is encrypted to key {}, which is good until {until}.", opened.key.kid));
    }
    walk_signed(story, &compact, Some(&opened), jwt, moment)
}

fn walk_signed<'s>(
    story: &mut Explanation,
    compact: &Compact<'_>,
    opened: Option<&Opened<'_>>,
    jwt: &JwtAuthenticator,
    moment: Moment<'s>,
) -> Option<Walked<'s>> {
    let hide = |refusal| if opened.is_some() { verify::hidden(refusal) } else { refusal };
    let app = verify::find_app(&compact.claims, &jwt.rules, moment.registry);
    let app = match app.and_then(|app| opened.map_or(Ok(()), |o| verify::check_owner(o, app)).map(|()| app)) {
        Ok(app) => app,
        Err(refusal) => {
            story.failed_to_prove("app", hide(refusal), compact, jwt, moment.registry);
            return None;
        }
    };
    story.passed("app", format!("{} ({}), level {}, account {}", app.client_id, app.name, app.level, app.account));
    let proved = match jwt.rules.origin {
        Origin::App => verify::prove(compact, app, &jwt.rules, moment.now).map(|(algorithm, key)| {
            story.warnings.extend(of_ending(key, moment.now));
            format!("{algorithm}, {}", named(key))
        }),
        _ => verify::prove_issued(compact, &jwt.rules, moment.issuance, moment.now)
            .and_then(|proved| verify::check_number(&compact.claims, app, &jwt.rules).map(|()| proved))
            .map(|(algorithm, key)| format!("{algorithm}, key number {} of the gateway", key.0)),
    };
    match proved {
        Ok(by) => story.passed("signature", by),
        Err(refusal) => story.failed_to_prove("signature", hide(refusal), compact, jwt, moment.registry),
    }
    let claims = walk_claims(story, compact, opened.is_some(), app, jwt, moment);
    let grant = claims.as_ref().and_then(|_| walk_installation(story, compact, app, jwt, moment));
    Some(Walked { app, claims, grant })
}

fn named(key: &RegisteredKey) -> String {
    match &key.kid {
        Some(kid) => format!("key {kid}"),
        None => format!("key number {}", key.number.0),
    }
}

fn of_ending(key: &RegisteredKey, now: Timestamp) -> Option<String> {
    if let KeyState::Retiring(until) = key.state {
        return Some(format!("The signature is by {}, which is good until {until}.", named(key)));
    }
    let end = key.material.certificate().map(Certificate::not_after).filter(|end| now.until(*end) < ENDS_SOON)?;
    Some(format!("The signature is by {}, whose certificate ends at {end}.", named(key)))
}

fn walk_claims(
    story: &mut Explanation,
    compact: &Compact<'_>,
    is_encrypted: bool,
    app: &App,
    jwt: &JwtAuthenticator,
    moment: Moment<'_>,
) -> Option<RegisteredClaims> {
    let now = moment.now;
    story.warnings.extend(hints::of_booleans(&compact.claims));
    let claims = match read_registered(&compact.claims, &jwt.rules.claim_names) {
        Ok(claims) => claims,
        Err(refusal) => {
            story.failed("claims", &refusal);
            return None;
        }
    };
    if let Err(refusal) = verify::check_type(compact.header.token_type.as_deref(), &jwt.rules) {
        story.failed("claims", &refusal);
        return None;
    }
    if let Err(refusal) = verify::check_encryption(is_encrypted, app, &jwt.rules) {
        story.failed(ENCRYPTION, &refusal);
    }
    story.passed("claims", "of the right kinds");
    let exp =
        claims.expires.map_or_else(|| "no exp".to_owned(), |exp| format!("exp {exp}, {:?} ahead", now.until(exp)));
    story.judged("times", verify::check_times(&claims, app, &jwt.rules, now).map(|()| exp));
    story.judged("audience and issuer", verify::check_parties(&claims, &jwt.rules).map(|()| "as the route wants them"));
    match moment.issuance.check_state(app.number, jwt.rules.origin, &claims, now) {
        Ok(()) if jwt.rules.origin == Origin::Held => story.passed(STATE, "one that the app holds"),
        Ok(()) => {}
        Err(refusal) => _ = story.failed(STATE, &refusal),
    }
    let single = verify::single_use(&claims, app, &jwt.rules, now).map(|single| match single {
        Some(_) => "good for one call; to explain it does not use it up",
        None => "good for many calls",
    });
    story.judged("single use", single);
    let reason = story.reason;
    story.hints.extend(reason.and_then(|reason| hints::of_claims(reason, &claims, now)));
    Some(claims)
}

fn walk_installation(
    story: &mut Explanation,
    compact: &Compact<'_>,
    app: &App,
    jwt: &JwtAuthenticator,
    moment: Moment<'_>,
) -> Option<InstallationGrant> {
    if jwt.rules.origin != Origin::Installation {
        return None;
    }
    let grant =
        InstallationGrant::read(&compact.claims).map_err(|refusal| story.failed(INSTALLATION, &refusal)).ok()?;
    let reach = Reach::of(&grant, app, moment.registry).map(|reach| {
        let installation = reach.installation();
        format!("number {} on account {}: {}", installation.id, installation.account, reach.permissions())
    });
    story.judged(INSTALLATION, reach);
    Some(grant)
}

fn walk_scope(story: &mut Explanation, walked: &Walked<'_>, place: &Place<'_>, state: &State) {
    let bearer = walked.bearer(&state.registry);
    let verdict = place.authorize(bearer, state);
    let verdict = verdict.map(|a| format!("held: {}", held(bearer, place, a.bot.as_ref().map(|b| b.as_str()))));
    let reason = verdict.as_ref().err().map(|refusal| refusal.reason);
    if reason.is_none() {
        story.judged("scope", verdict);
        tell_quota(story, place.route);
    } else if story.judged("scope", verdict) {
        story.hints.extend(reason.into_iter().flat_map(|reason| hints::advise(reason, place, bearer, state)));
    }
}

/// What an app that was let through holds of what the route asks for.
fn held(bearer: Bearer<'_>, place: &Place<'_>, bot: Option<&str>) -> String {
    if let Some(reach) = bearer.reach {
        return reach.permissions().to_string();
    }
    match &place.route.requirement {
        Requirement::Resource { kind, param, .. } => {
            let name = place.param(param).unwrap_or_default();
            format!("{} on {} {name:?}", bearer.permissions_on(*kind, name), kind.as_str())
        }
        Requirement::AnyResource => {
            let some = bearer.app.resources().take(5).map(|(resource, held)| format!("{held} on {resource}"));
            some.collect::<Vec<_>>().join(", ")
        }
        Requirement::Nothing
        | Requirement::AnyApp
        | Requirement::Role(_)
        | Requirement::Scope { .. }
        | Requirement::Permission(_) => {
            let scopes = bearer.scopes_on(bot);
            if scopes.is_empty() { "none".to_owned() } else { scopes.into_owned() }
        }
    }
}

/// Who calls how often is known to the gateway alone.
fn tell_quota(story: &mut Explanation, route: &Route) {
    match &route.quota {
        None => story.passed("quota", "none"),
        Some(quota) => story.passed("quota", format!("{quota}; what is left is not judged here")),
    }
}
