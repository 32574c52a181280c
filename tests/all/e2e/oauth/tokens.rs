//! What an access token is good for.

use std::time::Duration;

use scopegate::model::Reason;

use super::{SECRET, World};
use crate::e2e::harness::{Call, Reply};

#[track_caller]
fn refused(world: &World, reply: &Reply, status: u16, reason: Reason) {
    assert_eq!((reply.status, world.node.logged(reply).reason), (status, Some(reason)));
}

#[test]
fn the_upstream_is_told_what_the_token_leaves() {
    let world = World::new();
    for (scope, told) in [("logs", "logs"), ("logs users", "logs users")] {
        assert_eq!(world.get("/bot/st-1/logs", &world.token("svc", scope)).status, 200);
        let seen = world.upstream.all().pop().unwrap();
        assert_eq!(seen.header("x-scopegate-scopes"), Some(told));
        assert_eq!(seen.header("x-scopegate-bot"), Some("st-1"));
        assert_eq!(seen.header("authorization"), None);
    }
}

#[test]
fn a_token_is_good_for_no_scope_that_was_not_asked_for() {
    let world = World::new();
    let token = world.token("svc", "users");
    assert_eq!(world.get("/users", &token).status, 200);
    let reply = world.get("/bot/st-1/logs", &token);
    refused(&world, &reply, 403, Reason::ScopeInsufficient);
    let found = world.node.logged(&world.get("/bot/st-1/logs", &token)).found.unwrap();
    assert!(found.contains("a token for users"), "{found}");
    assert!(reply.header("www-authenticate").unwrap().contains("insufficient_scope"));
}

#[test]
fn a_token_of_an_app_of_bots_is_bound_to_them_and_to_what_it_holds_on_each() {
    let world = World::new();
    let token = world.token("helper", "");
    assert_eq!(world.get("/bot/st-1/logs", &token).status, 200);
    let seen = world.upstream.all().pop().unwrap();
    assert_eq!(seen.header("x-scopegate-scopes"), Some("logs"), "and not those of its other bot");
    refused(&world, &world.get("/bot/st-9/logs", &token), 403, Reason::AppWrongBot);
    refused(&world, &world.get("/users", &token), 403, Reason::AppWrongLevel);
    let narrow = world.token("helper", "train");
    refused(&world, &world.get("/bot/st-2/logs", &narrow), 403, Reason::ScopeInsufficient);
}

#[test]
fn what_is_taken_from_the_app_is_taken_from_its_tokens() {
    let world = World::new();
    let token = world.token("svc", "");
    assert_eq!(world.get("/users", &token).status, 200);
    world.node.apply("version = 1\n[[grant]]\napp = \"svc\"\naccount = \"acme\"\nscopes = [\"logs\"]\n");
    refused(&world, &world.get("/users", &token), 403, Reason::ScopeInsufficient);
    assert_eq!(world.introspect("svc", &token)["scope"], "logs");
    let disabled = "version = 1\n[[app]]\nclient_id = \"svc\"\nname = \"svc\"\naccount = \"acme\"\nlevel = \"account\"\n\
                    algorithms = [\"HS256\"]\nenabled = false\n";
    world.node.apply(disabled);
    refused(&world, &world.get("/any", &token), 401, Reason::AppDisabled);
    assert_eq!(world.introspect("idle", &token), serde_json::json!({ "active": false }));
}

#[test]
fn what_is_given_to_the_app_later_is_not_given_to_older_tokens() {
    let world = World::new();
    let token = world.token("idle", "");
    world.node.apply("version = 1\n[[grant]]\napp = \"idle\"\naccount = \"acme\"\nscopes = [\"users\"]\n");
    refused(&world, &world.get("/users", &token), 403, Reason::ScopeInsufficient);
    assert_eq!(world.get("/users", &world.token("idle", "users")).status, 200);
}

#[test]
fn a_token_ends_to_the_second() {
    let world = World::new();
    let token = world.token("svc", "");
    world.node.clock.advance(Duration::from_millis(3_599_999));
    assert_eq!(world.get("/any", &token).status, 200);
    world.node.clock.advance(Duration::from_millis(1));
    refused(&world, &world.get("/any", &token), 401, Reason::TokenExpired);
}

#[test]
fn what_an_app_signs_itself_is_no_access_token() {
    let world = World::new();
    let signed = world.assertion("svc").claim("appId", "svc").claim("scope", "users");
    refused(&world, &world.get("/users", &signed.sign(SECRET)), 401, Reason::TokenAlgorithmNotAllowed);
    let mut typed = signed.clone();
    typed.header["typ"] = "at+jwt".into();
    refused(&world, &world.get("/users", &typed.sign(SECRET)), 401, Reason::TokenAlgorithmNotAllowed);
    refused(&world, &world.call(&Call::get("/users")), 401, Reason::CredentialMissing);
}

#[test]
fn an_access_token_is_taken_where_access_tokens_are_and_nowhere_else() {
    let world = World::new();
    let token = world.token("svc", "");
    assert_eq!(world.get("/own", &token).status, 401);
    assert_eq!(world.call(&Call::post("/bots/v3/respond", "{}").bearer(&token)).status, 401);
}
