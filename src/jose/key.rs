//! Keys: read from a secret, PEM or a JWK when they are added, prepared for one algorithm each when they are loaded.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest;
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::hmac;
use aws_lc_rs::rsa::PublicEncryptingKey;
use aws_lc_rs::signature::{self, ParsedPublicKey, RsaPublicKeyComponents, VerificationAlgorithm};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{DecodingKey, DecodingKeyKind};
use rustls::pki_types::pem::{PemObject as _, SectionKind};

use super::content::kind_of;
use super::jwk::{check_members, not_a_jwk, without_mark};
use super::{Certificate, Content, KeyError, Unusable, Validity, Wanted, pem};
use crate::clock::Timestamp;
use crate::model::{Algorithm, Family};
use crate::secret::Secret;

const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// A key that may stand in the registry: a shared secret or a public key, checked.
#[derive(Clone, PartialEq, Eq)]
pub enum KeyMaterial {
    /// Used as it is: the bytes of the text, never base64-decoded.
    Secret(Secret),
    /// A public key as SubjectPublicKeyInfo (RFC 5280 section 4.1), the one algorithm that its JWK names, and the
    /// certificate in which it came.
    Public { family: Family, spki: Vec<u8>, only: Option<Algorithm>, certificate: Option<Arc<Certificate>> },
}

impl KeyMaterial {
    /// # Errors
    /// When the secret has fewer than 32 bytes (RFC 7518 section 3.2).
    pub fn from_secret(secret: Secret) -> Result<Self, KeyError> {
        if secret.len() < Secret::SHORTEST {
            return Err(KeyError::ShortSecret(secret.len()));
        }
        Ok(Self::Secret(secret))
    }

