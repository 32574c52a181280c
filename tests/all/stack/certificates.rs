//! Keys that came in certificates: their time on every call, and `x5t#S256`.

use std::time::Duration;

use jsonwebtoken::Algorithm;
use scopegate::jose::KeyMaterial;
use scopegate::model::{KeyId, Reason};
use serde_json::json;

use crate::support::registry::{ACCOUNT, CERTIFIED};
use crate::support::tokens::{
    ED25519_CERTIFICATE as ED25519, P256_CERTIFICATE as P256, P256_PUBLIC, P384_CERTIFICATE as P384,
    RSA_CERTIFICATE as RSA,
};
use crate::support::{Format, Gateway, Script, Token};

fn signed(algorithm: Algorithm) -> Token {
    Token::of(CERTIFIED).signed(algorithm)
}

fn thumbprint(certificate: &str) -> String {
    KeyMaterial::from_pem(certificate).unwrap().certificate().unwrap().thumbprint().to_owned()
}

async fn reason(gateway: &Gateway, token: &str) -> Option<Reason> {
    let request = Format::Problem.request("GET", "/any", token).body(Script::empty()).unwrap();
    gateway.call(request).await.log.reason
}

#[tokio::test]
async fn a_certificate_ends_at_its_moment_for_tokens_that_are_remembered_too() {
    let gateway = Gateway::new();
    let token = signed(Algorithm::ES256).make();
    assert_eq!(reason(&gateway, &token).await, None);
    assert_eq!(reason(&gateway, &token).await, None);
    gateway.hands.advance(Duration::from_millis(59_999));
    assert_eq!(reason(&gateway, &token).await, None);
    gateway.hands.advance(Duration::from_millis(1));
    assert_eq!(reason(&gateway, &token).await, Some(Reason::KeyExpired));
}

#[tokio::test]
async fn a_certificate_begins_at_its_moment() {
    let gateway = Gateway::new();
    let token = signed(Algorithm::ES384).make();
    assert_eq!(reason(&gateway, &token).await, Some(Reason::KeyNotYetValid));
    gateway.hands.advance(Duration::from_millis(59_999));
    assert_eq!(reason(&gateway, &token).await, Some(Reason::KeyNotYetValid));
    gateway.hands.advance(Duration::from_millis(1));
    assert_eq!(reason(&gateway, &token).await, None);
}

#[tokio::test]
async fn a_renewed_certificate_of_the_same_key_takes_over_without_a_gap() {
    let gateway = Gateway::new();
    gateway.change(|registry| {
        let app = registry.apps.get_mut(CERTIFIED).unwrap();
        let bare = crate::support::registry::key(199, None, KeyMaterial::from_pem(P256_PUBLIC).unwrap());
        app.keys.push(bare);
    });
    let token = signed(Algorithm::ES256).make();
    assert_eq!(reason(&gateway, &token).await, None);
    gateway.hands.advance(Duration::from_secs(60));
    assert_eq!(reason(&gateway, &token).await, None, "the other key does, though the first has ended");
}

#[tokio::test]
async fn a_thumbprint_selects_the_certificate_as_a_kid_selects_a_key() {
    let gateway = Gateway::new();
    let by = |algorithm, thumbprint: &str| signed(algorithm).header("x5t#S256", thumbprint).make();
    assert_eq!(reason(&gateway, &by(Algorithm::ES256, &thumbprint(P256))).await, None);
    assert_eq!(reason(&gateway, &by(Algorithm::EdDSA, &thumbprint(ED25519))).await, None);
    // Another certificate of the app is of another kind of key; one of nobody is unknown, also beside a good signature.
    let of_other_kind = by(Algorithm::ES256, &thumbprint(ED25519));
    assert_eq!(reason(&gateway, &of_other_kind).await, Some(Reason::TokenAlgorithmNotAllowed));
    for unknown in ["", "x", &thumbprint(P256).to_uppercase(), &format!("{}=", thumbprint(P256))] {
        assert_eq!(reason(&gateway, &by(Algorithm::ES256, unknown)).await, Some(Reason::KeyUnknown), "{unknown}");
    }
    let expired = by(Algorithm::RS256, &thumbprint(RSA));
    assert_eq!(reason(&gateway, &expired).await, Some(Reason::KeyExpired));
    let not_yet = by(Algorithm::ES384, &thumbprint(P384));
    assert_eq!(reason(&gateway, &not_yet).await, Some(Reason::KeyNotYetValid));
}

#[tokio::test]
async fn a_kid_and_a_thumbprint_have_to_mean_one_key() {
    let gateway = Gateway::new();
    gateway.change(|registry| {
        let keys = &mut registry.apps.get_mut(CERTIFIED).unwrap().keys;
        let named = keys.iter_mut().zip(["rsa", "p256", "p384", "ed25519"]);
        named.for_each(|(key, kid)| key.kid = Some(KeyId::new(kid).unwrap()));
    });
    let by = |kid: &str| signed(Algorithm::ES256).header("kid", kid).header("x5t#S256", thumbprint(P256)).make();
    assert_eq!(reason(&gateway, &by("p256")).await, None);
    assert_eq!(reason(&gateway, &by("ed25519")).await, Some(Reason::KeyUnknown));
    assert_eq!(reason(&gateway, &by("none")).await, Some(Reason::KeyUnknown));
}

#[tokio::test]
async fn an_app_without_certificates_is_not_asked_for_one_and_no_key_comes_from_a_token() {
    let gateway = Gateway::new();
    let token = Token::of(ACCOUNT).header("x5t#S256", thumbprint(P256)).make();
    assert_eq!(reason(&gateway, &token).await, None);
    let no_text = Token::of(ACCOUNT).header("x5t#S256", 7).make();
    assert_eq!(reason(&gateway, &no_text).await, Some(Reason::TokenMalformed));
    let chain: Vec<_> = P256.lines().filter(|line| !line.starts_with("-----")).collect();
    for (name, value) in [
        ("x5c", json!([chain.concat()])),
        ("x5t", json!("1Z8z5gUjXwEFVYuNmBPuZRUZvWk")),
        ("x5u", json!("http://127.0.0.1:9/chain.pem")),
    ] {
        // As if they were not there: the app has no such key.
        let token = Token::of(ACCOUNT).header(name, value).make();
        assert_eq!(reason(&gateway, &token).await, None, "{name}");
    }
}
