//! A POST that means another method: that one is judged, and exactly that one is sent on.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderName, Method, Request, request};
use proptest::prelude::*;
use scopegate::gateway::{AccessLog, Entry, Gate, ScopegateLayer};
use scopegate::model::{QuotaName, Reason};
use scopegate::policy::{
    Attempt, Authenticator, AuthenticatorKind, Live, Quota, QuotaWindow, Requirement, Route, canonical_host, explain,
};
use scopegate::verify::NothingIssued;
use serde_json::json;
use tower::{Layer as _, ServiceExt as _};

use crate::support::registry::{ACCOUNT, OTHER};
use crate::support::routes::{HOST, anonymous, authenticator, route, scopes};
use crate::support::{Format, Gateway, Script, Token, now};

const OVERRIDE: &str = "x-http-method-override";

/// `/rows` takes POST from any app, PUT with the scope `logs`, DELETE with `users`. In the kore format a POST may mean
/// them; in the problem format it may not. `/mixed` takes POST as it is, and PUT also from a POST.
fn routes() -> Vec<Route> {
    let mut routes = Vec::new();
    for format in Format::ALL {
        let name = format.name();
        let authenticator = authenticator(format, name, |_| {});
        let mut add = |method: Method, requirement| {
            let id = format!("{name}-{}", method.as_str().to_lowercase());
            routes.push(route(&id, &[method], &format!("/{name}/rows"), &authenticator, requirement));
        };
        add(Method::POST, Requirement::AnyApp);
        add(Method::PUT, scopes(None, Some("logs")));
        add(Method::DELETE, scopes(None, Some("users")));
    }
    let obeying = Arc::new(Authenticator { method_override: true, ..Arc::into_inner(anonymous()).unwrap() });
    routes.push(route("mixed-put", &[Method::PUT], "/mixed", &obeying, Requirement::Nothing));
    routes.push(route("mixed-delete", &[Method::DELETE], "/mixed", &anonymous(), Requirement::Nothing));
    routes.push(route("mixed-post", &[Method::POST], "/mixed", &anonymous(), Requirement::Nothing));
    routes
}

fn gateway() -> Gateway {
    let gateway = Gateway::new();
    gateway.route(routes());
    gateway
}

fn rows(format: Format, app: &str) -> request::Builder {
    format.request("POST", "/rows", &Token::of(app).make())
}

#[tokio::test]
async fn the_method_that_is_meant_is_the_one_that_is_judged_sent_and_logged() {
    let gateway = gateway();
    for (text, method) in [("PUT", "PUT"), ("put", "PUT"), ("Delete", "DELETE")] {
        let request = rows(Format::Kore, ACCOUNT).header(OVERRIDE, text).header("content-type", "application/json");
        let reply = gateway.call(request.body(Script::of("{}")).unwrap()).await;
        assert_eq!(reply.status, 200, "{text}");
        let seen = gateway.leaf.take_one();
        assert_eq!((seen.method.as_str(), seen.uri.path()), (method, "/kore/rows"));
        assert_eq!(seen.header(OVERRIDE), None);
        assert_eq!(seen.header("content-type"), Some("application/json"));
        assert_eq!(seen.body.unwrap().0, "{}", "the body goes along");
        assert_eq!((reply.log.method.as_str(), reply.log.override_from.as_deref()), (method, Some("POST")));
        assert_eq!(reply.log.route, Some(format!("kore-{}", method.to_lowercase())));
    }
    let plain = gateway.call(rows(Format::Kore, ACCOUNT).body(Script::empty()).unwrap()).await;
    assert_eq!((plain.log.method.as_str(), plain.log.override_from), ("POST", None));
}

