//! Signing: for the command-line tools and for tokens of our own.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::EncodingKey;

use crate::model::{Algorithm, Family};
use crate::secret::Secret;

/// A key that signs, of one family.
pub struct SigningKey {
    family: Family,
    key: EncodingKey,
}

/// Why a key can't sign.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SigningError {
    /// No private key in PEM.
    Pem,
    /// `BEGIN EC PRIVATE KEY`: the wrong container.
    Sec1,
    /// The key is of another kind than the algorithm needs.
    WrongKey(Algorithm),
    /// The key is of the right kind, but does not sign.
    Rejected(Algorithm),
}

impl fmt::Display for SigningError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pem => f.write_str("not a private key in PEM (BEGIN PRIVATE KEY or BEGIN RSA PRIVATE KEY)"),
            Self::Sec1 => f.write_str("an EC key in SEC 1 form; convert it: openssl pkcs8 -topk8 -nocrypt -in key.pem"),
            Self::WrongKey(algorithm) => write!(f, "the key is of another kind than {algorithm} needs"),
            Self::Rejected(algorithm) => write!(f, "the key does not sign with {algorithm}"),
        }
    }
}

impl std::error::Error for SigningError {}

impl SigningKey {
    /// A shared secret, as text and never base64-decoded.
    pub fn from_secret(secret: &Secret) -> Self {
        Self { family: Family::Hmac, key: EncodingKey::from_secret(secret.expose()) }
    }

    /// A private key in PEM, for an algorithm that uses such keys. Line breaks may be lost to `\n` or `\r\n`,
    /// as they often are in environment variables.
    ///
    /// # Errors
    /// When the text is no such key.
    pub fn from_pem(pem: &Secret, algorithm: Algorithm) -> Result<Self, SigningError> {
        let text = std::str::from_utf8(pem.expose()).map_err(|_| SigningError::Pem)?;
        let text = Secret::new(text.replace("\\n", "\n").replace('\r', ""));
        if text.expose().windows(14).any(|w| w == b"EC PRIVATE KEY") {
            return Err(SigningError::Sec1);
        }
        let family = algorithm.family();
        let key = match family {
            Family::Hmac => return Err(SigningError::WrongKey(algorithm)),
            Family::Rsa => EncodingKey::from_rsa_pem(text.expose()),
            Family::P256 | Family::P384 => EncodingKey::from_ec_pem(text.expose()),
            Family::Ed25519 => EncodingKey::from_ed_pem(text.expose()),
        };
        key.map(|key| Self { family, key }).map_err(|_| SigningError::Pem)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({:?})", self.family)
    }
}

/// Makes a compact JWS of a JSON payload.
///
/// # Errors
/// When the key is not one for the algorithm.
pub fn sign(
    algorithm: Algorithm,
    key_id: Option<&str>,
    payload: &str,
    key: &SigningKey,
) -> Result<String, SigningError> {
    if key.family != algorithm.family() {
        return Err(SigningError::WrongKey(algorithm));
    }
    let mut header = serde_json::json!({ "alg": algorithm.as_str(), "typ": "JWT" });
    if let Some(kid) = key_id {
        header["kid"] = kid.into();
    }
    let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(payload));
    let signature = jsonwebtoken::crypto::sign(input.as_bytes(), &key.key, theirs(algorithm));
    Ok(format!("{input}.{}", signature.map_err(|_| SigningError::Rejected(algorithm))?))
}

fn theirs(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    use jsonwebtoken::Algorithm as Theirs;
    match algorithm {
        Algorithm::Hs256 => Theirs::HS256,
        Algorithm::Hs384 => Theirs::HS384,
        Algorithm::Hs512 => Theirs::HS512,
        Algorithm::Rs256 => Theirs::RS256,
        Algorithm::Rs384 => Theirs::RS384,
        Algorithm::Rs512 => Theirs::RS512,
        Algorithm::Ps256 => Theirs::PS256,
        Algorithm::Ps384 => Theirs::PS384,
        Algorithm::Ps512 => Theirs::PS512,
        Algorithm::Es256 => Theirs::ES256,
        Algorithm::Es384 => Theirs::ES384,
        Algorithm::EdDsa => Theirs::EdDSA,
    }
}
