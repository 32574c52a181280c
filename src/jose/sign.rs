//! Signing: for the command-line tools and for tokens of our own.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::EncodingKey;

use super::{Content, PrivatePem};
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
    /// It is none.
    NoKey(Content),
    /// The key is of another kind than the algorithm needs.
    WrongKey(Algorithm),
    /// The key is of the right kind, but does not sign.
    Rejected(Algorithm),
}

impl fmt::Display for SigningError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKey(what) => what.fmt(f),
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

    /// A private key in PEM, for an algorithm that uses such keys; what can be mended of it is mended.
    ///
    /// # Errors
    /// When the text is no such key.
    pub fn from_pem(pem: &Secret, algorithm: Algorithm) -> Result<Self, SigningError> {
        Self::from_private(&PrivatePem::read(pem).map_err(SigningError::NoKey)?, algorithm)
    }

    /// # Errors
    /// When the key is none for the algorithm.
    pub fn from_private(pem: &PrivatePem, algorithm: Algorithm) -> Result<Self, SigningError> {
        let family = algorithm.family();
        let read = |family| match family {
            Family::Hmac => None,
            Family::Rsa => EncodingKey::from_rsa_pem(pem.text()).ok(),
            Family::P256 | Family::P384 => EncodingKey::from_ec_pem(pem.text()).ok(),
            Family::Ed25519 => EncodingKey::from_ed_pem(pem.text()).ok(),
        };
        if let Some(key) = read(family) {
            return Ok(Self { family, key });
        }
        let is_another = [Family::Rsa, Family::P256, Family::Ed25519].into_iter().any(|other| read(other).is_some());
        Err(if is_another { SigningError::WrongKey(algorithm) } else { SigningError::NoKey(Content::Damaged) })
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
        Algorithm::EdDsa | Algorithm::Ed25519 => Theirs::EdDSA,
    }
}
