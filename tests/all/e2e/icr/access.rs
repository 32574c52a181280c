//! Tokens for installations: their issue, their end, and what they were narrowed to.

use std::time::Duration;

use scopegate::model::Reason;
use serde_json::{Value, json};

use super::jwt::EXP;
use super::{ACME, ANA, SECOND, START, World, sign};
use crate::e2e::harness::{Call, eventually, part};
use crate::e2e::khoros::claims;

#[test]
fn f149_after_its_end_an_app_s_token_gets_nothing_and_what_it_got_goes_on() {
    let world = World::new();
    let own = sign(&json!({ "iss": super::OCTO, "iat": START, "exp": START + 60 }));
    let path = format!("/app/installations/{ACME}/access_tokens");
    let ask = || world.call(&Call::post(path.clone(), "").bearer(&own));
    let issued = ask().json()["token"].as_str().unwrap().to_owned();
    world.node.clock.advance(61 * SECOND);
    world.check(&ask(), 401, EXP, Reason::TokenExpired);
    assert_eq!(world.status("GET", "/any", &issued), 200);
}

#[test]
fn f157_an_app_gets_a_token_for_its_installation_that_is_good_for_an_hour() {
    let world = World::new();
    for body in ["", " \n", "{}", r#"{"permissions":null}"#] {
        let reply = world.ask(ACME, body);
        let (status, told) = (reply.status, reply.json());
        assert_eq!((status, &told["expires_at"]), (201, &json!("2026-11-22T13:00:00Z")), "{told}");
        assert_eq!(told["permissions"], json!({ "contents": "write", "issues": "read" }));
        assert_eq!(
            (&told["repository_selection"], told["repositories"].as_array().unwrap().len()),
            (&json!("selected"), 3)
        );
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        let token = told["token"].as_str().unwrap();
        assert!(token.starts_with("ghs_"), "{token}");
        assert_eq!(world.status("GET", "/any", token), 200);
        let scheme = world.call(&Call::get("/any").header("Authorization", format!("token {token}")));
        assert_eq!(scheme.status, 200, "both schemes are taken");
    }
    let token = world.token(ACME, "");
    world.node.clock.advance(Duration::from_secs(3599));
    assert_eq!(world.status("GET", "/any", &token), 200);
    world.node.clock.advance(SECOND);
    assert_eq!(world.status("GET", "/any", &token), 401);
}

