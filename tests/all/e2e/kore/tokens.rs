//! Rows about tokens: their form, their claims, their keys.

use std::sync::OnceLock;

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA512};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::world::{BOT, FIXTURE_SECRET, changelogs, ci, fixture, strict, with_payload, world};
use super::{assert_credentials, assert_no_token, body};
use crate::e2e::harness::{Call, Connection, Reply, Token, part};

/// An RSA key pair, and its public half as registries take it.
pub struct Rsa {
    pair: KeyPair,
    pub public: String,
    /// As an inline table of TOML.
    pub jwk: String,
}

impl Rsa {
    fn generate() -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        let lines = STANDARD.encode(der.as_ref());
        let public = format!("-----BEGIN PUBLIC KEY-----\n{lines}\n-----END PUBLIC KEY-----\n");
        let n = part(pair.public_key().modulus().big_endian_without_leading_zero());
        let e = part(pair.public_key().exponent().big_endian_without_leading_zero());
        Self { pair, public, jwk: format!("{{ kty = \"RSA\", n = {n:?}, e = {e:?} }}") }
    }

    /// A good token for an app, signed with RS256.
    pub fn sign(&self, client_id: &str) -> String {
        self.sign_as("RS256", &Token::of(client_id).claims)
    }

    /// RS256 or RS512.
    pub fn sign_as(&self, algorithm: &str, claims: &Value) -> String {
        let padding = if algorithm == "RS512" { &RSA_PKCS1_SHA512 } else { &RSA_PKCS1_SHA256 };
        let input = format!("{}.{}", part(json!({ "alg": algorithm }).to_string()), part(claims.to_string()));
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(padding, &SystemRandom::new(), input.as_bytes(), &mut signature).unwrap();
        format!("{input}.{}", part(signature))
    }
}

pub fn rsa() -> &'static Rsa {
    static RSA: OnceLock<Rsa> = OnceLock::new();
    RSA.get_or_init(Rsa::generate)
}

pub fn other_rsa() -> &'static Rsa {
    static RSA: OnceLock<Rsa> = OnceLock::new();
    RSA.get_or_init(Rsa::generate)
}

fn call(token: &str, mark: &str) -> Reply {
    world().call(&Call::get(changelogs(BOT)).auth(token).mark(mark))
}

/// Refused as whoever can't sign is; returns what `jwt explain` says.
#[track_caller]
fn refused(token: &str, reason: &str, mark: &str) -> String {
    let reply = call(token, mark);
    assert_credentials(&reply);
    assert_eq!(world().gateway.reason(&reply), reason);
    assert!(world().upstream.marked(mark).is_empty());
    let text = world().explain(token);
    assert!(text.contains(reason), "{text}");
    text
}

#[test]
fn f010_tokens_of_an_independent_library_are_accepted() {
    // Made with PyJWT and with the openssl command; secret and client id are those of the fixture app.
    const TOKENS: [&str; 4] = [
        // {"alg":"HS256","typ":"JWT"}
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwiYXBwSWQiOiJjcy0wMDAwMDAwMC0wMDAwLTUwMDAtODAwMC0wMDAwMDAwMGYwMTAifQ.g13bF_4bdCAox3YLL07r69K_IZ3mHSq4OMNOfyZoj5E",
        // {"alg":"HS256"}
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwiYXBwSWQiOiJjcy0wMDAwMDAwMC0wMDAwLTUwMDAtODAwMC0wMDAwMDAwMGYwMTAifQ.NCj8LmtveIPEvUpJt78vf4f9XC0hgazIcjpbqJ7FBuE",
        // {"alg":"HS256","typ":"jwt"}
        "eyJhbGciOiJIUzI1NiIsInR5cCI6Imp3dCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwiYXBwSWQiOiJjcy0wMDAwMDAwMC0wMDAwLTUwMDAtODAwMC0wMDAwMDAwMGYwMTAifQ.OlGjAT_dB4ar-QHJOr_GypGW7SeO-emzlpgYpa_W3bw",
        // {"typ":"JWT","alg":"HS256"}, and appId before sub
        "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJhcHBJZCI6ImNzLTAwMDAwMDAwLTAwMDAtNTAwMC04MDAwLTAwMDAwMDAwZjAxMCIsInN1YiI6IjEyMzQ1Njc4OTAifQ.O5Hjo332aNUnBAD36veyj3_ukeqQJYCGk2qjxBd1m5c",
    ];
    for token in TOKENS {
        assert_eq!(call(token, "f010").status, 200, "{token}");
    }
    assert_eq!(world().upstream.marked("f010").len(), TOKENS.len());
}

