//! Which routes take what: Basic for v1 and v2, a Bearer token for v3, and everything that people get wrong about it.

use scopegate::model::Reason;

use super::{World, basic, owner, renewal, v2, v3};
use crate::e2e::harness::Call;

/// Each method and path of v3.
const V3: [(&str, &str); 21] = [
    ("POST", "/bots/v3/registrations"),
    ("PUT", "/bots/v3/registrations"),
    ("GET", "/bots/v3/registrations"),
    ("GET", "/bots/v3/registrations/network/n/externalId/e"),
    ("DELETE", "/bots/v3/registrations/network/n/externalId/e"),
    ("GET", "/bots/v3/registrations/network/n/externalId/e/appId/alpha"),
    ("DELETE", "/bots/v3/registrations/network/n/externalId/e/appId/alpha"),
    ("PUT", "/bots/v3/registrations/network/n/externalId/e/appId/alpha/mode/LIVE"),
    ("POST", "/bots/v3/respond"),
    ("POST", "/bots/v3/form"),
    ("GET", "/bots/v3/control/network/n/externalId/e/author/a"),
    ("PUT", "/bots/v3/control"),
    ("PUT", "/bots/v3/priority"),
    ("PUT", "/bots/v3/tag"),
    ("PUT", "/bots/v3/note"),
    ("PUT", "/bots/v3/workqueue"),
    ("PUT", "/bots/v3/resolve"),
    ("PUT", "/bots/v3/authors/attributes"),
    ("GET", "/bots/v3/request/r-1"),
    ("GET", "/bots/v3/request/appId/alpha?from=2h&state=ERROR"),
    ("GET", "/bots/v3/health/appId/alpha"),
];

#[test]
fn f029_every_route_of_v3_takes_a_bearer_token_and_refuses_basic() {
    let world = World::new();
    let token = world.token("alpha");
    for (method, path) in V3 {
        let call = Call { body: (method != "GET").then(|| b"{}".to_vec()), ..Call::new(method, path) };
        let reply = world.call(&call.clone().bearer(&token));
        assert_eq!(reply.status, 200, "{method} {path}");
        let seen = world.upstream.all().pop().unwrap();
        assert_eq!((&*seen.method, &*seen.target), (method, path));
        assert_eq!((seen.header("authorization"), seen.header("x-scopegate-app")), (None, Some("alpha")));
        let before = world.upstream.all().len();
        let reply = world.call(&basic(&call, "issuer"));
        assert_eq!((reply.status, reply.json()), (401, v3("Unauthorized", &reply)), "{method} {path}");
        assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
        assert_eq!(world.upstream.all().len(), before);
    }
}

#[test]
fn f030_v1_and_v2_take_basic_and_refuse_a_bearer_token() {
    let world = World::new();
    let token = world.token("alpha");
    for path in ["/api/v1/things", "/api/v2/things/1/more?x=1", "/api/v2/bots/networks/facebook/registrations"] {
        let reply = world.call(&basic(&Call::post(path, "a=b"), "reader"));
        assert_eq!(reply.status, 200, "{path}");
        let seen = world.upstream.all().pop().unwrap();
        assert_eq!((&*seen.target, &seen.body[..], seen.header("authorization")), (path, &b"a=b"[..], None));
        assert_eq!(
            (seen.header("x-scopegate-subject"), seen.header("x-scopegate-account")),
            (Some("reader"), Some("default"))
        );
        let before = world.upstream.all().len();
        let reply = world.call(&Call::get(path).bearer(&token));
        assert_eq!((reply.status, reply.json()), (401, v2("Unauthorized")));
        assert_eq!(world.node.logged(&reply).reason, Some(Reason::CredentialWrongScheme));
        assert_eq!(world.upstream.all().len(), before);
    }
}

#[test]
fn f032_the_scheme_is_bearer_in_any_case_and_no_other() {
    let world = World::new();
    let token = world.token("alpha");
    let call = |value: String| world.call(&Call::post("/bots/v3/respond", "{}").header("Authorization", value));
    for scheme in ["Bearer", "bearer", "BEARER"] {
        assert_eq!(call(format!("{scheme} {token}")).status, 200, "{scheme}");
    }
    for value in
        [token.clone(), format!("token {token}"), format!("Token {token}"), format!("Bearer{token}"), "Bearer".into()]
    {
        let reply = call(value);
        assert_eq!((reply.status, reply.json()), (401, v3("Unauthorized", &reply)));
    }
}

#[test]
fn f033_a_message_reaches_the_upstream_as_it_was_sent() {
    let world = World::new();
    let token = world.token("alpha");
    let body = r#"{"coordinate":{"companyKey":"acme","botId":"alpha"},"text":"hello"}"#;
    let call = Call::post("/bots/v3/respond", body).header("Content-type", "application/json; charset=utf-8");
    assert_eq!(world.call(&call.bearer(&token)).status, 200);
    let seen = world.upstream.all().pop().unwrap();
    assert_eq!(seen.body, body.as_bytes());
    assert_eq!(seen.header("content-type"), Some("application/json; charset=utf-8"));
}

#[test]
fn f034_a_body_with_four_byte_characters_arrives_byte_by_byte() {
    let world = World::new();
    let token = world.token("alpha");
    let body = "{\"text\":\"zwölf 🤖🚀 \u{10ffff}\"}";
    assert_eq!(world.call(&Call::post("/bots/v3/respond", body).bearer(&token)).status, 200);
    assert_eq!(world.upstream.all().pop().unwrap().body, body.as_bytes());
}

#[test]
fn f058_the_misspelt_path_of_a_refresh_is_told_the_right_one() {
    let world = World::new();
    let token = world.token("alpha");
    for method in ["PUT", "DELETE"] {
        let reply = world.call(&Call::new(method, "/bot/v3/tokens/appId/alpha").bearer(&token));
        assert_eq!(reply.status, 404);
        let message = reply.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains("/bots/v3/tokens/appId/{appId}"), "{message}");
        assert_eq!(world.node.logged(&reply).reason, Some(Reason::RouteUnknown));
    }
    assert!(world.is_good(&token));
}

#[test]
fn f066_the_printed_path_of_a_new_start_is_told_the_right_one() {
    let world = World::new();
    for path in ["/bots/v3/tokens/khorosapi/ownerId/alpha", "/bot/v3/tokens/khorosapi/ownerId/alpha"] {
        let reply = world.call(&basic(&Call::post(path, ""), "issuer"));
        let message = reply.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(reply.status == 404 && message.contains(&owner("{ownerId}")), "{message}");
    }
}

#[test]
fn a_wrong_method_is_told_the_right_ones_once_the_caller_is_known() {
    let world = World::new();
    let token = world.token("alpha");
    let reply = world.call(&Call::get(renewal("alpha")).bearer(&token));
    assert_eq!((reply.status, reply.header("allow")), (405, Some("DELETE, PUT")));
    assert_eq!(world.call(&Call::get(renewal("alpha"))).status, 401);
}

#[test]
fn a_body_that_is_too_long_for_an_endpoint_is_refused() {
    let world = World::new();
    let reply = world.call(&basic(&Call::post(owner("alpha"), "x".repeat(70_000)), "issuer"));
    assert_eq!((reply.status, world.node.logged(&reply).reason), (413, Some(Reason::RequestBodyTooLarge)));
    world.token("alpha");
}