#[test]
fn f157_a_token_says_for_what_it_is_and_nothing_secret() {
    let world = World::new();
    let token = world.token(ACME, r#"{"repositories":["hello"],"permissions":{"contents":"read"}}"#);
    let claims = claims(token.strip_prefix("ghs_").unwrap());
    let granted = (&claims["installation"], &claims["permissions"], &claims["repositories"]);
    assert_eq!(granted, (&json!(ACME), &json!({ "contents": "read" }), &json!([11])));
    assert_eq!((&claims["exp"], &claims["appId"]), (&json!(START + 3600), &json!(super::OCTO)));
}

#[test]
fn f157_on_all_repositories_none_is_listed() {
    let world = World::new();
    let told = world.ask(ANA, "").json();
    assert_eq!((&told["repository_selection"], told.get("repositories")), (&json!("all"), None));
}

#[test]
fn the_life_of_a_token_is_set_by_the_configuration() {
    let world = World::with("[icr]\ntoken_lifetime = \"5m\"");
    assert_eq!(world.ask(ACME, "").json()["expires_at"], "2026-11-22T12:05:00Z");
    for bad in ["61m", "59s"] {
        let text = format!(
            "profiles = [\"icr\"]\n[icr]\ntoken_lifetime = {bad:?}\n[upstream.a]\nurls = [\"http://127.0.0.1:9\"]"
        );
        let error = scopegate::config::parse("test.toml", &text).unwrap_err().to_string();
        assert!(error.contains("icr.token_lifetime") && error.contains("1m to 1h"), "{error}");
    }
}

#[test]
fn f158_a_token_is_narrowed_to_some_permissions() {
    let world = World::new();
    let reply = world.ask(ACME, r#"{"permissions":{"contents":"read"}}"#);
    assert_eq!((reply.status, &reply.json()["permissions"]), (201, &json!({ "contents": "read" })));
    let token = reply.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(world.status("GET", "/repos/acme/hello/contents/a", &token), 200);
    assert_eq!(world.status("PUT", "/repos/acme/hello/contents/a", &token), 403);
    assert_eq!(world.status("GET", "/issues", &token), 403);
}

#[test]
fn f158_a_token_is_narrowed_to_some_repositories_by_name_and_by_id() {
    let world = World::new();
    let reply = world.ask(ACME, r#"{"repositories":["HELLO"],"repository_ids":[12,11]}"#);
    let names: Vec<_> = reply.json()["repositories"].as_array().unwrap().iter().map(|r| r["name"].clone()).collect();
    assert_eq!((reply.status, names), (201, vec![json!("hello"), json!("World")]));
    let token = reply.json()["token"].as_str().unwrap().to_owned();
    let status = |repo: &str| world.status("GET", &format!("/repos/acme/{repo}/contents/a"), &token);
    assert_eq!(["hello", "World", "sub", "world", "other"].map(status), [200, 200, 403, 403, 403]);
    let listed = world.call(&Call::get("/installation/repositories?per_page=1").bearer(&token));
    assert_eq!(listed.json()["total_count"], 2);
    assert_eq!(listed.json()["repositories"][0]["full_name"], "acme/hello");
    assert!(listed.header("link").unwrap().contains("</installation/repositories?per_page=1&page=2>; rel=\"next\""));
}

#[test]
fn f158_on_all_repositories_a_token_is_narrowed_by_name() {
    let world = World::new();
    let reply = world.ask(ANA, r#"{"repositories":["one","two"]}"#);
    assert_eq!((reply.status, &reply.json()["repository_selection"]), (201, &json!("selected")));
    let token = reply.json()["token"].as_str().unwrap().to_owned();
    let status = |repo: &str| world.status("GET", &format!("/repos/ana/{repo}/contents/a"), &token);
    assert_eq!(["one", "two", "three", "One"].map(status), [200, 200, 403, 403]);
    let listed = world.call(&Call::get("/installation/repositories").bearer(&token)).json();
    assert_eq!((&listed["total_count"], &listed["repository_selection"]), (&json!(2), &json!("selected")));
}

#[test]
fn f158_more_than_the_installation_has_is_refused() {
    let world = World::new();
    let reason = |installation: i64, body: &Value| {
        let reply = world.ask(installation, &body.to_string());
        assert!(reply.json().get("token").is_none(), "{body}");
        (reply.status, world.node.logged(&reply).reason.unwrap())
    };
    let forbidden = (422, Reason::PermissionsNotGranted);
    assert_eq!(reason(ANA, &json!({ "permissions": { "contents": "write" } })), forbidden);
    assert_eq!(reason(ANA, &json!({ "permissions": { "issues": "read" } })), forbidden);
    assert_eq!(reason(ANA, &json!({ "permissions": { "contents": "rw" } })), forbidden);
    let unreached = (422, Reason::RepositoriesNotGranted);
    assert_eq!(reason(ACME, &json!({ "repositories": ["hello", "other"] })), unreached);
    assert_eq!(reason(ACME, &json!({ "repository_ids": [11, 14] })), unreached);
    assert_eq!(reason(ACME, &json!({ "repositories": ["acme/hello"] })), unreached);
    assert_eq!(reason(ANA, &json!({ "repositories": ["ana/one"] })), unreached);
    assert_eq!(reason(ANA, &json!({ "repository_ids": [1] })), unreached);
    let many = (422, Reason::RepositoriesTooMany);
    let names = |count: usize, name: &str| (0..count).map(|i| format!("{name}{i}")).collect::<Vec<_>>();
    assert_eq!(reason(ANA, &json!({ "repositories": names(501, "r") })), many);
    assert_eq!(
        reason(ANA, &json!({ "repositories": names(250, "r"), "repository_ids": (1..=251).collect::<Vec<_>>() })),
        many
    );
    assert_eq!(reason(ANA, &json!({ "repositories": names(500, &"long".repeat(20)) })), many, "it would not fit");
    assert_eq!(world.ask(ANA, &json!({ "repositories": names(500, "repo-") }).to_string()).status, 201);
}

#[test]
fn f158_as_many_repositories_as_may_be_fit_into_a_token_that_is_taken() {
    let world = World::new();
    let token = world
        .token(ANA, &json!({ "repositories": (0..500).map(|i| format!("repo-{i}")).collect::<Vec<_>>() }).to_string());
    assert_eq!(world.status("GET", "/repos/ana/repo-499/contents/a", &token), 200);
    assert_eq!(world.status("GET", "/repos/ana/repo-500/contents/a", &token), 403);
}

#[test]
fn a_body_that_is_no_order_is_refused() {
    let world = World::new();
    for body in [
        "{",
        "[]",
        "null",
        "\"\"",
        r#"{"permission":{}}"#,
        r#"{"repositories":"hello"}"#,
        r#"{"repositories":[5]}"#,
        r#"{"repository_ids":["11"]}"#,
        r#"{"permissions":{"contents":5}}"#,
        r#"{"permissions":["contents"]}"#,
        r#"{"permissions":{}}"#,
        r#"{"repositories":[]}"#,
        r#"{"repositories":[],"repository_ids":[]}"#,
        r"{} {}",
        "\u{0}",
    ] {
        let reply = world.ask(ACME, body);
        assert_eq!((reply.status, world.node.logged(&reply).reason), (400, Some(Reason::RequestInvalid)), "{body}");
    }
    let reply = world.ask(ACME, &"[".repeat(60_000));
    assert_eq!(reply.status, 400);
}

#[test]
fn a_token_is_given_up_by_whoever_holds_it_and_no_other_is() {
    let world = World::new();
    let (one, two) = (world.token(ACME, ""), world.token(ACME, ""));
    let delete = |token: &str| world.call(&Call::new("DELETE", "/installation/token").bearer(token));
    assert_eq!(world.status("GET", "/any", &one), 200);
    let gone = delete(&one);
    assert_eq!((gone.status, gone.body.len()), (204, 0));
    assert_eq!([&one, &two].map(|token| world.status("GET", "/any", token)), [401, 200]);
    world.check(&delete(&one), 401, "Bad credentials", Reason::TokenRevoked);
    let restarted = World { node: world.node.restart(), upstream: world.upstream };
    assert_eq!([&one, &two].map(|token| restarted.status("GET", "/any", token)), [401, 200]);
}

#[test]
fn a_token_ends_with_its_installation_and_is_good_again_when_that_is_resumed() {
    let world = World::new();
    let (token, other) = (world.token(ACME, ""), world.token(ANA, ""));
    let any = |token: &str| world.call(&Call::get("/any").bearer(token));
    assert_eq!((any(&token).status, any(&other).status), (200, 200));
    let suspended = "permissions = { contents = \"write\" }\nsuspended = true";
    world.node.apply(&format!("version = 1\n{}", super::installations(suspended)));
    let refused = eventually("it is suspended", || Some(any(&token)).filter(|reply| reply.status != 200));
    world.check(&refused, 403, "This installation has been suspended", Reason::InstallationSuspended);
    assert_eq!(any(&other).status, 200);
    world.node.apply(&format!("version = 1\n{}", super::installations("permissions = { contents = \"write\" }")));
    eventually("it is resumed", || (any(&token).status == 200).then_some(()));
}

#[test]
fn what_an_installation_loses_its_tokens_lose() {
    let world = World::new();
    let token = world.token(ACME, "");
    let put = |repo: &str| world.status("PUT", &format!("/repos/acme/{repo}/contents/a"), &token);
    let get = |repo: &str| world.status("GET", &format!("/repos/acme/{repo}/contents/a"), &token);
    assert_eq!((put("hello"), get("World")), (200, 200));
    let less = "permissions = { contents = \"read\" }\nrepositories = [{ id = 11, name = \"hello\" }]";
    world.node.apply(&format!("version = 1\n{}", super::installations(less)));
    eventually("it has less", || (put("hello") == 403).then_some(()));
    assert_eq!((get("hello"), get("World")), (200, 403));
}

#[test]
fn f154_each_kind_of_token_is_for_its_own_routes_and_the_log_says_which() {
    let world = World::new();
    let (own, issued) = (world.jwt(), world.token(ACME, ""));
    let app = world.call(&Call::get("/app").bearer(&issued));
    world.check(&app, 401, super::jwt::UNDECODABLE, Reason::CredentialMalformed);
    let found = world.node.logged(&world.call(&Call::get("/app").bearer(&issued))).found.unwrap();
    assert!(found.contains("\"ghs_\"") && found.contains("other routes"), "{found}");
    let any = world.call(&Call::get("/any").bearer(&own));
    world.check(&any, 401, "Bad credentials", Reason::CredentialMalformed);
    let found = world.node.logged(&world.call(&Call::get("/any").bearer(&own))).found.unwrap();
    assert!(found.contains("an app's own") && found.contains("ghs_"), "{found}");
    // The prefix is no cloak: neither passes for the other.
    assert_eq!(world.status("GET", "/any", &format!("ghs_{own}")), 401);
    assert_eq!(world.app(issued.strip_prefix("ghs_").unwrap()).status, 401);
}

#[test]
fn a_token_of_the_gateway_s_that_was_changed_is_refused() {
    let world = World::new();
    let token = world.token(ACME, r#"{"permissions":{"contents":"read"}}"#);
    let mut claims = claims(token.strip_prefix("ghs_").unwrap());
    claims["permissions"]["contents"] = "admin".into();
    let parts: Vec<_> = token.split('.').collect();
    let forged = format!("{}.{}.{}", parts[0], part(claims.to_string()), parts[2]);
    assert_eq!(world.status("GET", "/any", &forged), 401);
    world.node.clock.advance(Duration::from_secs(1));
    assert_eq!(world.status("GET", "/any", &token), 200);
}
