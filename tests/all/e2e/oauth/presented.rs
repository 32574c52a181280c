//! Asking about a token, and giving it back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use scopegate::model::Reason;
use scopegate::store::AuditFilter;
use serde_json::json;

use super::super::icr;
use super::{ISSUER, SECRET, START, World, parts};
use crate::e2e::harness::{Call, Reply, eventually};

fn revoke(world: &World, app: &str, token: &str) -> Reply {
    world.post_as(app, "/oauth2/revoke", &[("token", token), ("token_type_hint", "refresh_token")])
}

/// Khoros' token of the app `keeper`.
pub fn held(world: &World) -> String {
    let credential = STANDARD.encode("issuer:correct horse battery");
    let call = Call::post("/api/v2/tokens/khorosapi/ownerId/keeper", "");
    let reply = world.call(&call.header("Authorization", format!("Basic {credential}")));
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    reply.json()["data"]["token"].as_str().unwrap().to_owned()
}

#[test]
fn a_good_token_is_described_to_clients_of_its_account() {
    let world = World::new();
    let token = world.token("svc", "logs");
    let wanted = json!({
        "active": true, "scope": "logs", "client_id": "svc", "token_type": "Bearer", "sub": "svc", "aud": ISSUER,
        "iss": ISSUER, "iat": START, "exp": START + 3600, "jti": parts(&token)[1]["jti"],
    });
    for client in ["svc", "idle", "helper"] {
        assert_eq!(world.introspect(client, &token), wanted, "{client}");
    }
}

#[test]
fn of_every_other_token_it_is_said_that_it_is_not_active_and_nothing_more() {
    let world = World::new();
    let token = world.token("svc", "logs");
    let inactive = json!({ "active": false });
    assert_eq!(world.introspect("rival", &token), inactive, "of another account");
    let signed = world.assertion("svc").sign(SECRET);
    let tampered = format!("{}x", &token[..token.len() - 1]);
    for other in ["x", "a.b.c", &signed, &tampered, "", "\u{0}"] {
        if !other.is_empty() {
            assert_eq!(world.introspect("svc", other), inactive, "{other}");
        }
    }
    world.node.clock.advance(std::time::Duration::from_secs(3600));
    assert_eq!(world.introspect("svc", &token), inactive, "expired");
}

#[test]
fn a_token_that_an_app_holds_is_described_as_well_and_ended_as_a_whole() {
    let world = World::new();
    let token = held(&world);
    let told = world.introspect("svc", &token);
    assert_eq!((&told["active"], &told["client_id"]), (&json!(true), &json!("keeper")));
    assert_eq!(told["jti"], parts(&token)[1]["jti"]);
    let is_taken = || world.call(&Call::post("/bots/v3/respond", "{}").bearer(&token)).status == 200;
    assert!(is_taken());
    assert_eq!(revoke(&world, "keeper", &token).status, 200);
    assert!(!is_taken());
    assert_eq!(world.introspect("svc", &token), json!({ "active": false }));
}

#[test]
fn a_token_for_an_installation_is_described_by_its_permissions_and_ended_alone() {
    let world = World::new();
    let jwt = icr::sign(&json!({ "iss": "octo", "iat": START, "exp": START + 300 }));
    let installed = |body: &str| {
        let reply = world.call(&Call::post("/app/installations/4001/access_tokens", body).bearer(&jwt));
        assert_eq!(reply.status, 201, "{}", String::from_utf8_lossy(&reply.body));
        reply.json()["token"].as_str().unwrap().to_owned()
    };
    let (whole, narrow) = (installed(""), installed(r#"{"permissions":{"issues":"read"}}"#));
    let told = world.introspect("svc", &whole);
    assert_eq!((&told["active"], &told["client_id"]), (&json!(true), &json!("octo")));
    assert_eq!(told["scope"], "contents:write issues:read", "and not the app's own scopes");
    assert_eq!(world.introspect("svc", &narrow)["scope"], "issues:read");
    assert_eq!(revoke(&world, "octo", &whole).status, 200);
    assert_eq!(world.introspect("svc", &whole), json!({ "active": false }));
    assert_eq!(world.introspect("svc", &narrow)["active"], true);
}

#[test]
fn a_revoked_token_is_refused_on_the_very_next_call_and_others_are_not() {
    let world = World::new();
    let (token, other) = (world.token("svc", ""), world.token("svc", ""));
    assert_eq!([&token, &other].map(|token| world.get("/any", token).status), [200, 200], "both are remembered");
    let reply = revoke(&world, "svc", &token);
    assert_eq!((reply.status, &reply.body[..]), (200, &b""[..]));
    let refused = world.get("/any", &token);
    assert_eq!((refused.status, world.node.logged(&refused).reason), (401, Some(Reason::TokenRevoked)));
    assert_eq!(world.get("/any", &other).status, 200);
    assert_eq!(world.introspect("svc", &token), json!({ "active": false }));
    assert_eq!(revoke(&world, "svc", &token).status, 200, "again");
}

#[test]
fn a_revocation_reaches_other_nodes_and_survives_a_restart() {
    let world = World::new();
    let token = world.token("svc", "");
    let other = world.node.another();
    let status = |node: &crate::e2e::harness::Node| node.call(&Call::get("/any").bearer(&token)).status;
    assert_eq!(status(&other), 200, "it has the same keys");
    assert_eq!(revoke(&world, "svc", &token).status, 200);
    eventually("the other node follows", || (status(&other) == 401).then_some(()));
    drop(other);
    let World { node, upstream: _upstream } = world;
    assert_eq!(status(&node.restart()), 401);
}

#[test]
fn a_revocation_is_audited_without_the_token() {
    let world = World::new();
    let token = world.token("svc", "");
    revoke(&world, "svc", &token);
    let rows = world.node.with_store(|store| async move { store.audit(&AuditFilter::latest(10)).await.unwrap() });
    let row = rows.iter().find(|row| row.actor == "app:svc").unwrap();
    assert_eq!(row.why.as_deref(), Some("revocation by the client"));
    assert!(!format!("{rows:?}").contains(token.rsplit('.').next().unwrap()));
}

#[test]
fn what_is_no_good_token_is_as_good_as_revoked() {
    let world = World::new();
    let expired = world.token("svc", "");
    world.node.clock.advance(std::time::Duration::from_secs(3600));
    for unknown in ["x", "a.b.c", &expired, "ghs_0123456789"] {
        let reply = revoke(&world, "svc", unknown);
        assert_eq!((reply.status, reply.body.len()), (200, 0), "{unknown}");
    }
}

#[test]
fn only_the_client_that_got_a_token_revokes_it() {
    let world = World::new();
    let token = world.token("svc", "");
    for other in ["idle", "rival"] {
        let reply = revoke(&world, other, &token);
        assert_eq!((reply.status, &reply.json()["error"]), (400, &json!("unauthorized_client")));
        assert_eq!(world.node.logged(&reply).reason, Some(Reason::OauthTokenForeign));
    }
    assert_eq!(world.get("/any", &token).status, 200);
}

#[test]
fn a_token_that_an_app_signed_is_not_revoked_here_and_its_app_is_told_so() {
    let world = World::new();
    let reply = revoke(&world, "svc", &world.assertion("svc").sign(SECRET));
    assert_eq!((reply.status, &reply.json()["error"]), (400, &json!("unsupported_token_type")));
    assert_eq!(world.node.logged(&reply).reason, Some(Reason::OauthTokenUnsupported));
}
