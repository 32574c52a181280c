//! Tokens, signed without any code of the gateway's.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use scopegate::clock::Clock;
use serde_json::{Value, json};

/// Seconds since 1970.
pub fn now() -> i64 {
    Clock::System.now().secs()
}

/// A part of a compact token.
pub fn part(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A token to be.
#[derive(Clone, Debug)]
pub struct Token {
    pub header: Value,
    pub claims: Value,
}

impl Token {
    /// For an app, by the claim of the kore profile; good for ten minutes.
    pub fn of(client_id: &str) -> Self {
        Self::with(json!({ "sub": "1234567890", "appId": client_id, "exp": now() + 600 }))
    }

    pub fn with(claims: Value) -> Self {
        Self { header: json!({ "alg": "HS256", "typ": "JWT" }), claims }
    }

    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims[name] = value.into();
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.claims.as_object_mut().unwrap().remove(name);
        self
    }

    fn input(&self) -> String {
        format!("{}.{}", part(self.header.to_string()), part(self.claims.to_string()))
    }

    /// Signed with HS256, the secret's bytes as they are.
    pub fn sign(&self, secret: impl AsRef<[u8]>) -> String {
        self.hmac(hmac::HMAC_SHA256, secret.as_ref())
    }

    /// Signed with HS512.
    pub fn sign512(mut self, secret: &str) -> String {
        self.header["alg"] = "HS512".into();
        self.hmac(hmac::HMAC_SHA512, secret.as_bytes())
    }

    fn hmac(&self, algorithm: hmac::Algorithm, secret: &[u8]) -> String {
        let input = self.input();
        let tag = hmac::sign(&hmac::Key::new(algorithm, secret), input.as_bytes());
        format!("{input}.{}", part(tag))
    }
}
