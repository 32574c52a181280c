//! Key pairs that tokens are encrypted to: the private half as it is kept, and prepared for decryption.

use std::fmt;

use aws_lc_rs::agreement::{self, ECDH_P256, UnparsedPublicKey, agree};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrap as _};
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey,
};
use rustls::pki_types::pem::{PemObject as _, SectionKind};
use zeroize::Zeroizing;

use super::agreement::{Purpose, derive};
use super::content::ContentKey;
use super::{Encrypted, EncryptionKey, EncryptionKind, KeyManagement};
use crate::jose::content::{kind_of, without_mark};
use crate::jose::{Content, KeyError, Unusable, Wanted, pem};
use crate::secret::Secret;

/// A longer key costs more for each token than it gains.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;
/// What a new key has: a longer one costs ten times as much for each token, which strangers can send, and how long a
/// refusal takes would tell which keys are longer.
const NEW_RSA_BITS: usize = 2048;

/// Why a token was not decrypted: never told, so that no answer helps whoever tries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DecryptionFailed;

impl fmt::Display for DecryptionFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the token can't be decrypted")
    }
}

impl std::error::Error for DecryptionFailed {}

impl From<Unspecified> for DecryptionFailed {
    fn from(_: Unspecified) -> Self {
        Self
    }
}

/// The private half of a key pair, as it is kept: PKCS #8, checked.
#[derive(Clone, PartialEq, Eq)]
pub struct DecryptionMaterial {
    kind: EncryptionKind,
    pkcs8: Secret,
}

impl DecryptionMaterial {
    /// A new key pair: RSA with 2048 bits, or P-256.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn generate(kind: EncryptionKind) -> Result<Self, KeyError> {
        let unable = |_: Unspecified| KeyError::Pkcs8;
        match kind {
            EncryptionKind::Rsa => Self::of(kind, &PrivateDecryptingKey::generate(KeySize::Rsa2048).map_err(unable)?),
            EncryptionKind::P256 => Self::of(kind, &agreement::PrivateKey::generate(&ECDH_P256).map_err(unable)?),
        }
    }

    /// # Errors
    /// When the bytes are no PKCS #8 (RFC 5208) with an RSA key of 2048 to 4096 bits or a key on P-256.
    pub fn from_pkcs8(pkcs8: &Secret) -> Result<Self, KeyError> {
        if let Ok(key) = PrivateDecryptingKey::from_pkcs8(pkcs8.expose()) {
            let bits = key.key_size_bits();
            return if RSA_BITS.contains(&bits) { Self::of(EncryptionKind::Rsa, &key) } else { Err(KeyError::Pkcs8) };
        }
        let key = agreement::PrivateKey::from_private_key_der(&ECDH_P256, pkcs8.expose());
        Self::of(EncryptionKind::P256, &key.map_err(|_| KeyError::Pkcs8)?)
    }

    /// # Errors
    /// When the text is not one PEM block `PRIVATE KEY` with such a key, and when it is an RSA key of other than 2048 bits.
    pub fn from_pem(pem: &Secret) -> Result<Self, KeyError> {
        let text = without_mark(pem.expose());
        let Ok((SectionKind::PrivateKey, der)) = <(SectionKind, Vec<u8>)>::from_pem_slice(text) else {
            return Err(match Unusable::new(Wanted::DecryptionKey, text) {
                // PKCS #1, or a text that is no PEM at all.
                Unusable { found: Content::PrivateKey | Content::Text | Content::Empty, .. } => KeyError::Pkcs8,
                unusable => KeyError::Unusable(unusable),
            });
        };
        let der = Secret::new(der);
        match PrivateDecryptingKey::from_pkcs8(der.expose()).map(|key| key.key_size_bits()) {
            Ok(bits) if bits != NEW_RSA_BITS => Err(KeyError::DecryptionSize(bits)),
            _ => Self::from_pkcs8(&der).map_err(|error| match kind_of(der.expose(), true) {
                Some(Content::ShortRsa(bits)) => KeyError::DecryptionSize(bits),
                Some(found @ (Content::PssPrivateKey | Content::OtherKind(_))) => {
                    KeyError::Unusable(Unusable { wanted: Wanted::DecryptionKey, found })
                }
                _ => error,
            }),
        }
    }

    /// Written anew, so that equal keys are equal bytes.
    fn of(kind: EncryptionKind, key: &impl AsDer<Pkcs8V1Der<'static>>) -> Result<Self, KeyError> {
        let pkcs8 = key.as_der().map_err(|_| KeyError::Pkcs8)?;
        Ok(Self { kind, pkcs8: Secret::new(pkcs8.as_ref()) })
    }

    pub fn kind(&self) -> EncryptionKind {
        self.kind
    }

    /// PKCS #8, to be sealed.
    pub fn pkcs8(&self) -> &Secret {
        &self.pkcs8
    }

    /// As a PEM block.
    pub fn to_pem(&self) -> Secret {
        pem::private_key(&self.pkcs8)
    }

    /// The half that everybody may have.
    ///
    /// # Errors
    /// When the key can't be read, which a checked one can.
    pub fn public(&self) -> Result<EncryptionKey, KeyError> {
        EncryptionKey::of_private(self.kind, &self.pkcs8)
    }

    /// Makes the key ready to decrypt; the work of a load, not of a request.
    ///
    /// # Errors
    /// When the key can't be read, which a checked one can.
    pub fn prepare(&self) -> Result<DecryptionKey, KeyError> {
        Ok(DecryptionKey(match self.kind {
            EncryptionKind::Rsa => {
                let key = PrivateDecryptingKey::from_pkcs8(self.pkcs8.expose()).map_err(|_| KeyError::Pkcs8)?;
                Prepared::Rsa(OaepPrivateDecryptingKey::new(key).map_err(|_| KeyError::Pkcs8)?)
            }
            EncryptionKind::P256 => {
                let key = agreement::PrivateKey::from_private_key_der(&ECDH_P256, self.pkcs8.expose());
                Prepared::P256(key.map_err(|_| KeyError::Pkcs8)?)
            }
        }))
    }
}