#[test]
fn f013_a_wrong_algorithm_is_named_to_the_operator_alone() {
    let token = Token::of(&ci().client_id);
    let unsigned = format!("{}.{}.c2ln", part(r#"{"alg":"none"}"#), part(token.claims.to_string()));
    let hs512 = token.clone().sign512(&ci().secret());
    for (wrong, found) in [(hs512, "HS512"), (rsa().sign_as("RS256", &token.claims), "RS256"), (unsigned, "none")] {
        let text = refused(&wrong, "token.algorithm_not_allowed", "f013");
        assert!(text.contains(&format!("Expected: HS256. Found: {found}.")), "{text}");
        let reply = call(&wrong, "f013");
        let line = world().gateway.logged(reply.request_id());
        assert_eq!((&line["expected"], &line["found"]), (&"HS256".into(), &found.into()));
        let told = String::from_utf8(reply.body).unwrap();
        assert!(!told.contains("HS256") && !told.contains(found) && !told.contains("lgorithm"), "{told}");
    }
}

#[test]
fn f027_a_typo_in_a_token_is_a_401_and_never_a_500() {
    let world = world();
    let token = ci().token();
    let mut typos = Vec::new();
    for at in 0..token.len() {
        let (before, after) = (&token[..at], &token[at + 1..]);
        let changed = if &token[at..=at] == "A" { 'B' } else { 'A' };
        typos.push(format!("{before}{changed}{after}"));
        typos.push(format!("{before}{after}"));
        typos.push(format!("{before}.{}", &token[at..]));
        typos.push(token[..at].to_owned());
    }
    let bodies = [body("Invalid SDK credentials", 4002), body("Invalid JWT token", 4002)];
    let mut connection = Connection::open(world.gateway.proxy);
    for typo in &typos {
        let reply = connection.call(&Call::get(changelogs(BOT)).auth(typo).mark("f027"));
        assert_eq!(reply.status, 401, "{typo}");
        assert!(bodies.contains(&reply.json()), "{typo}: {}", reply.json());
    }
    assert!(world.upstream.marked("f027").is_empty());
}

#[test]
fn f028_a_token_has_three_parts_and_no_other_number() {
    let token = ci().token();
    let parts: Vec<_> = token.split('.').collect();
    for wrong in [parts[0].to_owned(), parts[..2].join("."), format!("{token}.{}", parts[0]), format!("{token}.")] {
        let reply = call(&wrong, "f028");
        assert_no_token(&reply);
        let line = world().gateway.logged(reply.request_id());
        assert_eq!(line["reason"], "token.malformed");
        assert!(line["found"].as_str().unwrap().contains("part"), "{line}");
    }
    // Five parts are an encrypted token, and these are none that any key opens.
    let reply = call(&format!("{token}.{}.{}", parts[0], parts[1]), "f028");
    assert_credentials(&reply);
    assert_eq!(world().gateway.logged(reply.request_id())["reason"], "token.jwe_invalid");
    assert!(world().upstream.marked("f028").is_empty());
    assert_eq!(call(&token, "f028").status, 200);
}

#[test]
fn f086_the_secret_is_used_as_text_and_never_decoded() {
    let token = Token::of(&fixture().client_id);
    assert_eq!(call(&token.sign(FIXTURE_SECRET), "f086").status, 200);
    let decoded = STANDARD.decode(FIXTURE_SECRET).unwrap();
    let text = refused(&token.sign(decoded), "token.signature_invalid", "f086-decoded");
    assert!(text.contains("as text and not base64-decoded"), "{text}");
}

#[test]
fn f137_sub_and_app_id_are_enough_unless_the_app_wants_an_end() {
    let token = |id: &str| Token::with(json!({ "sub": "1234567890", "appId": id }));
    assert_eq!(call(&token(&ci().client_id).sign(ci().secret()), "f137").status, 200);
    let endless = token(&strict().client_id).sign(strict().secret());
    let text = refused(&endless, "token.exp_required", "f137-strict");
    assert!(text.contains("Add exp, in seconds since 1970."), "{text}");
    assert_eq!(call(&strict().token(), "f137").status, 200);
}

#[test]
fn f138_the_subject_is_free_text() {
    let token = Token::of(&ci().client_id);
    let subjects = [json!("1234567890"), json!(1_234_567_890), json!("änne@例え.jp 🤖"), json!(""), json!("a\nb")];
    for subject in subjects {
        let reply = call(&token.clone().claim("sub", subject.clone()).sign(ci().secret()), "f138");
        assert_eq!(reply.status, 200, "{subject}");
    }
    assert_eq!(call(&token.without("sub").sign(ci().secret()), "f138").status, 200);
    let seen = world().upstream.marked("f138");
    let subjects: Vec<_> = seen.iter().map(|s| s.header("x-scopegate-subject")).collect();
    // What is not printable ASCII is percent-encoded, so that no subject is left out, cut or joined.
    let encoded = "%C3%A4nne@%E4%BE%8B%E3%81%88.jp %F0%9F%A4%96";
    let expected = [Some("1234567890"), Some("1234567890"), Some(encoded), Some(""), Some("a%0Ab"), None];
    assert_eq!(subjects, expected);
}

#[test]
fn f139_app_id_holds_the_client_id_and_explain_tells_what_else_was_given() {
    let secret = ci().secret();
    let text = refused(&Token::of(BOT).sign(&secret), "app.unknown", "f139");
    assert!(text.contains("\"appId\" holds a bot's id; put the app's client id there."), "{text}");
    let name = format!("named {}", ci().client_id);
    let text = refused(&Token::of(&name).sign(&secret), "app.unknown", "f139");
    assert!(text.contains("\"appId\" holds the app's name"), "{text}");
    assert!(text.contains(&ci().client_id), "{text}");
}

#[test]
fn f140_the_name_of_the_claim_is_exact() {
    for name in ["App ID", "appid", "app ID", "APPID"] {
        let claims = json!({ "sub": "1234567890", name: ci().client_id });
        let text = refused(&Token::with(claims).sign(ci().secret()), "app.unknown", "f140");
        assert!(text.contains("Name the app in the claim \"appId\", written exactly so."), "{text}");
        assert!(text.contains(&format!("but {name:?}: names are compared exactly")), "{text}");
    }
}

#[test]
fn a_payload_under_another_payloads_signature_is_refused() {
    let forged = with_payload(&ci().token(), &json!({ "sub": "root", "appId": ci().client_id }).to_string());
    refused(&forged, "token.signature_invalid", "forged");
}
