//! Secrets at rest: AES-256-GCM under the master key, bound to the row that they stand in.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest;

use super::error::KeyFileError;
use crate::registry::StoreError;
use crate::secret::Secret;

const VERSION: u8 = 1;
const KEY_ID_LEN: usize = 8;
const TAG_LEN: usize = 16;
/// Before the ciphertext: version, key id, nonce.
const HEAD_LEN: usize = 1 + KEY_ID_LEN + NONCE_LEN;

/// The row that a secret stands in; sealed for one, it can't be opened in another.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub table: &'static str,
    pub owner: &'a str,
    pub number: i64,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} of {}", self.table, self.number, self.owner)
    }
}

/// Seals and opens under one master key.
pub struct Sealer {
    key: RandomizedNonceKey,
    id: [u8; KEY_ID_LEN],
}

impl Sealer {
    /// From a key of 32 bytes.
    pub fn new(key: &Secret) -> Result<Self, KeyFileError> {
        let mut id = [0; KEY_ID_LEN];
        let digest = digest::digest(&digest::SHA256, key.expose());
        id.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
        let key = RandomizedNonceKey::new(&AES_256_GCM, key.expose()).map_err(|_| KeyFileError::Crypto)?;
        Ok(Self { key, id })
    }

    /// Version, key id, a random nonce, ciphertext and tag.
    pub fn seal(&self, secret: &Secret, place: Place<'_>) -> Result<Vec<u8>, StoreError> {
        // Room for the tag from the start, so that no copy of the secret is left behind by a move.
        let mut text = Vec::with_capacity(secret.len() + TAG_LEN);
        text.extend_from_slice(secret.expose());
        let nonce = self
            .key
            .seal_in_place_append_tag(Aad::from(self.bound_to(place)), &mut text)
            .map_err(|_| StoreError::Unavailable("the secret can't be sealed".into()))?;
        let mut blob = Vec::with_capacity(HEAD_LEN + text.len());
        blob.push(VERSION);
        blob.extend_from_slice(&self.id);
        blob.extend_from_slice(nonce.as_ref());
        blob.extend_from_slice(&text);
        Ok(blob)
    }

    /// # Errors
    /// `Unreadable` when it was sealed under another key or for another row, or is damaged.
    pub fn open(&self, blob: &[u8], place: Place<'_>) -> Result<Secret, StoreError> {
        self.check_key(blob, place)?;
        let damaged = || StoreError::Unreadable(format!("{place} is damaged, or was moved from another row"));
        let (head, text) = blob.split_at_checked(HEAD_LEN).ok_or_else(damaged)?;
        let nonce = Nonce::try_assume_unique_for_key(&head[1 + KEY_ID_LEN..]).map_err(|_| damaged())?;
        let mut text = text.to_vec();
        let length =
            self.key.open_in_place(nonce, Aad::from(self.bound_to(place)), &mut text).map_err(|_| damaged())?;
        let length = length.len();
        text.truncate(length);
        Ok(Secret::new(text))
    }

    /// Whether the blob was sealed under this key, by its key id alone.
    pub fn check_key(&self, blob: &[u8], place: Place<'_>) -> Result<(), StoreError> {
        match blob.split_first() {
            Some((&VERSION, rest)) if rest.starts_with(&self.id) => Ok(()),
            Some((&VERSION, _)) => {
                Err(StoreError::Unreadable(format!("{place} was sealed with another master key than the one given")))
            }
            _ => Err(StoreError::Unreadable(format!("{place} is not sealed in a way that this release knows"))),
        }
    }

    /// Each part ends where the next can only begin, so that no two rows have the same bytes.
    fn bound_to(&self, place: Place<'_>) -> Vec<u8> {
        let number = place.number.to_be_bytes();
        [&[VERSION], &self.id[..], &number, place.table.as_bytes(), &[0], place.owner.as_bytes()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Place<'_> = Place { table: "app_key", owner: "cs-1", number: 7 };

    fn sealer(byte: u8) -> Sealer {
        Sealer::new(&Secret::new([byte; 32])).unwrap()
    }

    fn sealed() -> Vec<u8> {
        sealer(1).seal(&Secret::new("correct horse battery staple"), HERE).unwrap()
    }

    fn why(result: Result<Secret, StoreError>) -> String {
        match result {
            Err(StoreError::Unreadable(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_was_sealed_opens_again_and_never_seals_to_the_same_bytes() {
        assert_eq!(sealer(1).open(&sealed(), HERE).unwrap(), Secret::new("correct horse battery staple"));
        assert_ne!(sealed(), sealed());
    }

    #[test]
    fn another_master_key_opens_nothing_and_is_named_as_the_cause() {
        let why = why(sealer(2).open(&sealed(), HERE));
        assert!(why.contains("app_key 7 of cs-1") && why.contains("another master key"), "{why}");
    }

    #[test]
    fn a_blob_opens_only_in_its_own_row() {
        let elsewhere = [
            Place { number: 8, ..HERE },
            Place { owner: "cs-2", ..HERE },
            Place { table: "app_ke", owner: "ycs-1", ..HERE },
            Place { table: "other", ..HERE },
        ];
        for place in elsewhere {
            assert!(why(sealer(1).open(&sealed(), place)).contains("moved"), "{place}");
        }
    }

    #[test]
    fn each_byte_of_a_blob_counts() {
        let blob = sealed();
        for i in 0..blob.len() {
            let mut damaged = blob.clone();
            damaged[i] ^= 1;
            assert!(why(sealer(1).open(&damaged, HERE)).contains("app_key 7 of cs-1"), "byte {i}");
            assert!(sealer(1).open(&blob[..i], HERE).is_err(), "cut at {i}");
        }
    }
}
