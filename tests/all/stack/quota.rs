//! How many calls are let through, what the others are told, and what a call that is refused uses up.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response};
use http_body_util::Empty;
use scopegate::gateway::{Inbound, ScopegateLayer};
use scopegate::model::{Level, QuotaName, Reason};
use scopegate::net::Peer;
use scopegate::policy::{Quota, QuotaKey, QuotaWindow, Requirement, Route, RouteTable};
use scopegate::registry::{GrantTarget, Permission, Registry, Resource, ResourceKind, TableGrant};
use serde_json::json;
use tower::{Layer as _, ServiceExt as _};

use crate::support::registry::{ACCOUNT, BOT, OTHER, SINGLE, account, app, grant};
use crate::support::routes::{HOST, anonymous, authenticator, route, scopes};
use crate::support::{Format, Gateway, Reply, Script, Token};

const E14: &str = "Rate limit for this API has been reached. Please try again after some time.";

fn quota(windows: &[(u32, u64)], key: &[QuotaKey]) -> Arc<Quota> {
    let windows = windows.iter().map(|(calls, per)| QuotaWindow::new(*calls, Duration::from_secs(*per)).unwrap());
    Arc::new(Quota { name: QuotaName::new("calls").unwrap(), windows: windows.collect(), key: key.to_vec() })
}

/// Any app may GET `/problem/any`, as often as the quota says; `/problem/bot/{botId}/logs` asks for a scope.
fn limited(quota: &Arc<Quota>) -> Gateway {
    let gateway = Gateway::new();
    gateway.route(routes(quota));
    gateway
}

fn routes(quota: &Arc<Quota>) -> Vec<Route> {
    let bearer = authenticator(Format::Problem, "problem", |_| {});
    let get = [Method::GET];
    let logs = scopes(Some("logs"), Some("logs"));
    let all = [
        route("any", &get, "/problem/any", &bearer, Requirement::AnyApp),
        route("logs", &get, "/problem/bot/{botId}/logs", &bearer, logs),
        route("open", &get, "/open", &anonymous(), Requirement::Nothing),
    ];
    all.into_iter().map(|route| Route { quota: Some(Arc::clone(quota)), ..route }).collect()
}

async fn get(gateway: &Gateway, path: &str, token: &Token) -> Reply {
    gateway.call(Format::Problem.request("GET", path, &token.make()).body(Script::empty()).unwrap()).await
}

async fn any(gateway: &Gateway, app: &str) -> Reply {
    get(gateway, "/any", &Token::of(app)).await
}

/// A gateway with the kore profile, and a route of its own to a channel.
fn kore() -> Gateway {
    let text = r#"
        profiles = ["kore"]
        [upstream.bots]
        urls = ["http://127.0.0.1:9"]
        [[route]]
        id = "hook"
        methods = ["POST"]
        path = "/channels/{botId}"
        authenticator = "kore"
        scope = "any"
        bot_param = "botId"
        quota = "runtime-channels"
    "#;
    let gateway = Gateway::new();
    gateway.change(grant_everything);
    gateway.route_by(&scopegate::config::parse("kore", text).unwrap().routes);
    gateway
}

/// Apps of two accounts hold what the calls below ask for.
fn grant_everything(registry: &mut Registry) {
    let held = [
        "logs:change_logs",
        "channel_management:proactive_messages",
        "role_management:role_management",
        "bot_definition:bot_import",
    ];
    for (number, id, owner) in [(50, "cs-all", "acme"), (51, "cs-all-other", "other")] {
        let mut all = app(number, id, owner, Level::Account);
        all.grants = vec![grant(GrantTarget::Account(account(owner)), &held, &held)];
        let tables = ["orders", "customers"].map(|name| TableGrant {
            resource: Resource { kind: ResourceKind::Table, name: name.to_owned() },
            permissions: [Permission::Read].into_iter().collect(),
        });
        all.table_grants = tables.into();
        registry.apps.insert(all.settings.client_id.clone(), all);
    }
}

/// Who calls what.
#[derive(Clone, Copy)]
struct Call(&'static str, &'static str, &'static str, &'static str);

impl Call {
    fn request(self) -> Request<Script> {
        let Self(app, subject, method, path) = self;
        let token = Token::of(app).claim("sub", subject).without("exp").make();
        let request = Request::builder().method(method).uri(path).header("host", HOST).header("auth", token);
        request.body(Script::empty()).unwrap()
    }
}

