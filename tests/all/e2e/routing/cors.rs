//! Pages of other origins, as curl asks for them, over both versions of HTTP.

use std::process::Command;

use super::{app, get, route};
use serde_json::json;

use crate::e2e::harness::{Answer, Browser, Call, Gateway, Recorder, Registry, Setup, page};

const CORS: &str = "cors = { origins = [\"https://app.example.com\", \"https://*.example.org\"], expose = [\"x-total\"], max_age = \"1h\" }";

/// The upstream has a say of its own, which counts for nothing here.
fn start() -> (Gateway, Recorder) {
    let upstream = Recorder::answering(|_| {
        let response = http::Response::builder()
            .header("access-control-allow-origin", "*")
            .header("access-control-allow-credentials", "true")
            .header("access-control-expose-headers", "x-secret")
            .header("vary", "accept-encoding, Origin");
        Answer::new(response.body("from the upstream").unwrap())
    });
    let setup = Setup::bearer(&upstream.url(), &route("paged", "/paged/{id}", CORS));
    (Gateway::start(setup, &Registry::new().app(&app())), upstream)
}

/// Status and header of curl's answer.
fn curl(gateway: &Gateway, version: &str, arguments: &[&str], path: &str) -> (u16, Vec<(String, String)>) {
    let url = format!("http://{}{path}", gateway.proxy);
    let output =
        Command::new("curl").args(["-s", "-D", "-", "-o", "/dev/null", version]).args(arguments).arg(url).output();
    let head = String::from_utf8(output.unwrap().stdout).unwrap();
    let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
    let field = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
    (status, head.lines().filter_map(field).collect())
}

fn values<'h>(headers: &'h [(String, String)], name: &str) -> Vec<&'h str> {
    headers.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str()).collect()
}

#[test]
fn curl_is_answered_what_a_browser_asks_before_it_lets_a_page_call() {
    let (gateway, upstream) = start();
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let ask = |origin: &str| {
            let origin = format!("Origin: {origin}");
            let method = "Access-Control-Request-Method: GET";
            let headers = "Access-Control-Request-Headers: authorization,content-type";
            curl(&gateway, version, &["-X", "OPTIONS", "-H", &origin, "-H", method, "-H", headers], "/paged/7?x=1")
        };
        let (status, headers) = ask("https://a.example.org");
        assert_eq!(status, 204);
        assert_eq!(values(&headers, "access-control-allow-origin"), ["https://a.example.org"]);
        assert_eq!(values(&headers, "access-control-allow-methods"), ["GET"]);
        assert_eq!(values(&headers, "access-control-allow-headers"), ["authorization, content-type"]);
        assert_eq!(values(&headers, "access-control-max-age"), ["3600"]);
        assert_eq!(values(&headers, "vary").len(), 3);
        assert!(values(&headers, "content-length").is_empty() && values(&headers, "transfer-encoding").is_empty());
        let logged = gateway.logged(values(&headers, "x-request-id")[0]);
        assert_eq!(
            (&logged["route"], &logged["status"], &logged["method"]),
            (&"paged".into(), &204.into(), &"OPTIONS".into())
        );

        let (status, headers) = ask("https://evil.example");
        assert_eq!(status, 403);
        assert!(values(&headers, "access-control-allow-origin").is_empty());
        assert_eq!(gateway.logged(values(&headers, "x-request-id")[0])["reason"], "cors.not_allowed");
    }
    assert!(upstream.all().is_empty(), "no question reaches the upstream");
}

