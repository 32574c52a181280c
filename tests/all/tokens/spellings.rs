//! One token in several spellings: space around the JSON, media types with their prefix, both names of EdDSA.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm as Signed;
use jsonwebtoken::EncodingKey;
use scopegate::jose::{IssuingMaterial, KeyMaterial};
use scopegate::model::{Algorithm, AlgorithmSet, Reason, Refusal};
use scopegate::registry::{Snapshot, Version};
use scopegate::verify::{TokenRules, TokenSettings, Verifier};

use crate::support::registry::{ACCOUNT, registry};
use crate::support::routes::token_settings;
use crate::support::tokens::SECRET;
use crate::support::{NOW, Token, now};

fn judged(token: &str, settings: TokenSettings) -> Result<Algorithm, Refusal> {
    let snapshot = Snapshot::new(Version(1), registry());
    let verdict = Verifier::new(0).verify(token.as_bytes(), &TokenRules::new(settings), &snapshot, now());
    verdict.map(|verified| verified.proof().algorithm).map_err(|unverified| unverified.refusal)
}

fn written(header: &str, claims: &str) -> String {
    let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let signature = jsonwebtoken::crypto::sign(input.as_bytes(), &key, Signed::HS256).unwrap();
    format!("{input}.{signature}")
}

#[test]
fn json_whitespace_around_header_and_claims_is_taken_and_nothing_else_is() {
    let (header, claims) = (r#"{"alg":"HS256"}"#, format!(r#"{{"appId":"{ACCOUNT}","exp":{}}}"#, NOW + 300));
    for space in ["\n", "\r\n", " ", "\t", " \t\r\n"] {
        for (header, claims) in [
            (format!("{space}{header}"), claims.clone()),
            (format!("{header}{space}"), claims.clone()),
            (header.to_owned(), format!("{space}{claims}")),
            (format!("{space}{header}{space}"), format!("{space}{claims}{space}")),
        ] {
            assert!(judged(&written(&header, &claims), token_settings("x")).is_ok(), "{header:?} {claims:?}");
        }
    }
    for other in ["\u{feff}", "\u{b}", "\u{c}", "\u{a0}", "\u{2028}", "\0"] {
        for (header, claims) in
            [(format!("{other}{header}"), claims.clone()), (header.to_owned(), format!("{other}{claims}"))]
        {
            let refusal = judged(&written(&header, &claims), token_settings("x")).unwrap_err();
            assert_eq!(refusal.reason, Reason::TokenMalformed, "{other:?}");
        }
    }
}

#[test]
fn a_media_type_is_the_same_with_and_without_its_prefix() {
    for (configured, typ, is_taken) in [
        ("JWT", "application/jwt", true),
        ("JWT", "Application/JWT", true),
        ("application/jwt", "JWT", true),
        ("at+jwt", "application/at+jwt", true),
        ("at+jwt", "application/AT+JWT", true),
        ("application/at+jwt", "at+jwt", true),
        ("at+jwt", "text/at+jwt", false),
        ("at+jwt", "application/application/at+jwt", false),
        ("JWT", "application/", false),
        ("JWT", "application/at+jwt", false),
    ] {
        let settings = TokenSettings { token_types: vec![configured.into()], ..token_settings("x") };
        let verdict = judged(&Token::of(ACCOUNT).header("typ", typ).make(), settings);
        match verdict {
            Ok(_) => assert!(is_taken, "{configured} {typ}"),
            Err(refusal) => {
                assert_eq!((refusal.reason, is_taken), (Reason::TokenTypeNotAllowed, false), "{configured} {typ}");
                assert_eq!(refusal.found.as_deref(), Some(typ), "as it was written");
            }
        }
    }
}

#[test]
fn ed25519_is_eddsa_in_tokens_and_settings() {
    for (named, allowed) in [
        ("Ed25519", Algorithm::EdDsa),
        ("EdDSA", Algorithm::Ed25519),
        ("Ed25519", Algorithm::Ed25519),
        ("EdDSA", Algorithm::EdDsa),
    ] {
        let token = Token::of(ACCOUNT).signed(Signed::EdDSA).header("alg", named).make();
        let settings = TokenSettings { algorithms: AlgorithmSet::of(&[allowed]), ..token_settings("x") };
        assert_eq!(judged(&token, settings).unwrap().to_string(), named);
    }
    let token = Token::of(ACCOUNT).signed(Signed::EdDSA).header("alg", "Ed25519").make();
    let settings = TokenSettings { algorithms: AlgorithmSet::of(&[Algorithm::Hs256]), ..token_settings("x") };
    let refusal = judged(&token, settings).unwrap_err();
    assert_eq!((refusal.reason, refusal.found.as_deref()), (Reason::TokenAlgorithmNotAllowed, Some("Ed25519")));
    for other in [Signed::HS256, Signed::ES256, Signed::RS256] {
        let token = Token::of(ACCOUNT).signed(other).header("alg", "Ed25519").make();
        assert_eq!(judged(&token, token_settings("x")).unwrap_err().reason, Reason::TokenSignatureInvalid);
    }
    for unknown in ["Ed448", "ed25519", "ED25519"] {
        let token = Token::of(ACCOUNT).signed(Signed::EdDSA).header("alg", unknown).make();
        let refusal = judged(&token, token_settings("x")).unwrap_err();
        assert_eq!((refusal.reason, refusal.found.as_deref()), (Reason::TokenAlgorithmNotAllowed, Some(unknown)));
    }
}

#[test]
fn a_jwk_may_name_ed25519_and_what_it_names_is_told_as_it_is_written() {
    let public = r#""kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#;
    for named in ["Ed25519", "EdDSA"] {
        // As WebCrypto exports it.
        let jwk = format!(r#"{{"key_ops":["verify"],"ext":true,"alg":"{named}",{public}}}"#);
        let key = KeyMaterial::from_jwk(&jwk).unwrap();
        assert!(key.can(Algorithm::EdDsa) && key.can(Algorithm::Ed25519) && !key.can(Algorithm::Es256));
        assert_eq!(key.prepare(Algorithm::Ed25519).unwrap().algorithm(), Algorithm::EdDsa);
    }
    let point = r#""kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0""#;
    for (rest, alg, wanted) in [
        (point, r#""Ed25519""#, "Ed25519"),
        (public, r#""Ed448""#, "\"Ed448\" is no signature algorithm"),
        (public, "7", "its alg is not a text"),
    ] {
        let error = KeyMaterial::from_jwk(&format!(r#"{{"alg":{alg},{rest}}}"#)).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
fn what_we_sign_by_that_name_says_so() {
    let key = IssuingMaterial::generate(Algorithm::Ed25519).unwrap().prepare().unwrap();
    let token = key.sign("JWT", "k", "{}").unwrap();
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    assert!(String::from_utf8(header).unwrap().contains(r#""alg":"Ed25519""#));
    assert_eq!(key.jwk("k")["alg"], "Ed25519");
    assert!(key.public().unwrap().can(Algorithm::EdDsa));
}
