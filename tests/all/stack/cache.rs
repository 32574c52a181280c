//! The cache of proofs skips work and never a check: what changes acts on the very next call.

use std::time::Duration;

use scopegate::model::{Algorithm, AlgorithmSet, Reason};
use scopegate::registry::{GrantTarget, KeyState, Registry, Snapshot, Version};
use scopegate::verify::{TokenRules, TokenSettings, Verifier};

use super::cases::from;
use crate::support::registry::{
    ACCOUNT, BOT, CONFINED, KIDS, OTHER, account, bot, grant, key, registry, secret, secret_of,
};
use crate::support::routes::token_settings;
use crate::support::{Format, Gateway, Script, Token, now};

async fn reason(gateway: &Gateway, path: &str, token: &str) -> Option<Reason> {
    let request = Format::Problem.request("GET", path, token).body(Script::empty()).unwrap();
    gateway.call(request).await.log.reason
}

/// Two calls that pass, the second from the cache.
async fn warm(gateway: &Gateway, path: &str, token: &str) {
    for _ in 0..2 {
        assert_eq!(reason(gateway, path, token).await, None);
    }
}

/// What a change of the registry does to a token that is in the cache.
async fn after(change: impl FnOnce(&mut Registry)) -> Option<Reason> {
    let gateway = Gateway::new();
    let token = Token::of(BOT).make();
    warm(&gateway, "/bot/st-1/logs", &token).await;
    gateway.change(change);
    reason(&gateway, "/bot/st-1/logs", &token).await
}

#[tokio::test]
async fn a_key_that_is_removed_refuses_the_very_next_call() {
    let gateway = Gateway::new();
    let token = Token::of(ACCOUNT).make();
    warm(&gateway, "/users", &token).await;
    gateway.change(|r| drop(r.apps.get_mut(ACCOUNT).unwrap().keys.remove(0)));
    assert_eq!(reason(&gateway, "/users", &token).await, Some(Reason::TokenAlgorithmNotAllowed), "no key for HS256");
    gateway.change(|_| {});
    assert_eq!(reason(&gateway, "/users", &token).await, None, "and back again");
}

#[tokio::test]
async fn a_secret_that_is_replaced_refuses_the_very_next_call() {
    let reason = after(|r| {
        let app = r.apps.get_mut(BOT).unwrap();
        app.keys[0] = key(100, None, secret("a new secret, under the old number of the key"));
        app.credential_version = 2;
    });
    assert_eq!(reason.await, Some(Reason::TokenSignatureInvalid));
}

#[tokio::test]
async fn whatever_an_administrator_takes_away_is_gone_at_once() {
    assert_eq!(after(|r| drop(r.apps.remove(BOT))).await, Some(Reason::AppUnknown));
    assert_eq!(after(|r| r.apps.get_mut(BOT).unwrap().settings.enabled = false).await, Some(Reason::AppDisabled));
    let algorithms = |r: &mut Registry| r.apps.get_mut(BOT).unwrap().settings.algorithms = [Algorithm::Es256].into();
    assert_eq!(after(algorithms).await, Some(Reason::TokenAlgorithmNotAllowed));
    let elsewhere = |r: &mut Registry| {
        let elsewhere = "elsewhere".to_owned().try_into().unwrap();
        r.apps.get_mut(BOT).unwrap().settings.authenticators = [elsewhere].into();
    };
    assert_eq!(after(elsewhere).await, Some(Reason::AppWrongAuthenticator));
    assert_eq!(after(|r| r.apps.get_mut(BOT).unwrap().settings.bots.clear()).await, Some(Reason::AppWrongBot));
    assert_eq!(after(|r| r.apps.get_mut(BOT).unwrap().grants.clear()).await, Some(Reason::ScopeInsufficient));
    let confined = |r: &mut Registry| {
        r.apps.get_mut(BOT).unwrap().settings.networks = ["10.0.0.0/8".parse().unwrap()].into();
    };
    assert_eq!(after(confined).await, Some(Reason::AppWrongNetwork));
    let moved = |r: &mut Registry| r.bots.get_mut("st-1").unwrap().account = account("other");
    assert_eq!(after(moved).await, Some(Reason::AppWrongAccount));
    assert_eq!(
        after(|r| r.apps.get_mut(BOT).unwrap().settings.enforce_jti = true).await,
        Some(Reason::TokenJtiRequired)
    );
    let short = |r: &mut Registry| r.apps.get_mut(BOT).unwrap().settings.max_lifetime = Some(Duration::from_secs(299));
    assert_eq!(after(short).await, Some(Reason::TokenLifetimeTooLong));
}

#[tokio::test]
async fn what_an_administrator_gives_is_there_at_once() {
    let gateway = Gateway::new();
    let token = Token::of(BOT).make();
    let call = || Format::Problem.request("POST", "/bot/st-1/train", &token).body(Script::empty()).unwrap();
    assert_eq!(gateway.call(call()).await.log.reason, Some(Reason::ScopeInsufficient));
    gateway.change(|r| {
        let published = grant(GrantTarget::Bot(bot("st-1")), &["logs", "train"], &["logs", "train"]);
        r.apps.get_mut(BOT).unwrap().grants = vec![published];
    });
    assert_eq!(gateway.call(call()).await.log.reason, None);
}

