//! Encrypting a token that was made, and reading what a token tells though it is encrypted.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};

use super::Failure;
use crate::jose::{ContentEncryption, EncryptionKey, KeyManagement, encrypt, read_protected};
use crate::model::shell_word;

#[derive(Debug, Args)]
pub(super) struct EncryptTo {
    /// Encrypt the signed token to the public key in this file: a JWK, as `encryption show --jwk` prints it
    #[arg(long = "encrypt-to", value_name = "FILE")]
    file: Option<PathBuf>,
    /// How the content's key is wrapped (alg); the JWK's own kind of key decides if absent
    #[arg(long, value_name = "ALG", requires = "file", value_parser = management)]
    encrypt_alg: Option<KeyManagement>,
    /// How the content is encrypted (enc)
    #[arg(long, value_name = "ENC", requires = "file", default_value = "A256GCM", value_parser = content)]
    encrypt_enc: ContentEncryption,
}

impl EncryptTo {
    /// The signed token, encrypted where a key is given.
    pub fn wrap(&self, signed: String) -> Result<String, Failure> {
        let Some(path) = &self.file else { return Ok(signed) };
        let named = |why: &dyn std::fmt::Display| {
            let why = why.to_string().replace("FILE", &shell_word(&path.to_string_lossy()));
            Failure::new(format!("{}: {why}", path.display()))
        };
        let bytes = std::fs::read(path).map_err(|e| named(&e))?;
        let key = EncryptionKey::from_jwk(&String::from_utf8_lossy(&bytes)).map_err(|e| named(&e))?;
        let algorithm = self.encrypt_alg.unwrap_or(key.kind().recommended());
        let header = json!({
            "alg": algorithm.as_str(), "enc": self.encrypt_enc.as_str(), "typ": "JWT", "cty": "JWT",
        });
        let mut header: Map<String, Value> = header.as_object().cloned().unwrap_or_default();
        match key.key_id() {
            Some(kid) => _ = header.insert("kid".into(), kid.into()),
            None => return Err(named(&"the JWK has no kid, and the gateway finds the key by it")),
        }
        Ok(encrypt(&header, signed.as_bytes(), &key)?)
    }
}

fn management(text: &str) -> Result<KeyManagement, String> {
    KeyManagement::named(text).ok_or_else(|| format!("one of {}", list(KeyManagement::ALL)))
}

fn content(text: &str) -> Result<ContentEncryption, String> {
    ContentEncryption::named(text).ok_or_else(|| format!("one of {}", list(ContentEncryption::ALL)))
}

fn list<T: ToString>(all: impl IntoIterator<Item = T>) -> String {
    all.into_iter().map(|a| a.to_string()).collect::<Vec<_>>().join(", ")
}

/// What everybody can read of an encrypted token; none where the token is no such one.
pub(super) fn describe(token: &str, limit: usize) -> Option<Result<String, Failure>> {
    (token.matches('.').count() == 4).then(|| {
        let header = read_protected(token.as_bytes(), limit);
        let header = header.map_err(|error| Failure::new(format!("no token: {error}")))?;
        let header: Value = serde_json::from_str(header.as_json())?;
        Ok(format!("header {header:#}\nthe rest is encrypted"))
    })
}
