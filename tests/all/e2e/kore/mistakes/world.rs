//! A gateway whose access log is a file, with apps to make mistakes with.

use std::sync::OnceLock;

use serde_json::Value;

use super::super::tokens::rsa;
use super::super::world::{ACCOUNT, BOT, OTHER_ACCOUNT, SECOND_BOT, STRANGE_BOT};
use crate::e2e::harness::{App, Call, Gateway, Recorder, Registry, Reply, Setup, eventually};

pub const SECRET: &str = "q83vEiM+Vb1vQ0m7m0l5x3Yw8s0uN2kQ9rT4eZ6/J1o=";
pub const STRANGE_SECRET: &str = "c3RyYW5nZXIgc2VjcmV0IG9mIHRoaXJ0eS10d28gYnk=";

fn of_bot(client_id: &str, scopes: &[&str]) -> App {
    App::new(client_id, ACCOUNT, &[BOT], scopes).key(format!("secret = {SECRET:?}"))
}

/// May read change logs of its bot.
pub fn good() -> App {
    of_bot("cs-2f8a3f7a-6c1e-5e0a-9b46-3b1d4f2c7a90", &["logs:change_logs"])
}

/// May read chat history of its bot.
pub fn chat() -> App {
    of_bot("cs-51d0c6be-93a4-5b7f-8c12-6e7f8091a2b3", &["chat_history:read"])
}

/// Is to read change logs of its bot, as soon as that is published.
pub fn drafted() -> App {
    of_bot("cs-d7af7ed0-93a4-5b7f-8c12-6e7f8091a2b3", &["logs:change_logs"])
}

/// Of the other account.
pub fn stranger() -> App {
    let app = App::new("cs-c4d5e6f7-8091-5a2b-9c3d-4e5f60718293", OTHER_ACCOUNT, &[], &["logs:change_logs"]);
    app.key(format!("secret = {STRANGE_SECRET:?}"))
}

/// May read change logs of every bot of its account.
pub fn admin() -> App {
    let app = App::new("cs-9a8b7c6d-5e4f-5a3b-8c1d-0e9f8a7b6c5d", ACCOUNT, &[], &["logs:change_logs"]);
    app.key(format!("secret = {SECRET:?}"))
}

/// Signs with a private key.
pub fn sdk() -> App {
    let key = format!("public_key = '''{}'''", rsa().public);
    App::new("cs-5d000000-0000-5000-8000-00000000f012", ACCOUNT, &[BOT], &[]).algorithms(&["RS256"]).key(key)
}

/// Every token of it is good for one call.
pub fn once() -> App {
    of_bot("cs-01ce0000-0000-5000-8000-00000000f012", &["logs:change_logs"]).settings("enforce_jti = true")
}

pub struct World {
    pub gateway: Gateway,
    pub upstream: Recorder,
    /// What nobody may be shown.
    pub secrets: [String; 2],
}

pub fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let upstream = Recorder::start();
        let setup = Setup::kore(&upstream.url(), "");
        setup.edit("[telemetry]", "[telemetry]\naccess_log = \"access.log\"");
        let unpublished = App { scopes: Vec::new(), ..drafted() };
        let registry = Registry::new()
            .account(ACCOUNT, &[BOT, SECOND_BOT])
            .account(OTHER_ACCOUNT, &[STRANGE_BOT])
            .apps(&[good(), chat(), stranger(), admin(), sdk(), once()]);
        setup.apply(&registry.clone().app(&unpublished));
        setup.write("draft.toml", registry.app(&drafted()).as_str());
        setup.succeed(&["apply", "-f", "draft.toml", "--draft"]);
        let secrets = [SECRET, STRANGE_SECRET].map(str::to_owned);
        World { gateway: Gateway::serve(setup, &[]), upstream, secrets }
    })
}

impl World {
    pub fn call(&self, call: &Call) -> Reply {
        self.gateway.call(call)
    }

    /// The line of a call in the file, once it is there.
    pub fn logged(&self, request_id: &str) -> Value {
        eventually("the call is in the file", || {
            let log = self.gateway.setup.read("access.log");
            let line = log.lines().rev().find(|line| line.contains(request_id))?;
            serde_json::from_str(line).ok()
        })
    }

    pub fn why(&self, request_id: &str) -> String {
        self.gateway.setup.succeed(&["why", request_id])
    }
}
