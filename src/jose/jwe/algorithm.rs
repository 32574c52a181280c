//! The algorithms that a token may be encrypted with: two closed lists (RFC 7518 sections 4.1 and 5.1).

use std::fmt;

/// How the content encryption key reaches us (`alg`). RSA1_5, `dir`, the AES key wraps by themselves and PBES2 are not
/// among them: padding oracles, keys shared with callers, work of the caller's choosing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyManagement {
    RsaOaep,
    RsaOaep256,
    EcdhEs,
    EcdhEsA256Kw,
}

impl KeyManagement {
    pub const ALL: [Self; 4] = [Self::RsaOaep, Self::RsaOaep256, Self::EcdhEs, Self::EcdhEsA256Kw];

    /// The `alg` value; the same letters in the same case, or it is another algorithm.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RsaOaep => "RSA-OAEP",
            Self::RsaOaep256 => "RSA-OAEP-256",
            Self::EcdhEs => "ECDH-ES",
            Self::EcdhEsA256Kw => "ECDH-ES+A256KW",
        }
    }

    pub fn named(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.as_str() == text)
    }

    /// The kind of key that it needs.
    pub const fn kind(self) -> EncryptionKind {
        match self {
            Self::RsaOaep | Self::RsaOaep256 => EncryptionKind::Rsa,
            Self::EcdhEs | Self::EcdhEsA256Kw => EncryptionKind::P256,
        }
    }
}

impl fmt::Display for KeyManagement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How the content is encrypted (`enc`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ContentEncryption {
    A128Gcm,
    A256Gcm,
    A128CbcHs256,
    A256CbcHs512,
}

impl ContentEncryption {
    pub const ALL: [Self; 4] = [Self::A128Gcm, Self::A256Gcm, Self::A128CbcHs256, Self::A256CbcHs512];

    /// The `enc` value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::A128Gcm => "A128GCM",
            Self::A256Gcm => "A256GCM",
            Self::A128CbcHs256 => "A128CBC-HS256",
            Self::A256CbcHs512 => "A256CBC-HS512",
        }
    }

    pub fn named(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|e| e.as_str() == text)
    }

    /// Bytes of the content encryption key.
    pub const fn key_len(self) -> usize {
        match self {
            Self::A128Gcm => 16,
            Self::A256Gcm | Self::A128CbcHs256 => 32,
            Self::A256CbcHs512 => 64,
        }
    }

    /// Bytes of the initialization vector.
    pub const fn iv_len(self) -> usize {
        match self {
            Self::A128Gcm | Self::A256Gcm => 12,
            Self::A128CbcHs256 | Self::A256CbcHs512 => 16,
        }
    }

    /// Bytes of the authentication tag, none of which may be missing.
    pub const fn tag_len(self) -> usize {
        match self {
            Self::A128Gcm | Self::A256Gcm | Self::A128CbcHs256 => 16,
            Self::A256CbcHs512 => 32,
        }
    }
}

impl fmt::Display for ContentEncryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a token can be encrypted to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum EncryptionKind {
    /// An RSA key of 2048 to 4096 bits.
    Rsa,
    /// A point on P-256.
    P256,
}

impl EncryptionKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rsa => "rsa",
            Self::P256 => "p256",
        }
    }

    /// The algorithm that a JWK of this kind recommends.
    pub const fn recommended(self) -> KeyManagement {
        match self {
            Self::Rsa => KeyManagement::RsaOaep256,
            Self::P256 => KeyManagement::EcdhEs,
        }
    }
}

impl fmt::Display for EncryptionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A list as a sentence has it.
pub(super) fn names<T: fmt::Display>(all: impl IntoIterator<Item = T>) -> String {
    all.into_iter().map(|a| a.to_string()).collect::<Vec<_>>().join(", ")
}
