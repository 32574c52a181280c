//! What the leaf gets to see of a request, and the caller of an answer.

use std::net::SocketAddr;
use std::sync::Arc;

use http::Request;
use scopegate::gateway::Forwarding;
use scopegate::net::{Peer, TrustedProxies};

use crate::support::registry::{ACCOUNT, BOT};
use crate::support::routes::HOST;
use crate::support::{Format, Gateway, Script, Token};

fn call(headers: &[(&str, &str)]) -> Request<Script> {
    let request = Format::Problem.request("GET", "/any", &Token::of(BOT).make());
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.body(Script::empty()).unwrap()
}

#[tokio::test]
async fn the_leaf_is_told_who_calls() {
    let gateway = Gateway::new();
    let token = Token::of(BOT).claim("sub", "somebody@example.com").make();
    let request = Format::Problem.request("GET", "/bot/st-1/logs?page=2", &token).body(Script::empty()).unwrap();
    assert_eq!(gateway.call(request).await.body, crate::support::leaf::ANSWER);
    let seen = gateway.leaf.take_one();
    assert_eq!((&seen.method, &seen.uri), (&http::Method::GET, &"/problem/bot/st-1/logs?page=2".parse().unwrap()));
    assert_eq!(seen.header("x-scopegate-app"), Some(BOT));
    assert_eq!(seen.header("x-scopegate-account"), Some("acme"));
    assert_eq!(seen.header("x-scopegate-bot"), Some("st-1"));
    assert_eq!(seen.header("x-scopegate-scopes"), Some("logs"));
    assert_eq!(seen.header("x-scopegate-subject"), Some("somebody@example.com"));
}

#[tokio::test]
async fn an_account_brings_all_its_scopes_and_no_bot_where_none_is_named() {
    let gateway = Gateway::new();
    let request = Format::Kore.request("GET", "/users", &Token::of(ACCOUNT).make()).body(Script::empty()).unwrap();
    assert_eq!(gateway.call(request).await.status, 200);
    let seen = gateway.leaf.take_one();
    assert_eq!(seen.header("x-scopegate-scopes"), Some("logs users"));
    assert_eq!((seen.header("x-scopegate-bot"), seen.header("x-scopegate-subject")), (None, None));
}

#[tokio::test]
async fn nobody_can_say_for_himself_who_he_is() {
    let gateway = Gateway::new();
    let names = ["app", "account", "bot", "scopes", "subject", "operator", "admin-of"];
    for spelling in [
        "x-scopegate-",
        "X-ScopeGate-",
        "x_scopegate_",
        "x.scopegate.",
        "x-scopegate_",
        "X_SCOPEGATE.",
        "x~scopegate~",
        "x+scopegate+",
        "x!scopegate|",
    ] {
        let fields: Vec<_> = names.iter().map(|name| format!("{spelling}{name}")).collect();
        let fields: Vec<_> = fields.iter().map(|name| (name.as_str(), "forged")).collect();
        assert_eq!(gateway.call(call(&fields)).await.status, 200, "{spelling}");
        let seen = gateway.leaf.take_one();
        assert!(seen.headers.values().all(|v| v != "forged"), "{spelling}: {seen:?}");
        assert_eq!(seen.header("x-scopegate-app"), Some(BOT));
    }
}

#[tokio::test]
async fn no_subject_is_lost_or_changed_on_its_way_to_the_leaf() {
    let gateway = Gateway::new();
    for (subject, told) in [
        (" admin ", "%20admin%20"),
        ("admin\r\nx-scopegate-app: other", "admin%0D%0Ax-scopegate-app: other"),
        ("admin\u{0}", "admin%00"),
        ("\u{a0}J\u{fc}rgen", "%C2%A0J%C3%BCrgen"),
        ("50%", "50%25"),
        ("Doe, \"Jane\"", "Doe, \"Jane\""),
    ] {
        let token = Token::of(BOT).claim("sub", subject).make();
        let request = Format::Problem.request("GET", "/any", &token).body(Script::empty()).unwrap();
        assert_eq!(gateway.call(request).await.status, 200, "{subject:?}");
        let seen = gateway.leaf.take_one();
        assert_eq!(seen.header("x-scopegate-subject"), Some(told), "{subject:?}");
        assert_eq!(seen.header("x-scopegate-app"), Some(BOT), "{subject:?}");
    }
}

