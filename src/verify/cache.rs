//! Tokens whose signature was proved, bounded by bytes.

use std::sync::Arc;

use aws_lc_rs::digest;
use moka::sync::Cache;

use super::{Proof, TokenRules};

/// Remembers what signatures proved.
///
/// The key is the SHA-256 of the whole token and the authenticator with its settings, so neither another token nor
/// another policy can meet the entry. An entry is worth nothing once the app's credentials change, and says nothing
/// about expiry or grants: the verifier judges these anew on each hit. It may forget an entry at any time.
pub struct ProofCache(Cache<ProofKey, Arc<Proof>>);

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ProofKey {
    token: [u8; 32],
    rules: u64,
}

impl ProofKey {
    pub(super) fn of(token: &[u8], rules: &TokenRules) -> Self {
        let mut key = Self { token: [0; 32], rules: rules.fingerprint() };
        key.token.copy_from_slice(digest::digest(&digest::SHA256, token).as_ref());
        key
    }
}

impl ProofCache {
    /// A cache of at most so many bytes, about.
    pub fn new(max_bytes: u64) -> Self {
        let weigh = |_: &ProofKey, proof: &Arc<Proof>| u32::try_from(proof.weight()).unwrap_or(u32::MAX);
        Self(Cache::builder().max_capacity(max_bytes).weigher(weigh).build())
    }

    pub(super) fn get(&self, key: &ProofKey) -> Option<Arc<Proof>> {
        self.0.get(key)
    }

    pub(super) fn insert(&self, key: ProofKey, proof: Arc<Proof>) {
        self.0.insert(key, proof);
    }

    /// About how many tokens are remembered.
    pub fn entries(&self) -> u64 {
        self.0.entry_count()
    }
}
