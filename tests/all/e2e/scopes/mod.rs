//! The command `scope`: grants as drafts, in force, in history, and what the gateway makes of them. A test that proves an
//! acceptance row begins with its number.

mod edits;
mod files;
mod mappings;
mod publishing;

use super::harness::{App, Call, Gateway, Recorder, Registry, Reply, Setup, texts, within};

const BOT: &str = "st-0c6e2d3a-9e8f-5c62-8a57-1d2f3e4a5b6c";
const SECOND_BOT: &str = "st-11111111-9e8f-5c62-8a57-1d2f3e4a5b6c";
const LOGS: &str = "logs:change_logs";
const CHAT: &str = "chat_history:read";

/// Of one bot.
fn ci(scopes: &[&str]) -> App {
    App::new("ci", "acme", &[BOT], scopes)
}

/// Of two bots.
fn both(scopes: &[&str]) -> App {
    App::new("both", "acme", &[BOT, SECOND_BOT], scopes)
}

/// Of level account.
fn admin(scopes: &[&str]) -> App {
    App::new("admin", "acme", &[], scopes)
}

fn registry(apps: &[App]) -> Registry {
    Registry::new().account("acme", &[BOT, SECOND_BOT]).apps(apps)
}

/// A configuration and a registry, without a gateway.
fn setup(apps: &[App]) -> Setup {
    let setup = Setup::kore("http://127.0.0.1:9", "");
    setup.apply(&registry(apps));
    setup
}

fn start(apps: &[App]) -> (Gateway, Recorder) {
    let upstream = Recorder::start();
    (Gateway::start(Setup::kore(&upstream.url(), ""), &registry(apps)), upstream)
}

/// Runs a `scope` command that has to succeed; returns what it says.
#[track_caller]
fn scope(setup: &Setup, arguments: &[&str]) -> String {
    setup.succeed(&[&["scope"], arguments].concat())
}

/// Runs a `scope` command that has to end with this status; returns what it says, complaints behind the rest.
#[track_caller]
fn ends(setup: &Setup, status: i32, arguments: &[&str]) -> String {
    let output = setup.run(&[&["scope"], arguments].concat());
    let (out, err) = texts(&output);
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {out}{err}");
    out + &err
}

#[track_caller]
fn refused(setup: &Setup, arguments: &[&str]) -> String {
    let said = ends(setup, 1, arguments);
    assert!(said.starts_with("scopegate: "), "{said}");
    said
}

#[track_caller]
fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

/// The mappings that `scope list --json` shows.
fn mappings(setup: &Setup, filter: &[&str]) -> Vec<serde_json::Value> {
    let listing = setup.json(&[&["scope", "list", "--json"], filter].concat());
    listing["mappings"].as_array().unwrap().clone()
}

/// The ids under a key of a mapping.
fn ids(mapping: &serde_json::Value, key: &str) -> Vec<String> {
    let entries = mapping[key].as_array().unwrap().iter();
    entries.map(|entry| entry["id"].as_str().unwrap_or_else(|| entry.as_str().unwrap()).to_owned()).collect()
}

fn logs_of(app: &App) -> Call {
    Call::get(format!("/api/public/bot/{BOT}/changelogs")).auth(app.token())
}

fn chat_of(app: &App) -> Call {
    Call::get(format!("/api/public/bot/{BOT}/getMessages")).auth(app.token())
}

/// Waits until the gateway follows.
#[track_caller]
fn soon(gateway: &Gateway, call: &Call, status: u16) -> Reply {
    let what = format!("{} answers {status}", call.target);
    within(std::time::Duration::from_secs(2), &what, || Some(gateway.call(call)).filter(|reply| reply.status == status))
}

/// E4 of the kore profile.
#[track_caller]
fn assert_no_scope(gateway: &Gateway, call: &Call) {
    let reply = gateway.call(call);
    let body = serde_json::json!({ "errors": [{ "msg": "Permission denied. Scope is incorrect!", "code": 4002 }] });
    assert_eq!((reply.status, reply.json()), (401, body));
}