#[tokio::test]
async fn what_other_proxies_assert_is_dropped_from_strangers_and_kept_from_trusted_ones() {
    let gateway = Gateway::new();
    let trusted = TrustedProxies { networks: vec!["10.0.0.0/8".parse().unwrap()], unix: false };
    gateway.gate.forwarding.store(Arc::new(Forwarding { trusted, ..Forwarding::default() }));
    let fields = [
        ("x-ssl-client-cert", "forged"),
        ("X_Authenticated_User", "forged"),
        ("cf+connecting+ip", "forged"),
        ("x-amzn-oidc-data", "forged"),
        ("x-remote-groups", "forged"),
        ("x-original-url", "redirected"),
        ("x~envoy~original~path", "redirected"),
        ("x-accel-redirect", "redirected"),
    ];
    for (peer, kept) in [("192.0.2.7:1", 0), ("10.0.0.1:1", 3)] {
        let mut request = call(&fields);
        request.extensions_mut().insert(Peer::new(peer.parse::<SocketAddr>().unwrap(), false));
        assert_eq!(gateway.call(request).await.status, 200, "{peer}");
        let seen = gateway.leaf.take_one();
        let count = |value: &str| seen.headers.values().filter(|v| *v == value).count();
        assert_eq!((count("forged"), count("redirected")), (kept, 0), "{peer}: {seen:?}");
    }
}

#[tokio::test]
async fn no_spelling_of_a_credential_header_goes_on() {
    let gateway = Gateway::new();
    // The header of other routes is "auth", which no byte separates; that of these is as good as any.
    let mut table = crate::support::routes::table();
    let mut keyed = crate::support::routes::route(
        "keyed",
        &[http::Method::GET],
        "/keyed",
        &crate::support::routes::keyed("x-token"),
        scopegate::policy::Requirement::AnyApp,
    );
    keyed.keep_credential = true;
    let routes = table.routes().iter().cloned().chain([Arc::new(keyed)]).collect();
    table = scopegate::policy::RouteTable::new(routes).unwrap();
    gateway.route_by(&Arc::new(table));
    let token = Token::of(BOT).make();
    for (path, own) in [("/keyed", 1), ("/problem/any", 0)] {
        let request = Request::get(path).header("host", HOST).header("authorization", format!("Bearer {token}"));
        let request = request.header("x-token", &token).header("x_token", "alias").header("x~token", "alias");
        assert_eq!(gateway.call(request.body(Script::empty()).unwrap()).await.status, 200, "{path}");
        let seen = gateway.leaf.take_one();
        assert!(seen.headers.values().all(|value| value != "alias"), "{path}: {seen:?}");
        assert_eq!(seen.headers.get_all("x-token").iter().count(), own, "{path}");
    }
}

#[tokio::test]
async fn nobody_can_say_who_he_is_where_no_credential_is_asked_for() {
    let gateway = Gateway::new();
    let request = Request::get("/open").header("host", HOST).header("x-scopegate-app", "forged");
    assert_eq!(gateway.call(request.body(Script::empty()).unwrap()).await.status, 200);
    let seen = gateway.leaf.take_one();
    assert!(!seen.headers.keys().any(|name| name.as_str().starts_with("x-scopegate")), "{seen:?}");
}

#[tokio::test]
async fn fields_of_one_connection_and_those_that_have_another_request_judged_end_here() {
    let gateway = Gateway::new();
    let fields = [
        ("connection", "close, x-secret"),
        ("x-secret", "1"),
        ("keep-alive", "timeout=5"),
        ("proxy-authorization", "Basic eDp5"),
        ("upgrade", "websocket"),
        ("te", "gzip"),
        ("x-original-url", "/admin"),
        ("x-rewrite-url", "/admin"),
        ("x-http-method-override", "DELETE"),
        ("forwarded", "for=1.2.3.4"),
        ("x_forwarded_host", "evil.example"),
        ("accept", "*/*"),
    ];
    gateway.call(call(&fields)).await;
    let seen = gateway.leaf.take_one();
    let mut names: Vec<_> = seen.headers.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    let ours = ["x-forwarded-host", "x-request-id", "x-scopegate-account", "x-scopegate-app"];
    let wanted: Vec<_> = ["accept"].into_iter().chain(ours).collect();
    assert_eq!(names, wanted);
}