#[tokio::test]
async fn the_scope_that_is_asked_for_is_that_of_the_method_that_is_meant() {
    let gateway = gateway();
    let statuses = |app| {
        let gateway = &gateway;
        async move {
            let mut statuses = Vec::new();
            for meant in [None, Some("PUT"), Some("DELETE")] {
                let request = meant.iter().fold(rows(Format::Kore, app), |r, meant| r.header(OVERRIDE, *meant));
                statuses.push(gateway.call(request.body(Script::empty()).unwrap()).await.status);
            }
            statuses
        }
    };
    assert_eq!(statuses(ACCOUNT).await, [200, 200, 200]);
    // Holds `logs`, not `users`.
    assert_eq!(statuses(OTHER).await, [200, 200, 401]);
    let methods: Vec<_> = gateway.leaf.take().into_iter().map(|seen| seen.method).collect();
    assert_eq!(methods, [Method::POST, Method::PUT, Method::DELETE, Method::POST, Method::PUT]);
}

#[tokio::test]
async fn a_method_that_no_route_has_is_405_before_authentication() {
    let gateway = gateway();
    let request = Format::Kore.bare("POST", "/rows").header(OVERRIDE, "PATCH");
    let reply = gateway.call(request.body(Script::empty()).unwrap()).await;
    assert_eq!((reply.status, reply.header("allow")), (405, Some("DELETE, POST, PUT")));
    assert_eq!((reply.log.reason, reply.log.found.as_deref()), (Some(Reason::MethodNotAllowed), Some("PATCH")));
    assert_eq!((reply.log.method.as_str(), reply.log.override_from.as_deref()), ("PATCH", Some("POST")));
}

#[tokio::test]
async fn an_override_that_says_no_one_method_is_refused() {
    let gateway = gateway();
    let cases: [(&str, &[&str]); 12] = [
        ("POST", &["PUT", "PUT"]),
        ("POST", &["PUT", "DELETE"]),
        ("POST", &["PUT, DELETE"]),
        ("POST", &[""]),
        ("POST", &["GET"]),
        ("POST", &["HEAD"]),
        ("POST", &["CONNECT"]),
        ("POST", &["TRACE"]),
        ("POST", &["POST"]),
        ("POST", &["PURGE"]),
        ("PUT", &["DELETE"]),
        ("GET", &["PUT"]),
    ];
    for (method, values) in cases {
        let request = Format::Kore.request(method, "/rows", &Token::of(ACCOUNT).make());
        let request = values.iter().fold(request, |request, value| request.header(OVERRIDE, *value));
        let reply = gateway.call(request.body(Script::empty()).unwrap()).await;
        assert_eq!((reply.status, reply.log.reason), (400, Some(Reason::RequestInvalid)), "{method} {values:?}");
        let said = json!({ "errors": [{ "msg": "The request is not well formed.", "code": 400 }] });
        assert_eq!(reply.json(), said, "in the format of the path's routes");
        assert!(reply.log.expected.unwrap().contains(OVERRIDE) && reply.log.found.is_some());
        assert_eq!((reply.log.method.as_str(), reply.log.override_from), (method, None));
    }
    assert!(gateway.leaf.take().is_empty());
}

#[tokio::test]
async fn where_no_route_takes_overrides_the_header_says_nothing() {
    let gateway = gateway();
    for values in [&["DELETE"][..], &["DELETE", "PUT"], &["nonsense"]] {
        let request = values.iter().fold(rows(Format::Problem, OTHER), |r, value| r.header(OVERRIDE, *value));
        let reply = gateway.call(request.body(Script::empty()).unwrap()).await;
        assert_eq!((reply.status, reply.log.route.as_deref()), (200, Some("problem-post")), "{values:?}");
        let seen = gateway.leaf.take_one();
        assert_eq!((seen.method.as_str(), seen.header(OVERRIDE)), ("POST", None));
    }
    let request = Request::post("/nowhere").header("host", HOST).header(OVERRIDE, "nonsense");
    assert_eq!(gateway.call(request.body(Script::empty()).unwrap()).await.status, 404);
}

#[tokio::test]
async fn a_route_that_takes_no_overrides_is_reached_by_none() {
    let gateway = gateway();
    let mut told = Vec::new();
    for meant in ["PUT", "DELETE"] {
        let request = Request::post("/mixed").header("host", HOST).header(OVERRIDE, meant);
        let reply = gateway.call(request.body(Script::empty()).unwrap()).await;
        told.push((reply.status, reply.log.route.unwrap()));
    }
    assert_eq!(told, [(200, "mixed-put".to_owned()), (400, "mixed-delete".to_owned())]);
    assert_eq!(gateway.leaf.take_one().method, Method::PUT);
}