#[test]
fn the_headers_of_the_upstream_are_replaced_and_not_doubled() {
    let (gateway, _upstream) = start();
    let bearer = format!("Authorization: Bearer {}", app().token());
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let (status, headers) =
            curl(&gateway, version, &["-H", &bearer, "-H", "Origin: https://app.example.com"], "/paged/7");
        assert_eq!(status, 200);
        assert_eq!(values(&headers, "access-control-allow-origin"), ["https://app.example.com"]);
        assert!(values(&headers, "access-control-allow-credentials").is_empty());
        let [exposed] = values(&headers, "access-control-expose-headers")[..] else { panic!("{headers:?}") };
        assert!(exposed.contains("x-total") && !exposed.contains("x-secret"), "{exposed}");
        assert_eq!(values(&headers, "vary"), ["accept-encoding, Origin"], "said already");
        let (_, headers) = curl(&gateway, version, &["-H", &bearer, "-H", "Origin: https://evil.example"], "/paged/7");
        assert!(headers.iter().all(|(name, _)| !name.starts_with("access-control-")), "{headers:?}");
        let (status, headers) = curl(&gateway, version, &["-H", "Origin: https://app.example.com"], "/paged/7");
        assert_eq!((status, values(&headers, "access-control-allow-origin")), (401, vec!["https://app.example.com"]));
    }
    let elsewhere = gateway.call(&get("/any/x").header("Origin", "https://app.example.com"));
    assert_eq!(elsewhere.header("access-control-allow-credentials"), Some("true"), "where the upstream has the say");
}

/// What a page finds: an answer that it may read, or that the browser keeps from it.
const PAGE: &str = "
const [url, token, done] = arguments;
const call = async (path, headers, method = 'GET') => {
  try {
    const answer = await fetch(url + path, { method, headers });
    const [id, total, secret] = ['x-request-id', 'x-total', 'x-secret'].map((name) => answer.headers.get(name));
    return { status: answer.status, body: await answer.text(), id: id !== null, total, secret };
  } catch (error) {
    return error.name;
  }
};
const bearer = (token) => ({ Authorization: `Bearer ${token}` });
(async () => done({
  good: await call('/paged/1', bearer(token)),
  refused: await call('/paged/1', bearer('no.good.token')),
  simple: await call('/paged/1', {}),
  header: await call('/paged/1', { ...bearer(token), 'x-other': '1' }),
  method: await call('/paged/1', bearer(token), 'DELETE'),
  closed: await call('/any/1', bearer(token)),
}))();
";

#[test]
fn a_page_in_chromium_reads_answers_and_refusals_where_its_origin_may_and_nothing_elsewhere() {
    let (friend, stranger) = (page(), page());
    let upstream = Recorder::answering(|_| {
        let response = http::Response::builder().header("x-total", "7").header("x-secret", "1");
        Answer::new(response.body("from the upstream").unwrap())
    });
    let cors = CORS.replace("https://app.example.com", &friend.url());
    let setup = Setup::bearer(&upstream.url(), &route("paged", "/paged/{id}", &cors));
    let gateway = Gateway::start(setup, &Registry::new().app(&app()));
    let browser = Browser::start();
    let arguments = json!([format!("http://{}", gateway.proxy), app().token()]);

    browser.go(&friend.url());
    let found = browser.run(PAGE, &arguments);
    let good = json!({ "status": 200, "body": "from the upstream", "id": true, "total": "7", "secret": null });
    assert_eq!(found["good"], good);
    for (call, code) in [("refused", "token.malformed"), ("simple", "credential.missing")] {
        assert_eq!((&found[call]["status"], &found[call]["id"]), (&json!(401), &json!(true)), "{found}");
        assert!(found[call]["body"].as_str().unwrap().contains(code), "{found}");
    }
    for call in ["header", "method", "closed"] {
        assert_eq!(found[call], "TypeError", "{found}");
    }

    browser.go(&stranger.url());
    let found = browser.run(PAGE, &arguments);
    assert!(found.as_object().unwrap().values().all(|found| found == "TypeError"), "{found}");
    assert_eq!(upstream.all().len(), 1, "of all these calls one was made");
}