    /// A public key, or the certificate of one: of a chain the first, which is the app's own.
    ///
    /// # Errors
    /// When the text is not PEM with an RSA (2048 to 8192 bits), P-256, P-384 or Ed25519 public key, or when a private
    /// key of any kind is in it.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        if text.contains("PRIVATE KEY-----") {
            return Err(KeyError::Private);
        }
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        match <(SectionKind, Vec<u8>)>::from_pem_slice(text.as_bytes()) {
            Ok((SectionKind::PublicKey, spki)) => Self::from_spki(spki, None),
            Ok((SectionKind::Certificate, der)) => Self::from_certificate(der),
            Ok((SectionKind::Csr, _)) => Err(KeyError::Request),
            _ => Self::from_pkcs1_pem(text),
        }
    }

    /// The same from a file, which may be no text at all.
    ///
    /// # Errors
    /// As [`KeyMaterial::from_pem`].
    pub fn from_pem_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let text = std::str::from_utf8(bytes);
        Self::from_pem(text.map_err(|_| KeyError::Unusable(Unusable::new(Wanted::PublicKey, bytes)))?)
    }

    /// The key of a certificate in DER, which is good for as long as the certificate.
    ///
    /// # Errors
    /// When the bytes are no certificate, or one of a key that no algorithm here uses.
    pub fn from_certificate(der: Vec<u8>) -> Result<Self, KeyError> {
        let (certificate, spki) = Certificate::read(der)?;
        Ok(Self::Public { family: family_of(&spki)?, spki, only: None, certificate: Some(Arc::new(certificate)) })
    }

    /// `BEGIN RSA PUBLIC KEY` (RFC 8017 appendix A.1.1).
    fn from_pkcs1_pem(text: &str) -> Result<Self, KeyError> {
        let unusable = || KeyError::Unusable(Unusable::new(Wanted::PublicKey, text.as_bytes()));
        let key = DecodingKey::from_rsa_pem(text.as_bytes()).map_err(|_| unusable())?;
        let DecodingKeyKind::SecretOrDer(der) = key.kind() else { return Err(unusable()) };
        let key = ParsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, der).map_err(|_| unusable())?;
        Self::from_parsed(&key, None)
    }

    /// A public key as one JWK (RFC 7517 section 4). Its `kid` is not looked at: the registry names keys.
    ///
    /// # Errors
    /// When the JWK is a secret, private, not for signatures, or of a kind that no algorithm here uses.
    pub fn from_jwk(json: &str) -> Result<Self, KeyError> {
        let mut members: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(without_mark(json)).map_err(|_| not_a_jwk(json))?;
        check_members(&members)?;
        if members.contains_key("d") {
            return Err(KeyError::Private);
        }
        let only = members.remove("alg").map(algorithm_of).transpose()?;
        let lacking = KeyError::Jwk("a member of it is missing or of the wrong type".into());
        let jwk: Jwk = serde_json::from_value(members.into()).map_err(|_| lacking)?;
        if jwk.common.public_key_use.as_ref().is_some_and(|u| *u != PublicKeyUse::Signature) {
            return Err(KeyError::Jwk("its use is not sig".into()));
        }
        if jwk.common.key_operations.as_ref().is_some_and(|ops| !ops.contains(&KeyOperations::Verify)) {
            return Err(KeyError::Jwk("its key_ops have no verify".into()));
        }
        let key = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => {
                let key = DecodingKey::from_jwk(&jwk).map_err(|e| KeyError::Jwk(e.to_string()))?;
                let DecodingKeyKind::RsaModulusExponent { n, e } = key.kind() else {
                    return Err(KeyError::Unsupported);
                };
                RsaPublicKeyComponents { n, e }.to_parsed_public_key(&signature::RSA_PKCS1_2048_8192_SHA256)
            }
            AlgorithmParameters::EllipticCurve(ec) => {
                let (algorithm, length): (&dyn VerificationAlgorithm, _) = match ec.curve {
                    EllipticCurve::P256 => (&signature::ECDSA_P256_SHA256_FIXED, 65),
                    EllipticCurve::P384 => (&signature::ECDSA_P384_SHA384_FIXED, 97),
                    _ => return Err(KeyError::Unsupported),
                };
                ParsedPublicKey::new(algorithm, exactly(length, &jwk)?)
            }
            AlgorithmParameters::OctetKeyPair(okp) if okp.curve == EllipticCurve::Ed25519 => {
                ParsedPublicKey::new(&signature::ED25519, exactly(32, &jwk)?)
            }
            AlgorithmParameters::OctetKey(_) => {
                return Err(KeyError::Jwk("a shared secret belongs in `secret`".into()));
            }
            _ => return Err(KeyError::Unsupported),
        };
        Self::from_parsed(&key.map_err(|_| KeyError::Jwk("its numbers are no key".into()))?, only)
    }

    fn from_parsed(key: &ParsedPublicKey, only: Option<Algorithm>) -> Result<Self, KeyError> {
        let der = key.as_der().map_err(|_| KeyError::Unsupported)?;
        Self::from_spki(der.as_ref().to_vec(), only)
    }

    /// # Errors
    /// When the bytes are no SubjectPublicKeyInfo of a kind and size that an algorithm here uses.
    pub fn from_spki(spki: Vec<u8>, only: Option<Algorithm>) -> Result<Self, KeyError> {
        let family = family_of(&spki)?;
        if let Some(algorithm) = only.filter(|a| a.family() != family) {
            return Err(KeyError::WrongFamily(algorithm));
        }
        Ok(Self::Public { family, spki, only, certificate: None })
    }

    /// The same key, for one algorithm alone; a secret is for all of its family.
    ///
    /// # Errors
    /// When the key can't be used with the algorithm.
    pub fn restricted_to(self, algorithm: Algorithm) -> Result<Self, KeyError> {
        if !self.can(algorithm) {
            return Err(KeyError::WrongFamily(algorithm));
        }
        Ok(match self {
            Self::Secret(_) => self,
            Self::Public { family, spki, certificate, .. } => {
                Self::Public { family, spki, only: Some(algorithm), certificate }
            }
        })
    }

    pub fn family(&self) -> Family {
        match self {
            Self::Secret(_) => Family::Hmac,
            Self::Public { family, .. } => *family,
        }
    }

    /// Whether the key may be used with the algorithm.
    pub fn can(&self, algorithm: Algorithm) -> bool {
        let only = match self {
            Self::Secret(_) => None,
            Self::Public { only, .. } => *only,
        };
        self.family() == algorithm.family() && only.is_none_or(|only| only == algorithm)
    }

    /// `SHA256:` and the base64 of the digest of the SubjectPublicKeyInfo; none for a secret, which it could help to guess.
    pub fn fingerprint(&self) -> Option<String> {
        match self {
            Self::Secret(_) => None,
            Self::Public { spki, .. } => {
                let digest = digest::digest(&digest::SHA256, spki);
                Some(format!("SHA256:{}", STANDARD.encode(digest)))
            }
        }
    }

    /// The certificate in which the key came.
    pub fn certificate(&self) -> Option<&Certificate> {
        match self {
            Self::Secret(_) => None,
            Self::Public { certificate, .. } => certificate.as_deref(),
        }
    }

    /// What its certificate says of the key, if it has one.
    pub fn validity(&self, now: Timestamp) -> Validity {
        self.certificate().map_or(Validity::Good, |certificate| certificate.validity(now))
    }

    /// A public key, or its certificate, as [`KeyMaterial::from_pem`] reads it; none for a secret.
    pub fn to_pem(&self) -> Option<String> {
        match self {
            Self::Secret(_) => None,
            Self::Public { certificate: Some(certificate), .. } => Some(pem::block("CERTIFICATE", certificate.der())),
            Self::Public { spki, .. } => Some(pem::block("PUBLIC KEY", spki)),
        }
    }

    /// Makes the key ready to verify; the work of a load, not of a request.
    ///
    /// # Errors
    /// When the key can't be used with the algorithm.
    pub fn prepare(&self, algorithm: Algorithm) -> Result<PreparedKey, KeyError> {
        if !self.can(algorithm) {
            return Err(KeyError::WrongFamily(algorithm));
        }
        let verifier = match self {
            Self::Secret(secret) => Verifier::Hmac(Box::new(hmac::Key::new(hmac_of(algorithm), secret.expose()))),
            Self::Public { spki, .. } => {
                let key = ParsedPublicKey::new(verification_of(algorithm), spki);
                Verifier::Public(Box::new(key.map_err(|_| KeyError::Unsupported)?))
            }
        };
        Ok(PreparedKey { algorithm, verifier })
    }
}

