//! One gateway for all rows that change nothing: accounts, bots, and for each scope of the catalogue an app that holds
//! it alone and an app that holds all others.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use serde_json::Value;

use crate::e2e::harness::{App, Call, Gateway, Recorder, Registry, Reply, Setup, part};

pub const BOT: &str = "st-0c6e2d3a-9e8f-5c62-8a57-1d2f3e4a5b6c";
pub const SECOND_BOT: &str = "st-11111111-9e8f-5c62-8a57-1d2f3e4a5b6c";
/// Of the other account.
pub const STRANGE_BOT: &str = "st-7f1b9c0d-2a3e-5d41-9b68-4c5d6e7f8091";
pub const ACCOUNT: &str = "acme";
pub const OTHER_ACCOUNT: &str = "globex";

/// Scopes for which the profile has no route, since their paths are not confirmed: a configuration adds them.
pub const OWN_ROUTES: &str = r#"
[[route]]
id = "get-user-engagement"
methods = ["GET"]
path = "/api/public/bot/{botId}/userEngagement"
authenticator = "kore"
scope = "user_engagement:count"
bot_param = "botId"
[[route]]
id = "broadcast-rcs"
methods = ["POST"]
path = "/api/public/bot/{botId}/rcs/broadcast"
authenticator = "kore"
scope = { bot = "rcs_optin:optin_users" }
bot_param = "botId"
[[route]]
id = "update-faq"
methods = ["PUT"]
path = "/api/public/bot/{botId}/faqs/{faqId}"
authenticator = "kore"
scope = { bot = "update_faqs:update_faqs", account = "update_faqs_from_BAC:update_faqs_from_BAC" }
bot_param = "botId"
"#;

/// The 23 documented titles of bot scopes in the document's order, with the ids that go with them.
pub const BOT_SCOPES: [(&str, &str); 23] = [
    ("intent_entity:detection", "Intent and Entity Detection"),
    ("user_engagement:count", "User Engagement Trend"),
    ("batchtest:execution", "Batch Tests Execution"),
    ("batchtest:management", "Batch Tests Management"),
    ("chat_history:read", "Chat History"),
    ("debug_logs:read", "Debug Logs"),
    ("bot_definition:bot_export", "Bot Export"),
    ("bot_variables:import", "Import Variables"),
    ("bot_variables:export", "Export Variables"),
    ("channel_management:proactive_messages", "Proactive Messages"),
    ("test_and_train:ml", "Train ML"),
    ("test_and_train:faq", "Train FAQ"),
    ("test_and_train:ml_import", "Utterances Import"),
    ("test_and_train:ml_export", "Utterances Export"),
    ("logs:change_logs", "Logs History"),
    ("bot_sessions:read", "Bot Sessions"),
    ("billing_sessions:read", "Billing Sessions"),
    ("custom_dashboards:custom_dashboards", "Custom Reports"),
    ("rcs_optin:optin_users", "RCS Message Events"),
    ("get_metrics:get_metrics", "Metrics"),
    ("knowledge_graph_export:knowledge_graph_export", "Manage Knowledge Graph"),
    ("nlp_configurations:nlp_configurations", "NLP Configurations"),
    ("update_faqs:update_faqs", "Update FAQs"),
];

pub struct World {
    pub gateway: Gateway,
    pub upstream: Recorder,
    /// Every API of the catalogue, as `catalog list --json` prints it.
    pub apis: Vec<Api>,
    /// (id, level) of every scope, as `catalog scopes --json` prints them.
    pub scopes: Vec<(String, String)>,
}

/// An API of the catalogue.
#[derive(Clone, Debug)]
pub struct Api {
    pub id: String,
    pub methods: Vec<String>,
    pub paths: Vec<String>,
    pub levels: BTreeSet<String>,
    pub bot_scope: Option<String>,
    pub account_scope: Option<String>,
}

impl Api {
    fn of(value: &Value) -> Self {
        let text = |name: &str| value[name].as_str().map(str::to_owned);
        let texts = |name: &str| value[name].as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned());
        Self {
            id: text("id").unwrap(),
            methods: texts("methods").collect(),
            paths: texts("paths").collect(),
            levels: texts("levels").collect(),
            bot_scope: text("bot_scope"),
            account_scope: text("account_scope"),
        }
    }

    pub fn scope(&self, level: &str) -> Option<&str> {
        if level == "bot" { self.bot_scope.as_deref() } else { self.account_scope.as_deref() }
    }

    /// A call for each method and path, on this bot.
    pub fn calls(&self, bot: &str) -> impl Iterator<Item = Call> {
        let paths = self.paths.iter().map(|path| filled(path, bot));
        paths.flat_map(|path| self.methods.iter().map(move |method| Call::new(method, path.clone())))
    }
}

/// The path with its parameters filled in.
fn filled(path: &str, bot: &str) -> String {
    let segments = path.split('/').map(|segment| match segment {
        "{botId}" => bot,
        "{version}" => "1.1",
        "{table}" => "orders",
        "{view}" => "open-orders",
        _ if segment.starts_with('{') => "x1",
        _ => segment,
    });
    segments.collect::<Vec<_>>().join("/")
}

pub fn changelogs(bot: &str) -> String {
    format!("/api/public/bot/{bot}/changelogs")
}

pub const UPLOAD: &str = "/api/public/uploadfile";

/// The app that holds this scope and no other.
pub fn only(level: &str, scope: &str) -> App {
    of_scopes(&format!("only-{level}-{scope}"), level, &[scope])
}