#[tokio::test]
async fn what_is_remembered_of_a_token_does_not_say_whence_it_comes() {
    let gateway = Gateway::new();
    let token = Token::of(CONFINED).make();
    for (address, wanted) in [
        ("10.1.2.3:1", None),
        ("192.0.2.1:1", Some(Reason::AppWrongNetwork)),
        ("[::ffff:10.1.2.3]:1", None),
        ("[2001:db8::7]:1", None),
        ("[2001:db9::7]:1", Some(Reason::AppWrongNetwork)),
    ] {
        let call = from(address, Format::Problem.request("GET", "/any", &token));
        assert_eq!(gateway.call(call.body(Script::empty()).unwrap()).await.log.reason, wanted, "{address}");
    }
}

#[tokio::test]
async fn a_retiring_key_stops_at_its_moment_for_cached_tokens_too() {
    let gateway = Gateway::new();
    let token = Token::of(KIDS).header("kid", "k2").secret(&secret_of("k2")).make();
    warm(&gateway, "/any", &token).await;
    gateway.hands.advance(Duration::from_millis(59_999));
    assert_eq!(reason(&gateway, "/any", &token).await, None);
    gateway.hands.advance(Duration::from_millis(1));
    assert_eq!(reason(&gateway, "/any", &token).await, Some(Reason::KeyRetired));
}

#[tokio::test]
async fn a_key_that_is_retired_refuses_the_very_next_call() {
    let reason = after(|r| r.apps.get_mut(BOT).unwrap().keys[0].state = KeyState::Retired);
    assert_eq!(reason.await, Some(Reason::KeyRetired));
}

#[tokio::test]
async fn a_cached_token_expires_to_the_millisecond() {
    let gateway = Gateway::new();
    let token = Token::of(BOT).claim("exp", now().secs() + 10).make();
    warm(&gateway, "/any", &token).await;
    gateway.hands.advance(Duration::from_millis(9_999));
    assert_eq!(reason(&gateway, "/any", &token).await, None);
    gateway.hands.advance(Duration::from_millis(1));
    assert_eq!(reason(&gateway, "/any", &token).await, Some(Reason::TokenExpired));
}

#[tokio::test]
async fn what_was_proved_for_one_authenticator_is_not_taken_by_another() {
    let gateway = Gateway::new();
    let token = Token::of(BOT).make();
    warm(&gateway, "/any", &token).await;
    assert_eq!(reason(&gateway, "/strict", &token).await, Some(Reason::TokenAudienceMismatch));
    gateway.change(|r| {
        let only = ["problem".to_owned().try_into().unwrap()];
        r.apps.get_mut(BOT).unwrap().settings.authenticators = only.into();
    });
    assert_eq!(reason(&gateway, "/any", &token).await, None);
    assert_eq!(reason(&gateway, "/strict", &token).await, Some(Reason::AppWrongAuthenticator));
}

/// Which algorithms an authenticator takes, and which claim names the app, is not judged again on a hit: the settings
/// are a part of what an entry is found by.
#[test]
fn what_was_proved_under_some_settings_is_not_found_under_others() {
    let (verifier, snapshot) = (Verifier::new(1 << 20), Snapshot::new(Version(1), registry()));
    let token = Token::of(ACCOUNT).claim("iss", OTHER).signed(jsonwebtoken::Algorithm::RS256).make();
    let reason = |settings: TokenSettings| {
        let verdict = verifier.verify(token.as_bytes(), &TokenRules::new(settings), &snapshot, now());
        verdict.err().map(|unverified| unverified.refusal.reason)
    };
    let plain = token_settings("x");
    let no_rsa = TokenSettings { algorithms: AlgorithmSet::of(&[Algorithm::Hs256]), ..plain.clone() };
    let by_issuer = TokenSettings { app_claims: vec!["iss".into()], ..plain.clone() };
    for _ in 0..2 {
        assert_eq!(reason(plain.clone()), None);
        assert_eq!(reason(no_rsa.clone()), Some(Reason::TokenAlgorithmNotAllowed));
        assert_eq!(reason(by_issuer.clone()), Some(Reason::TokenAlgorithmNotAllowed), "the app in iss has no RSA key");
    }
}

/// Neither is which claim names the user or holds the token's id.
#[test]
fn claims_are_read_anew_under_other_names() {
    let (verifier, snapshot) = (Verifier::new(1 << 20), Snapshot::new(Version(1), registry()));
    let token = Token::of(ACCOUNT).claim("sub", "a").claim("kore_sub", "b").make();
    let subject = |names: &[&str]| {
        let mut settings = token_settings("x");
        settings.claim_names.subject = names.iter().map(|name| (*name).into()).collect();
        let verified = verifier.verify(token.as_bytes(), &TokenRules::new(settings), &snapshot, now()).unwrap();
        verified.claims().subject.clone()
    };
    for _ in 0..2 {
        assert_eq!(subject(&["sub", "kore_sub"]).as_deref(), Some("a"));
        assert_eq!(subject(&["kore_sub", "sub"]).as_deref(), Some("b"));
        assert_eq!(subject(&[]), None);
    }
    let token = Token::of(ACCOUNT).claim("isAnonymous", "false").make();
    let is_good = |booleans: Vec<Box<str>>| {
        let mut settings = token_settings("x");
        settings.claim_names.booleans = booleans;
        verifier.verify(token.as_bytes(), &TokenRules::new(settings), &snapshot, now()).is_ok()
    };
    for _ in 0..2 {
        assert!(is_good(vec![]) && !is_good(vec!["isAnonymous".into()]));
    }
}

#[tokio::test]
async fn a_cached_token_with_another_signature_is_another_token() {
    let gateway = Gateway::new();
    let token = Token::of(BOT).make();
    warm(&gateway, "/any", &token).await;
    let forged = Token::of(BOT).secret("quite another secret, which is long enough").make();
    assert_eq!(reason(&gateway, "/any", &forged).await, Some(Reason::TokenSignatureInvalid));
}