/// A class as it is published: its name, the calls of a minute and of an hour, a call of it, and calls that another key counts.
type Class = (&'static str, u32, u32, Call, Vec<Call>);

fn classes() -> Vec<Class> {
    let notify = ["/api/public/bot/st-1/notify", "/api/public/bot/st-2/notify"];
    let logs = ["/api/public/bot/st-1/changelogs", "/api/public/bot/st-2/changelogs"];
    let query = ["/api/public/tables/orders/query", "/api/public/tables/customers/query"];
    let status = ["/api/public/bot/import/status/1", "/api/public/bot/import/status/2"];
    let hooks = ["/channels/st-1", "/channels/st-2"];
    let acme = |method, path| Call("cs-all", "u", method, path);
    let other = |method, path| Call("cs-all-other", "u", method, path);
    vec![
        ("runtime", 600, 18000, acme("POST", notify[0]), vec![acme("POST", notify[1])]),
        ("design-time", 60, 1800, acme("GET", logs[0]), vec![acme("GET", logs[1])]),
        ("design-time-admin", 60, 1800, acme("GET", "/api/public/bots"), vec![other("GET", "/api/public/bots")]),
        ("runtime-table", 600, 18000, acme("POST", query[0]), vec![acme("POST", query[1]), other("POST", query[0])]),
        ("design-time-status", 60, 1800, acme("GET", status[0]), vec![acme("GET", status[1]), other("GET", status[0])]),
        (
            "runtime-channels",
            60,
            18000,
            acme("POST", hooks[0]),
            vec![acme("POST", hooks[1]), Call("cs-all", "v", "POST", hooks[0])],
        ),
    ]
}

#[tokio::test]
async fn each_class_of_the_kore_profile_lets_its_published_calls_through_and_no_more() {
    for (name, minute, hour, call, others) in classes() {
        let gateway = kore();
        let policy = format!("\"{name}\";q={minute};w=60, \"{name}-1h\";q={hour};w=3600");
        for n in 1..=minute {
            let reply = gateway.call(call.request()).await;
            assert_eq!(reply.status, 200, "{name}, call {n}: {:?}", reply.log);
            assert_eq!(reply.header("ratelimit-policy"), Some(policy.as_str()));
            let left = format!("\"{name}\";r={};t=1, \"{name}-1h\";r={};", minute - n, hour - n);
            assert!(reply.header("ratelimit").unwrap().starts_with(&left), "{name}: {:?}", reply.headers);
        }
        for _ in 0..3 {
            let refused = gateway.call(call.request()).await;
            assert_eq!((refused.status, refused.log.reason), (429, Some(Reason::QuotaExceeded)), "{name}");
            assert_eq!(refused.json(), json!({ "errors": [{ "msg": E14, "code": 429 }] }));
            assert_eq!(refused.header("retry-after"), Some("1"));
            assert_eq!(refused.header("ratelimit-policy"), Some(policy.as_str()));
            assert!(refused.header("ratelimit").unwrap().starts_with(&format!("\"{name}\";r=0;t=1, ")), "{name}");
        }
        for other in others {
            assert_eq!(gateway.call(other.request()).await.status, 200, "{name}: {}", other.3);
        }
        // One comes back each interval, and no sooner.
        let interval = Duration::from_secs(60) / minute;
        gateway.hands.advance(interval.checked_sub(Duration::from_millis(1)).unwrap());
        assert_eq!(gateway.call(call.request()).await.status, 429, "{name}");
        gateway.hands.advance(Duration::from_millis(1));
        assert_eq!(gateway.call(call.request()).await.status, 200, "{name}");
        assert_eq!(gateway.call(call.request()).await.status, 429, "{name}");
    }
}

#[tokio::test]
async fn the_hour_of_the_kore_profile_bounds_what_the_minutes_would_let_through() {
    let gateway = kore();
    let call = Call("cs-all", "u", "GET", "/api/public/bot/st-1/changelogs");
    let mut passed = 0;
    let refused = 'hour: loop {
        for _ in 0..60 {
            let reply = gateway.call(call.request()).await;
            if reply.status == 429 {
                break 'hour reply;
            }
            passed += 1;
        }
        gateway.hands.advance(Duration::from_secs(60));
    };
    // 1800 at once, and 30 more in each of the 59 minutes that went by.
    assert_eq!(passed, 1800 + 30 * 59);
    assert_eq!(refused.header("retry-after"), Some("2"));
    // The minute has calls left, and keeps them: a call that the hour refuses is counted nowhere.
    let left = refused.header("ratelimit").unwrap();
    assert_eq!(left, "\"design-time\";r=30;t=1, \"design-time-1h\";r=0;t=2");
    assert_eq!(gateway.call(call.request()).await.header("ratelimit"), Some(left));
    assert!(refused.log.expected.unwrap().starts_with("at most 1800 calls in 1h"));
}

