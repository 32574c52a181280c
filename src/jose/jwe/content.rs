//! The content and its key: AES-GCM, and AES-CBC with HMAC (RFC 7518 section 5).

use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{self, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::{constant_time, hmac, rand};
use zeroize::Zeroizing;

use super::{ContentEncryption, DecryptionFailed};

/// A content encryption key.
pub(super) struct ContentKey {
    encryption: ContentEncryption,
    bytes: Zeroizing<Vec<u8>>,
}

impl ContentKey {
    pub fn random(encryption: ContentEncryption) -> Result<Self, Unspecified> {
        let mut bytes = Zeroizing::new(vec![0; encryption.key_len()]);
        rand::fill(&mut bytes)?;
        Ok(Self { encryption, bytes })
    }

    /// The key that was given where it has the right length, else this one, which opens nothing.
    #[must_use]
    pub fn or_given(mut self, given: Option<Zeroizing<Vec<u8>>>) -> Self {
        if let Some(given) = given.filter(|g| g.len() == self.bytes.len()) {
            self.bytes = given;
        }
        self
    }

    pub fn expose(&self) -> &[u8] {
        &self.bytes
    }

    pub fn open(&self, protected: &[u8], iv: &[u8], text: &[u8], tag: &[u8]) -> Result<Vec<u8>, DecryptionFailed> {
        match self.encryption {
            ContentEncryption::A128Gcm => self.open_gcm(&aead::AES_128_GCM, protected, iv, text, tag),
            ContentEncryption::A256Gcm => self.open_gcm(&aead::AES_256_GCM, protected, iv, text, tag),
            ContentEncryption::A128CbcHs256 | ContentEncryption::A256CbcHs512 => {
                self.open_cbc(protected, iv, text, tag)
            }
        }
    }

    /// Gives initialization vector and tag; the text is encrypted in place.
    pub fn seal(&self, protected: &[u8], text: &mut Vec<u8>) -> Result<(Vec<u8>, Vec<u8>), Unspecified> {
        let mut iv = vec![0; self.encryption.iv_len()];
        rand::fill(&mut iv)?;
        let tag = match self.encryption {
            ContentEncryption::A128Gcm => self.seal_gcm(&aead::AES_128_GCM, protected, &iv, text)?,
            ContentEncryption::A256Gcm => self.seal_gcm(&aead::AES_256_GCM, protected, &iv, text)?,
            ContentEncryption::A128CbcHs256 | ContentEncryption::A256CbcHs512 => {
                let (_, key, algorithm) = self.halves()?;
                let context = cipher::EncryptionContext::Iv128(FixedLength::try_from(&iv[..])?);
                cipher::PaddedBlockEncryptingKey::cbc_pkcs7(UnboundCipherKey::new(algorithm, key)?)?
                    .less_safe_encrypt(text, context)?;
                self.mac(protected, &iv, text)?
            }
        };
        Ok((iv, tag))
    }

    fn open_gcm(
        &self,
        algorithm: &'static aead::Algorithm,
        protected: &[u8],
        iv: &[u8],
        text: &[u8],
        tag: &[u8],
    ) -> Result<Vec<u8>, DecryptionFailed> {
        let key = LessSafeKey::new(UnboundKey::new(algorithm, &self.bytes)?);
        let mut plain = text.to_vec();
        key.open_in_place_separate_tag(Nonce::try_assume_unique_for_key(iv)?, Aad::from(protected), tag, &mut plain)?;
        Ok(plain)
    }

    fn seal_gcm(
        &self,
        algorithm: &'static aead::Algorithm,
        protected: &[u8],
        iv: &[u8],
        text: &mut [u8],
    ) -> Result<Vec<u8>, Unspecified> {
        let key = LessSafeKey::new(UnboundKey::new(algorithm, &self.bytes)?);
        let nonce = Nonce::try_assume_unique_for_key(iv)?;
        Ok(key.seal_in_place_separate_tag(nonce, Aad::from(protected), text)?.as_ref().to_vec())
    }

    /// The MAC is compared, in constant time, before a block is decrypted: no oracle of the padding is left.
    fn open_cbc(&self, protected: &[u8], iv: &[u8], text: &[u8], tag: &[u8]) -> Result<Vec<u8>, DecryptionFailed> {
        constant_time::verify_slices_are_equal(&self.mac(protected, iv, text)?, tag)?;
        let (_, key, algorithm) = self.halves()?;
        let mut plain = text.to_vec();
        let context = DecryptionContext::Iv128(FixedLength::try_from(iv)?);
        let key = PaddedBlockDecryptingKey::cbc_pkcs7(UnboundCipherKey::new(algorithm, key)?)?;
        let length = key.decrypt(&mut plain, context)?.len();
        plain.truncate(length);
        Ok(plain)
    }

    /// RFC 7518 section 5.2.2.1: over header, vector, text and the header's length in bits, cut to its first half.
    fn mac(&self, protected: &[u8], iv: &[u8], text: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let (key, _, _) = self.halves()?;
        let algorithm = if key.len() == 32 { hmac::HMAC_SHA512 } else { hmac::HMAC_SHA256 };
        let mut context = hmac::Context::with_key(&hmac::Key::new(algorithm, key));
        for part in [protected, iv, text, &(8 * protected.len() as u64).to_be_bytes()] {
            context.update(part);
        }
        let mut mac = context.sign().as_ref().to_vec();
        mac.truncate(self.encryption.tag_len());
        Ok(mac)
    }

    /// The key of the MAC, then that of the cipher.
    fn halves(&self) -> Result<(&[u8], &[u8], &'static cipher::Algorithm), Unspecified> {
        let (mac, text) = self.bytes.split_at_checked(self.encryption.key_len() / 2).ok_or(Unspecified)?;
        let algorithm = if text.len() == 32 { &cipher::AES_256 } else { &cipher::AES_128 };
        Ok((mac, text, algorithm))
    }
}