impl fmt::Debug for KeyMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(secret) => f.debug_tuple("Secret").field(secret).finish(),
            Self::Public { family, .. } => write!(f, "Public({family:?}, {})", self.fingerprint().unwrap_or_default()),
        }
    }
}

/// A key that verifies one algorithm's signatures.
pub struct PreparedKey {
    algorithm: Algorithm,
    verifier: Verifier,
}

enum Verifier {
    Hmac(Box<hmac::Key>),
    Public(Box<ParsedPublicKey>),
}

#[cfg(test)]
thread_local! {
    /// Signatures that were verified on this thread: what a refusal costs is counted and not timed.
    pub(crate) static VERIFICATIONS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

impl PreparedKey {
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether the signature is this key's over the message; a MAC is compared in constant time.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        #[cfg(test)]
        VERIFICATIONS.set(VERIFICATIONS.get() + 1);
        match &self.verifier {
            Verifier::Hmac(key) => hmac::verify(key, message, signature).is_ok(),
            Verifier::Public(key) => key.verify_sig(message, signature).is_ok(),
        }
    }
}

impl fmt::Debug for PreparedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PreparedKey({})", self.algorithm)
    }
}

fn hmac_of(algorithm: Algorithm) -> hmac::Algorithm {
    match algorithm {
        Algorithm::Hs384 => hmac::HMAC_SHA384,
        Algorithm::Hs512 => hmac::HMAC_SHA512,
        _ => hmac::HMAC_SHA256,
    }
}

/// `KeyMaterial::can` has kept the HMAC algorithms out.
fn verification_of(algorithm: Algorithm) -> &'static dyn VerificationAlgorithm {
    match algorithm {
        Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512 | Algorithm::Rs256 => {
            &signature::RSA_PKCS1_2048_8192_SHA256
        }
        Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
        Algorithm::Es256 => &signature::ECDSA_P256_SHA256_FIXED,
        Algorithm::Es384 => &signature::ECDSA_P384_SHA384_FIXED,
        Algorithm::EdDsa | Algorithm::Ed25519 => &signature::ED25519,
    }
}

fn family_of(spki: &[u8]) -> Result<Family, KeyError> {
    // The library would take it, and would verify RS256 with PSS signatures.
    if let Some(found @ Content::PssPublicKey) = kind_of(spki, false) {
        return Err(KeyError::Unusable(Unusable { wanted: Wanted::PublicKey, found }));
    }
    let is = |algorithm| ParsedPublicKey::new(algorithm, spki).is_ok();
    if let Ok(rsa) = PublicEncryptingKey::from_der(spki) {
        let bits = rsa.key_size_bits();
        return if RSA_BITS.contains(&bits) { Ok(Family::Rsa) } else { Err(KeyError::RsaSize(bits)) };
    }
    if is(&signature::ECDSA_P256_SHA256_FIXED) {
        Ok(Family::P256)
    } else if is(&signature::ECDSA_P384_SHA384_FIXED) {
        Ok(Family::P384)
    } else if is(&signature::ED25519) {
        Ok(Family::Ed25519)
    } else {
        match kind_of(spki, false) {
            None | Some(Content::PublicKey) => Err(KeyError::Unsupported),
            Some(Content::ShortRsa(bits)) => Err(KeyError::RsaSize(bits)),
            Some(found) => Err(KeyError::Unusable(Unusable { wanted: Wanted::PublicKey, found })),
        }
    }
}

/// The key's bytes, which `jsonwebtoken` decodes but does not measure.
fn exactly(length: usize, jwk: &Jwk) -> Result<Vec<u8>, KeyError> {
    let key = DecodingKey::from_jwk(jwk).map_err(|e| KeyError::Jwk(e.to_string()))?;
    match key.try_get_as_bytes() {
        Ok(bytes) if bytes.len() == length => Ok(bytes.to_vec()),
        _ => Err(KeyError::Jwk("its coordinates have the wrong length".into())),
    }
}

/// `alg`, which is read here: `jsonwebtoken` knows no fully-specified names (RFC 9864), and keeps none that it does not know.
fn algorithm_of(alg: serde_json::Value) -> Result<Algorithm, KeyError> {
    let serde_json::Value::String(text) = alg else { return Err(KeyError::Jwk("its alg is not a string".into())) };
    text.parse().map_err(|error: crate::model::UnknownAlgorithm| KeyError::Jwk(error.to_string()))
}