#[tokio::test]
async fn every_route_of_the_kore_profile_has_a_quota_unless_they_are_turned_off() {
    let routes = |profile: &str| {
        let text = format!(
            "profiles = [\"kore\"]\n[profile.kore]\n{profile}\n[upstream.bots]\nurls = [\"http://127.0.0.1:9\"]\n"
        );
        scopegate::config::parse("kore", &text).unwrap().routes
    };
    let without = |table: &RouteTable| table.routes().iter().filter(|r| r.quota.is_none()).count();
    for profile in ["", "quotas = true"] {
        assert_eq!(without(&routes(profile)), 0, "{profile}");
    }
    let off = routes("quotas = false");
    assert_eq!(without(&off), off.routes().len());
}

#[tokio::test]
async fn a_route_without_a_quota_tells_of_none_and_passes_on_what_the_upstream_tells() {
    let gateway = Gateway::new();
    let leaf = tower::service_fn(|_: Request<Inbound<Script>>| async {
        let response =
            Response::builder().header("ratelimit", "\"theirs\";r=1").header("ratelimit-policy", "\"theirs\";q=2");
        Ok::<_, Infallible>(response.body(Empty::<bytes::Bytes>::new()).unwrap())
    });
    let service = ScopegateLayer::new(gateway.gate.clone()).layer(leaf);
    let request = || Format::Problem.request("GET", "/any", &Token::of(BOT).make()).body(Script::empty()).unwrap();
    let theirs = service.clone().oneshot(request()).await.unwrap();
    assert_eq!(theirs.headers()["ratelimit"], "\"theirs\";r=1");

    gateway.route(routes(&quota(&[(3, 6)], &[])));
    let ours = service.oneshot(request()).await.unwrap();
    let all: Vec<_> = ours.headers().get_all("ratelimit").iter().collect();
    assert_eq!(all, ["\"calls\";r=2;t=2"]);
    assert_eq!(ours.headers()["ratelimit-policy"], "\"calls\";q=3;w=6");
}

#[tokio::test]
async fn a_call_that_is_refused_for_another_reason_uses_up_nothing() {
    let gateway = limited(&quota(&[(2, 60), (3, 3600)], &[QuotaKey::Account]));
    let strangers = Token::of(BOT).secret("quite another secret, which is long enough");
    for (path, token, status) in [
        ("/bot/st-2/logs", Token::of(BOT), 403),
        ("/bot/st-1/logs", Token::of(SINGLE).claim("jti", "a"), 403),
        ("/any", strangers, 401),
        ("/any", Token::of(BOT).claim("exp", 1), 401),
    ] {
        for _ in 0..5 {
            let refused = get(&gateway, path, &token).await;
            assert_eq!((refused.status, refused.header("ratelimit")), (status, None), "{path}");
        }
    }
    assert!(gateway.gate.quotas.is_empty());
    assert_eq!(any(&gateway, BOT).await.header("ratelimit"), Some("\"calls\";r=1;t=30, \"calls-1h\";r=2;t=1200"));
}

#[tokio::test]
async fn a_call_over_its_quota_burns_no_jti() {
    let gateway = limited(&quota(&[(1, 60)], &[QuotaKey::App]));
    let token = |jti: &str| Token::of(SINGLE).claim("jti", jti);
    let first = token("a").claim("exp", crate::support::routes::in_secs(30));
    assert_eq!(get(&gateway, "/any", &first).await.status, 200);
    assert_eq!(get(&gateway, "/any", &token("b")).await.log.reason, Some(Reason::QuotaExceeded));
    assert_eq!(gateway.gate.replay.entries(), 1);
    gateway.hands.advance(Duration::from_secs(60));
    assert_eq!(get(&gateway, "/any", &token("b")).await.status, 200);
}

