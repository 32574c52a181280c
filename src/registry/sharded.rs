//! An immutable map whose copies share what they have in common.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hash};
use std::sync::Arc;

const SHARDS: usize = 1024;

/// A map in 1,024 shards. A copy with a few changed entries costs a pointer per shard and a copy of the shards touched,
/// so a registry of 100,000 apps is no burden when one of them changes.
#[derive(Clone)]
pub struct Sharded<K, V> {
    shards: Box<[Arc<HashMap<K, V>>]>,
    hasher: RandomState,
}

impl<K: Clone + Eq + Hash, V: Clone> Sharded<K, V> {
    pub fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: std::borrow::Borrow<Q>,
    {
        self.shards[self.shard_of(key)].get(key)
    }

    /// The same map with these entries set, or removed where there is no value.
    #[must_use]
    pub fn with(&self, changes: impl IntoIterator<Item = (K, Option<V>)>) -> Self {
        let mut next = self.clone();
        for (key, value) in changes {
            let shard = Arc::make_mut(&mut next.shards[self.shard_of(&key)]);
            match value {
                Some(value) => shard.insert(key, value),
                None => shard.remove(&key),
            };
        }
        next
    }

    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.shards.iter().flat_map(|s| s.values())
    }

    pub fn len(&self) -> usize {
        self.shards.iter().map(|s| s.len()).sum()
    }

    fn shard_of<Q: Hash + ?Sized>(&self, key: &Q) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "only the low bits are used")]
        let hash = self.hasher.hash_one(key) as usize;
        hash % SHARDS
    }
}

impl<K, V> Default for Sharded<K, V> {
    fn default() -> Self {
        let empty = Arc::new(HashMap::new());
        Self { shards: (0..SHARDS).map(|_| Arc::clone(&empty)).collect(), hasher: RandomState::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_copy_shares_the_shards_that_it_does_not_touch() {
        let before: Sharded<u32, u32> = Sharded::default().with((0..10_000).map(|i| (i, Some(i))));
        let after = before.with([(7, Some(70)), (8, None)]);
        assert_eq!((before.get(&7), before.get(&8)), (Some(&7), Some(&8)));
        assert_eq!((after.get(&7), after.get(&8)), (Some(&70), None));
        assert_eq!((before.len(), after.len()), (10_000, 9_999));
        let touched = before.shards.iter().zip(&after.shards).filter(|(a, b)| !Arc::ptr_eq(a, b)).count();
        assert!(touched <= 2, "{touched}");
    }
}
