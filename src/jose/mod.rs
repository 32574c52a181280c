//! JSON Web Signature over compact serialization (RFC 7515, RFC 7518, RFC 8725): reading, keys, signing. Encryption is in `jwe`.
//!
//! The only module that names `jsonwebtoken`. Signatures are verified with keys that are parsed when they are loaded;
//! its own `decode` is lax about claims, parses twice and rebuilds the key, so tests use it as an oracle alone.

mod certificate;
mod compact;
mod content;
mod decoy;
mod error;
mod header;
mod issuing;
mod jwe;
mod jwk;
mod key;
mod object;
mod pem;
mod private_pem;
mod registered;
mod secret_text;
mod sign;
mod unusable;

pub use certificate::{Certificate, ENDS_SOON, Validity};
pub use compact::Compact;
pub use content::{Content, without_mark};
pub use decoy::spend_a_verification;
pub use error::{KeyError, Part, TokenError};
pub use header::Header;
pub use issuing::{IssuingKey, IssuingMaterial};
#[cfg(test)]
pub(crate) use jwe::DECRYPTIONS;
pub use jwe::{
    ContentEncryption, DecryptionFailed, DecryptionKey, DecryptionMaterial, Encrypted, EncryptedHeader,
    EncryptionError, EncryptionKey, EncryptionKind, KeyManagement, encrypt, make_decoys, read_protected,
    spend_a_decryption,
};
#[cfg(test)]
pub(crate) use key::VERIFICATIONS;
pub use key::{KeyMaterial, PreparedKey};
pub use object::read_object;
pub use private_pem::{Mended, PrivatePem};
pub(crate) use registered::looks_like_a_duration;
pub use registered::{kind_of, read_registered, read_time};
pub use secret_text::{UnfitText, one_line, shared_secret};
pub use sign::{SigningError, SigningKey, sign};
pub use unusable::{Unusable, Wanted};
