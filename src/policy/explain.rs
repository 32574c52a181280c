//! Each check's verdict for one call: what the stack would do, and why, with what to do about it.

use http::{HeaderMap, Method};
use serde::Serialize;

use super::{
    AuthenticatorKind, Found, JwtAuthenticator, Params, Pattern, Route, State, authorize, credential, hints, judge,
    wrong_method,
};
use crate::clock::Timestamp;
use crate::jose::{Compact, read_registered};
use crate::model::{AccountId, Reason, Refusal, printable};
use crate::registry::App;
use crate::verify::{self, Form, Opened};

/// A call to be explained. Nothing is recorded: a jti is not used up, no quota is touched.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    pub method: &'a Method,
    pub host: &'a str,
    /// As it would stand in the request, without the query.
    pub path: &'a str,
    pub headers: &'a HeaderMap,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Passed,
    Failed,
    /// An earlier failure left nothing to judge.
    NotReached,
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
}

impl Explanation {
    pub fn is_allowed(&self) -> bool {
        self.reason.is_none()
    }

    fn passed(&mut self, name: &'static str, detail: impl Into<String>) {
        let detail = printable(detail.into().into()).into_owned();
        self.checks.push(Check { name, outcome: Outcome::Passed, detail, reason: None });
    }

    fn failed(&mut self, name: &'static str, refusal: &Refusal) {
        let mut detail = refusal.reason.title().to_owned();
        if let Some(expected) = &refusal.expected {
            detail.push_str(&format!(" Expected: {expected}."));
        }
        if let Some(found) = &refusal.found {
            detail.push_str(&format!(" Found: {found}."));
        }
        self.checks.push(Check { name, outcome: Outcome::Failed, detail, reason: Some(refusal.reason) });
        if self.reason.is_none() {
            self.reason = Some(refusal.reason);
            self.hints.push(refusal.reason.fix().to_owned());
        }
    }

    fn judged(&mut self, name: &'static str, verdict: Result<impl Into<String>, Refusal>) {
        match verdict {
            Ok(detail) => self.passed(name, detail),
            Err(refusal) => self.failed(name, &refusal),
        }
    }

    fn not_reached(&mut self, names: &[&'static str]) {
        let rest = names.iter().filter(|n| !self.checks.iter().any(|c| c.name == **n));
        let checks = rest.map(|name| Check { name, outcome: Outcome::NotReached, detail: String::new(), reason: None });
        let checks: Vec<_> = checks.collect();
        self.checks.extend(checks);
    }
}

const NAMES: [&str; 11] = [
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
];

/// Judges a call check by check, each that still can be judged.
pub fn explain(attempt: Attempt<'_>, state: &State, now: Timestamp) -> Explanation {
    let mut story = Explanation { checks: Vec::new(), reason: None, hints: Vec::new() };
    walk(&mut story, attempt, state, now);
    story.not_reached(&NAMES);
    hints::add(&mut story, attempt, state);
    story
}

fn walk(story: &mut Explanation, attempt: Attempt<'_>, state: &State, now: Timestamp) {
    let path = match judge(attempt.path) {
        Ok(path) => path,
        Err(why) => return story.failed("route", &Refusal::new(Reason::RequestInvalid).found(why)),
    };
    let (route, pattern, params, other_methods) = match state.routes.find(attempt.host, attempt.method, &path) {
        Found::Nothing => return story.failed("route", &Reason::RouteUnknown.into()),
        Found::Route { route, pattern, params } => (route, pattern, params, None),
        Found::OtherMethods { route, pattern, params, allow } => {
            (route, pattern, params, Some(wrong_method(attempt.method, &allow)))
        }
    };
    let pattern = &route.patterns[pattern];
    story.passed("route", format!("{} ({})", route.id, pattern.as_str()));
    let method_first = route.authenticator.method_first;
    let judge_method = |story: &mut Explanation| {
        story.judged("method", other_methods.clone().map_or_else(|| Ok(attempt.method.to_string()), Err));
    };
    if method_first {
        judge_method(story);
    }
    let place = Place { route, pattern, params, path: &path, account: state.registry.account_of_host(attempt.host) };
    match &route.authenticator.kind {
        AuthenticatorKind::Anonymous => story.passed("credential", "none needed"),
        AuthenticatorKind::Jwt(jwt) => walk_token(story, attempt.headers, jwt, &place, state, now),
    }
    if !method_first {
        judge_method(story);
    }
}

/// Where a call goes.
struct Place<'a> {
    route: &'a Route,
    pattern: &'a Pattern,
    params: Params,
    path: &'a str,
    account: Option<&'a AccountId>,
}