#[tokio::test]
async fn whoever_replays_a_token_uses_up_nothing_of_the_apps_quota() {
    let gateway = limited(&quota(&[(2, 60)], &[QuotaKey::Route]));
    let token = Token::of(SINGLE).claim("jti", "a");
    assert_eq!(get(&gateway, "/any", &token).await.status, 200);
    for _ in 0..5 {
        assert_eq!(get(&gateway, "/any", &token).await.log.reason, Some(Reason::TokenReplayed));
    }
    assert_eq!(get(&gateway, "/any", &Token::of(ACCOUNT)).await.status, 200);
    assert_eq!(get(&gateway, "/any", &Token::of(ACCOUNT)).await.log.reason, Some(Reason::QuotaExceeded));
}

#[tokio::test]
async fn the_operator_is_told_the_window_the_quota_the_key_and_when_to_try_again() {
    let key = [QuotaKey::App, QuotaKey::Bot, QuotaKey::Subject, QuotaKey::Param("botId".into())];
    let mut routes = routes(&quota(&[(1, 90)], &key));
    routes.retain(|route| route.id.as_str() == "logs");
    let gateway = Gateway::new();
    gateway.route(routes);
    for (token, subject) in
        [(Token::of(BOT), "no subject"), (Token::of(BOT).claim("sub", "anna@example.com"), "subject")]
    {
        assert_eq!(get(&gateway, "/bot/st-1/logs", &token).await.status, 200);
        gateway.hands.advance(Duration::from_millis(500));
        let refused = get(&gateway, "/bot/st-1/logs", &token).await;
        assert_eq!(refused.header("retry-after"), Some("90"), "89.5 s, rounded up");
        let expected = format!(
            "at most 1 calls in 1m 30s (quota calls), by app \"cs-bot\" and bot \"st-1\" and {subject} and param:botId \"st-1\""
        );
        assert_eq!(refused.log.expected.as_deref(), Some(expected.as_str()));
        assert_eq!(refused.log.found.as_deref(), Some("none left; the next in 90 s"));
    }
}

#[tokio::test]
async fn calls_are_counted_apart_by_what_the_key_names_and_by_nothing_else() {
    use QuotaKey::{Account, App, Param, Peer, Route, Subject};
    let subject = |text: &str| Token::of(ACCOUNT).claim("sub", text);
    let account = || Token::of(ACCOUNT);
    let single = || Token::of(SINGLE).claim("jti", "j");
    // Two calls, and whether the second is counted apart from the first.
    let cases = [
        (vec![], ("/any", account()), ("/any", Token::of(OTHER)), false),
        (vec![App], ("/any", account()), ("/any", single()), true),
        (vec![App], ("/any", account()), ("/bot/st-1/logs", account()), false),
        (vec![Account], ("/any", account()), ("/any", single()), false),
        (vec![Account], ("/any", account()), ("/any", Token::of(OTHER)), true),
        (vec![Route], ("/any", account()), ("/any", Token::of(OTHER)), false),
        (vec![Route], ("/any", account()), ("/bot/st-1/logs", account()), true),
        (vec![Subject], ("/any", subject("a")), ("/any", subject("b")), true),
        (vec![Subject], ("/any", subject("a")), ("/any", subject("a").claim("x", 1)), false),
        (vec![Subject], ("/any", account()), ("/any", Token::of(OTHER)), false),
        (vec![Subject], ("/any", account()), ("/any", subject("")), true),
        (vec![Param("botId".into())], ("/bot/st-1/logs", account()), ("/bot/st-2/logs", account()), true),
        (vec![Param("botId".into()), App], ("/bot/st-1/logs", account()), ("/bot/st-1/logs", Token::of(BOT)), true),
        (vec![Peer], ("/any", account()), ("/any", Token::of(OTHER)), false),
    ];
    for (key, first, second, apart) in cases {
        let gateway = limited(&quota(&[(1, 60)], &key));
        assert_eq!(get(&gateway, first.0, &first.1).await.status, 200, "{key:?}");
        let wanted = if apart { 200 } else { 429 };
        assert_eq!(get(&gateway, second.0, &second.1).await.status, wanted, "{key:?}: {} {}", first.0, second.0);
    }
}

