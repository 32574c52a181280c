//! What is told of a call.

use std::net::SocketAddr;

use http::{HeaderMap, Method};
use serde::Serialize;

use crate::gateway::told;
use crate::model::Reason;
use crate::policy::{Attempt, ErrorFormat, Place, Route, State, advise_call, check_network};
use crate::registry::App;
use crate::telemetry::LoggedCall;
use crate::verify::Origin;

/// A call, and what can be said about it.
#[derive(Debug, Serialize)]
pub(super) struct Story {
    call: LoggedCall,
    /// In a sentence.
    verdict: String,
    /// What the caller read.
    #[serde(skip_serializing_if = "Option::is_none")]
    told: Option<Told>,
    #[serde(skip_serializing_if = "Option::is_none")]
    truth: Option<Truth>,
    /// What to do, most likely first.
    advice: Vec<String>,
    /// What the configuration and the registry say now.
    now: Vec<String>,
    /// The earlier call with the same jti.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_use: Option<LoggedCall>,
    #[serde(skip)]
    route: Option<String>,
    #[serde(skip)]
    app: Option<String>,
}

#[derive(Debug, Serialize)]
struct Told {
    status: u16,
    text: &'static str,
}

#[derive(Debug, Serialize)]
struct Truth {
    reason: String,
    title: &'static str,
}

impl Story {
    /// The state is that of now, or why it is not known.
    pub fn new(call: Box<LoggedCall>, first_use: Option<LoggedCall>, state: Result<&State, &String>) -> Self {
        let reason = call.reason.as_deref().and_then(|code| Reason::ALL.iter().find(|r| r.code() == code)).copied();
        let known = state.ok();
        let route = known.and_then(|s| s.routes.routes().iter().find(|r| Some(r.id.as_str()) == call.route.as_deref()));
        let app = known.zip(call.app.as_deref()).and_then(|(state, id)| state.registry.app(id));
        let format = route.map(|route| route.authenticator.error_format).unwrap_or_default();
        let told = reason.filter(|_| call.status.is_some()).map(|reason| {
            // A stranger to an app may have been told that there is none.
            let is_veiled =
                format == ErrorFormat::Icr && call.status == Some(404) && reason.public() == Reason::TokenInvalid;
            let (status, text) = told(if is_veiled { Reason::AppUnknown } else { reason }, format);
            Told { status: call.status.unwrap_or(status), text }
        });
        let truth = call.reason.as_ref().map(|code| Truth {
            reason: code.clone(),
            title: reason.map_or("This version does not know that reason.", Reason::title),
        });
        let mut advice: Vec<_> = reason.map(|reason| reason.fix().to_owned()).into_iter().collect();
        let now = match state {
            Ok(state) => {
                let app = app.map(|app| &**app);
                advice.extend(reason.into_iter().flat_map(|reason| advised(reason, &call, app, state)));
                of_now(reason, &call, app, state)
            }
            Err(why) => vec![format!("The registry was not asked: {why}")],
        };
        let verdict = verdict(&call, reason);
        let route = route.map(|route| of_route(route));
        let app = app.map(|app| format!("{} ({})", app.client_id, app.name));
        Self { call: *call, verdict, told, truth, advice, now, first_use, route, app }
    }

    /// For a person.
    pub fn render(&self) -> String {
        let call = &self.call;
        let mut text = format!("{}\n\n", self.verdict);
        let mut line = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                text.push_str(&format!("{name:10} {value}\n"));
            }
        };
        line("request", Some(call.request_id.clone()));
        line("when", Some(format!("{}, {} ms", call.time, call.duration_ms)));
        line("call", Some(format!("{} {}{}", call.method, call.host.as_deref().unwrap_or_default(), call.path)));
        let from = call.client.as_ref().zip(call.peer.as_ref()).map(|(client, peer)| format!("{client} by {peer}"));
        line("from", from.or_else(|| call.peer.clone()));
        line("route", self.route.clone().or_else(|| call.route.clone()));
        line("bot", call.bot.clone());
        line("app", self.of_app());
        line("key", call.key.as_ref().map(|key| format!("{key}, {}", call.alg.as_deref().unwrap_or_default())));
        line("jti", call.jti.clone());
        line("scope", call.scope.clone());
        line("upstream", call.of_upstream());
        let bodies = format!("{} bytes in, {} bytes out", call.bytes_in, call.bytes_out);
        line("answered", call.status.map(|status| format!("{status}, {bodies}")));
        line("told", self.told.as_ref().map(|told| told.text.to_owned()));
        line("true", self.truth.as_ref().map(|truth| format!("{}: {}", truth.reason, truth.title)));
        line("expected", call.expected.clone());
        line("found", call.found.clone());
        let first = |first: &LoggedCall| format!("{} by request {}", first.time, first.request_id);
        line("first use", self.first_use.as_ref().map(first));
        for (heading, lines) in [("what to do", &self.advice), ("now", &self.now)] {
            if !lines.is_empty() {
                text.push_str(&format!("\n{heading}\n"));
                for line in lines {
                    text.push_str(&format!("  {line}\n"));
                }
            }
        }
        text
    }

    fn of_app(&self) -> Option<String> {
        let app = self.app.clone().or_else(|| self.call.app.clone())?;
        let account = self.call.account.as_deref().unwrap_or_default();
        let proof = if self.call.verified { "" } else { "; as the token claims, which was not good" };
        Some(format!("{app}, account {account}{proof}"))
    }
}

fn of_route(route: &Route) -> String {
    let title = route.title.as_deref().map(|title| format!(" ({title})"));
    format!("{}{}", route.id, title.unwrap_or_default())
}

