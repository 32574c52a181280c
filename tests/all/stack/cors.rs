//! Browsers' questions in the stack: one is answered, or refused in the route's format, and never goes on.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method, Request, header};
use scopegate::clock::Timestamp;
use scopegate::gateway::Outcome;
use scopegate::model::Reason;
use scopegate::policy::{Attempt, Authenticator, AuthenticatorKind, Cors, CorsSettings, Requirement, Route, explain};
use scopegate::verify::NothingIssued;

use crate::support::registry::BOT;
use crate::support::routes::{HOST, authenticator, route};
use crate::support::{Format, Gateway, Script, Token};

const PAGE: &str = "https://app.example.com";

fn cors(authenticator: &Authenticator, methods: &[Method], adjust: impl FnOnce(&mut CorsSettings)) -> Arc<Cors> {
    let mut settings = CorsSettings {
        origins: Some(vec![PAGE.parse().unwrap()]),
        headers: Some(vec!["x-trace".parse().unwrap()]),
        max_age: Duration::from_secs(600),
        ..CorsSettings::default()
    };
    adjust(&mut settings);
    let credential = authenticator.credential().map(|(header, _)| header);
    Arc::new(Cors::new(settings, credential, methods, authenticator.method_override).unwrap())
}

/// For each format a route for GET and PUT that pages may call, beside one for DELETE that they may not.
fn gateway(adjust: impl Fn(&mut CorsSettings) + Copy) -> Gateway {
    let gateway = Gateway::new();
    let mut routes = Vec::new();
    for format in Format::ALL {
        let name = format.name();
        let authenticator = authenticator(format, name, |_| {});
        let methods = [Method::GET, Method::PUT];
        let path = format!("/{name}/x");
        let made = route(&format!("{name}-open"), &methods, &path, &authenticator, Requirement::AnyApp);
        routes.push(Route { cors: Some(cors(&authenticator, &methods, adjust)), ..made });
        routes.push(route(&format!("{name}-closed"), &[Method::DELETE], &path, &authenticator, Requirement::AnyApp));
        routes.push(route(
            &format!("{name}-own"),
            &[Method::GET],
            &format!("/{name}/own"),
            &authenticator,
            Requirement::AnyApp,
        ));
    }
    gateway.route(routes);
    gateway
}

fn ask(format: Format, origin: &str, method: &str, headers: &str) -> Request<Script> {
    let ask = format.bare("OPTIONS", "/x").header("origin", origin).header("access-control-request-method", method);
    ask.header("access-control-request-headers", headers).body(Script::empty()).unwrap()
}

const VARY: [&str; 3] = ["origin", "access-control-request-method", "access-control-request-headers"];

fn vary(headers: &HeaderMap) -> Vec<&str> {
    headers.get_all(header::VARY).iter().map(|value| value.to_str().unwrap()).collect()
}

fn is_open(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| name.as_str().starts_with("access-control-"))
}

#[tokio::test]
async fn a_question_is_answered_without_a_credential_and_stands_in_the_log() {
    let gateway = gateway(|_| {});
    for format in Format::ALL {
        let credential = format.header().to_string();
        let reply = gateway.call(ask(format, PAGE, "PUT", &format!("{credential}, content-type,X-Trace"))).await;
        assert_eq!((reply.status, &reply.body[..]), (204, &b""[..]), "{}", format.name());
        assert_eq!(reply.header("access-control-allow-origin"), Some(PAGE));
        assert_eq!(reply.header("access-control-max-age"), Some("600"));
        assert_eq!(reply.header("access-control-allow-credentials"), None);
        let (methods, headers) = match format {
            Format::Problem => ("GET, PUT", "authorization, content-type, x-trace"),
            // Routes of this format take a POST that means something else.
            Format::Kore => ("GET, POST, PUT", "auth, content-type, x-http-method-override, x-trace"),
        };
        assert_eq!(reply.header("access-control-allow-methods"), Some(methods));
        assert_eq!(reply.header("access-control-allow-headers"), Some(headers));
        assert_eq!(vary(&reply.headers), VARY);
        assert_eq!(reply.log.route.as_deref(), Some(format!("{}-open", format.name()).as_str()));
        assert_eq!((reply.log.reason, reply.log.outcome), (None, Outcome::Complete));
    }
    assert!(gateway.leaf.take().is_empty());
}

