//! Routes for tokens of installations: what they ask for, and what their upstream is told.

use http::{HeaderMap, HeaderValue, Method, header};
use scopegate::clock::Timestamp;
use scopegate::model::Reason;
use scopegate::policy::{Attempt, Explanation, State, explain};
use scopegate::registry::{Repository as _, Snapshot};
use scopegate::tokens::{Issued, TokenService};

use super::{ACME, ANA, HOUR, START, World};
use crate::e2e::harness::Call;

#[test]
fn the_upstream_learns_the_app_the_account_and_the_permissions_but_not_the_token() {
    let world = World::new();
    let token = world.token(ACME, r#"{"permissions":{"contents":"read","issues":"read"}}"#);
    let call = Call::get("/repos/acme/hello/contents/a/b").bearer(&token).mark("told");
    assert_eq!(world.call(&call.header("x-scopegate-scopes", "contents:admin")).status, 200);
    let [seen] = &world.upstream.marked("told")[..] else { panic!("not one call") };
    assert_eq!(seen.header("x-scopegate-app"), Some(super::OCTO));
    assert_eq!(seen.header("x-scopegate-account"), Some("acme"));
    assert_eq!(seen.header("x-scopegate-scopes"), Some("contents:read issues:read"));
    assert_eq!((seen.header("authorization"), seen.header("x-scopegate-subject")), (None, None));
}

#[test]
fn a_repository_of_another_account_is_out_of_reach_whatever_its_name() {
    let world = World::new();
    let token = world.token(ANA, "");
    let status = |owner: &str| world.status("GET", &format!("/repos/{owner}/hello/contents/a"), &token);
    assert_eq!(["ana", "acme", "Ana", "ana%2F", ":owner"].map(status), [200, 403, 403, 400, 403]);
    let reply = world.call(&Call::get("/repos/acme/hello/contents/a").bearer(&token));
    world.check(&reply, 403, "Resource not accessible by integration", Reason::PermissionsInsufficient);
    let logged = world.node.logged(&world.call(&Call::get("/repos/acme/hello/contents/a").bearer(&token)));
    assert_eq!(logged.expected.as_deref(), Some("account ana, where installation 4002 is"));
    assert_eq!(logged.found.as_deref(), Some("\"acme\""));
}

#[test]
fn a_missing_permission_is_refused_and_the_log_says_what_is_held() {
    let world = World::new();
    let token = world.token(ANA, "");
    let logged = world.node.logged(&world.call(&Call::get("/issues").bearer(&token)));
    assert_eq!(logged.reason, Some(Reason::PermissionsInsufficient));
    assert_eq!((logged.expected.as_deref(), logged.found.as_deref()), (Some("issues:read"), Some("contents:read")));
}

#[test]
fn a_host_of_an_account_takes_tokens_for_installations_on_it_alone() {
    let registry = super::registry().replace("id = \"acme\"\n", "id = \"acme\"\nhosts = [\"acme.test\"]\n");
    let world = World::at(scopegate::clock::Timestamp::from_secs(START), "", &registry);
    let (acme, ana) = (world.token(ACME, ""), world.token(ANA, ""));
    let at_host = |token: &str| world.call(&Call::get("/any").bearer(token).host("acme.test")).status;
    assert_eq!((at_host(&acme), at_host(&ana)), (200, 403));
}

#[test]
fn a_route_that_asks_for_what_such_tokens_do_not_hold_is_no_configuration() {
    let text = |authenticator: &str, line: &str| {
        format!(
            "profiles = [\"icr\"]\n[upstream.a]\nurls = [\"http://127.0.0.1:9\"]\n[[scope]]\nid = \"s\"\ntitle = \"S\"\nlevels = [\"account\"]\n\
             [[route]]\nid = \"r\"\nmethods = [\"GET\"]\npath = \"/r/{{repo}}\"\nauthenticator = {authenticator:?}\n{line}\n"
        )
    };
    let read = "permission = { name = \"contents\", level = \"read\" }";
    for (authenticator, line, why) in [
        ("icr-installation", "scope = \"s\"", "holds permissions"),
        ("icr-installation", "", "asks for no permission"),
        ("icr-installation", &format!("{read}\nscope = \"any\""), "not both"),
        ("icr-installation", &format!("{read}\nbot_param = \"repo\""), "for none of its bots"),
        ("icr-installation", "permission = { name = \"contents\", level = \"rw\" }", "rw"),
        ("icr-installation", "permission = { name = \"pull-requests\", level = \"read\" }", "underscores"),
        (
            "icr-installation",
            "permission = { name = \"contents\", level = \"read\", repository_param = \"name\" }",
            "no parameter {name}",
        ),
        ("icr", read, "use an authenticator for them"),
    ] {
        let error = scopegate::config::parse("test.toml", &text(authenticator, line)).unwrap_err().to_string();
        assert!(error.contains(why), "{line}: {error}");
    }
    let good = "permission = { name = \"contents\", level = \"read\", repository_param = \"repo\" }";
    assert!(scopegate::config::parse("test.toml", &text("icr-installation", good)).is_ok());
}

/// What `explain` says of a call, by the same store.
fn explained(world: &World, path: &'static str, token: &str) -> Explanation {
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, HeaderValue::try_from(format!("Bearer {token}")).unwrap());
    let now = Timestamp::from_secs(world.now());
    let configuration =
        format!("profiles = [\"icr\"]\n[upstream.a]\nurls = [\"http://127.0.0.1:9\"]\n{}", super::ROUTES);
    let config = scopegate::config::parse("test.toml", &configuration).unwrap();
    world.node.with_store(move |store| async move {
        let (version, registry) = store.load().await.unwrap();
        let registry = Snapshot::new(version, registry);
        let tokens = TokenService::new(store, Issued::default(), config.rotation);
        tokens.follow().await.unwrap();
        let state = State { routes: config.routes, scopes: config.scopes, registry };
        let attempt = Attempt { method: &Method::GET, host: "gateway.test", path, headers: &headers, from: None };
        explain(attempt, &state, tokens.issued(), now)
    })
}

#[test]
fn an_explanation_judges_as_the_gateway_does() {
    let world = World::new();
    let (own, token) = (world.jwt(), world.token(ACME, r#"{"repositories":["hello"]}"#));
    let hello = "/repos/acme/hello/contents/a";
    let good = explained(&world, hello, &token);
    assert!(good.is_allowed(), "{good:?}");
    let installation = good.checks.iter().find(|check| check.name == "installation").unwrap();
    assert_eq!(installation.detail, "number 4001 on account acme: contents:write issues:read");
    for (path, token, reason) in [
        ("/repos/acme/sub/contents/a", &token, Reason::PermissionsInsufficient),
        ("/repos/ana/hello/contents/a", &token, Reason::PermissionsInsufficient),
        (hello, &own, Reason::CredentialMalformed),
        ("/app", &token, Reason::CredentialMalformed),
    ] {
        let story = explained(&world, path, token);
        assert_eq!(story.reason, Some(reason), "{path}: {story:?}");
        let reply = world.call(&Call::get(path).bearer(token));
        assert_eq!(world.node.logged(&reply).reason, Some(reason), "{path}");
    }
    let advice = explained(&world, hello, &own).hints.join(" ");
    assert!(advice.contains("POST /app/installations/{installation_id}/access_tokens"), "{advice}");
    assert!(explained(&world, "/app", &own).is_allowed());
    world.node.clock.advance(HOUR);
    assert_eq!(explained(&world, hello, &token).reason, Some(Reason::TokenExpired));
}