fn verdict(call: &LoggedCall, reason: Option<Reason>) -> String {
    let ms = call.duration_ms;
    match (call.outcome.as_str(), &call.reason, call.status) {
        ("abandoned", _, None) => format!("The caller went away after {ms} ms, before there was an answer."),
        ("abandoned", _, Some(status)) => format!("The caller went away in the middle of the answer {status}."),
        ("ended", Some(code), _) => format!("A good call, which the gateway ended after {ms} ms: {code}."),
        ("cut", ..) => "The upstream broke off in the middle of its answer.".to_owned(),
        ("panicked", ..) => "The gateway itself failed in this call; standard error has more.".to_owned(),
        (_, Some(code), _) if code.starts_with("upstream.") => {
            let upstream = call.upstream.as_deref().unwrap_or("none");
            format!("A good call that its upstream ({upstream}) did not answer as it should.")
        }
        (_, Some(_), status) if reason.is_some_and(|r| r.status() >= 500) => {
            format!("The gateway could not take the call{}.", status.map_or(String::new(), |s| format!(" ({s})")))
        }
        (_, Some(code), _) => format!("Refused: {code}."),
        (_, None, Some(status)) => {
            let upstream = call.upstream.as_deref().map(|u| format!(" by upstream {u}")).unwrap_or_default();
            format!("A good call: answered {status}{upstream} in {ms} ms.")
        }
        (_, None, None) => "A call without an answer.".to_owned(),
    }
}

fn with_attempt<T>(call: &LoggedCall, ask: impl FnOnce(Attempt<'_>) -> T) -> Option<T> {
    let (method, headers) = (call.method.parse::<Method>().ok()?, HeaderMap::new());
    let host = call.host.as_deref().unwrap_or_default();
    let peer = || call.peer.as_deref()?.parse().ok().map(|peer: SocketAddr| peer.ip());
    let from = call.client.as_deref().and_then(|client| client.parse().ok()).or_else(peer);
    Some(ask(Attempt { method: &method, host, path: &call.path, headers: &headers, from }))
}

fn advised(reason: Reason, call: &LoggedCall, app: Option<&App>, state: &State) -> Vec<String> {
    with_attempt(call, |attempt| advise_call(reason, attempt, app, state)).unwrap_or_default()
}

/// What has changed since, as far as it matters to this call.
fn of_now(reason: Option<Reason>, call: &LoggedCall, app: Option<&App>, state: &State) -> Vec<String> {
    let mut now = Vec::new();
    match (call.app.as_deref(), app) {
        (Some(id), None) => now.push(format!("App {id} is not there any more.")),
        (_, Some(app)) if !app.enabled => {
            now.push(format!(
                "App {} is disabled: {}.",
                app.client_id,
                app.fault.as_deref().unwrap_or("as it was set")
            ));
        }
        (_, Some(app)) if reason == Some(Reason::AppDisabled) => {
            now.push(format!("App {} is enabled: such a call would not be refused for this any more.", app.client_id));
        }
        (None, None) if reason == Some(Reason::AppUnknown) => now.extend(of_claimed(call, state)),
        _ => {}
    }
    now.extend(with_attempt(call, |attempt| of_place(reason, attempt, app, state)).flatten());
    now
}

/// The app that the token named may have been saved since.
fn of_claimed(call: &LoggedCall, state: &State) -> Option<String> {
    let found = call.found.as_deref()?;
    let claimed: String = serde_json::from_str(&found[..=found.rfind('"')?]).ok()?;
    let app = state.registry.app(&claimed)?;
    Some(format!("App {} ({}) is there: such a call would not be refused for this any more.", app.client_id, app.name))
}

fn of_place(reason: Option<Reason>, attempt: Attempt<'_>, app: Option<&App>, state: &State) -> Option<String> {
    let place = match Place::find(attempt, state) {
        Ok(place) if reason == Some(Reason::RouteUnknown) => {
            return Some(format!(
                "Route {} matches: such a call would not be refused for this any more.",
                of_route(place.route)
            ));
        }
        Ok(place) => place,
        Err(_) if reason.is_none_or(|r| !matches!(r, Reason::RouteUnknown | Reason::RequestInvalid)) => {
            return Some("No route matches this call any more.".to_owned());
        }
        Err(_) => return None,
    };
    // What an installation's token was narrowed to is not in the log.
    let app = app.filter(|_| place.route.authenticator.origin() != Some(Origin::Installation));
    let is_about_rights = reason.is_none_or(|r| r.status() == 403 || r == Reason::BotUnknown);
    // A call that was refused for coming from nowhere comes from nowhere still; else what is not known is not judged.
    let has_origin = attempt.from.is_some() || reason == Some(Reason::AppWrongNetwork);
    let judged = |app| {
        let network = if has_origin { check_network(app, attempt.from) } else { Ok(()) };
        network.and_then(|()| place.authorize(app, state))
    };
    match (app.filter(|_| is_about_rights).map(judged)?, reason) {
        (Ok(_), Some(_)) => Some("The app has what it lacked: such a call would be let through.".to_owned()),
        (Err(refusal), was) if Some(refusal.reason) != was => {
            let found = refusal.found.map(|found| format!(" Found: {found}.")).unwrap_or_default();
            Some(format!("Such a call would be refused: {}.{found}", refusal.reason))
        }
        (Err(refusal), _) => refusal.found.map(|found| format!("It is still so: {found}.")),
        (Ok(_), None) => None,
    }
}