#[tokio::test]
async fn no_other_spelling_overrides_and_none_reaches_the_upstream() {
    let gateway = gateway();
    let spellings = ["x_http_method_override", "x-http-method", "x-method-override", "x.http.method.override"];
    for spelling in spellings {
        let request = rows(Format::Kore, OTHER).header(spelling, "DELETE");
        assert_eq!(gateway.call(request.body(Script::empty()).unwrap()).await.log.method, "POST", "{spelling}");
        let request = rows(Format::Kore, OTHER).header(OVERRIDE, "PUT").header(spelling, "DELETE");
        assert_eq!(gateway.call(request.body(Script::empty()).unwrap()).await.log.method, "PUT", "{spelling}");
        let seen = gateway.leaf.take();
        assert_eq!((seen[0].method.as_str(), seen[1].method.as_str()), ("POST", "PUT"));
        assert!(seen.iter().all(|seen| seen.header(spelling).is_none()), "{seen:?}");
    }
}

#[tokio::test]
async fn an_override_that_is_listed_as_of_one_connection_counts_all_the_same() {
    let gateway = gateway();
    let request = rows(Format::Kore, OTHER).header("connection", OVERRIDE).header(OVERRIDE, "DELETE");
    let reply = gateway.call(request.body(Script::empty()).unwrap()).await;
    assert_eq!((reply.status, reply.log.reason), (401, Some(Reason::ScopeInsufficient)));
}

#[test]
fn the_story_and_its_hints_are_of_the_method_that_is_meant() {
    let gateway = gateway();
    let request = rows(Format::Kore, OTHER).header(OVERRIDE, "DELETE").body(()).unwrap();
    let host = canonical_host(HOST).unwrap();
    let attempt =
        Attempt { method: &Method::POST, host: &host, path: "/kore/rows", headers: request.headers(), from: None };
    let story = explain(attempt, &gateway.gate.live.load(), &NothingIssued, now());
    let check = |name| story.checks.iter().find(|check| check.name == name).unwrap().detail.as_str();
    assert_eq!((check("route"), check("method")), ("kore-delete (/kore/rows)", "DELETE, which overrides POST"));
    assert_eq!(story.reason, Some(Reason::ScopeInsufficient));
    assert!(story.hints.iter().any(|hint| hint.contains("The route needs users")), "{:?}", story.hints);
}

/// Explains each refusal by what its entry holds, as whoever watches would.
struct Watcher(Arc<Live>, Mutex<Vec<(Option<Reason>, Option<Reason>)>>);

impl AccessLog for Watcher {
    fn explains(&self) -> bool {
        true
    }

    fn write(&self, entry: &Entry<'_>) {
        let (host, headers) = (entry.host.unwrap_or_default(), entry.headers.cloned().unwrap_or_default());
        let attempt = Attempt { method: entry.method, host, path: entry.uri.path(), headers: &headers, from: None };
        self.1.lock().unwrap().push((entry.reason, explain(attempt, &self.0.load(), &NothingIssued, entry.at).reason));
    }
}

#[tokio::test]
async fn an_entry_of_an_overridden_call_can_be_explained() {
    let gateway = gateway();
    let watcher = Arc::new(Watcher(Arc::clone(&gateway.gate.live), Mutex::default()));
    let gate = Gate { log: Arc::clone(&watcher) as _, ..gateway.gate.clone() };
    let request = rows(Format::Kore, OTHER).header(OVERRIDE, "DELETE").body(Script::empty()).unwrap();
    let reply = ScopegateLayer::new(gate).layer(gateway.leaf.clone()).oneshot(request).await.unwrap();
    drop(reply);
    let lacks = Some(Reason::ScopeInsufficient);
    assert_eq!(*watcher.1.lock().unwrap(), [(lacks, lacks)]);
}

