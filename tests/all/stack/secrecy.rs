//! Whoever can't sign as an app learns nothing about it.

use http::{HeaderMap, Request};
use jsonwebtoken::Algorithm;
use scopegate::model::Reason;

use crate::support::registry::{BOT, DISABLED, ELSEWHERE, KEYLESS, KIDS, secret_of};
use crate::support::{Format, Gateway, Script, Token};

/// Tokens of those who can't sign as an app that is there and enabled, and the true reasons.
fn tokens() -> [(Reason, Token); 9] {
    let wrong = "quite another secret, which is long enough";
    [
        (Reason::AppUnknown, Token::of("cs-nobody")),
        (Reason::AppUnknown, Token::of(BOT).without("appId")),
        (Reason::AppDisabled, Token::of(DISABLED).secret(wrong)),
        (Reason::AppNoKey, Token::of(KEYLESS).secret(wrong)),
        (Reason::AppWrongAuthenticator, Token::of(ELSEWHERE).secret(wrong)),
        (Reason::TokenAlgorithmNotAllowed, Token::of(BOT).signed(Algorithm::RS256)),
        (Reason::TokenSignatureInvalid, Token::of(BOT).secret(wrong)),
        (Reason::KeyUnknown, Token::of(KIDS).header("kid", "k9").secret(wrong)),
        (Reason::KeyRetired, Token::of(KIDS).header("kid", "k3").secret(&secret_of("k3"))),
    ]
}

/// An answer without its request id.
async fn answer(gateway: &Gateway, request: Request<Script>, wanted: Reason) -> (u16, HeaderMap, String) {
    let mut reply = gateway.call(request).await;
    assert_eq!(reply.log.reason, Some(wanted));
    reply.headers.remove("x-request-id");
    let body = String::from_utf8(reply.body.to_vec()).unwrap();
    (reply.status, reply.headers, body.replace(&reply.log.request_id, "ID"))
}

#[tokio::test]
async fn who_cannot_sign_gets_one_answer_whatever_is_wrong() {
    let gateway = Gateway::new();
    gateway.limit(|limits| limits.reason_header = true);
    for format in Format::ALL {
        let mut first = None;
        for (reason, token) in tokens() {
            let request = format.request("GET", "/any", &token.make()).body(Script::empty()).unwrap();
            let answer = answer(&gateway, request, reason).await;
            assert_eq!(answer.0, 401);
            assert_eq!(&answer, first.get_or_insert(answer.clone()), "{reason} ({})", format.name());
        }
    }
    assert!(gateway.leaf.take().is_empty());
}

#[tokio::test]
async fn a_token_that_names_an_unproved_bot_and_scope_tells_nothing_either() {
    let gateway = Gateway::new();
    let wrong = Token::of(BOT).secret("quite another secret, which is long enough").make();
    let mut first = None;
    for path in ["/bot/st-1/logs", "/bot/st-2/logs", "/bot/st-9/logs", "/bot/st-nobody/logs", "/users", "/tables/x"] {
        let request = Format::Problem.request("GET", path, &wrong).body(Script::empty()).unwrap();
        let answer = answer(&gateway, request, Reason::TokenSignatureInvalid).await;
        assert_eq!(&answer, first.get_or_insert(answer.clone()), "{path}");
    }
}

#[tokio::test]
async fn the_log_names_the_app_of_a_refused_token_as_claimed_and_not_as_proved() {
    let gateway = Gateway::new();
    let wrong = Token::of(BOT).secret("quite another secret, which is long enough").make();
    let request = Format::Problem.request("GET", "/any", &wrong).body(Script::empty()).unwrap();
    let log = gateway.call(request).await.log;
    assert_eq!((log.app.as_deref(), log.is_verified), (Some(BOT), false));
}

#[tokio::test]
async fn the_credential_reaches_only_a_log_that_explains_and_only_with_a_refusal() {
    let gateway = Gateway::new();
    let refused = || Format::Problem.request("GET", "/users", &Token::of(BOT).make()).body(Script::empty()).unwrap();
    assert!(!gateway.call(refused()).await.log.has_headers, "a log that only writes");
    gateway.log.explain();
    assert!(gateway.call(refused()).await.log.has_headers);
    let passed = Format::Problem.request("GET", "/any", &Token::of(BOT).make()).body(Script::empty()).unwrap();
    assert!(!gateway.call(passed).await.log.has_headers);
}
