//! Key pairs, and tokens that are encrypted to them.

use std::sync::LazyLock;

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::KeyPairComponents;
use aws_lc_rs::signature::RsaKeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use scopegate::jose::{DecryptionMaterial, EncryptionKind, KeyError, encrypt};
use scopegate::secret::Secret;
use serde_json::{Map, Value, json};

pub const ALGORITHMS: [&str; 4] = ["RSA-OAEP", "RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A256KW"];
pub const ENCRYPTIONS: [&str; 4] = ["A128GCM", "A256GCM", "A128CBC-HS256", "A256CBC-HS512"];

/// The key pairs of the tests, one of each kind, made once.
pub static RSA: LazyLock<DecryptionMaterial> = LazyLock::new(|| generate(EncryptionKind::Rsa));
pub static P256: LazyLock<DecryptionMaterial> = LazyLock::new(|| generate(EncryptionKind::P256));

pub fn generate(kind: EncryptionKind) -> DecryptionMaterial {
    DecryptionMaterial::generate(kind).unwrap()
}

/// The pair that goes with an algorithm.
pub fn pair(algorithm: &str) -> &'static DecryptionMaterial {
    if algorithm.starts_with("RSA") { &RSA } else { &P256 }
}

/// A private JWK.
pub fn material(jwk: &Value) -> Result<DecryptionMaterial, KeyError> {
    let number = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap_or_default()).unwrap();
    let der = |der: Pkcs8V1Der<'static>| DecryptionMaterial::from_pkcs8(&Secret::new(der.as_ref()));
    match jwk["kty"].as_str() {
        Some("RSA") => {
            let components = KeyPairComponents {
                public_key: aws_lc_rs::rsa::PublicKeyComponents { n: number("n"), e: number("e") },
                d: number("d"),
                p: number("p"),
                q: number("q"),
                dP: number("dp"),
                dQ: number("dq"),
                qInv: number("qi"),
            };
            der(RsaKeyPair::from_components(&components).unwrap().as_der().unwrap())
        }
        Some("EC") if jwk["crv"] == "P-256" => {
            der(PrivateKey::from_private_key(&ECDH_P256, &number("d")).unwrap().as_der().unwrap())
        }
        _ => Err(KeyError::Unsupported),
    }
}

/// A header for a token to this key id.
pub fn header(algorithm: &str, encryption: &str, kid: &str) -> Map<String, Value> {
    let header = json!({ "alg": algorithm, "enc": encryption, "kid": kid, "cty": "JWT" });
    header.as_object().unwrap().clone()
}

/// Encrypts to the pair of the algorithm.
pub fn seal(header: &Map<String, Value>, payload: &str) -> String {
    let key = pair(header["alg"].as_str().unwrap()).public().unwrap();
    encrypt(header, payload.as_bytes(), &key).unwrap()
}
