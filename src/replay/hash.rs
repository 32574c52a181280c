//! What stands for an app and its jti.

use std::hash::{BuildHasherDefault, Hash, Hasher};

use aws_lc_rs::hmac;

use crate::model::AppNumber;
use crate::secret::Secret;

/// 128 keyed bits of (app, jti): nobody without the key can look for two that collide.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UseHash(pub [u8; 16]);

impl UseHash {
    /// A number of 16 bits, none of which [`Hash`] uses.
    pub(super) fn spread(self) -> u16 {
        u16::from_be_bytes([self.0[15], self.0[14]])
    }
}

impl Hash for UseHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.first_chunk().map_or(0, |first| u64::from_ne_bytes(*first)));
    }
}

/// For keys that are hashes already.
pub(super) type AsItIs = BuildHasherDefault<Same>;

#[derive(Default)]
pub(super) struct Same(u64);

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
}

pub(super) struct UseHasher(hmac::Key);

impl UseHasher {
    pub fn new(key: &Secret) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key.expose()))
    }

    pub fn hash(&self, app: AppNumber, jti: &str) -> UseHash {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(&app.0.to_be_bytes());
        context.update(jti.as_bytes());
        let mut hash = [0; 16];
        hash.copy_from_slice(&context.sign().as_ref()[..16]);
        UseHash(hash)
    }
}