#[tokio::test]
async fn the_credential_goes_on_only_where_the_route_keeps_it() {
    let gateway = Gateway::new();
    for format in Format::ALL {
        let token = Token::of(BOT).make();
        for (path, kept) in [("/any", false), ("/kept", true)] {
            gateway.call(format.request("GET", path, &token).body(Script::empty()).unwrap()).await;
            let seen = gateway.leaf.take_one();
            let credential = format.credential(&token);
            let wanted = kept.then_some(credential.as_str());
            assert_eq!(seen.header(format.header().as_str()), wanted, "{path} ({})", format.name());
            let anywhere = seen.headers.values().any(|v| v.to_str().unwrap().contains(&token));
            assert_eq!(anywhere, kept, "{path} ({})", format.name());
        }
    }
}

#[tokio::test]
async fn each_call_has_an_id_of_its_own_for_the_caller_the_leaf_and_the_log() {
    let gateway = Gateway::new();
    let first = gateway.call(call(&[("x-request-id", "mine")])).await;
    let second = gateway.call(call(&[])).await;
    let seen = gateway.leaf.take();
    assert_eq!(seen[0].header("x-request-id"), first.header("x-request-id"));
    assert_eq!(seen[1].header("x-request-id"), second.header("x-request-id"));
    assert_ne!(first.header("x-request-id"), second.header("x-request-id"));
    assert_ne!(first.header("x-request-id"), Some("mine"));
}

#[tokio::test]
async fn where_a_call_came_from_is_told_anew() {
    let gateway = Gateway::new();
    let mut request = call(&[
        ("x-forwarded-for", "1.2.3.4"),
        ("x-forwarded-proto", "gopher"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-port", "1"),
        ("x-real-ip", "1.2.3.4"),
    ]);
    request.extensions_mut().insert(Peer::new("192.0.2.7:4711".parse::<SocketAddr>().unwrap(), true));
    let log = gateway.call(request).await.log;
    assert_eq!((log.peer.as_deref(), log.host.as_deref()), (Some("192.0.2.7:4711"), Some(HOST)));
    let seen = gateway.leaf.take_one();
    assert_eq!(seen.header("x-forwarded-for"), Some("192.0.2.7"));
    assert_eq!(seen.header("x-forwarded-proto"), Some("https"));
    assert_eq!(seen.header("x-forwarded-host"), Some(HOST));
    assert_eq!((seen.header("x-forwarded-port"), seen.header("x-real-ip")), (None, None));
}

#[tokio::test]
async fn a_host_of_an_account_is_closed_to_apps_of_others() {
    let gateway = Gateway::new();
    for (app, status) in [(ACCOUNT, 200), (crate::support::registry::OTHER, 403)] {
        let request = Request::get("/problem/any").header("host", "ACME.example:8443");
        let request = request.header("authorization", format!("bearer {}", Token::of(app).make()));
        let reply = gateway.call(request.body(Script::empty()).unwrap()).await;
        assert_eq!((reply.status, reply.log.host.as_deref()), (status, Some("acme.example")), "{app}");
    }
}

#[tokio::test]
async fn a_whole_uri_goes_on_as_its_path() {
    let gateway = Gateway::new();
    let request = Format::Problem.request("GET", "/any", &Token::of(ACCOUNT).make());
    let request = request.uri("http://BOTS.example/problem/any?x=1").body(Script::empty()).unwrap();
    assert_eq!(gateway.call(request).await.status, 200);
    assert_eq!(gateway.leaf.take_one().uri, "/problem/any?x=1");
}

#[tokio::test]
async fn a_path_is_sent_as_it_came_and_judged_as_it_reads() {
    let gateway = Gateway::new();
    let token = Token::of(crate::support::registry::TABLES).make();
    let request = Format::Problem.request("GET", "/tables/caf%C3%A9", &token).body(Script::empty()).unwrap();
    assert_eq!(gateway.call(request).await.log.expected.as_deref(), Some("read on table \"café\""));
    let request = Format::Problem.request("GET", "/tables/orders%20", &token).body(Script::empty()).unwrap();
    assert_eq!(gateway.call(request).await.status, 403);
    let request = Format::Problem.request("GET", "/tables/orders?%2e%2e", &token).body(Script::empty()).unwrap();
    assert_eq!(gateway.call(request).await.status, 200);
    assert_eq!(gateway.leaf.take_one().uri, "/problem/tables/orders?%2e%2e");
}
