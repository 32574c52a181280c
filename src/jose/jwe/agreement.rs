//! What two parties agree on becomes a key (RFC 7518 section 4.6.2).

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::kdf::{SskdfDigestAlgorithmId, get_sskdf_digest_algorithm, sskdf_digest};
use zeroize::Zeroizing;

use super::{ContentEncryption, KeyManagement};

/// What the derived key is for.
#[derive(Clone, Copy)]
pub(super) struct Purpose {
    name: &'static str,
    key_len: usize,
}

impl Purpose {
    /// Encrypts the content itself, or wraps the key that does.
    pub fn of(algorithm: KeyManagement, encryption: ContentEncryption) -> Self {
        match algorithm {
            KeyManagement::EcdhEsA256Kw => Self { name: algorithm.as_str(), key_len: 32 },
            _ => Self { name: encryption.as_str(), key_len: encryption.key_len() },
        }
    }
}

/// The Concat KDF with SHA-256 (NIST SP 800-56A section 5.8.2.1).
pub(super) fn derive(
    secret: &[u8],
    purpose: Purpose,
    party_u: &[u8],
    party_v: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Unspecified> {
    let mut info = Vec::with_capacity(64 + party_u.len() + party_v.len());
    for field in [purpose.name.as_bytes(), party_u, party_v] {
        info.extend(word(field.len())?);
        info.extend(field);
    }
    info.extend(word(8 * purpose.key_len)?);
    let mut key = Zeroizing::new(vec![0; purpose.key_len]);
    let algorithm = get_sskdf_digest_algorithm(SskdfDigestAlgorithmId::Sha256).ok_or(Unspecified)?;
    sskdf_digest(algorithm, secret, &info, &mut key)?;
    Ok(key)
}

fn word(number: usize) -> Result<[u8; 4], Unspecified> {
    u32::try_from(number).map(u32::to_be_bytes).map_err(|_| Unspecified)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    /// RFC 7518 appendix C.
    #[test]
    fn the_example_of_the_standard_derives_its_key() {
        let secret = [
            158, 86, 217, 29, 129, 113, 53, 211, 114, 131, 66, 131, 191, 132, 38, 156, 251, 49, 110, 163, 218, 128,
            106, 72, 246, 218, 167, 121, 140, 254, 144, 196,
        ];
        let purpose = Purpose::of(KeyManagement::EcdhEs, ContentEncryption::A128Gcm);
        let key = derive(&secret, purpose, b"Alice", b"Bob").unwrap();
        assert_eq!(URL_SAFE_NO_PAD.encode(&*key), "VqqN6vgjbSBcIijNcacQGg");
    }
}
