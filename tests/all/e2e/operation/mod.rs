//! Running it: the registry file, reload, drain, kills, errors at the start, what it writes, and the demo.

mod apply;
mod connect;
mod crash;
mod demo;
mod descriptors;
mod drain;
mod findings;
mod init;
mod keys;
mod listeners;
mod literal;
mod logs;
mod material;
mod metrics;
mod minute;
mod ranges;
mod readme;
mod recovery;
mod reload;
mod startup;
mod takeover;
mod watch;
mod why;
mod words;

use super::harness::{App, Call, Gateway, Recorder, Registry, Setup};

const BOT: &str = "st-0c6e2d3a-9e8f-5c62-8a57-1d2f3e4a5b6c";
const PATH: &str = "/api/public/bot/st-0c6e2d3a-9e8f-5c62-8a57-1d2f3e4a5b6c/changelogs";

fn app(client_id: &str, scopes: &[&str]) -> App {
    App::new(client_id, "acme", &[BOT], scopes)
}

/// May read change logs.
fn ci() -> App {
    app("ci", &["logs:change_logs"])
}

fn registry(apps: &[App]) -> Registry {
    Registry::new().account("acme", &[BOT]).apps(apps)
}

fn call(app: &App) -> Call {
    Call::get(PATH).auth(app.token())
}

/// A gateway with the kore profile and its upstream.
fn start(registry: &Registry) -> (Gateway, Recorder) {
    let upstream = Recorder::start();
    (Gateway::start(Setup::kore(&upstream.url(), ""), registry), upstream)
}
