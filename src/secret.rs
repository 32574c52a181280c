//! Secrets that cannot be printed, compared in constant time and wiped when dropped.

use std::fmt;

use aws_lc_rs::{constant_time, rand};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// Bytes that no `Debug`, log or error shows.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// The fewest bytes that a shared secret may have (RFC 7518 section 3.2).
    pub const SHORTEST: usize = 32;

    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    /// A new one: the base64 text of 32 random bytes, 44 characters, which is the secret as it stands.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn generate() -> Result<Self, NoRandomness> {
        let bytes = Zeroizing::new(random::<32>()?);
        Ok(Self::new(STANDARD.encode(*bytes)))
    }

    /// The one way to the bytes; a call of it marks where a secret is used.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Bytes that nobody can guess.
///
/// # Errors
/// When the system gives no randomness.
pub fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRandomness;

impl fmt::Display for NoRandomness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the system gives no randomness")
    }
}

impl std::error::Error for NoRandomness {}

impl PartialEq for Secret {
    /// In time that depends on the lengths alone.
    fn eq(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

/// Whether a text from outside may be somebody's secret, and so is not to be shown: it is as long as a secret has to be,
/// or padded as base64 is, and no identifier of the platforms (letters, a dash and a UUID).
pub fn may_be_secret(text: &str) -> bool {
    let is_id = text
        .split_once('-')
        .is_some_and(|(kind, id)| kind.len() <= 3 && kind.bytes().all(|b| b.is_ascii_lowercase()) && is_uuid(id));
    !is_id && (text.len() >= Secret::SHORTEST || text.ends_with('='))
}

/// RFC 9562 section 4, in hexadecimal digits and dashes.
fn is_uuid(text: &str) -> bool {
    let is_digit = |(at, byte): (usize, u8)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    text.len() == 36 && text.bytes().enumerate().all(is_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_secret_is_told_from_identifiers() {
        for id in [
            "ci",
            "my app",
            "cs-2f8a3f7a-6c1e-5e0a-9b46-3b1d4f2c7a90",
            "st-0c6e2d3a-9e8f-5c62-8a57-1d2f3e4a5b6c",
            "u-0c6e2d3a-9e8f-5c62-8a57-1d2f3e4a5b6c",
        ] {
            assert!(!may_be_secret(id), "{id}");
        }
        for secret in [
            "Vb1vQ0m7m0l5x3Yw8s0uN2kQ9rT4eZ6hJ1pL5cX7dA8=",
            "c2hvcnQ=",
            "2f8a3f7a-6c1e-5e0a-9b46-3b1d4f2c7a90",
            "cs-2f8a3f7a-6c1e-5e0a-9b46-3b1d4f2c7a9g",
            "secret-2f8a3f7a-6c1e-5e0a-9b46-3b1d4f2c7a90",
            "a sentence of thirty-two letters",
        ] {
            assert!(may_be_secret(secret), "{secret}");
        }
    }

    #[test]
    fn a_secret_prints_its_type_alone() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret");
    }

    #[test]
    fn a_generated_secret_is_a_text_of_44_characters_that_is_never_the_same() {
        let (one, other) = (Secret::generate().unwrap(), Secret::generate().unwrap());
        assert_eq!((one.len(), STANDARD.decode(one.expose()).unwrap().len()), (44, 32));
        assert_ne!(one, other);
    }

    #[test]
    fn secrets_compare_by_their_bytes() {
        assert_eq!(Secret::new("a"), Secret::new("a"));
        assert_ne!(Secret::new("a"), Secret::new("b"));
        assert_ne!(Secret::new("a"), Secret::new("ab"));
    }
}
