//! Where an app may call from holds of every token that is its own or issued to it, and of every endpoint.

use scopegate::model::Reason;
use serde_json::json;

use super::super::icr;
use super::presented::held;
use super::{JWT_BEARER, SECRET, START, World};
use crate::e2e::harness::{Call, Reply};

/// The apps as they are, but for where they may call from.
fn confine(world: &World, networks: &str) {
    let app = |id: &str, more: &str| {
        format!(
            "[[app]]\nclient_id = {id:?}\nname = {id:?}\naccount = \"acme\"\nlevel = \"account\"\n{more}\nnetworks = {networks}\n"
        )
    };
    let signed = "algorithms = [\"HS256\"]";
    let apps = [
        app("svc", signed),
        app("keeper", &format!("{signed}\nauthenticators = [\"khoros\", \"oauth-client\"]")),
        app("octo", "algorithms = [\"HS256\", \"RS256\"]"),
    ];
    world.node.apply(&format!("version = 1\n{}", apps.concat()));
}

#[track_caller]
fn refused(world: &World, reply: &Reply) {
    let logged = world.node.logged(reply);
    assert_eq!((reply.status, logged.reason), (403, Some(Reason::AppWrongNetwork)));
    assert_eq!(logged.expected.as_deref(), Some("192.0.2.0/24, 2001:db8::/32"));
    assert_eq!(logged.found.as_deref(), Some("127.0.0.1"));
}

#[test]
fn whatever_was_issued_to_an_app_is_good_from_its_networks_alone() {
    let world = World::new();
    let jwt = icr::sign(&json!({ "iss": "octo", "iat": START, "exp": START + 300 }));
    let installed = || Call::post("/app/installations/4001/access_tokens", "").bearer(&jwt);
    let installation = world.call(&installed()).json()["token"].as_str().unwrap().to_owned();
    let (access, held) = (world.token("svc", ""), held(&world));
    let calls = [
        Call::get("/any").bearer(&access),
        Call::post("/bots/v3/respond", "{}").bearer(&held),
        Call::new("PUT", "/bots/v3/tokens/appId/keeper").bearer(&held),
        Call::get("/installation/repositories").bearer(&installation),
        installed(),
        Call::get("/app").bearer(&jwt),
    ];
    for call in &calls[..2] {
        assert_eq!(world.call(call).status, 200, "{call:?}");
    }
    confine(&world, "[\"192.0.2.0/24\", \"2001:db8::/32\"]");
    let before = world.upstream.all().len();
    for call in &calls {
        refused(&world, &world.call(call));
    }
    assert_eq!(world.upstream.all().len(), before);
    confine(&world, "[\"127.0.0.0/8\"]");
    for call in &calls[..2] {
        assert_eq!(world.call(call).status, 200, "the same tokens, {call:?}");
    }
    assert_eq!(world.call(&calls[2]).status, 200, "and the refresh");
}

#[test]
fn an_assertion_is_taken_from_its_apps_networks_alone() {
    let world = World::new();
    let token = world.token("idle", "");
    confine(&world, "[\"192.0.2.0/24\", \"2001:db8::/32\"]");
    let credentials = [("grant_type", "client_credentials")];
    let assertion = world.assertion("svc").sign(SECRET);
    let about = [("token", token.as_str())];
    for (path, form) in [("/oauth2/token", credentials), ("/oauth2/introspect", about), ("/oauth2/revoke", about)] {
        let reply = world.post_as("svc", path, &form);
        refused(&world, &reply);
        assert_eq!(reply.json()["error"], "unauthorized_client");
    }
    let hand_in = || world.post("/oauth2/token", &[("grant_type", JWT_BEARER), ("assertion", &assertion)]);
    refused(&world, &hand_in());
    assert_eq!(world.post_as("idle", "/oauth2/token", &credentials).status, 200, "an app without networks");
    confine(&world, "[]");
    assert_eq!(hand_in().status, 200, "what was refused for the address is not used up");
}
