//! What can be wrong with a token's form and with a key, without a byte of either.

use std::fmt;

use super::{Content, Unusable, Wanted};

/// A part of a compact token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    Header,
    Payload,
    Signature,
    EncryptedKey,
    Iv,
    Ciphertext,
    Tag,
    /// The caller's key within the header of an encrypted token.
    EphemeralKey,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Payload => "payload",
            Self::Signature => "signature",
            Self::EncryptedKey => "encrypted key",
            Self::Iv => "initialization vector",
            Self::Ciphertext => "ciphertext",
            Self::Tag => "authentication tag",
            Self::EphemeralKey => "ephemeral key (epk)",
        })
    }
}

/// Why a text is no compact JWS.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TokenError {
    /// Longer than the limit, in bytes.
    TooLarge { length: usize, limit: usize },
    /// Not three parts with two dots between them.
    Parts(usize),
    /// Five parts: encrypted (RFC 7516), which the caller does not take.
    Encrypted,
    /// A character outside `A-Z a-z 0-9 - _ .`, at this byte.
    Character { at: usize },
    /// Not canonical unpadded base64url (RFC 7515 section 2).
    Base64(Part),
    /// Not one JSON object in UTF-8.
    Json(Part),
    /// An object nested deeper than this.
    Depth { part: Part, limit: usize },
    /// A member that stands twice (RFC 7519 section 4).
    Duplicate { part: Part, name: String },
    /// More members than this.
    Members { part: Part, limit: usize },
    /// No signature where one must be.
    Unsigned,
    /// A header parameter of the wrong type.
    Parameter(&'static str),
    /// A header parameter that changes what the token means, and that we don't implement.
    Critical(&'static str),
    /// An `alg` or `enc` that no token is encrypted with here: the parameter, its value, those that are taken.
    Unsupported { name: &'static str, found: String, taken: String },
    /// A part of an encrypted token that is shorter or longer than its algorithm says.
    Length(Part),
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { length, limit } => write!(f, "{length} bytes, and the limit is {limit}"),
            Self::Parts(1) => f.write_str("1 part; a token has three, with two dots between them"),
            Self::Parts(n) => write!(f, "{n} parts; a token has three, with two dots between them"),
            Self::Encrypted => f.write_str("five parts: an encrypted token where a signed one is taken"),
            Self::Character { at } => write!(f, "byte {at} is none of A-Z a-z 0-9 - _ ."),
            Self::Base64(part) => write!(f, "the {part} is not canonical unpadded base64url"),
            Self::Json(part) => write!(f, "the {part} is not one JSON object"),
            Self::Depth { part, limit } => write!(f, "the {part} is nested deeper than {limit}"),
            Self::Duplicate { part, name } => write!(f, "the {part} has the member {name:?} twice"),
            Self::Members { part, limit } => write!(f, "the {part} has more than {limit} members"),
            Self::Unsigned => f.write_str("the token is not signed"),
            Self::Parameter(name) => write!(f, "the header parameter {name:?} has the wrong type"),
            Self::Critical(name) => write!(f, "the header parameter {name:?} is not supported"),
            Self::Unsupported { name, found, taken } => write!(f, "{name} is {found:?}, and taken are {taken}"),
            Self::Length(part) => write!(f, "the {part} has the wrong length"),
        }
    }
}

impl std::error::Error for TokenError {}

/// Why a key is refused when it is added or loaded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeyError {
    /// A shared secret of fewer than 32 bytes (RFC 7518 section 3.2).
    ShortSecret(usize),
    /// An RSA modulus of fewer than 2048 bits (RFC 7518 section 3.3), or of more than 8192.
    RsaSize(usize),
    /// What stands where a key is wanted.
    Unusable(Unusable),
    /// A private key, which has no business in the registry.
    Private,
    /// Not a private key that tokens can be decrypted with.
    Pkcs8,
    /// An RSA key to decrypt with of other than 2048 bits.
    DecryptionSize(usize),
    /// Not an X.509 certificate that can be read.
    Certificate(String),
    /// A request for a certificate, which vouches for nothing.
    Request,
    /// Not a JWK with a public key.
    Jwk(String),
    /// A key of a kind that no algorithm here uses.
    Unsupported,
    /// A key that can't sign with this algorithm.
    WrongFamily(crate::model::Algorithm),
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ShortSecret(n) => {
                write!(f, "the secret has {n} bytes; it needs at least 32: openssl rand -base64 32 makes one of 44")
            }
            Self::RsaSize(bits) if *bits < 2048 => {
                Unusable { wanted: Wanted::PublicKey, found: Content::ShortRsa(*bits) }.fmt(f)
            }
            Self::RsaSize(bits) => write!(f, "the RSA key has {bits} bits; it needs 2048 to 8192"),
            Self::Unusable(unusable) => unusable.fmt(f),
            Self::Private => f.write_str(
                "this is a private key; give its public half and keep it where it signs: openssl pkey -in FILE -pubout -out \
                 public.pem",
            ),
            Self::Pkcs8 => f.write_str(
                "not an RSA (2048 bits) or P-256 private key in PKCS #8 (BEGIN PRIVATE KEY): openssl pkcs8 -topk8 -nocrypt -in FILE \
                 -out key.pem converts one",
            ),
            Self::DecryptionSize(bits) => {
                write!(
                    f,
                    "the RSA key has {bits} bits; one that tokens are decrypted with has 2048: openssl genpkey -algorithm RSA \
                     -pkeyopt rsa_keygen_bits:2048 -out key.pem"
                )
            }
            Self::Certificate(why) => write!(f, "not a certificate: {why}"),
            Self::Request => {
                f.write_str("this is a request for a certificate; give the certificate that was made of it, or the public key")
            }
            Self::Jwk(why) => write!(f, "not a usable JWK: {why}"),
            Self::Unsupported => f.write_str("the key is neither RSA, P-256, P-384 nor Ed25519"),
            Self::WrongFamily(algorithm) => write!(f, "the key can't be used with {algorithm}"),
        }
    }
}

impl std::error::Error for KeyError {}
