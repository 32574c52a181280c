//! What another library signs we accept, and the other way round.

use jsonwebtoken::{DecodingKey, Validation};
use scopegate::clock::Timestamp;
use scopegate::jose::{SigningKey, sign};
use scopegate::model::{Algorithm, Reason};
use scopegate::registry::{Snapshot, Version};
use scopegate::secret::Secret;
use scopegate::verify::{TokenRules, Verifier};

use crate::support::registry::{ACCOUNT, registry};
use crate::support::routes::token_settings;
use crate::support::tokens::{
    ALGORITHMS, ED25519, ED25519_PUBLIC, P256, P256_PUBLIC, P384, P384_PUBLIC, RSA, RSA_PUBLIC, SECRET,
};
use crate::support::{NOW, Token, now};

fn verdict(token: &str, now: Timestamp) -> Option<Reason> {
    let snapshot = Snapshot::new(Version(1), registry());
    let verdict = Verifier::new(0).verify(token.as_bytes(), &TokenRules::new(token_settings("x")), &snapshot, now);
    verdict.err().map(|u| u.refusal.reason)
}

#[test]
fn what_another_library_signs_is_accepted_with_every_algorithm() {
    for algorithm in ALGORITHMS {
        let token = Token::of(ACCOUNT).signed(algorithm).make();
        assert_eq!(verdict(&token, now()), None, "{algorithm:?}");
    }
}

#[test]
fn a_signature_of_one_algorithm_is_none_of_another() {
    for signed in ALGORITHMS {
        for named in ALGORITHMS.into_iter().filter(|named| *named != signed) {
            let token = Token::of(ACCOUNT).signed(signed).header("alg", format!("{named:?}")).make();
            assert_eq!(verdict(&token, now()), Some(Reason::TokenSignatureInvalid), "{signed:?} as {named:?}");
        }
    }
}

#[test]
fn a_public_key_is_no_shared_secret() {
    for pem in [RSA_PUBLIC, P256_PUBLIC, P384_PUBLIC, ED25519_PUBLIC] {
        for secret in [pem, pem.trim_end()] {
            let token = Token::of(ACCOUNT).secret(secret).make();
            assert_eq!(verdict(&token, now()), Some(Reason::TokenSignatureInvalid));
        }
    }
}

/// Both judge the same token, the oracle by its own clock: far-away times keep the two apart.
#[test]
fn both_libraries_agree_on_what_we_sign() {
    let far = NOW + 200_000_000;
    for algorithm in Algorithm::ALL {
        let (private, public) = match algorithm {
            Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512 => ("", DecodingKey::from_secret(SECRET.as_bytes())),
            Algorithm::Es256 => (P256, DecodingKey::from_ec_pem(P256_PUBLIC.as_bytes()).unwrap()),
            Algorithm::Es384 => (P384, DecodingKey::from_ec_pem(P384_PUBLIC.as_bytes()).unwrap()),
            Algorithm::EdDsa => (ED25519, DecodingKey::from_ed_pem(ED25519_PUBLIC.as_bytes()).unwrap()),
            _ => (RSA, DecodingKey::from_rsa_pem(RSA_PUBLIC.as_bytes()).unwrap()),
        };
        let key = match private {
            "" => SigningKey::from_secret(&Secret::new(SECRET)),
            pem => SigningKey::from_pem(&Secret::new(pem), algorithm).unwrap(),
        };
        let token = sign(algorithm, None, &format!(r#"{{"appId":"{ACCOUNT}","exp":{far}}}"#), &key).unwrap();
        let theirs = Validation::new(algorithm.as_str().parse().unwrap());
        let decoded = jsonwebtoken::decode::<serde_json::Value>(&token, &public, &theirs);
        assert_eq!(decoded.unwrap().claims["appId"], ACCOUNT, "{algorithm}");
        assert_eq!(verdict(&token, now()), None, "{algorithm}");
        let forged = format!("{}A", &token[..token.len() - 1]);
        let other = if forged == token { format!("{}Q", &token[..token.len() - 1]) } else { forged };
        assert!(jsonwebtoken::decode::<serde_json::Value>(&other, &public, &theirs).is_err(), "{algorithm}");
        assert!(verdict(&other, now()).is_some(), "{algorithm}");
    }
}