impl fmt::Debug for DecryptionMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DecryptionMaterial({})", self.kind)
    }
}

/// A private key that decrypts.
pub struct DecryptionKey(Prepared);

enum Prepared {
    Rsa(OaepPrivateDecryptingKey),
    P256(agreement::PrivateKey),
}

#[cfg(test)]
thread_local! {
    /// Tokens that were decrypted, or tried to be, on this thread: what a refusal costs is counted and not timed.
    pub(crate) static DECRYPTIONS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

impl DecryptionKey {
    pub fn kind(&self) -> EncryptionKind {
        match &self.0 {
            Prepared::Rsa(_) => EncryptionKind::Rsa,
            Prepared::P256(_) => EncryptionKind::P256,
        }
    }

    /// Decrypts and authenticates. That it succeeds proves nothing of who made the token: the key to encrypt is public.
    ///
    /// Where the content's key can't be had, the content is opened with a random one (RFC 7516 section 11.5): the work is
    /// the same, and so is the error.
    ///
    /// # Errors
    /// One, whatever was wrong.
    pub fn decrypt(&self, token: &Encrypted<'_>) -> Result<Vec<u8>, DecryptionFailed> {
        #[cfg(test)]
        DECRYPTIONS.set(DECRYPTIONS.get() + 1);
        let key = ContentKey::random(token.header.encryption)?.or_given(self.content_key(token).ok());
        key.open(token.protected, &token.iv, &token.ciphertext, &token.tag)
    }

    fn content_key(&self, token: &Encrypted<'_>) -> Result<Zeroizing<Vec<u8>>, Unspecified> {
        match &self.0 {
            Prepared::Rsa(key) => decrypt_key(key, token),
            Prepared::P256(key) => agree_on_key(key, token),
        }
    }
}

impl fmt::Debug for DecryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DecryptionKey({})", self.kind())
    }
}

/// RFC 7518 section 4.3.
fn decrypt_key(key: &OaepPrivateDecryptingKey, token: &Encrypted<'_>) -> Result<Zeroizing<Vec<u8>>, Unspecified> {
    let padding = match token.header.algorithm {
        KeyManagement::RsaOaep => &OAEP_SHA1_MGF1SHA1,
        KeyManagement::RsaOaep256 => &OAEP_SHA256_MGF1SHA256,
        KeyManagement::EcdhEs | KeyManagement::EcdhEsA256Kw => return Err(Unspecified),
    };
    let mut plain = Zeroizing::new(vec![0; key.min_output_size()]);
    let length = key.decrypt(padding, &token.wrapped, &mut plain, None)?.len();
    plain.truncate(length);
    Ok(plain)
}

/// RFC 7518 section 4.6. A point that is not on the curve is refused by the agreement.
fn agree_on_key(key: &agreement::PrivateKey, token: &Encrypted<'_>) -> Result<Zeroizing<Vec<u8>>, Unspecified> {
    let header = &token.header;
    let theirs = header.agreement.as_ref().ok_or(Unspecified)?;
    let purpose = Purpose::of(header.algorithm, header.encryption);
    let point = UnparsedPublicKey::new(&ECDH_P256, &theirs.point[..]);
    let agreed = agree(key, point, Unspecified, |secret| derive(secret, purpose, &theirs.party_u, &theirs.party_v))?;
    if header.algorithm == KeyManagement::EcdhEs {
        return Ok(agreed);
    }
    let mut plain = Zeroizing::new(vec![0; header.encryption.key_len()]);
    AesKek::new(&AES_256, &agreed)?.unwrap(&token.wrapped, &mut plain)?;
    Ok(plain)
}
