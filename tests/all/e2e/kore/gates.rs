//! Each scope gates its routes: with it alone an app calls these and no others, with all the others it does not.

use std::collections::BTreeSet;

use super::assert_scope;
use super::world::{ACCOUNT, BOT, changelogs, only, without, world};
use crate::e2e::harness::{App, Call, Connection, Registry, texts};

const B: &str = "/api/public/bot/{botId}";
const S: &str = "/api/public/stream/{botId}";

/// The scope of this level gates exactly these calls, written `METHOD path`.
#[track_caller]
fn gates(level: &str, scope: &str, expected: &[&str]) {
    let world = world();
    let spelled = |text: &str| text.replace("{B}", B).replace("{S}", S);
    let expected: BTreeSet<String> = expected.iter().map(|e| spelled(e)).collect();
    let (holder, other) = (only(level, scope).token(), without(level, scope).token());
    let mark = format!("gates {level} {scope}");
    let mut connection = Connection::open(world.gateway.proxy);
    let mut passed = BTreeSet::new();
    for api in world.apis.iter().filter(|api| api.bot_scope.is_some() || api.account_scope.is_some()) {
        let named = api.paths.iter().flat_map(|path| api.methods.iter().map(move |m| format!("{m} {path}")));
        for (name, call) in named.zip(api.calls(BOT)) {
            let reply = connection.call(&call.clone().auth(&holder));
            if reply.status == 200 {
                assert_scope(&connection.call(&call.auth(&other).mark(&mark)));
                passed.insert(name);
            } else {
                assert_scope(&reply);
            }
        }
    }
    assert_eq!(passed, expected);
    assert!(world.upstream.marked(&mark).is_empty());
}

/// The same for apps of both levels.
#[track_caller]
fn gates_both(scope: &str, expected: &[&str]) {
    gates("bot", scope, expected);
    gates("account", scope, expected);
}

#[test]
fn f104_a_scope_that_is_not_selected_is_no_access() {
    let world = world();
    let mut connection = Connection::open(world.gateway.proxy);
    let mut gated = 0;
    for (scope, level) in &world.scopes {
        let token = without(level, scope).token();
        for api in world.apis.iter().filter(|api| api.scope(level) == Some(scope)) {
            for call in api.calls(BOT) {
                assert_scope(&connection.call(&call.auth(&token).mark("f104")));
                gated += 1;
            }
        }
    }
    assert!(gated > 100, "{gated} calls");
    assert!(world.upstream.marked("f104").is_empty());
}

#[test]
fn f108_intent_and_entity_detection() {
    gates_both("intent_entity:detection", &["POST /api/v1.1/rest/bot/{botId}/findIntent"]);
}

#[test]
fn f109_user_engagement_trend() {
    gates("bot", "user_engagement:count", &["GET {B}/userEngagement"]);
}

#[test]
fn f110_batch_tests_execution() {
    gates(
        "bot",
        "batchtest:execution",
        &["POST {S}/testsuite/{suite}/run", "GET {S}/testsuite/{suite}/{runId}/status"],
    );
}

#[test]
fn f111_batch_tests_management() {
    gates_both(
        "batchtest:management",
        &[
            "GET {S}/testsuite",
            "POST {S}/testsuite/import",
            "POST {S}/testsuite/{suite}/export",
            "DELETE {S}/testsuite/{suite}",
            "DELETE {S}/testsuite/{suite}/{runId}",
        ],
    );
}

#[test]
fn f112_chat_history() {
    gates_both(
        "chat_history:read",
        &["GET {B}/getMessages", "POST {B}/getMessages", "GET {S}/getMessages", "POST {S}/getMessages"],
    );
}

#[test]
fn f113_debug_logs() {
    gates("bot", "debug_logs:read", &["GET /api/{version}/{botId}/debuglogs"]);
    let world = world();
    assert!(!world.scopes.contains(&("debug_logs:read".into(), "account".into())));
    let every = without("account", "logs:change_logs").token();
    let reply = world.call(&Call::get(format!("/api/1.1/{BOT}/debuglogs")).auth(every).mark("f113"));
    assert_scope(&reply);
    assert_eq!(world.gateway.reason(&reply), "app.wrong_level");
    assert!(world.upstream.marked("f113").is_empty());
    let grant = App::new("f113", ACCOUNT, &[], &["debug_logs:read"]);
    world.gateway.setup.write("f113.toml", Registry::new().account(ACCOUNT, &[]).app(&grant).as_str());
    let (_, err) = texts(&world.gateway.setup.run(&["apply", "-f", "f113.toml"]));
    assert!(err.contains("no scope debug_logs:read is declared at level account; it exists at level bot"), "{err}");
}

