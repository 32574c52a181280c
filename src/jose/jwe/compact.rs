//! The compact serialization of an encrypted token (RFC 7516 section 7.1), read once and strictly.

use super::header::EncryptedHeader;
use super::{ContentEncryption, KeyManagement};
use crate::jose::compact::{decode, dots};
use crate::jose::{Part, TokenError, read_object};
use crate::model::Claims;

/// AES blocks, of which CBC has whole ones.
const BLOCK: usize = 16;
/// What the AES key wrap adds to a key (RFC 3394).
const WRAP: usize = 8;

/// The header of a token of five parts, whatever it says: for people.
///
/// # Errors
/// When there are not five parts, or the first is no JSON object in base64url.
pub fn read_protected(token: &[u8], limit: usize) -> Result<Claims, TokenError> {
    if token.len() > limit {
        return Err(TokenError::TooLarge { length: token.len(), limit });
    }
    match dots(token)? {
        ([end], 4) => read_object(Part::Header, decode(Part::Header, &token[..end])?),
        (_, count) => Err(TokenError::Parts(count + 1)),
    }
}

/// An encrypted token in its parts. Nothing of it is proved, and what it holds is not known.
#[derive(Clone, Debug)]
pub struct Encrypted<'t> {
    pub header: EncryptedHeader,
    /// The header as it was authenticated.
    pub(super) protected: &'t [u8],
    pub(super) wrapped: Vec<u8>,
    pub(super) iv: Vec<u8>,
    pub(super) ciphertext: Vec<u8>,
    pub(super) tag: Vec<u8>,
}

impl<'t> Encrypted<'t> {
    /// # Errors
    /// When the token is longer than `limit` bytes, or anything but five parts of canonical base64url of the lengths that
    /// its algorithms give them, with a header that names two algorithms which are taken here.
    pub fn parse(token: &'t [u8], limit: usize) -> Result<Self, TokenError> {
        if token.len() > limit {
            return Err(TokenError::TooLarge { length: token.len(), limit });
        }
        let dots: [usize; 4] = match dots(token)? {
            (dots, 4) => dots,
            (_, count) => return Err(TokenError::Parts(count + 1)),
        };
        let protected = &token[..dots[0]];
        let part = |part, from: usize, to: usize| decode(part, &token[from + 1..to]);
        let encrypted = Self {
            header: EncryptedHeader::read(decode(Part::Header, protected)?)?,
            protected,
            wrapped: part(Part::EncryptedKey, dots[0], dots[1])?,
            iv: part(Part::Iv, dots[1], dots[2])?,
            ciphertext: part(Part::Ciphertext, dots[2], dots[3])?,
            tag: part(Part::Tag, dots[3], token.len())?,
        };
        encrypted.check_lengths()?;
        Ok(encrypted)
    }

    /// A tag that is cut short would be quickly forged, so all lengths are exact (RFC 7518 sections 5.2.2 and 5.3).
    fn check_lengths(&self) -> Result<(), TokenError> {
        let EncryptedHeader { algorithm, encryption, .. } = self.header;
        let key = self.wrapped.len();
        let key_fits = match algorithm {
            // Only the key that decrypts knows its own length.
            KeyManagement::RsaOaep | KeyManagement::RsaOaep256 => key > 0,
            KeyManagement::EcdhEs => key == 0,
            KeyManagement::EcdhEsA256Kw => key == encryption.key_len() + WRAP,
        };
        let text = self.ciphertext.len();
        let text_fits = match encryption {
            ContentEncryption::A128Gcm | ContentEncryption::A256Gcm => true,
            ContentEncryption::A128CbcHs256 | ContentEncryption::A256CbcHs512 => text > 0 && text.is_multiple_of(BLOCK),
        };
        for (part, fits) in [
            (Part::EncryptedKey, key_fits),
            (Part::Iv, self.iv.len() == encryption.iv_len()),
            (Part::Ciphertext, text_fits),
            (Part::Tag, self.tag.len() == encryption.tag_len()),
        ] {
            if !fits {
                return Err(TokenError::Length(part));
            }
        }
        Ok(())
    }
}
