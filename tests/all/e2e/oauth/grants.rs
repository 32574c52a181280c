//! What the token endpoint gives.

use std::collections::HashSet;

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde_json::{Value, json};

use super::{ISSUER, JWT_BEARER, SECRET, START, World, parts};
use crate::e2e::harness::Call;

const CREDENTIALS: (&str, &str) = ("grant_type", "client_credentials");

#[test]
fn a_client_gets_a_token_for_all_that_its_app_holds() {
    let world = World::new();
    let reply = world.post_as("svc", "/oauth2/token", &[CREDENTIALS]);
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(reply.header("content-type"), Some("application/json; charset=utf-8"));
    let answer = reply.json();
    let members: Vec<_> = answer.as_object().unwrap().keys().collect();
    assert_eq!(members, ["access_token", "expires_in", "scope", "token_type"]);
    assert_eq!((&answer["token_type"], &answer["expires_in"]), (&json!("Bearer"), &json!(3600)));
    assert_eq!(answer["scope"], "logs users");
    let [header, claims] = parts(answer["access_token"].as_str().unwrap());
    assert_eq!(header["typ"], "at+jwt");
    let (jti, number) = (claims["jti"].as_str().unwrap(), claims["appNumber"].as_i64().unwrap());
    let wanted = json!({
        "appNumber": number, "iss": ISSUER, "aud": ISSUER, "sub": "svc", "client_id": "svc", "appId": "svc", "scope": "logs users",
        "iat": START, "exp": START + 3600, "jti": jti,
    });
    assert_eq!(claims, wanted);
}

#[test]
fn another_library_verifies_the_token_by_the_keys_that_are_published() {
    let world = World::new();
    let token = world.token("svc", "logs");
    let keys: JwkSet = serde_json::from_value(world.call(&Call::get("/.well-known/jwks.json")).json()).unwrap();
    let key = keys.find(parts(&token)[0]["kid"].as_str().unwrap()).unwrap();
    let mut rules = Validation::new(Algorithm::EdDSA);
    // Its clock is the system's.
    rules.validate_exp = false;
    rules.set_issuer(&[ISSUER]);
    rules.set_audience(&[ISSUER]);
    rules.required_spec_claims = HashSet::from(["exp", "iss", "aud", "sub"].map(str::to_owned));
    let read = decode::<Value>(&token, &DecodingKey::from_jwk(key).unwrap(), &rules).unwrap();
    assert_eq!(read.claims["scope"], "logs");
}

#[test]
fn an_app_of_bots_gets_what_it_holds_on_any_of_them() {
    let world = World::new();
    let reply = world.post_as("helper", "/oauth2/token", &[CREDENTIALS]);
    assert_eq!(reply.json()["scope"], "logs train");
}

#[test]
fn an_app_without_scopes_gets_a_token_that_says_so_by_saying_nothing() {
    let world = World::new();
    let answer = world.post_as("idle", "/oauth2/token", &[CREDENTIALS]).json();
    assert_eq!(answer.get("scope"), None);
    let token = answer["access_token"].as_str().unwrap();
    assert_eq!(parts(token)[1].get("scope"), None);
    assert_eq!(world.get("/any", token).status, 200);
    assert_eq!(world.get("/users", token).status, 403);
}

#[test]
fn scopes_are_given_as_they_are_asked_for_once_each_in_order() {
    let world = World::new();
    for (asked, given) in [("users", "users"), ("users logs", "logs users"), ("logs  logs", "logs"), ("", "logs users")]
    {
        let answer = world.post_as("svc", "/oauth2/token", &[CREDENTIALS, ("scope", asked)]).json();
        assert_eq!(answer["scope"], given, "{asked:?}");
    }
}

#[test]
fn an_app_hands_in_an_assertion_for_a_user() {
    let world = World::new();
    let assertion = world.assertion("svc").claim("sub", "ana").sign(SECRET);
    let reply = world.post("/oauth2/token", &[("grant_type", JWT_BEARER), ("assertion", &assertion)]);
    assert_eq!(reply.status, 200);
    let answer = reply.json();
    let token = answer["access_token"].as_str().unwrap();
    let claims = &parts(token)[1];
    assert_eq!((&claims["sub"], &claims["client_id"]), (&json!("ana"), &json!("svc")));
    assert_eq!(world.get("/users", token).status, 200);
    let [seen] = &world.upstream.all()[..] else { panic!("not one call") };
    assert_eq!(seen.header("x-scopegate-subject"), Some("ana"));
    assert_eq!(seen.header("x-scopegate-app"), Some("svc"));
}

#[test]
fn a_client_may_authenticate_besides_and_name_itself() {
    let world = World::new();
    let hand_in = |app: &str, form: &[(&str, &str)]| {
        let assertion = world.assertion(app).claim("sub", "ana").sign(SECRET);
        let own = [("grant_type", JWT_BEARER), ("assertion", &assertion)];
        world.post_as("svc", "/oauth2/token", &[form, &own].concat())
    };
    assert_eq!(hand_in("svc", &[]).status, 200);
    assert_eq!(hand_in("svc", &[("client_id", "svc")]).status, 200);
    let foreign = hand_in("rival", &[]);
    assert_eq!((foreign.status, &foreign.json()["error"]), (400, &json!("invalid_grant")));
    let misnamed = hand_in("svc", &[("client_id", "rival")]);
    assert_eq!((misnamed.status, &misnamed.json()["error"]), (401, &json!("invalid_client")));
}
