//! Tokens, signed by another library than the one under test uses to verify.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use super::NOW;

/// The secret of every app that has one and says nothing else.
pub const SECRET: &str = "the secret of the test apps, which is long enough";
pub const RSA: &str = include_str!("keys/rsa.pem");
/// Of another app, or the second one of the same.
pub const OTHER_RSA: &str = include_str!("keys/rsa-other.pem");
pub const OTHER_RSA_PUBLIC: &str = include_str!("keys/rsa-other.pub.pem");
pub const P256: &str = include_str!("keys/p256.pem");
pub const P384: &str = include_str!("keys/p384.pem");
pub const ED25519: &str = include_str!("keys/ed25519.pem");
pub const RSA_PUBLIC: &str = include_str!("keys/rsa.pub.pem");
pub const P256_PUBLIC: &str = include_str!("keys/p256.pub.pem");
pub const P384_PUBLIC: &str = include_str!("keys/p384.pub.pem");
pub const ED25519_PUBLIC: &str = include_str!("keys/ed25519.pub.pem");

/// Of the RSA key, which has just ended; of the P-256 key, which ends in a minute; of the P-384 key, which begins in a minute;
/// and of the Ed25519 key, which is good for long.
pub const CERTIFICATES: [&str; 4] = [RSA_CERTIFICATE, P256_CERTIFICATE, P384_CERTIFICATE, ED25519_CERTIFICATE];
pub const RSA_CERTIFICATE: &str = include_str!("keys/rsa.crt");
pub const P256_CERTIFICATE: &str = include_str!("keys/p256.crt");
pub const P384_CERTIFICATE: &str = include_str!("keys/p384.crt");
pub const ED25519_CERTIFICATE: &str = include_str!("keys/ed25519.crt");

pub const ALGORITHMS: [Algorithm; 12] = [
    Algorithm::HS256,
    Algorithm::HS384,
    Algorithm::HS512,
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// A token in the making.
#[derive(Clone, Debug)]
pub struct Token {
    header: Value,
    claims: Value,
    algorithm: Algorithm,
    secret: String,
}

impl Token {
    /// HS256, by the app, good for five minutes.
    pub fn of(app: &str) -> Self {
        Self {
            header: json!({ "alg": "HS256", "typ": "JWT" }),
            claims: json!({ "appId": app, "exp": NOW + 300 }),
            algorithm: Algorithm::HS256,
            secret: SECRET.to_owned(),
        }
    }

    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims[name] = value.into();
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.claims.as_object_mut().unwrap().remove(name);
        self
    }

    /// Sets a header parameter, whatever it is signed with.
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header[name] = value.into();
        self
    }

    pub fn signed(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = algorithm;
        self.header("alg", format!("{algorithm:?}"))
    }

    pub fn secret(mut self, secret: &str) -> Self {
        secret.clone_into(&mut self.secret);
        self
    }

    pub fn make(&self) -> String {
        let encode = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let input = format!("{}.{}", encode(&self.header), encode(&self.claims));
        let signature = jsonwebtoken::crypto::sign(input.as_bytes(), &self.key(), self.algorithm).unwrap();
        format!("{input}.{signature}")
    }

    fn key(&self) -> EncodingKey {
        match self.algorithm {
            Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => EncodingKey::from_secret(self.secret.as_bytes()),
            Algorithm::ES256 => EncodingKey::from_ec_pem(P256.as_bytes()).unwrap(),
            Algorithm::ES384 => EncodingKey::from_ec_pem(P384.as_bytes()).unwrap(),
            Algorithm::EdDSA => EncodingKey::from_ed_pem(ED25519.as_bytes()).unwrap(),
            _ => EncodingKey::from_rsa_pem(RSA.as_bytes()).unwrap(),
        }
    }
}
