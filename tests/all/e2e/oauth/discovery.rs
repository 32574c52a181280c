//! Metadata, and keys that rotate.

use std::time::Duration;

use scopegate::model::Algorithm;
use scopegate::registry::Actor;
use scopegate::tokens::{Issued, RotationSettings, TokenService};
use serde_json::{Value, json};

use super::{ISSUER, World, parts};
use crate::e2e::harness::{Call, Node, eventually};

const DAY: Duration = Duration::from_secs(86_400);
const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn the_metadata_says_where_everything_is() {
    let world = World::new();
    let reply = world.call(&Call::get("/.well-known/oauth-authorization-server"));
    assert_eq!((reply.status, reply.header("cache-control")), (200, Some("public, max-age=3600")));
    let metadata = reply.json();
    assert_eq!(metadata["issuer"], ISSUER);
    for (name, path) in [
        ("token_endpoint", "/oauth2/token"),
        ("introspection_endpoint", "/oauth2/introspect"),
        ("revocation_endpoint", "/oauth2/revoke"),
        ("jwks_uri", "/.well-known/jwks.json"),
    ] {
        assert_eq!(metadata[name], format!("{ISSUER}{path}"));
        if name != "jwks_uri" {
            let methods = &metadata[format!("{name}_auth_methods_supported")];
            assert_eq!(*methods, json!(["private_key_jwt", "client_secret_jwt"]));
            let algorithms = metadata[format!("{name}_auth_signing_alg_values_supported")].as_array().unwrap().len();
            assert_eq!(algorithms, Algorithm::ALL.len());
        }
    }
    assert_eq!(metadata["response_types_supported"], json!([]));
    let grants = json!(["client_credentials", "urn:ietf:params:oauth:grant-type:jwt-bearer"]);
    assert_eq!(metadata["grant_types_supported"], grants);
    assert_eq!(metadata["scopes_supported"], json!(["logs", "scopegate:tables", "train", "users"]));
}

fn kids(node: &Node) -> Vec<String> {
    let set: Value = node.call(&Call::get("/.well-known/jwks.json")).json();
    set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_key_set_holds_public_keys_and_may_be_kept_for_less_than_a_key_is_published_ahead() {
    let world = World::new();
    let reply = world.call(&Call::get("/.well-known/jwks.json"));
    assert_eq!((reply.status, reply.header("cache-control")), (200, Some("public, max-age=3600")));
    let set = reply.json();
    let [key] = &set["keys"].as_array().unwrap()[..] else { panic!("not one key: {set}") };
    assert_eq!(key.as_object().unwrap().keys().collect::<Vec<_>>(), ["alg", "crv", "kid", "kty", "use", "x"]);
    assert_eq!((&key["use"], &key["alg"]), (&json!("sig"), &json!("EdDSA")));
    let head = world.call(&Call::new("HEAD", "/.well-known/jwks.json"));
    assert_eq!((head.status, head.header("cache-control")), (200, Some("public, max-age=3600")));
}

/// What a node does every half minute.
fn rotate(world: &World) {
    let at = world.node.clock_time();
    world.node.with_store(move |store| async move {
        let rotation =
            RotationSettings { algorithm: Algorithm::EdDsa, every: 30 * DAY, lead: DAY, longest_life: 90 * DAY };
        let service = TokenService::new(store, Issued::default(), rotation);
        service.rotate(&Actor { name: "gateway".into(), why: None, at }).await.unwrap();
    });
}

#[test]
fn a_key_is_published_before_it_signs_on_every_node_and_old_tokens_stay_good() {
    let world = World::new();
    let kid_of = |token: &str| parts(token)[0]["kid"].as_str().unwrap().to_owned();
    let mut signing = kid_of(&world.token("svc", ""));
    for _ in 0..4 {
        world.node.clock.advance(29 * DAY);
        let before = kids(&world.node);
        rotate(&world);
        let next =
            eventually("the next key is published", || kids(&world.node).into_iter().find(|kid| !before.contains(kid)));
        assert_eq!(kid_of(&world.token("svc", "")), signing, "not yet the new one");
        world.node.clock.advance(DAY.saturating_sub(HOUR / 2));
        let old = world.token("svc", "");
        assert_eq!(kid_of(&old), signing);
        world.node.clock.advance(HOUR / 2);
        assert_eq!(kid_of(&world.token("svc", "")), next);
        assert_eq!(world.get("/any", &old).status, 200);
        world.node.clock.advance(HOUR.saturating_sub(HOUR / 2).saturating_sub(Duration::from_secs(1)));
        assert_eq!(world.get("/any", &old).status, 200, "to the end of its own life");
        world.node.clock.advance(Duration::from_secs(1));
        assert_eq!(world.get("/any", &old).status, 401);
        signing = next;
    }
    assert!(kids(&world.node).len() <= 5, "keys whose last token has ended are gone");
}

#[test]
fn a_node_that_starts_late_makes_the_next_key_and_publishes_it_first() {
    let world = World::new();
    let first = kids(&world.node);
    world.node.clock.advance(40 * DAY);
    let World { node, upstream: _upstream } = world;
    let node = node.restart();
    let both = kids(&node);
    assert_eq!((both.len(), &both[1..]), (2, &first[..]), "the newest first");
}