#[tokio::test]
async fn what_is_not_allowed_is_refused_in_the_format_of_the_route_and_opens_nothing() {
    let gateway = gateway(|_| {});
    for format in Format::ALL {
        for (origin, method, headers, found) in [
            ("https://evil.example", "GET", "", "https://evil.example"),
            ("null", "GET", "", "null"),
            (PAGE, "DELETE", "", "DELETE"),
            (PAGE, "PATCH", "", "PATCH"),
            (PAGE, "get", "", "get"),
            (PAGE, "POST", "", "POST"),
            (PAGE, "", "", "no method"),
            (PAGE, "GET", "x-trace, x-other", "header x-other"),
        ] {
            let reply = gateway.call(ask(format, origin, method, headers)).await;
            let at = format!("{origin} {method} {headers} ({}): {reply:?}", format.name());
            assert_eq!((reply.status, reply.log.reason), (403, Some(Reason::CorsNotAllowed)), "{at}");
            assert_eq!(reply.log.found.as_deref(), Some(found), "{at}");
            assert!(!is_open(&reply.headers) && reply.header("www-authenticate").is_none(), "{at}");
            assert_eq!(vary(&reply.headers), VARY, "{at}");
            let code = reply.json()[if format == Format::Problem { "code" } else { "errors" }].clone();
            let wanted = match format {
                Format::Problem => serde_json::json!("cors.not_allowed"),
                Format::Kore => serde_json::json!([{ "msg": Reason::CorsNotAllowed.title(), "code": 403 }]),
            };
            assert_eq!(code, wanted, "{at}");
        }
        let mut twice = ask(format, PAGE, "GET", "");
        twice.headers_mut().append("origin", "https://evil.example".parse().unwrap());
        assert_eq!(gateway.call(twice).await.log.found.as_deref(), Some("several origins"));
    }
    assert!(gateway.leaf.take().is_empty());
}

#[tokio::test]
async fn an_override_is_asked_about_as_the_post_that_it_is() {
    let gateway = gateway(|_| {});
    let reply = gateway.call(ask(Format::Kore, PAGE, "POST", "auth,x-http-method-override")).await;
    assert_eq!((reply.status, reply.log.route.as_deref()), (204, Some("kore-open")));
    let token = Token::of(BOT).make();
    let call =
        Format::Kore.request("POST", "/x", &token).header("x-http-method-override", "PUT").header("origin", PAGE);
    let reply = gateway.call(call.body(Script::empty()).unwrap()).await;
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (200, Some(PAGE)));
    let misled =
        Format::Kore.request("POST", "/x", &token).header("x-http-method-override", "GET").header("origin", PAGE);
    let reply = gateway.call(misled.body(Script::empty()).unwrap()).await;
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (400, Some(PAGE)), "a page reads why");
}

#[tokio::test]
async fn a_path_without_such_a_route_answers_as_ever() {
    let gateway = gateway(|_| {});
    let ask = Format::Problem.bare("OPTIONS", "/own").header("origin", PAGE);
    let reply = gateway.call(ask.header("access-control-request-method", "GET").body(Script::empty()).unwrap()).await;
    assert_eq!((reply.status, reply.log.reason), (401, Some(Reason::CredentialMissing)));
    assert!(!is_open(&reply.headers) && vary(&reply.headers).is_empty());
    // And an OPTIONS that is no such question is judged as any other method.
    let plain = Format::Kore.bare("OPTIONS", "/x").header("origin", PAGE).body(Script::empty()).unwrap();
    let reply = gateway.call(plain).await;
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (405, Some(PAGE)));
}