#[test]
fn f114_bot_export() {
    gates_both("bot_definition:bot_export", &["POST {B}/export", "GET {B}/export/status"]);
}

#[test]
fn f115_import_variables() {
    gates("bot", "bot_variables:import", &["POST /api/public/builder/stream/{botId}/variables/import"]);
}

#[test]
fn f116_export_variables() {
    let path = "/api/{version}/public/builder/bot/{botId}/variables/export";
    gates("bot", "bot_variables:export", &[&format!("GET {path}"), &format!("POST {path}")]);
}

#[test]
fn f117_proactive_messages() {
    gates_both("channel_management:proactive_messages", &["POST {B}/notify", "GET {B}/notify/status/{notificationId}"]);
}

#[test]
fn f118_train_ml() {
    gates_both("test_and_train:ml", &["POST {B}/ml/train", "GET {B}/ml/train/status"]);
}

#[test]
fn f119_train_faq() {
    gates_both("test_and_train:faq", &["POST {B}/faqs/train", "GET {B}/faqs/train/status"]);
}

#[test]
fn f120_utterances_import() {
    gates_both("test_and_train:ml_import", &["POST {B}/mlimport", "GET {B}/mlimport/status/{importId}"]);
}

#[test]
fn f121_utterances_export() {
    gates_both("test_and_train:ml_export", &["POST {B}/mlexport", "GET {B}/mlexport/status"]);
}

#[test]
fn f122_logs_history() {
    gates_both("logs:change_logs", &["GET {B}/changelogs"]);
}

#[test]
fn f123_bot_sessions() {
    gates("bot", "bot_sessions:read", &["POST {B}/getSessions"]);
    gates("account", "bot_sessions:read", &["POST {B}/getSessions", "POST /api/public/getSessions"]);
}

#[test]
fn f124_billing_sessions() {
    let of_bot = ["POST {B}/billingsessionsummary", "GET {B}/billingsessionsummary/status"];
    gates("bot", "billing_sessions:read", &of_bot);
    let of_account =
        ["POST /api/public/bots/billingsessionsummary", "GET /api/public/bots/billingsessionsummary/status"];
    gates("account", "billing_sessions:read", &[of_bot, of_account].concat());
}

#[test]
fn f125_custom_reports() {
    gates_both("custom_dashboards:custom_dashboards", &["GET {B}/dashboard/{dashboard}/widget/{widget}"]);
}

#[test]
fn f126_rcs_message_events() {
    gates("bot", "rcs_optin:optin_users", &["POST {B}/rcs/broadcast"]);
}

#[test]
fn f127_metrics() {
    gates(
        "bot",
        "get_metrics:get_metrics",
        &[
            "POST {B}/getAnalytics",
            "POST {B}/taskContainmentReport",
            "GET {B}/taskContainmentReport/status/{reportId}",
            "POST {B}/saveFeedback",
        ],
    );
}

#[test]
fn f128_manage_knowledge_graph() {
    let routes = [
        "POST {S}/qna/import",
        "GET {S}/qna/history",
        "GET {S}/qna/{extractId}/questions",
        "GET {S}/knowledgeTasks",
        "POST {S}/faqs/bulk",
        "GET {B}/v2/faqs",
        "GET {B}/faqs/count",
    ];
    gates("bot", "knowledge_graph_export:knowledge_graph_export", &routes);
    gates("account", "knowledge_graph:knowledge_graph", &routes);
}

#[test]
fn f129_nlp_configurations() {
    gates_both("nlp_configurations:nlp_configurations", &["POST {B}/configurations"]);
}

#[test]
fn f130_update_faqs() {
    gates("bot", "update_faqs:update_faqs", &["PUT {B}/faqs/{faqId}"]);
    gates("account", "update_faqs_from_BAC:update_faqs_from_BAC", &["PUT {B}/faqs/{faqId}"]);
}

#[test]
fn a_scope_at_one_level_gives_nothing_at_the_other() {
    // Ids exist at both levels; the app's own level decides which grant counts.
    let world = world();
    for (level, scope) in [("account", "update_faqs_from_BAC:update_faqs_from_BAC"), ("bot", "update_faqs:update_faqs")]
    {
        assert_scope(&world.call(&Call::get(changelogs(BOT)).auth(only(level, scope).token())));
    }
}