#[test]
fn a_reload_opens_and_closes_a_route_to_pages() {
    let (gateway, _upstream) = start();
    let ask = || {
        let ask = Call::new("OPTIONS", "/paged/7").header("Origin", "https://new.example.net");
        gateway.call(&ask.header("Access-Control-Request-Method", "GET")).status
    };
    assert_eq!(ask(), 403);
    gateway.setup.edit("https://app.example.com", "https://new.example.net");
    gateway.setup.succeed(&["reload"]);
    assert_eq!(ask(), 204);
    gateway.setup.edit("cors = {", "#");
    gateway.setup.succeed(&["reload"]);
    assert_eq!(ask(), 401);
}

#[test]
fn the_routes_of_a_profile_are_opened_together() {
    let upstream = Recorder::start();
    let open = "cors = { origins = [\"https://app.example.com\"] }";
    let setup = Setup::kore_with(open, &upstream.url(), "");
    let gateway = Gateway::start(setup, &Registry::new());
    for (path, method, headers) in
        [("/api/public/bot/st-1/changelogs", "GET", "auth"), ("/api/public/users", "POST", "auth, content-type")]
    {
        let ask = Call::new("OPTIONS", path).header("Origin", "https://app.example.com");
        let ask = ask.header("Access-Control-Request-Method", method).header("Access-Control-Request-Headers", headers);
        let reply = gateway.call(&ask);
        assert_eq!((reply.status, reply.header("access-control-allow-origin")), (204, Some("https://app.example.com")));
    }
    let refused = gateway.call(&Call::get("/api/public/users").header("Origin", "https://app.example.com"));
    assert_eq!(refused.header("access-control-allow-origin"), Some("https://app.example.com"));
    assert!(refused.json()["errors"][0]["msg"].is_string(), "in the words of the platform");

    gateway.setup.edit("https://app.example.com\"", "app.example.com\"");
    let why = gateway.setup.refused(&["check"]);
    assert_eq!(why.matches("profile.kore.cors.origins: \"app.example.com\" is no origin").count(), 1, "{why}");
    assert!(!why.contains("route "), "told once: {why}");
}

#[test]
fn check_prints_who_may_call_and_refuses_what_opens_too_much() {
    let setup = Setup::bearer("http://127.0.0.1:9", &route("paged", "/paged", CORS));
    let table = setup.succeed(&["check"]);
    let wanted = "route paged may be called by pages of https://app.example.com, https://*.example.org";
    assert!(table.contains(wanted), "{table}");
    for (keys, wanted) in [
        ("origins = [\"*\"], credentials = true", "cors.credentials: with any origin"),
        ("origins = [\"*\", \"https://a.test\"]", "cors.origins: \"*\" stands alone"),
        ("origins = []", "cors.origins: name at least one"),
        ("origins = [\"null\"]", "cors.origins: any page can have the origin \"null\""),
        ("origins = [\"https://a.test/\"]", "cors.origins: \"https://a.test/\" is no origin"),
        ("origins = [\"https://a.test:443\"]", "browsers leave this port out"),
        ("origins = [\"https://a.test\"], headers = [\"a b\"]", "cors.headers: \"a b\" is no header name"),
        ("origins = [\"https://a.test\"], expose = [\"*\"]", "cors.expose: \"*\" is no header name"),
        ("origins = [\"https://a.test\"], max_age = \"2days\"", "cors.max_age: "),
        ("origins = [\"https://a.test\"], credential = true", "did you mean \"credentials\"?"),
        ("headers = []", "the key \"origins\" is missing"),
    ] {
        let setup = Setup::bearer("http://127.0.0.1:9", &route("paged", "/paged", &format!("cors = {{ {keys} }}")));
        let why = setup.refused(&["check"]);
        let line = 1 + setup.read("scopegate.toml").lines().position(|line| line.starts_with("cors")).unwrap();
        assert!(why.contains(wanted) && why.contains(&format!("scopegate.toml:{line}: ")), "{keys}: {why}");
    }
}
