//! Encrypting: for the command-line tools and for tests.

use std::fmt;

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrap as _};
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::agreement::{Purpose, derive};
use super::content::ContentKey;
use super::public::Numbers;
use super::{ContentEncryption, EncryptionKey, KeyManagement};

/// Why nothing was encrypted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EncryptionError {
    /// The header's `alg` or `enc` is none of those taken.
    Unsupported(&'static str),
    /// The key is of another kind than the algorithm needs.
    WrongKey(KeyManagement),
    /// The key's numbers are no key.
    Rejected,
}

impl fmt::Display for EncryptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported(name) => write!(f, "the header's {name} is none that tokens are encrypted with"),
            Self::WrongKey(algorithm) => write!(f, "the key is of another kind than {algorithm} needs"),
            Self::Rejected => f.write_str("the numbers of the key are no usable key"),
        }
    }
}

impl std::error::Error for EncryptionError {}

impl From<Unspecified> for EncryptionError {
    fn from(_: Unspecified) -> Self {
        Self::Rejected
    }
}

/// Makes a compact JWE. The header's `alg` and `enc` decide how; its other members stand in the token as they are, with
/// an `epk` beside them where the algorithm needs one.
///
/// # Errors
/// When the algorithms are none of those taken, or not for this key.
pub fn encrypt(header: &Map<String, Value>, payload: &[u8], key: &EncryptionKey) -> Result<String, EncryptionError> {
    let text = |name| header.get(name).and_then(Value::as_str).unwrap_or_default();
    let algorithm = KeyManagement::named(text("alg")).ok_or(EncryptionError::Unsupported("alg"))?;
    let encryption = ContentEncryption::named(text("enc")).ok_or(EncryptionError::Unsupported("enc"))?;
    if algorithm.kind() != key.kind() {
        return Err(EncryptionError::WrongKey(algorithm));
    }
    let mut header = header.clone();
    let (content_key, encrypted_key) = match &key.numbers {
        Numbers::Rsa { n, e } => {
            let content_key = ContentKey::random(encryption)?;
            let encrypted_key = encrypt_key(algorithm, n, e, content_key.expose())?;
            (content_key, encrypted_key)
        }
        Numbers::P256(point) => {
            let (epk, agreed) = agree_on_key(point, Purpose::of(algorithm, encryption), &header)?;
            header.insert("epk".into(), epk);
            if algorithm == KeyManagement::EcdhEs {
                (ContentKey::random(encryption)?.or_given(Some(agreed)), Vec::new())
            } else {
                let content_key = ContentKey::random(encryption)?;
                let mut wrapped = vec![0; encryption.key_len() + 8];
                AesKek::new(&AES_256, &agreed)?.wrap(content_key.expose(), &mut wrapped)?;
                (content_key, wrapped)
            }
        }
    };
    let protected = URL_SAFE_NO_PAD.encode(Value::Object(header).to_string());
    let mut text = payload.to_vec();
    let (iv, tag) = content_key.seal(protected.as_bytes(), &mut text)?;
    let [encrypted_key, iv, text, tag] = [encrypted_key, iv, text, tag].map(|part| URL_SAFE_NO_PAD.encode(part));
    Ok(format!("{protected}.{encrypted_key}.{iv}.{text}.{tag}"))
}

fn encrypt_key(algorithm: KeyManagement, n: &[u8], e: &[u8], content_key: &[u8]) -> Result<Vec<u8>, EncryptionError> {
    let parsed = RsaPublicKeyComponents { n, e }.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256);
    let spki = parsed.map_err(|_| EncryptionError::Rejected)?.as_der()?;
    let key = PublicEncryptingKey::from_der(spki.as_ref()).map_err(|_| EncryptionError::Rejected)?;
    let key = OaepPublicEncryptingKey::new(key)?;
    let padding = match algorithm {
        KeyManagement::RsaOaep => &OAEP_SHA1_MGF1SHA1,
        _ => &OAEP_SHA256_MGF1SHA256,
    };
    let mut encrypted = vec![0; key.ciphertext_size()];
    let length = key.encrypt(padding, content_key, &mut encrypted, None)?.len();
    encrypted.truncate(length);
    Ok(encrypted)
}

/// A key pair for this token alone: its public half as a JWK, and what is agreed on.
fn agree_on_key(
    point: &[u8],
    purpose: Purpose,
    header: &Map<String, Value>,
) -> Result<(Value, Zeroizing<Vec<u8>>), EncryptionError> {
    let ours = PrivateKey::generate(&ECDH_P256)?;
    let public = ours.compute_public_key()?;
    let (x, y) = public.as_ref()[1..].split_at(32);
    let epk = serde_json::json!({
        "kty": "EC", "crv": "P-256", "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
    });
    let party = |name| {
        let text = header.get(name).and_then(Value::as_str).unwrap_or_default();
        URL_SAFE_NO_PAD.decode(text).map_err(|_| EncryptionError::Unsupported(name))
    };
    let (party_u, party_v) = (party("apu")?, party("apv")?);
    let theirs = UnparsedPublicKey::new(&ECDH_P256, point);
    let agreed = agree(&ours, theirs, Unspecified, |secret| derive(secret, purpose, &party_u, &party_v))?;
    Ok((epk, agreed))
}