/// The app that holds every scope of its level but this one.
pub fn without(level: &str, scope: &str) -> App {
    without_of(&world().scopes, level, scope)
}

fn without_of(scopes: &[(String, String)], level: &str, scope: &str) -> App {
    let others = scopes.iter().filter(|(id, at)| at == level && id != scope).map(|(id, _)| id.as_str());
    of_scopes(&format!("without-{level}-{scope}"), level, &others.collect::<Vec<_>>())
}

fn of_scopes(client_id: &str, level: &str, scopes: &[&str]) -> App {
    App::new(client_id, ACCOUNT, if level == "bot" { &[BOT] } else { &[] }, scopes)
}

/// May read change logs of its bot.
pub fn ci() -> App {
    App::new("cs-2f8a3f7a-6c1e-5e0a-9b46-3b1d4f2c7a90", ACCOUNT, &[BOT], &["logs:change_logs"])
}

/// May read change logs of every bot of its account.
pub fn admin() -> App {
    App::new(
        "cs-9a8b7c6d-5e4f-5a3b-8c1d-0e9f8a7b6c5d",
        ACCOUNT,
        &[],
        &["logs:change_logs", "bot_definition:bot_import"],
    )
}

/// Exists, has a bot, and holds nothing.
pub fn bare() -> App {
    App::new("cs-00000000-6c1e-5e0a-9b46-3b1d4f2c7a90", ACCOUNT, &[BOT], &[])
}

/// Like `bare`, for every bot of its account.
pub fn bare_admin() -> App {
    App::new("cs-00000000-5e4f-5a3b-8c1d-0e9f8a7b6c5d", ACCOUNT, &[], &[])
}

/// Like `admin`, in the other account.
pub fn stranger() -> App {
    App::new("cs-c4d5e6f7-8091-5a2b-9c3d-4e5f60718293", OTHER_ACCOUNT, &[], &["logs:change_logs"])
}

/// Holds permissions on tables, and no scope.
pub fn tabler() -> App {
    App::new("cs-aaaaaaaa-8091-5a2b-9c3d-4e5f60718293", ACCOUNT, &[BOT], &[])
}

/// Has a secret that is the base64 of 32 bytes, as the platform makes them.
pub fn fixture() -> App {
    let app = App::new("cs-00000000-0000-5000-8000-00000000f010", ACCOUNT, &[BOT], &["logs:change_logs"]);
    app.key(format!("secret = {FIXTURE_SECRET:?}"))
}

pub const FIXTURE_SECRET: &str = "Vb1vQ0m7m0l5x3Yw8s0uN2kQ9rT4eZ6hJ1pL5cX7dA8=";

/// Signs with HS512: an SDK app, which holds no scopes.
pub fn sdk() -> App {
    App::new("cs-51251251-0000-5000-8000-00000000f012", ACCOUNT, &[BOT], &[]).algorithms(&["HS512"])
}

/// Wants every token to have an end.
pub fn strict() -> App {
    App::new("cs-13713713-0000-5000-8000-00000000f137", ACCOUNT, &[BOT], &["logs:change_logs"])
        .settings("require_exp = true")
}

/// Wants a jti in every token.
pub fn enforcing() -> App {
    App::new("cs-07707707-0000-5000-8000-00000000f077", ACCOUNT, &[BOT], &["logs:change_logs"])
        .settings("enforce_jti = true")
}

/// The one world of these tests.
pub fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(build)
}

fn build() -> World {
    let upstream = Recorder::start();
    let setup = Setup::kore(&upstream.url(), OWN_ROUTES);
    let apis = setup.json(&["catalog", "list", "--json"]).as_array().unwrap().iter().map(Api::of).collect();
    let scopes: Vec<(String, String)> =
        setup.json(&["catalog", "scopes", "--json"]).as_array().unwrap().iter().map(scope).collect();
    let mut registry = Registry::new()
        .account(ACCOUNT, &[BOT, SECOND_BOT])
        .account(OTHER_ACCOUNT, &[STRANGE_BOT])
        .apps(&[ci(), admin(), bare(), bare_admin(), stranger(), tabler(), fixture(), sdk(), strict(), enforcing()])
        .lines(&super::tables::grants(&tabler()));
    for (id, level) in &scopes {
        registry = registry.app(&only(level, id)).app(&without_of(&scopes, level, id));
    }
    let gateway = Gateway::start(setup, &registry);
    World { gateway, upstream, apis, scopes }
}

fn scope(value: &Value) -> (String, String) {
    (value["id"].as_str().unwrap().to_owned(), value["level"].as_str().unwrap().to_owned())
}

impl World {
    pub fn call(&self, call: &Call) -> Reply {
        self.gateway.call(call)
    }

    /// What the operator is told of this token on a GET of the bot's change logs.
    pub fn explain(&self, token: &str) -> String {
        self.explain_at(token, "GET", &changelogs(BOT))
    }

    /// The text of `jwt explain` for a call that has to be refused.
    pub fn explain_at(&self, token: &str, method: &str, path: &str) -> String {
        let (goes_on, text) = self.gateway.setup.explain(token, method, path, &[]);
        assert!(!goes_on, "{text}");
        text
    }
}

/// The token with another payload under the same signature.
pub fn with_payload(token: &str, payload: &str) -> String {
    let parts: Vec<_> = token.split('.').collect();
    format!("{}.{}.{}", parts[0], part(payload), parts[2])
}