#[tokio::test]
async fn the_quota_is_that_of_the_method_that_is_meant() {
    let gateway = Gateway::new();
    let window = QuotaWindow::new(1, Duration::from_secs(60)).unwrap();
    let quota = Arc::new(Quota { name: QuotaName::new("puts").unwrap(), windows: vec![window], key: Vec::new() });
    let mut routes = routes();
    routes.iter_mut().filter(|r| r.methods == [Method::PUT]).for_each(|r| r.quota = Some(Arc::clone(&quota)));
    gateway.route(routes);
    let mut statuses = Vec::new();
    for meant in [None, Some("PUT"), None, Some("PUT"), Some("DELETE")] {
        let request = meant.iter().fold(rows(Format::Kore, ACCOUNT), |r, meant| r.header(OVERRIDE, *meant));
        statuses.push(gateway.call(request.body(Script::empty()).unwrap()).await.status);
    }
    assert_eq!(statuses, [200, 200, 200, 429, 200]);
}

fn requests() -> impl Strategy<Value = (String, String, Vec<(String, String)>)> {
    let method = prop::sample::select(vec!["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"]);
    let path = prop::sample::select(vec!["/kore/rows", "/problem/rows", "/mixed", "/nowhere"]);
    let name = prop::sample::select(vec![OVERRIDE, OVERRIDE, OVERRIDE, "x-method-override", "x_http_method_override"]);
    let value = prop_oneof!["(?i)(put|patch|delete|post|get|head)", "[ -~]{0,8}"];
    let headers = prop::collection::vec((name.prop_map(str::to_owned), value), 0..3);
    (method.prop_map(str::to_owned), path.prop_map(str::to_owned), headers)
}

fn build((method, path, headers): &(String, String, Vec<(String, String)>), app: &str) -> Request<Script> {
    let token = Token::of(app).make();
    let request = Request::builder().method(method.as_str()).uri(path.as_str()).header("host", HOST);
    let request = request.header("auth", &token).header("authorization", format!("Bearer {token}"));
    headers.iter().fold(request, |r, (name, value)| r.header(name, value)).body(Script::empty()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn whatever_is_sent_on_has_a_method_of_the_route_that_was_judged(call in requests(), all: bool) {
        let gateway = gateway();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let app = if all { ACCOUNT } else { OTHER };
        let reply = runtime.block_on(gateway.call(build(&call, app)));
        let seen = gateway.leaf.take();
        prop_assert_eq!(seen.len(), usize::from(reply.status == 200));
        for seen in seen {
            let routes = gateway.gate.live.load();
            let judged = routes.routes.routes().iter().find(|r| Some(r.id.as_str()) == reply.log.route.as_deref());
            prop_assert!(judged.unwrap().methods.contains(&seen.method), "{:?} as {}", judged, seen.method);
            prop_assert_eq!(seen.method.as_str(), reply.log.method.as_str());
            // A DELETE needs a scope that one of the apps lacks, by whatever way it comes.
            let is_scoped = matches!(judged.unwrap().authenticator.kind, AuthenticatorKind::Jwt(_));
            prop_assert!(all || !is_scoped || seen.method != Method::DELETE);
            let left = |name: &HeaderName| ["x-http-method-override", "x-method-override"].contains(&name.as_str().replace('_', "-").as_str());
            prop_assert!(!seen.headers.keys().any(left), "{:?}", seen.headers);
        }
    }

    #[test]
    fn the_story_of_a_call_is_what_the_stack_does(call in requests(), all: bool) {
        let gateway = gateway();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let request = build(&call, if all { ACCOUNT } else { OTHER });
        let (method, headers, path) = (request.method().clone(), request.headers().clone(), call.1);
        let reply = runtime.block_on(gateway.call(request));
        let host = canonical_host(HOST).unwrap();
        let attempt = Attempt { method: &method, host: &host, path: &path, headers: &headers, from: None };
        prop_assert_eq!(explain(attempt, &gateway.gate.live.load(), &NothingIssued, now()).reason, reply.log.reason);
    }
}