#[tokio::test]
async fn answers_and_refusals_tell_who_may_read_them() {
    let gateway = gateway(|settings| settings.expose = vec!["x-total".parse().unwrap()]);
    for format in Format::ALL {
        let (good, bad) = (Token::of(BOT).make(), Token::of(BOT).secret("another secret, which is long enough").make());
        for (token, method, status) in [(&good, "GET", 200), (&bad, "GET", 401), (&good, "POST", 405)] {
            for (origin, open_to) in [(Some(PAGE), Some(PAGE)), (Some("https://evil.example"), None), (None, None)] {
                let call = format.request(method, "/x", token);
                let call = origin.into_iter().fold(call, |call, origin| call.header("origin", origin));
                let reply = gateway.call(call.body(Script::empty()).unwrap()).await;
                let at = format!("{method} {origin:?} ({}): {reply:?}", format.name());
                assert_eq!(reply.status, status, "{at}");
                assert_eq!(reply.header("access-control-allow-origin"), open_to, "{at}");
                assert_eq!(vary(&reply.headers), ["origin"], "{at}");
                let exposed = reply.header("access-control-expose-headers").unwrap_or_default();
                for name in ["x-request-id", "retry-after", "www-authenticate", "ratelimit", "x-total"] {
                    assert_eq!(exposed.split(", ").any(|one| one == name), open_to.is_some(), "{name}: {at}");
                }
            }
        }
    }
}

#[tokio::test]
async fn any_origin_reads_what_is_open_to_all_and_one_with_credentials_is_told_so() {
    let open = gateway(|settings| settings.origins = None);
    let token = Token::of(BOT).make();
    let call = |origin: Option<&str>| {
        let call = Format::Problem.request("GET", "/x", &token);
        origin.into_iter().fold(call, |call, origin| call.header("origin", origin)).body(Script::empty()).unwrap()
    };
    for origin in [Some(PAGE), Some("null"), None] {
        let reply = open.call(call(origin)).await;
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"), "{origin:?}");
        assert!(vary(&reply.headers).is_empty());
    }
    assert_eq!(
        open.call(ask(Format::Problem, "null", "GET", "")).await.header("access-control-allow-origin"),
        Some("*")
    );

    let known = gateway(|settings| settings.credentials = true);
    let told = [known.call(ask(Format::Problem, PAGE, "GET", "")).await, known.call(call(Some(PAGE))).await];
    for reply in told {
        assert_eq!(reply.header("access-control-allow-origin"), Some(PAGE));
        assert_eq!(reply.header("access-control-allow-credentials"), Some("true"));
    }
}

#[tokio::test]
async fn a_route_that_takes_options_is_asked_itself() {
    let gateway = Gateway::new();
    let anonymous = crate::support::routes::anonymous();
    assert!(matches!(anonymous.kind, AuthenticatorKind::Anonymous));
    let methods = [Method::GET, Method::OPTIONS];
    let made = route("own", &methods, "/problem/x", &anonymous, Requirement::Nothing);
    gateway.route(vec![Route { cors: Some(cors(&anonymous, &methods, |_| {})), ..made }]);
    let reply = gateway.call(ask(Format::Problem, PAGE, "GET", "")).await;
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (200, Some(PAGE)));
    assert_eq!(gateway.leaf.take_one().method, Method::OPTIONS);
}

#[tokio::test]
async fn explain_judges_the_question_as_the_gateway_does() {
    let gateway = gateway(|_| {});
    for (origin, method, headers) in
        [(PAGE, "PUT", "x-trace"), ("https://evil.example", "PUT", ""), (PAGE, "DELETE", "")]
    {
        let request = ask(Format::Problem, origin, method, headers);
        let attempt = Attempt {
            method: request.method(),
            host: HOST,
            path: request.uri().path(),
            headers: request.headers(),
            from: None,
        };
        let story = explain(attempt, &gateway.gate.live.load(), &NothingIssued, Timestamp::default());
        let reason = gateway.call(ask(Format::Problem, origin, method, headers)).await.log.reason;
        assert_eq!(story.reason, reason, "{origin} {method}");
    }
}
