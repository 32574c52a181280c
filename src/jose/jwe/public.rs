//! The public half of a key pair: as a JWK (RFC 7517), and for whoever encrypts.

use std::fmt;

use aws_lc_rs::agreement::{self, ECDH_P256};
use aws_lc_rs::digest;
use aws_lc_rs::signature::{KeyPair as _, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::EncryptionKind;
use crate::jose::jwk::{not_a_jwk, without_mark};
use crate::jose::{Content, KeyError, Unusable, Wanted};
use crate::secret::Secret;

const COORDINATE: usize = 32;

/// A key that anybody may encrypt to.
#[derive(Clone, PartialEq, Eq)]
pub struct EncryptionKey {
    pub(super) numbers: Numbers,
    key_id: Option<String>,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Numbers {
    /// Modulus and exponent, without leading zeros.
    Rsa { n: Vec<u8>, e: Vec<u8> },
    /// An uncompressed point.
    P256(Vec<u8>),
}

impl EncryptionKey {
    pub(super) fn of_private(kind: EncryptionKind, pkcs8: &Secret) -> Result<Self, KeyError> {
        let numbers = match kind {
            EncryptionKind::Rsa => {
                let pair = RsaKeyPair::from_pkcs8(pkcs8.expose()).map_err(|_| KeyError::Pkcs8)?;
                let public = pair.public_key();
                let bytes = |number: aws_lc_rs::io::Positive<'_>| number.big_endian_without_leading_zero().to_vec();
                Numbers::Rsa { n: bytes(public.modulus()), e: bytes(public.exponent()) }
            }
            EncryptionKind::P256 => {
                let key = agreement::PrivateKey::from_private_key_der(&ECDH_P256, pkcs8.expose());
                let public = key.map_err(|_| KeyError::Pkcs8)?.compute_public_key().map_err(|_| KeyError::Pkcs8)?;
                Numbers::P256(public.as_ref().to_vec())
            }
        };
        Ok(Self { numbers, key_id: None })
    }

    /// The same key under a name.
    #[must_use]
    pub fn named(mut self, key_id: &str) -> Self {
        self.key_id = Some(key_id.to_owned());
        self
    }

    /// A JWK with a public RSA or P-256 key; its `alg`, if it has one, is not looked at.
    ///
    /// # Errors
    /// When it is none, or for signatures.
    pub fn from_jwk(text: &str) -> Result<Self, KeyError> {
        let jwk: Map<String, Value> = serde_json::from_str(without_mark(text)).map_err(|_| not_a_jwk(text))?;
        if let Some(keys) = jwk.get("keys").and_then(Value::as_array) {
            let found = Content::JwkSet(keys.len());
            return Err(KeyError::Unusable(Unusable { wanted: Wanted::Jwk, found }));
        }
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        if text("use").is_some_and(|u| u != "enc") {
            return Err(KeyError::Jwk("its use is not enc".into()));
        }
        let number = |name: &str| {
            let bytes = text(name).and_then(|t| URL_SAFE_NO_PAD.decode(t).ok()).filter(|b| !b.is_empty());
            bytes.ok_or_else(|| KeyError::Jwk(format!("{name} is no number in base64url")))
        };
        let numbers = match (text("kty"), text("crv")) {
            (Some("RSA"), _) => Numbers::Rsa { n: number("n")?, e: number("e")? },
            (Some("EC"), Some("P-256")) => {
                let (x, y) = (number("x")?, number("y")?);
                if x.len() != COORDINATE || y.len() != COORDINATE {
                    return Err(KeyError::Jwk("its coordinates have the wrong length".into()));
                }
                Numbers::P256([&[4], &x[..], &y].concat())
            }
            _ => return Err(KeyError::Jwk("tokens are encrypted to RSA and P-256 keys".into())),
        };
        Ok(Self { numbers, key_id: text("kid").map(str::to_owned) })
    }

    pub fn kind(&self) -> EncryptionKind {
        match self.numbers {
            Numbers::Rsa { .. } => EncryptionKind::Rsa,
            Numbers::P256(_) => EncryptionKind::P256,
        }
    }

    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// For developers: `use` is `enc`, and `alg` is the algorithm to prefer among those that the key can be used with.
    pub fn to_jwk(&self) -> Value {
        let mut jwk = self.members();
        jwk["use"] = "enc".into();
        jwk["alg"] = self.kind().recommended().as_str().into();
        if let Some(kid) = &self.key_id {
            jwk["kid"] = kid.as_str().into();
        }
        jwk
    }

    /// SHA-256 in base64url (RFC 7638).
    pub fn thumbprint(&self) -> String {
        // serde_json sorts the members, as the standard wants it.
        URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, self.members().to_string().as_bytes()))
    }

    /// Those that make the key what it is.
    fn members(&self) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match &self.numbers {
            Numbers::Rsa { n, e } => json!({ "kty": "RSA", "n": text(n), "e": text(e) }),
            Numbers::P256(point) => {
                let (x, y) = point[1..].split_at(COORDINATE);
                json!({ "kty": "EC", "crv": "P-256", "x": text(x), "y": text(y) })
            }
        }
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncryptionKey({}, {})", self.kind(), self.thumbprint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7638 section 3.1.
    #[test]
    fn the_thumbprint_is_that_of_the_standard() {
        let jwk = r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}"#;
        let key = EncryptionKey::from_jwk(jwk).unwrap();
        assert_eq!(key.thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        assert_eq!(key.key_id(), Some("2011-04-29"));
    }
}
