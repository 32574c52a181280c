//! Key pairs that sign tokens of our own: EdDSA with Ed25519, or RS256 for clients that know no other.

use std::fmt;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{KeyError, KeyMaterial, pem};
use crate::model::Algorithm;
use crate::secret::Secret;

/// The private half as it is kept: PKCS #8 (RFC 5208), and the one algorithm that it signs with.
#[derive(Clone, PartialEq, Eq)]
pub struct IssuingMaterial {
    algorithm: Algorithm,
    pkcs8: Secret,
}

impl IssuingMaterial {
    /// A new key pair; RSA has 2048 bits.
    ///
    /// # Errors
    /// For an algorithm other than EdDSA and RS256, and when the system gives no random bytes.
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyError> {
        let unable = |_: Unspecified| KeyError::Unsupported;
        let pkcs8 = match algorithm {
            Algorithm::EdDsa | Algorithm::Ed25519 => {
                Secret::new(Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(unable)?.as_ref())
            }
            Algorithm::Rs256 => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(unable)?;
                Secret::new(pair.as_der().map_err(unable)?.as_ref())
            }
            _ => return Err(KeyError::WrongFamily(algorithm)),
        };
        Ok(Self { algorithm, pkcs8 })
    }

    /// What was kept; [`IssuingMaterial::prepare`] says whether it is a key.
    pub fn from_pkcs8(algorithm: Algorithm, pkcs8: Secret) -> Self {
        Self { algorithm, pkcs8 }
    }

    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// To be sealed.
    pub fn pkcs8(&self) -> &Secret {
        &self.pkcs8
    }

    /// As a PEM block.
    pub fn to_pem(&self) -> Secret {
        pem::private_key(&self.pkcs8)
    }

    /// Makes the key ready to sign; the work of a load, not of a request.
    ///
    /// # Errors
    /// When the bytes are no key for the algorithm.
    pub fn prepare(&self) -> Result<IssuingKey, KeyError> {
        let pair = match self.algorithm {
            Algorithm::EdDsa | Algorithm::Ed25519 => {
                Ed25519KeyPair::from_pkcs8(self.pkcs8.expose()).map(|pair| Pair::Ed25519(Box::new(pair)))
            }
            Algorithm::Rs256 => RsaKeyPair::from_pkcs8(self.pkcs8.expose()).map(|pair| Pair::Rsa(Box::new(pair))),
            _ => return Err(KeyError::WrongFamily(self.algorithm)),
        };
        Ok(IssuingKey { algorithm: self.algorithm, pair: pair.map_err(|_| KeyError::Unsupported)? })
    }
}

impl fmt::Debug for IssuingMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IssuingMaterial({})", self.algorithm)
    }
}

/// A private key that signs our tokens.
pub struct IssuingKey {
    algorithm: Algorithm,
    pair: Pair,
}

enum Pair {
    Ed25519(Box<Ed25519KeyPair>),
    Rsa(Box<RsaKeyPair>),
}

impl IssuingKey {
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// A compact JWS (RFC 7515 section 7.1) of a JSON payload, with `alg`, `typ` and `kid` in its header.
    ///
    /// # Errors
    /// When the library does not sign, which a prepared key never met.
    pub fn sign(&self, token_type: &str, key_id: &str, payload: &str) -> Result<String, Unspecified> {
        let header = json!({ "alg": self.algorithm.as_str(), "typ": token_type, "kid": key_id }).to_string();
        let mut token = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature = match &self.pair {
            Pair::Ed25519(pair) => pair.sign(token.as_bytes()).as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), token.as_bytes(), &mut signature)?;
                signature
            }
        };
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }

    /// The public half as a JWK (RFC 7517 section 4, RFC 8037 section 2), for a key set that everybody may read.
    pub fn jwk(&self, key_id: &str) -> Value {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut jwk = match &self.pair {
            Pair::Ed25519(pair) => json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key().as_ref()) }),
            Pair::Rsa(pair) => {
                let key = pair.public_key();
                let (n, e) = (key.modulus(), key.exponent());
                json!({ "kty": "RSA", "n": encode(n.big_endian_without_leading_zero()),
                        "e": encode(e.big_endian_without_leading_zero()) })
            }
        };
        jwk["use"] = "sig".into();
        jwk["alg"] = self.algorithm.as_str().into();
        jwk["kid"] = key_id.into();
        jwk
    }

    /// The public half, to verify with.
    ///
    /// # Errors
    /// When the JWK is not one that we take, which ours are.
    pub fn public(&self) -> Result<KeyMaterial, KeyError> {
        KeyMaterial::from_jwk(&self.jwk("").to_string())
    }
}

impl fmt::Debug for IssuingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IssuingKey({})", self.algorithm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::Compact;

    #[test]
    fn what_a_new_key_signs_its_public_half_verifies_and_no_other_key() {
        for algorithm in [Algorithm::EdDsa, Algorithm::Rs256] {
            let material = IssuingMaterial::generate(algorithm).unwrap();
            let kept = IssuingMaterial::from_pkcs8(algorithm, material.pkcs8().clone());
            assert_eq!(kept, material);
            let (key, other) =
                (kept.prepare().unwrap(), IssuingMaterial::generate(algorithm).unwrap().prepare().unwrap());
            let token = key.sign("at+jwt", "k-1", r#"{"sub":"ana"}"#).unwrap();
            let compact = Compact::parse(token.as_bytes(), 4096).unwrap();
            let header = &compact.header;
            assert_eq!(&*header.algorithm, algorithm.as_str());
            assert_eq!((header.token_type.as_deref(), header.key_id.as_deref()), (Some("at+jwt"), Some("k-1")));
            let verifies = |key: &IssuingKey| {
                let public = key.public().unwrap().prepare(algorithm).unwrap();
                public.verifies(compact.signing_input, &compact.signature)
            };
            assert!(verifies(&key) && !verifies(&other));
        }
    }

    #[test]
    fn a_public_jwk_names_its_key_and_holds_nothing_private() {
        for (algorithm, members) in [
            (Algorithm::EdDsa, &["alg", "crv", "kid", "kty", "use", "x"][..]),
            (Algorithm::Rs256, &["alg", "e", "kid", "kty", "n", "use"]),
        ] {
            let key = IssuingMaterial::generate(algorithm).unwrap().prepare().unwrap();
            let jwk = key.jwk("k-1");
            assert_eq!(jwk.as_object().unwrap().keys().collect::<Vec<_>>(), members);
            assert_eq!((&jwk["kid"], &jwk["alg"]), (&json!("k-1"), &json!(algorithm.as_str())));
        }
    }

    #[test]
    fn a_key_of_another_kind_or_no_key_is_refused() {
        let rsa = IssuingMaterial::generate(Algorithm::Rs256).unwrap();
        let swapped = IssuingMaterial::from_pkcs8(Algorithm::EdDsa, rsa.pkcs8().clone());
        assert!(swapped.prepare().is_err());
        assert!(IssuingMaterial::from_pkcs8(Algorithm::Rs256, Secret::new("no key")).prepare().is_err());
        assert!(IssuingMaterial::generate(Algorithm::Hs256).is_err());
    }

    #[test]
    fn no_print_shows_a_private_key() {
        let material = IssuingMaterial::generate(Algorithm::EdDsa).unwrap();
        let shown = format!("{material:?} {:?}", material.prepare().unwrap());
        assert_eq!(shown, "IssuingMaterial(EdDSA) IssuingKey(EdDSA)");
    }
}
