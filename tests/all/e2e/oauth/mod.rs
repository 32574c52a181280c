//! OAuth for apps: real sockets and a real store, a clock that the test moves.

mod audiences;
mod bounds;
mod clients;
mod configuration;
mod discovery;
mod grants;
mod networks;
mod presented;
mod refusals;
mod tables;
mod tokens;

use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use scopegate::clock::Timestamp;
use serde_json::{Value, json};

use super::harness::{Call, Node, Recorder, Reply, Token};
use crate::support::tokens::RSA_PUBLIC;

pub const START: i64 = 1_795_348_800;
pub const ISSUER: &str = "https://id.example.test";
pub const FORM: &str = "application/x-www-form-urlencoded";
pub const CLIENT_ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
pub const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// The secret of each app that has one.
pub const SECRET: &str = "the secret of each app in these tests";

/// `svc` holds scopes on its account, `ledger` tables besides, `helper` on two bots, `rival` is of another account, `keeper` takes Khoros' tokens,
/// `octo` is installed.
pub const REGISTRY: &str = r#"
version = 1
[[account]]
id = "acme"
[[account]]
id = "rival"
hosts = ["rival.test"]
[[bot]]
id = "st-1"
account = "acme"
[[bot]]
id = "st-2"
account = "acme"
[[bot]]
id = "st-9"
account = "acme"
[[app]]
client_id = "svc"
name = "svc"
account = "acme"
level = "account"
algorithms = ["HS256"]
[[app]]
client_id = "helper"
name = "helper"
account = "acme"
level = "bot"
bots = ["st-1", "st-2"]
algorithms = ["HS256"]
[[app]]
client_id = "idle"
name = "idle"
account = "acme"
level = "account"
algorithms = ["HS256"]
[[app]]
client_id = "ledger"
name = "ledger"
account = "acme"
level = "account"
algorithms = ["HS256"]
[[app]]
client_id = "single"
name = "single"
account = "acme"
level = "account"
algorithms = ["HS256"]
enforce_jti = true
[[app]]
client_id = "rival"
name = "rival"
account = "rival"
level = "account"
algorithms = ["HS256"]
[[app]]
client_id = "keeper"
name = "keeper"
account = "acme"
level = "account"
algorithms = ["HS256"]
authenticators = ["khoros", "oauth-client"]
[[app]]
client_id = "elsewhere"
name = "elsewhere"
account = "acme"
level = "account"
algorithms = ["HS256"]
authenticators = ["own"]
[[app]]
client_id = "octo"
name = "octo"
account = "acme"
level = "account"
algorithms = ["HS256", "RS256"]
[[installation]]
id = 4001
app = "octo"
account = "acme"
permissions = { contents = "write", issues = "read" }
[[service_account]]
name = "issuer"
account = "acme"
roles = ["bot-api"]
password = "correct horse battery"
[[grant]]
app = "svc"
account = "acme"
scopes = ["logs", "users"]
[[grant]]
app = "ledger"
account = "acme"
scopes = ["logs", "users"]
[[table_grant]]
app = "ledger"
table = "orders"
permissions = ["read"]
[[table_grant]]
app = "ledger"
view = "open-orders"
permissions = ["read"]
[[grant]]
app = "octo"
account = "acme"
scopes = ["users"]
[[grant]]
app = "helper"
bot = "st-1"
scopes = ["logs"]
[[grant]]
app = "helper"
bot = "st-2"
scopes = ["logs", "train"]
"#;

