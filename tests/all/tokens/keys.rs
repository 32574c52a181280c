//! Which keys may stand in the registry.

use scopegate::jose::{KeyError, KeyMaterial};
use scopegate::secret::Secret;
use serde_json::{Value, json};

use crate::support::tokens::{ED25519, ED25519_PUBLIC, P256, P256_PUBLIC, P384, P384_PUBLIC, RSA, RSA_PUBLIC};

/// The public key of RFC 8037 appendix A.2, with one more member.
fn jwk(name: &str, value: Value) -> String {
    let mut jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
    jwk[name] = value;
    jwk.to_string()
}

#[test]
fn a_jwk_that_is_not_for_verifying_is_refused() {
    let refused = [
        ("use", json!("enc")),
        ("key_ops", json!(["encrypt"])),
        ("key_ops", json!(["sign"])),
        ("key_ops", json!([])),
        ("alg", json!("RS256")),
        ("alg", json!("ES512")),
        ("d", json!("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")),
        ("crv", json!("X25519")),
        ("x", json!("AAAA")),
    ];
    for (name, value) in refused {
        assert!(KeyMaterial::from_jwk(&jwk(name, value.clone())).is_err(), "{name}: {value}");
    }
    let taken = [
        ("use", json!("sig")),
        ("key_ops", json!(["verify"])),
        ("key_ops", json!(["sign", "verify"])),
        ("alg", json!("EdDSA")),
        ("kid", json!("any")),
    ];
    for (name, value) in taken {
        assert!(KeyMaterial::from_jwk(&jwk(name, value.clone())).is_ok(), "{name}: {value}");
    }
}

#[test]
fn private_keys_are_refused_as_such_and_public_ones_are_taken() {
    for pem in [RSA, P256, P384, ED25519] {
        assert_eq!(KeyMaterial::from_pem(pem).unwrap_err(), KeyError::Private);
    }
    for pem in [RSA_PUBLIC, P256_PUBLIC, P384_PUBLIC, ED25519_PUBLIC] {
        assert!(KeyMaterial::from_pem(pem).is_ok());
    }
}

#[test]
fn a_secret_has_at_least_32_bytes() {
    assert_eq!(KeyMaterial::from_secret(Secret::new([7; 31])).unwrap_err(), KeyError::ShortSecret(31));
    assert!(KeyMaterial::from_secret(Secret::new([7; 32])).is_ok());
}
