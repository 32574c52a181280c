//! The registry by command: accounts, bots, apps, keys, and the audit of what was done to them.

mod accounts;
mod apps;
mod audit;
mod certificates;
mod installations;
mod keys;
mod networks;
mod races;
mod secrets;
mod services;
mod touched;

use serde_json::Value;

use super::harness::{Call, Gateway, Recorder, Setup, Token};

const BOT: &str = "st-0c6e2d3a-9e8f-5c62-8a57-1d2f3e4a5b6c";
const SECOND_BOT: &str = "st-11111111-9e8f-5c62-8a57-1d2f3e4a5b6c";
/// Of the other account.
const STRANGE_BOT: &str = "st-7f1b9c0d-2a3e-5d41-9b68-4c5d6e7f8091";

/// A call that any app of the kore profile may make.
const ANY: &str = "/api/public/uploadfile";

fn changelogs(bot: &str) -> String {
    format!("/api/public/bot/{bot}/changelogs")
}

/// The kore profile, with accounts `acme` and `globex` and their bots.
fn setup(upstream: &str, sections: &str) -> Setup {
    let setup = Setup::kore(upstream, sections);
    for account in ["acme", "globex"] {
        setup.succeed(&["account", "add", account]);
    }
    for (bot, account) in [(BOT, "acme"), (SECOND_BOT, "acme"), (STRANGE_BOT, "globex")] {
        setup.succeed(&["bot", "add", bot, "--account", account]);
    }
    setup
}

/// The same, where nobody calls.
fn offline() -> Setup {
    setup("http://127.0.0.1:9", "")
}

/// The same, with a gateway in front of an upstream.
fn start() -> (Gateway, Recorder) {
    let upstream = Recorder::start();
    (Gateway::serve(setup(&upstream.url(), ""), &[]), upstream)
}

/// What `app create --json` says.
fn create(setup: &Setup, arguments: &[&str]) -> Value {
    setup.json(&[&["app", "create", "--json"][..], arguments].concat())
}

/// An account-level app with a secret that was made.
fn create_app(setup: &Setup, name: &str) -> (String, String) {
    let app = create(setup, &["--name", name, "--account", "acme"]);
    (text(&app["client_id"]), text(&app["client_secret"]))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// Puts a grant in force, as `bot = "…"` or `account = "…"`, or leaves it as a draft.
fn grant(setup: &Setup, app: &str, target: &str, scope: &str, more: &[&str]) {
    setup.write("grant.toml", &format!("version = 1\n[[grant]]\napp = {app:?}\n{target}\nscopes = [{scope:?}]"));
    setup.succeed(&[&["apply", "-f", "grant.toml"][..], more].concat());
}

fn any(token: &str) -> Call {
    Call::post(ANY, "file").auth(token)
}

fn signed(client_id: &str, secret: &str) -> Call {
    any(&Token::of(client_id).sign(secret))
}