const ROUTES: &str = r#"
[authenticator.own]
kind = "jwt"
app_claims = ["iss"]
algorithms = ["HS256"]
[authenticator.gate]
kind = "jwt"
app_claims = ["iss"]
algorithms = ["HS256"]
audiences = ["https://id.example.test"]
[[scope]]
id = "logs"
title = "Read logs"
levels = ["bot", "account"]
[[scope]]
id = "train"
title = "Train"
levels = ["bot"]
[[scope]]
id = "users"
title = "Read users"
levels = ["account"]
[[route]]
id = "logs"
methods = ["GET"]
path = "/bot/{botId}/logs"
authenticator = "oauth"
scope = "logs"
bot_param = "botId"
[[route]]
id = "users"
methods = ["GET"]
path = "/users"
authenticator = "oauth"
scope = { account = "users" }
[[route]]
id = "any"
methods = ["GET"]
path = "/any"
authenticator = "oauth"
scope = "any"
[[route]]
id = "table"
methods = ["GET"]
path = "/tables/{name}"
authenticator = "oauth"
table = { param = "name", permissions = ["read"] }
[[route]]
id = "view"
methods = ["GET"]
path = "/views/{name}"
authenticator = "oauth"
view = { param = "name", permissions = ["read"] }
[[route]]
id = "tables"
methods = ["GET"]
path = "/tables"
authenticator = "oauth"
table = "any"
[[route]]
id = "own"
methods = ["GET"]
path = "/own"
authenticator = "own"
scope = "any"
[[route]]
id = "gate"
methods = ["GET"]
path = "/gate"
authenticator = "gate"
scope = "any"
"#;

/// A gateway with the profiles `oauth`, `khoros` and `icr`, and its upstream.
pub struct World {
    pub node: Node,
    pub upstream: Recorder,
}

impl World {
    pub fn new() -> Self {
        Self::at("127.0.0.1:0", ISSUER, Timestamp::from_secs(START))
    }

    pub fn at(listen: &str, issuer: &str, now: Timestamp) -> Self {
        Self::with("", listen, issuer, now)
    }

    /// With more keys of `[oauth]`.
    pub fn with(oauth: &str, listen: &str, issuer: &str, now: Timestamp) -> Self {
        let upstream = Recorder::start();
        let keys: String = ["svc", "helper", "idle", "ledger", "octo", "single", "rival", "keeper", "elsewhere"]
            .map(|app| format!("[[key]]\napp = {app:?}\nsecret = {SECRET:?}\n"))
            .concat();
        let sections =
            format!("[oauth]\nissuer = {issuer:?}\n{oauth}[upstream.care]\nurls = [{:?}]\n{ROUTES}", upstream.url());
        let registry = format!("{REGISTRY}{keys}[[key]]\napp = \"octo\"\npublic_key = '''{RSA_PUBLIC}'''\n");
        let node = Node::start_on(listen, "profiles = [\"oauth\", \"khoros\", \"icr\"]", &sections, &registry, now);
        Self { node, upstream }
    }

    pub fn call(&self, call: &Call) -> Reply {
        self.node.call(call)
    }

    /// POSTs a form.
    pub fn post(&self, path: &str, form: &[(&str, &str)]) -> Reply {
        self.call(&Call::post(path, encode(form)).header("Content-Type", FORM))
    }

    pub fn assertion(&self, app: &str) -> Token {
        assertion(app, self.node.clock_now())
    }

    /// What a client sends that authenticates as an app, besides these.
    pub fn post_as(&self, app: &str, path: &str, form: &[(&str, &str)]) -> Reply {
        let assertion = self.assertion(app).sign(SECRET);
        let own = [("client_assertion_type", CLIENT_ASSERTION), ("client_assertion", &assertion)];
        self.post(path, &[form, &own].concat())
    }

    /// A token for the app itself.
    #[track_caller]
    pub fn token(&self, app: &str, scope: &str) -> String {
        let reply = self.post_as(app, "/oauth2/token", &[("grant_type", "client_credentials"), ("scope", scope)]);
        assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
        reply.json()["access_token"].as_str().unwrap().to_owned()
    }

    pub fn get(&self, path: &str, token: &str) -> Reply {
        self.call(&Call::get(path).bearer(token))
    }

    #[track_caller]
    pub fn introspect(&self, app: &str, token: &str) -> Value {
        let reply = self.post_as(app, "/oauth2/introspect", &[("token", token)]);
        assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        reply.json()
    }
}

/// By which an app authenticates, or which it hands in: good for five minutes, and once.
pub fn assertion(app: &str, now: i64) -> Token {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let jti = format!("a-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    Token::with(json!({ "iss": app, "sub": app, "aud": ISSUER, "iat": now, "exp": now + 300, "jti": jti }))
}

pub fn encode(form: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish()
}

/// Header and claims, whoever signed it.
pub fn parts(token: &str) -> [Value; 2] {
    let mut parts = token.split('.').map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()));
    [parts.next().unwrap().unwrap(), parts.next().unwrap().unwrap()]
}