fn walk_token(
    story: &mut Explanation,
    headers: &HeaderMap,
    jwt: &JwtAuthenticator,
    place: &Place<'_>,
    state: &State,
    now: Timestamp,
) {
    let token = match credential(headers, jwt) {
        Ok(token) => token,
        Err(refusal) => return story.failed("credential", &refusal),
    };
    story.passed("credential", format!("in {}", jwt.header));
    let (form, length) = (verify::read(token, &jwt.rules), token.len());
    match form {
        Ok(Form::Signed(compact)) => {
            story.passed("form", format!("three parts, {length} bytes, {}", compact.header.algorithm));
            walk_signed(story, &compact, None, jwt, place, state, now);
        }
        Ok(Form::Encrypted(encrypted)) => {
            let (algorithm, encryption) = (encrypted.header.algorithm, encrypted.header.encryption);
            story.passed("form", format!("five parts, {length} bytes, {algorithm} with {encryption}"));
            let opened = match verify::open(&encrypted, &state.registry, now) {
                Ok(opened) => opened,
                Err(refusal) => return story.failed(ENCRYPTION, &refusal),
            };
            let compact = match verify::inner(&opened.text, &jwt.rules) {
                Ok(compact) => compact,
                Err(refusal) => return story.failed(ENCRYPTION, &refusal),
            };
            story.passed(ENCRYPTION, format!("opened with key {} of app {}", opened.key.kid, opened.app.client_id));
            walk_signed(story, &compact, Some(&opened), jwt, place, state, now);
        }
        Err(refusal) => story.failed("form", &refusal),
    }
}

/// Stands in the stories alone where it matters.
const ENCRYPTION: &str = "encryption";

fn walk_signed(
    story: &mut Explanation,
    compact: &Compact<'_>,
    opened: Option<&Opened<'_>>,
    jwt: &JwtAuthenticator,
    place: &Place<'_>,
    state: &State,
    now: Timestamp,
) {
    let app = verify::find_app(&compact.claims, &jwt.rules, &state.registry);
    let app = match app.and_then(|app| opened.map_or(Ok(()), |o| verify::check_owner(o, app)).map(|()| app)) {
        Ok(app) => app,
        Err(refusal) if opened.is_some() => return story.failed("app", &verify::hidden(refusal)),
        Err(refusal) => return story.failed("app", &refusal),
    };
    story.passed("app", format!("{} ({}), level {}, account {}", app.client_id, app.name, app.level, app.account));
    let proved = verify::prove(compact, app, &jwt.rules, now);
    story.judged(
        "signature",
        proved.map(|(algorithm, key)| match &key.kid {
            Some(kid) => format!("{algorithm}, key {kid}"),
            None => format!("{algorithm}, key number {}", key.number.0),
        }),
    );
    if let Err(refusal) = verify::check_encryption(opened.is_some(), app) {
        story.failed(ENCRYPTION, &refusal);
    }
    walk_claims(story, compact, app, jwt, now);
    walk_scope(story, app, place, state);
}

fn walk_claims(story: &mut Explanation, compact: &Compact<'_>, app: &App, jwt: &JwtAuthenticator, now: Timestamp) {
    let typed = verify::check_type(compact.header.token_type.as_deref(), &jwt.rules);
    let claims = match typed.and_then(|()| read_registered(&compact.claims)) {
        Ok(claims) => claims,
        Err(refusal) => return story.failed("claims", &refusal),
    };
    story.passed("claims", "of the right kinds");
    let exp =
        claims.expires.map_or_else(|| "no exp".to_owned(), |exp| format!("exp {exp}, {:?} ahead", now.until(exp)));
    story.judged("times", verify::check_times(&claims, app, &jwt.rules, now).map(|()| exp));
    story.judged("audience and issuer", verify::check_parties(&claims, &jwt.rules).map(|()| "as the route wants them"));
    story.judged(
        "single use",
        verify::single_use(&claims, app, &jwt.rules, now).map(|single| match single {
            Some(_) => "good for one call; to explain it does not use it up",
            None => "good for many calls",
        }),
    );
}

fn walk_scope(story: &mut Explanation, app: &App, place: &Place<'_>, state: &State) {
    let verdict = authorize(app, place.route, place.pattern, &place.params, place.path, place.account, &state.registry);
    let held = |bot: Option<&str>| format!("held: {}", app.scopes_on(bot));
    story.judged("scope", verdict.map(|a| held(a.bot.as_ref().map(|b| b.as_str()))));
}