#[tokio::test]
async fn anonymous_calls_are_counted_by_address() {
    let gateway = limited(&quota(&[(1, 60)], &[QuotaKey::Peer]));
    let mut statuses = Vec::new();
    for address in
        ["192.0.2.1:1", "192.0.2.1:2", "192.0.2.2:1", "[2001:db8::1]:1", "[2001:db8::2]:1", "[2001:db9::1]:1"]
    {
        let mut request = Request::get("/open").header("host", HOST).body(Script::empty()).unwrap();
        request.extensions_mut().insert(Peer::new(address.parse::<SocketAddr>().unwrap(), false));
        statuses.push(gateway.call(request).await.status);
    }
    assert_eq!(statuses, [200, 429, 200, 200, 429, 200]);
}

#[tokio::test]
async fn a_reload_keeps_the_counts_of_what_it_does_not_change() {
    let gateway = limited(&quota(&[(2, 60)], &[QuotaKey::App]));
    assert_eq!(any(&gateway, BOT).await.header("ratelimit"), Some("\"calls\";r=1;t=30"));
    gateway.route(routes(&quota(&[(2, 60)], &[QuotaKey::App])));
    assert_eq!(any(&gateway, BOT).await.header("ratelimit"), Some("\"calls\";r=0;t=30"));
    gateway.gate.quotas.sweep(&gateway.gate.live);
    assert_eq!(any(&gateway, BOT).await.status, 429);
    // Another key, and other windows: each begins anew.
    for changed in [quota(&[(2, 60)], &[QuotaKey::Account]), quota(&[(2, 60), (3, 120)], &[QuotaKey::App])] {
        gateway.route(routes(&changed));
        assert!(any(&gateway, BOT).await.header("ratelimit").unwrap().starts_with("\"calls\";r=1;t=30"));
    }
    // What no route names any more is forgotten.
    gateway.route(Vec::new());
    assert!(!gateway.gate.quotas.is_empty());
    gateway.gate.quotas.sweep(&gateway.gate.live);
    assert!(gateway.gate.quotas.is_empty());
}

#[tokio::test]
async fn a_key_is_forgotten_when_it_has_all_of_its_calls_again() {
    let gateway = limited(&quota(&[(2, 10), (4, 40)], &[QuotaKey::Subject]));
    for n in 0..100 {
        get(&gateway, "/any", &Token::of(BOT).claim("sub", n.to_string())).await;
    }
    let quotas = &gateway.gate.quotas;
    assert_eq!(quotas.len(), 200, "in both windows");
    gateway.hands.advance(Duration::from_secs(11));
    quotas.sweep(&gateway.gate.live);
    assert_eq!(quotas.len(), 100, "the first window gives a call back after 5 s, the second after 10 s, and 10 s more");
    gateway.hands.advance(Duration::from_secs(10));
    quotas.sweep(&gateway.gate.live);
    assert!(quotas.is_empty());
}

#[tokio::test]
async fn a_wall_clock_that_is_set_gives_no_calls_and_takes_none() {
    let gateway = limited(&quota(&[(1, 60)], &[QuotaKey::App]));
    assert_eq!(any(&gateway, BOT).await.status, 200);
    for seconds in [-3600, 120] {
        gateway.hands.set_wall(scopegate::clock::Timestamp::from_secs(crate::support::NOW + seconds));
        assert_eq!(any(&gateway, BOT).await.status, 429, "{seconds}");
    }
}

/// Of simultaneous calls exactly as many are let through as there are, and each is counted in both windows.
#[test]
fn workers_that_count_at_the_same_time_let_no_call_too_many_through_and_none_too_few() {
    let gateway = limited(&quota(&[(60, 60), (100, 3600)], &[QuotaKey::Account]));
    let token = Token::of(ACCOUNT).make();
    let run = || {
        let calls = || async {
            let service = ScopegateLayer::new(gateway.gate.clone()).layer(gateway.leaf.clone());
            let mut passed = 0;
            for _ in 0..40 {
                let request = Format::Problem.request("GET", "/any", &token).body(Script::empty()).unwrap();
                passed += usize::from(service.clone().oneshot(request).await.unwrap().status() == 200);
            }
            passed
        };
        let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..4).map(|_| scope.spawn(|| runtime().block_on(calls()))).collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).sum::<usize>()
        })
    };
    gateway.limit(|limits| limits.concurrent_requests = 100);
    assert_eq!(run(), 60, "the minute has no more");
    gateway.hands.advance(Duration::from_secs(60));
    // The hour had 40 left, and 1 2/3 came back.
    assert_eq!(run(), 41);
}
