//! Signature algorithms (RFC 7518 section 3.1, RFC 8037 section 3.1, RFC 9864 section 2.2).

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An algorithm that a key may sign with. `none` is not one of them. `Ed25519` and `EdDSA` are two names of one algorithm: they
/// are equal, and each is shown as it was written.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
#[repr(u8)]
pub enum Algorithm {
    Hs256,
    Hs384,
    Hs512,
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
    /// EdDSA by its fully-specified name, the one that names the curve (RFC 9864).
    Ed25519,
}

/// The kind of key that an algorithm needs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Family {
    /// A shared secret.
    Hmac,
    /// An RSA key, for PKCS #1 v1.5 and PSS signatures alike.
    Rsa,
    /// A point on P-256.
    P256,
    /// A point on P-384.
    P384,
    /// A point on edwards25519.
    Ed25519,
}

impl Algorithm {
    /// Each algorithm once.
    pub const ALL: [Self; 12] = [
        Self::Hs256,
        Self::Hs384,
        Self::Hs512,
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
    ];

    /// Every name: those of [`Algorithm::ALL`], and the second one of EdDSA.
    pub fn named() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().chain([Self::Ed25519])
    }

    /// The same algorithm by the name that stands in [`Algorithm::ALL`].
    const fn canonical(self) -> Self {
        match self {
            Self::Ed25519 => Self::EdDsa,
            other => other,
        }
    }

    /// The `alg` value; the same letters in the same case, or it is another algorithm.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
            Self::Ed25519 => "Ed25519",
        }
    }

    pub const fn family(self) -> Family {
        match self {
            Self::Hs256 | Self::Hs384 | Self::Hs512 => Family::Hmac,
            Self::Rs256 | Self::Rs384 | Self::Rs512 | Self::Ps256 | Self::Ps384 | Self::Ps512 => Family::Rsa,
            Self::Es256 => Family::P256,
            Self::Es384 => Family::P384,
            Self::EdDsa | Self::Ed25519 => Family::Ed25519,
        }
    }
}

/// With its article: "a shared secret", "an RSA key".
impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hmac => "a shared secret",
            Self::Rsa => "an RSA key",
            Self::P256 => "a P-256 key",
            Self::P384 => "a P-384 key",
            Self::Ed25519 => "an Ed25519 key",
        })
    }
}

impl PartialEq for Algorithm {
    fn eq(&self, other: &Self) -> bool {
        self.canonical() as u8 == other.canonical() as u8
    }
}

impl Eq for Algorithm {}

impl Ord for Algorithm {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.canonical() as u8).cmp(&(other.canonical() as u8))
    }
}

impl PartialOrd for Algorithm {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Algorithm {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.canonical() as u8).hash(state);
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no algorithm that we verify.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnknownAlgorithm(String);

impl fmt::Display for UnknownAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known: Vec<_> = Algorithm::named().map(Algorithm::as_str).collect();
        write!(f, "{:?} is no signature algorithm; known are {}", self.0, known.join(", "))
    }
}

impl std::error::Error for UnknownAlgorithm {}

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(text: &str) -> Result<Self, UnknownAlgorithm> {
        Self::named().find(|a| a.as_str() == text).ok_or_else(|| UnknownAlgorithm(text.to_owned()))
    }
}

impl TryFrom<String> for Algorithm {
    type Error = UnknownAlgorithm;

    fn try_from(text: String) -> Result<Self, UnknownAlgorithm> {
        text.parse()
    }
}

impl From<Algorithm> for &'static str {
    fn from(algorithm: Algorithm) -> Self {
        algorithm.as_str()
    }
}

/// An allow-list. It holds names, of which two may be one algorithm's.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct AlgorithmSet(u16);

const EITHER_EDDSA: u16 = 1 << Algorithm::EdDsa as u8 | 1 << Algorithm::Ed25519 as u8;

impl AlgorithmSet {
    pub fn of(algorithms: &[Algorithm]) -> Self {
        algorithms.iter().copied().collect()
    }

    pub const fn contains(self, algorithm: Algorithm) -> bool {
        match algorithm {
            Algorithm::EdDsa | Algorithm::Ed25519 => self.0 & EITHER_EDDSA != 0,
            other => self.0 & 1 << other as u8 != 0,
        }
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each algorithm once, by the name that was put in.
    pub fn iter(self) -> impl Iterator<Item = Algorithm> {
        let has = move |a: Algorithm| self.0 & 1 << a as u8 != 0;
        let is_named_twice = has(Algorithm::EdDsa);
        Algorithm::named().filter(move |a| has(*a) && !(is_named_twice && matches!(a, Algorithm::Ed25519)))
    }
}

impl FromIterator<Algorithm> for AlgorithmSet {
    fn from_iter<I: IntoIterator<Item = Algorithm>>(algorithms: I) -> Self {
        Self(algorithms.into_iter().fold(0, |bits, a| bits | 1 << a as u8))
    }
}

impl fmt::Display for AlgorithmSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, algorithm) in self.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{algorithm}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for AlgorithmSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{self}]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_exactly() {
        assert_eq!("HS256".parse(), Ok(Algorithm::Hs256));
        assert_eq!("EdDSA".parse(), Ok(Algorithm::EdDsa));
        for no in ["none", "None", "hs256", "HS256 ", "ES512", "", "EDDSA", "ed25519", "ED25519", "Ed448"] {
            assert!(no.parse::<Algorithm>().is_err(), "{no:?}");
        }
    }

    #[test]
    fn ed25519_is_eddsa_by_another_name_and_each_is_shown_as_it_was_written() {
        let [old, full] = ["EdDSA", "Ed25519"].map(|name| name.parse::<Algorithm>().unwrap());
        assert_eq!((old, old.family()), (full, full.family()));
        assert_eq!((old.to_string(), full.to_string()), ("EdDSA".to_owned(), "Ed25519".to_owned()));
        assert_eq!(std::collections::HashSet::from([old, full]).len(), 1);
        assert_eq!(std::collections::BTreeSet::from([old, full]).len(), 1);
        for one in [old, full] {
            let set = AlgorithmSet::of(&[Algorithm::Es256, one]);
            assert!(set.contains(old) && set.contains(full));
            assert_eq!(set.to_string(), format!("ES256, {one}"));
        }
        assert_eq!(AlgorithmSet::of(&[old, full]).iter().count(), 1);
        assert!(!AlgorithmSet::of(&[Algorithm::Es256]).contains(full));
        let message = "Ed448".parse::<Algorithm>().unwrap_err().to_string();
        assert!(message.contains("EdDSA"), "{message}");
    }

    #[test]
    fn a_set_holds_what_was_put_in() {
        let set = AlgorithmSet::of(&[Algorithm::Rs256, Algorithm::Hs256]);
        assert!(set.contains(Algorithm::Hs256) && !set.contains(Algorithm::Hs384));
        assert_eq!(set.to_string(), "HS256, RS256");
    }
}
