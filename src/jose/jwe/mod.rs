//! JSON Web Encryption over compact serialization (RFC 7516, RFC 7518 sections 4 and 5): reading, decrypting, key pairs.
//!
//! Two closed lists of algorithms, exact lengths, one error for all that goes wrong with a key. Who may encrypt is not
//! known, since the key to encrypt is public: what comes out of here proves nothing before its own signature does.

mod agreement;
mod algorithm;
mod compact;
mod content;
mod decoy;
mod encrypt;
mod header;
mod key;
mod public;

pub use algorithm::{ContentEncryption, EncryptionKind, KeyManagement};
pub use compact::{Encrypted, read_protected};
pub use decoy::{make_decoys, spend_a_decryption};
pub use encrypt::{EncryptionError, encrypt};
pub use header::EncryptedHeader;
#[cfg(test)]
pub(crate) use key::DECRYPTIONS;
pub use key::{DecryptionFailed, DecryptionKey, DecryptionMaterial};
pub use public::EncryptionKey;
