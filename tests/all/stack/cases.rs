//! Refused calls, a table each for the steps that refuse them.

use std::net::SocketAddr;

use http::{Request, request};
use jsonwebtoken::Algorithm;
use scopegate::model::Reason;
use scopegate::net::Peer;
use serde_json::json;

use crate::support::encryption::{header, seal};
use crate::support::registry::{
    ACCOUNT, BOT, CERTIFIED, CONFINED, DISABLED, ELSEWHERE, ENCRYPTED, KEYLESS, KIDS, OTHER, SINGLE, TABLES, secret_of,
};
use crate::support::routes::{HOST, in_secs};
use crate::support::{Format, Token};

/// A refused call, and the answer that it gets.
pub struct Case {
    pub name: &'static str,
    pub reason: Reason,
    /// Status and public code in the `problem` format.
    pub problem: (u16, &'static str),
    /// Status, text and code in the kore format; none where no route is known whose format it could be.
    pub kore: Option<(u16, &'static str, u16)>,
    /// What the log holds, if only in part.
    pub expected: Option<&'static str>,
    pub found: Option<&'static str>,
    /// Whether the token was good.
    pub is_verified: bool,
    /// How many calls go before it and are let through.
    pub earlier: usize,
    /// The one format that knows such a fault, if it is one.
    pub only: Option<Format>,
    /// The n-th call.
    pub call: fn(Format, usize) -> request::Builder,
}

const CREDENTIALS: Option<(u16, &str, u16)> = Some((401, "Invalid SDK credentials", 4002));
const NOT_A_TOKEN: Option<(u16, &str, u16)> = Some((401, "Invalid JWT token", 4002));
const SCOPE: Option<(u16, &str, u16)> = Some((401, "Permission denied. Scope is incorrect!", 4002));
const INVALID: (u16, &str) = (401, "token.invalid");

impl Case {
    pub const fn new(name: &'static str, reason: Reason, problem: (u16, &'static str)) -> Self {
        let kore = CREDENTIALS;
        let call: fn(Format, usize) -> request::Builder = |format, _| format.bare("GET", "/any");
        let (expected, found, only) = (None, None, None);
        Self { name, reason, problem, kore, expected, found, is_verified: false, earlier: 0, only, call }
    }

    pub const fn kore(mut self, answer: Option<(u16, &'static str, u16)>) -> Self {
        self.kore = answer;
        self
    }

    pub const fn log(mut self, expected: Option<&'static str>, found: Option<&'static str>) -> Self {
        self.expected = expected;
        self.found = found;
        self
    }

    pub const fn verified(mut self) -> Self {
        self.is_verified = true;
        self
    }

    pub const fn after(mut self, earlier: usize) -> Self {
        self.earlier = earlier;
        self
    }

    pub const fn only(mut self, format: Format) -> Self {
        self.only = Some(format);
        self
    }

    pub const fn call(mut self, call: fn(Format, usize) -> request::Builder) -> Self {
        self.call = call;
        self
    }
}

/// A call of a route that asks for no scope.
pub fn any(format: Format, token: &Token) -> request::Builder {
    format.request("GET", "/any", &token.make())
}

pub fn strict(format: Format, token: &Token) -> request::Builder {
    format.request("GET", "/strict", &token.make())
}

fn delete(format: Format) -> request::Builder {
    format.request("DELETE", "/any", &Token::of(BOT).make())
}

/// A token as the strict routes want it.
pub fn fitting() -> Token {
    Token::of(ACCOUNT).claim("aud", "api").claim("iss", "ci")
}

fn requests() -> Vec<Case> {
    vec![
        Case::new("an unknown path", Reason::RouteUnknown, (404, "route.unknown"))
            .kore(None)
            .call(|_, _| Request::get("/nowhere").header("host", HOST)),
        Case::new("an encoded slash", Reason::RequestInvalid, (400, "request.invalid"))
            .kore(None)
            .log(None, Some("an encoded slash in the path"))
            .call(|format, _| format.request("GET", "/bot/st-1%2flogs", &Token::of(BOT).make())),
        Case::new("two hosts", Reason::RequestInvalid, (400, "request.invalid"))
            .kore(None)
            .log(None, Some("more than one Host"))
            .call(|format, _| any(format, &Token::of(BOT)).header("host", HOST)),
        Case::new("another host than the target's", Reason::RequestInvalid, (400, "request.invalid"))
            .kore(None)
            .log(None, Some("a Host other than the target's authority"))
            .call(|format, _| any(format, &Token::of(BOT)).uri("http://acme.example/problem/any")),
        Case::new("no host", Reason::RequestInvalid, (400, "request.invalid"))
            .kore(None)
            .log(None, Some("no Host"))
            .call(|_, _| Request::get("/problem/any")),
        Case::new("a header of 9,000 bytes", Reason::RequestHeadersTooLarge, (431, "request.headers_too_large"))
            .kore(None)
            .call(|format, _| any(format, &Token::of(BOT)).header("x-long", "x".repeat(9000))),
        Case::new("a declared body of 1,001 bytes", Reason::RequestBodyTooLarge, (413, "request.body_too_large"))
            .kore(None)
            .call(|format, _| any(format, &Token::of(BOT)).header("content-length", "1001")),
        Case::new("another method", Reason::MethodNotAllowed, (405, "method.not_allowed"))
            .log(Some("GET, POST"), Some("DELETE"))
            .verified()
            .only(Format::Problem)
            .call(|format, _| delete(format)),
        Case::new("another method, judged first", Reason::MethodNotAllowed, (405, "method.not_allowed"))
            .kore(Some((405, "Method Not Allowed", 405)))
            .log(Some("GET, POST"), Some("DELETE"))
            .only(Format::Kore)
            .call(|format, _| delete(format)),
    ]
}

fn credentials() -> Vec<Case> {
    vec![
        Case::new("no credential", Reason::CredentialMissing, (401, "credential.missing"))
            .log(Some("TOKEN"), Some("no auth"))
            .call(|format, _| format.bare("GET", "/any")),
        Case::new("quotes around the token", Reason::CredentialMalformed, (401, "credential.malformed"))
            .kore(NOT_A_TOKEN)
            .log(Some("TOKEN"), Some("quotes around the token"))
            .call(|format, _| format.request("GET", "/any", &format!("\"{}\"", Token::of(BOT).make()))),
        Case::new("a scheme before a bare token", Reason::CredentialMalformed, (401, "credential.malformed"))
            .kore(NOT_A_TOKEN)
            .log(Some("TOKEN"), Some("the word Bearer before the token"))
            .call(|format, _| format.request("GET", "/any", &format!("Bearer {}", Token::of(BOT).make()))),
        Case::new("two credentials", Reason::CredentialAmbiguous, (400, "credential.ambiguous"))
            .kore(NOT_A_TOKEN)
            .log(Some("one"), Some("2 of them"))
            .call(|format, _| any(format, &Token::of(BOT)).header(format.header(), "x")),
        Case::new("another scheme", Reason::CredentialWrongScheme, (401, "credential.wrong_scheme"))
            .log(Some("Bearer"), Some("Basic"))
            .only(Format::Problem)
            .call(|format, _| format.bare("GET", "/any").header("authorization", "Basic dXNlcjpzZWNyZXQ=")),
        Case::new("no token at all", Reason::TokenMalformed, (401, "token.malformed"))
            .kore(NOT_A_TOKEN)
            .log(None, Some("1 part"))
            .call(|format, _| format.request("GET", "/any", "hello")),
        Case::new("a token of 5,000 bytes", Reason::TokenTooLarge, (401, "token.too_large"))
            .kore(NOT_A_TOKEN)
            .log(None, Some("5000 bytes, and the limit is 4096"))
            .call(|format, _| format.request("GET", "/any", &"x".repeat(5000))),
    ]
}

fn keys_and_apps() -> Vec<Case> {
    vec![
        Case::new("an algorithm that the app does not allow", Reason::TokenAlgorithmNotAllowed, INVALID)
            .log(Some("HS256, ES256"), Some("RS256"))
            .call(|format, _| any(format, &Token::of(BOT).signed(Algorithm::RS256))),
        Case::new("an algorithm that the app has no key for", Reason::TokenAlgorithmNotAllowed, INVALID)
            .log(Some("one of the app's keys: HS256"), Some("ES256"))
            .call(|format, _| any(format, &Token::of(BOT).signed(Algorithm::ES256))),
        Case::new("the algorithm none", Reason::TokenAlgorithmNotAllowed, INVALID)
            .log(Some("HS256"), Some("none"))
            .call(|format, _| any(format, &Token::of(BOT).header("alg", "none"))),
        Case::new("another secret", Reason::TokenSignatureInvalid, INVALID)
            .call(|format, _| any(format, &Token::of(BOT).secret("quite another secret, which is long enough"))),
        Case::new("a key that the app does not have", Reason::KeyUnknown, INVALID)
            .log(Some("one of the app's keys: k1, k2, k3"), Some("\"k9\""))
            .call(|format, _| any(format, &Token::of(KIDS).header("kid", "k9").secret(&secret_of("k1")))),
        Case::new("a retired key", Reason::KeyRetired, INVALID)
            .call(|format, _| any(format, &Token::of(KIDS).header("kid", "k3").secret(&secret_of("k3")))),
        Case::new("a certificate that has ended", Reason::KeyExpired, INVALID)
            .log(Some("a key whose certificate is good now"), Some("one that ended at 2026-11-22T11:59:59.000Z"))
            .call(|format, _| any(format, &Token::of(CERTIFIED).signed(Algorithm::RS256))),
        Case::new("a certificate that is not good yet", Reason::KeyNotYetValid, INVALID)
            .log(Some("a key whose certificate is good now"), Some("one that begins at 2026-11-22T12:01:00.000Z"))
            .call(|format, _| any(format, &Token::of(CERTIFIED).signed(Algorithm::ES384))),
        Case::new("an unknown app", Reason::AppUnknown, INVALID)
            .log(Some("appId"), Some("cs-nobody"))
            .call(|format, _| any(format, &Token::of("cs-nobody"))),
        Case::new("a misspelt app claim", Reason::AppUnknown, INVALID)
            .log(Some("appId, iss"), Some("\"appID\""))
            .call(|format, _| any(format, &Token::of(BOT).without("appId").claim("appID", BOT))),
        Case::new("a disabled app", Reason::AppDisabled, INVALID)
            .log(None, Some("disabled"))
            .call(|format, _| any(format, &Token::of(DISABLED))),
        Case::new("an app without a key", Reason::AppNoKey, INVALID).call(|format, _| any(format, &Token::of(KEYLESS))),
        Case::new("an app of another authenticator", Reason::AppWrongAuthenticator, INVALID)
            .log(Some("one of elsewhere"), Some(""))
            .call(|format, _| any(format, &Token::of(ELSEWHERE))),
    ]
}

fn claims() -> Vec<Case> {
    let lifetime = r#"error verifying the jwt: if "jti" claim "exp" must be <= 1 hour(s)"#;
    vec![
        Case::new("another type", Reason::TokenTypeNotAllowed, (401, "token.type_not_allowed"))
            .log(Some("JWT"), Some("at+jwt"))
            .call(|format, _| any(format, &Token::of(BOT).header("typ", "at+jwt"))),
        Case::new("exp is now", Reason::TokenExpired, (401, "token.expired"))
            .log(Some("exp ahead of now"), Some("2026-11-22T12:00:00.000Z"))
            .call(|format, _| any(format, &Token::of(BOT).claim("exp", in_secs(0)))),
        Case::new("nbf is 31 s ahead", Reason::TokenNotYetValid, (401, "token.not_yet_valid"))
            .log(Some("nbf"), Some("2026-11-22T12:00:31.000Z"))
            .call(|format, _| any(format, &Token::of(BOT).claim("nbf", in_secs(31)))),
        Case::new("iat is 61 s ahead", Reason::TokenIssuedInFuture, (401, "token.issued_in_future"))
            .log(Some("iat"), Some("2026-11-22T12:01:01.000Z"))
            .call(|format, _| any(format, &Token::of(BOT).claim("iat", in_secs(61)))),
        Case::new("exp is over an hour ahead", Reason::TokenLifetimeTooLong, (401, "token.lifetime_too_long"))
            .kore(Some((401, lifetime, 401)))
            .log(Some("at most 3600s ahead"), Some("3601s ahead"))
            .call(|format, _| strict(format, &fitting().claim("exp", in_secs(3601)))),
        Case::new("no exp", Reason::TokenExpRequired, (401, "token.exp_required"))
            .log(Some("exp"), Some("no exp"))
            .call(|format, _| strict(format, &fitting().without("exp"))),
        Case::new("exp as a text", Reason::TokenClaimInvalid, (401, "token.claim_invalid"))
            .log(Some("exp: a number"), Some("a JSON string"))
            .call(|format, _| any(format, &Token::of(BOT).claim("exp", "soon"))),
        Case::new("the app claim is a number", Reason::TokenClaimInvalid, (401, "token.claim_invalid"))
            .log(Some("appId: a string"), Some("a JSON number"))
            .call(|format, _| any(format, &Token::of(BOT).claim("appId", 5))),
        Case::new("another audience", Reason::TokenAudienceMismatch, (401, "token.audience_mismatch"))
            .log(Some("api"), Some("elsewhere"))
            .call(|format, _| strict(format, &fitting().claim("aud", json!(["elsewhere"])))),
        Case::new("another issuer", Reason::TokenIssuerMismatch, (401, "token.issuer_mismatch"))
            .log(Some("ci"), Some("somebody"))
            .call(|format, _| strict(format, &fitting().claim("iss", "somebody"))),
        Case::new("no jti where one must be", Reason::TokenJtiRequired, (401, "token.jti_required"))
            .log(Some("a jti, new for every call"), Some("no jti"))
            .call(|format, _| any(format, &Token::of(SINGLE))),
        Case::new("a plain token of an app that encrypts", Reason::TokenJweRequired, (401, "token.jwe_required"))
            .log(Some("five parts"), Some("three parts"))
            .call(|format, _| any(format, &Token::of(ENCRYPTED))),
        Case::new("a token that is encrypted to nobody's key", Reason::TokenJweInvalid, INVALID)
            .log(Some("in use"), Some("kid \"k-nobody\", which no app has"))
            .call(|format, _| {
                let token = seal(&header("ECDH-ES", "A256GCM", "k-nobody"), &Token::of(ENCRYPTED).make());
                format.request("GET", "/any", &token)
            }),
        Case::new("the same jti again", Reason::TokenReplayed, (401, "token.replayed"))
            .kore(Some((401, "error verifying the jwt: possibly a replay", 401)))
            .verified()
            .after(1)
            .call(|format, _| any(format, &Token::of(SINGLE).claim("jti", "once"))),
        Case::new("more used tokens than an app's share", Reason::ReplayFull, (503, "replay.full"))
            .kore(Some((503, "The memory of used tokens is full.", 503)))
            .verified()
            .after(1)
            .call(|format, n| any(format, &Token::of(SINGLE).claim("jti", format!("call {n}")))),
    ]
}

fn permissions() -> Vec<Case> {
    let cases = [
        Case::new("another bot than the app's", Reason::AppWrongBot, (403, "app.wrong_bot"))
            .log(Some("st-1"), Some("\"st-2\""))
            .call(|format, _| format.request("GET", "/bot/st-2/logs", &Token::of(BOT).make())),
        Case::new("an address in no network of the app", Reason::AppWrongNetwork, (403, "app.wrong_network"))
            .log(Some("10.0.0.0/8, 2001:db8::/32"), Some("192.0.2.1"))
            .call(|format, _| from("[::ffff:192.0.2.1]:443", any(format, &Token::of(CONFINED)))),
        Case::new("nobody knows which address", Reason::AppWrongNetwork, (403, "app.wrong_network"))
            .log(Some("10.0.0.0/8, 2001:db8::/32"), Some("a caller without an address"))
            .call(|format, _| any(format, &Token::of(CONFINED))),
        Case::new("a bot of another account", Reason::AppWrongAccount, (403, "app.wrong_account"))
            .log(Some("account acme, which owns the bot"), Some("account other"))
            .call(|format, _| format.request("GET", "/bot/st-1/logs", &Token::of(OTHER).make())),
        Case::new("an app of another level", Reason::AppWrongLevel, (403, "app.wrong_level"))
            .kore(SCOPE)
            .log(Some("level bot"), Some("level account"))
            .call(|format, _| format.request("POST", "/bot/st-1/train", &Token::of(ACCOUNT).make())),
        Case::new("a bot that nobody has", Reason::BotUnknown, (404, "bot.unknown"))
            .kore(Some((400, "Invalid StreamId", 400)))
            .log(None, Some("\"st-nobody\""))
            .call(|format, _| format.request("GET", "/bot/st-nobody/logs", &Token::of(ACCOUNT).make())),
        Case::new("a scope in the draft alone", Reason::ScopeInsufficient, (403, "scope.insufficient"))
            .kore(SCOPE)
            .log(Some("train at level bot"), Some("logs; it is in the draft"))
            .call(|format, _| format.request("POST", "/bot/st-1/train", &Token::of(BOT).make())),
        Case::new("a table to be read alone", Reason::TableForbidden, (403, "table.forbidden"))
            .kore(SCOPE)
            .log(Some("write on table \"orders\""), Some("read"))
            .call(|format, _| format.request("POST", "/tables/orders", &Token::of(TABLES).make())),
    ];
    cases.into_iter().map(Case::verified).collect()
}

/// A call whose other end is there.
pub fn from(address: &str, call: request::Builder) -> request::Builder {
    call.extension(Peer::new(address.parse::<SocketAddr>().unwrap(), false))
}

pub fn cases() -> Vec<Case> {
    [requests(), credentials(), keys_and_apps(), claims(), permissions()].into_iter().flatten().collect()
}
