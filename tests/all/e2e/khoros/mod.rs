//! Khoros' tokens and routes, row by row of the acceptance list: real sockets and a real store, a clock that the test moves.

mod agent;
mod bounds;
mod hosts;
mod lifecycle;
mod locked;
mod routes;
mod sign_in;
mod tokens;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use scopegate::clock::Timestamp;
use serde_json::Value;

use super::harness::{Call, Node, Recorder, Reply};

pub const START: i64 = 1_795_348_800;
pub const DAY: Duration = Duration::from_secs(86_400);
pub const LIFE: Duration = Duration::from_secs(90 * 86_400);
pub const SECOND: Duration = Duration::from_secs(1);

/// Two accounts with hosts of their own, apps that take tokens of ours, and those who may deal with them.
const REGISTRY: &str = r#"
version = 1
[[account]]
id = "acme"
hosts = ["acme.response.test", "acme.api.test"]
[[account]]
id = "rival"
hosts = ["rival.response.test", "rival.api.test"]
[[app]]
client_id = "alpha"
name = "alpha"
account = "default"
level = "account"
algorithms = []
authenticators = ["khoros"]
[[app]]
client_id = "beta"
name = "beta"
account = "default"
level = "account"
algorithms = []
authenticators = ["khoros"]
[[app]]
client_id = "gamma"
name = "gamma"
account = "acme"
level = "account"
algorithms = []
authenticators = ["khoros"]
[[service_account]]
name = "issuer"
account = "default"
roles = ["bot-api"]
password = "correct horse battery"
[[service_account]]
name = "reader"
account = "default"
roles = []
password = "correct horse battery"
[[service_account]]
name = "acme-issuer"
account = "acme"
roles = ["bot-api"]
password = "correct horse battery"
[[service_account]]
name = "rival-issuer"
account = "rival"
roles = ["bot-api"]
password = "correct horse battery"
"#;

pub const PASSWORD: &str = "correct horse battery";

/// A gateway with the profile, and its upstream.
pub struct World {
    pub node: Node,
    pub upstream: Recorder,
}

impl World {
    pub fn new() -> Self {
        Self::with("")
    }

    /// With more sections in the configuration.
    pub fn with(sections: &str) -> Self {
        let upstream = Recorder::start();
        let sections = format!("[upstream.care]\nurls = [{:?}]\n{sections}", upstream.url());
        let now = Timestamp::from_secs(START);
        let node = Node::start("profiles = [\"khoros\"]", &sections, REGISTRY, now);
        Self { node, upstream }
    }

    pub fn call(&self, call: &Call) -> Reply {
        self.node.call(call)
    }

    pub fn advance(&self, span: Duration) {
        self.node.clock.advance(span);
    }

    /// The first token of an app.
    #[track_caller]
    pub fn token(&self, app: &str) -> String {
        let reply = self.call(&basic(&Call::post(owner(app), ""), "issuer"));
        assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
        reply.json()["data"]["token"].as_str().unwrap().to_owned()
    }

    /// The token that a refresh gives.
    #[track_caller]
    pub fn refreshed(&self, app: &str, token: &str) -> String {
        let reply = self.refresh(app, token);
        assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
        reply.json()["data"]["token"].as_str().unwrap().to_owned()
    }

    pub fn refresh(&self, app: &str, token: &str) -> Reply {
        self.call(&Call::new("PUT", renewal(app)).bearer(token))
    }

    /// Whether the token lets a call through to the upstream.
    pub fn is_good(&self, token: &str) -> bool {
        let before = self.upstream.all().len();
        let reply = self.call(&Call::post("/bots/v3/respond", "{}").bearer(token));
        assert_eq!(self.upstream.all().len() - before, usize::from(reply.status == 200));
        match reply.status {
            200 => true,
            401 => false,
            other => panic!("{other}"),
        }
    }
}

pub fn owner(app: &str) -> String {
    format!("/api/v2/tokens/khorosapi/ownerId/{app}")
}

pub fn renewal(app: &str) -> String {
    format!("/bots/v3/tokens/appId/{app}")
}

pub fn basic(call: &Call, name: &str) -> Call {
    basic_with(call, name, PASSWORD)
}

pub fn basic_with(call: &Call, name: &str, password: &str) -> Call {
    let credential = STANDARD.encode(format!("{name}:{password}"));
    call.clone().header("Authorization", format!("Basic {credential}"))
}

/// What a token claims, whoever signed it.
pub fn claims(token: &str) -> Value {
    part(token, 1)
}

/// A part of a token: its header, or what it claims.
pub fn part(token: &str, n: usize) -> Value {
    let json = URL_SAFE_NO_PAD.decode(token.split('.').nth(n).unwrap()).unwrap();
    serde_json::from_slice(&json).unwrap()
}

/// The whole of a v2 refusal.
pub fn v2(message: &str) -> Value {
    serde_json::json!({ "status": "fail", "message": message })
}

/// The whole of a v3 refusal of this call.
pub fn v3(message: &str, reply: &Reply) -> Value {
    serde_json::json!({ "error": { "message": message, "requestId": reply.request_id() } })
}
