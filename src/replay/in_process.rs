//! The memory of this process alone.

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand;

use super::hash::UseHasher;
use super::index::Index;
use super::{Answer, FirstUse, ReplayMemory};
use crate::clock::{Clock, Timestamp};
use crate::model::AppNumber;
use crate::secret::Secret;

/// Forgets everything when the process ends. Its answers are there at once.
pub struct InProcess {
    hasher: UseHasher,
    index: Index,
}

impl InProcess {
    /// # Errors
    /// When the system gives no randomness.
    pub fn new(max_entries: usize, clock: Clock) -> Result<Self, Unspecified> {
        let mut key = [0; 32];
        rand::fill(&mut key)?;
        Ok(Self { hasher: UseHasher::new(&Secret::new(key)), index: Index::new(max_entries, clock) })
    }
}

impl ReplayMemory for InProcess {
    fn is_used(&self, app: AppNumber, jti: &str, now: Timestamp) -> bool {
        self.index.knows(self.hasher.hash(app, jti), now)
    }

    fn first_use(&self, app: AppNumber, jti: &str, until: Timestamp, now: Timestamp) -> Answer {
        let recorded = self.index.record(self.hasher.hash(app, jti), app, until, now);
        Answer::Now(recorded.map_or_else(|why| why, |_| FirstUse::Recorded))
    }

    fn sweep(&self, now: Timestamp) -> usize {
        self.index.sweep(now).gone
    }

    fn entries(&self) -> usize {
        self.index.len()
    }
}
