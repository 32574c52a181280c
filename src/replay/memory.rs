//! The memory of used tokens in this process.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;

use crate::clock::{Clock, Timestamp};
use crate::model::AppNumber;

const SHARDS: usize = 64;
/// Ended entries that a call forgets in its own shard, and that a sweep forgets in each while it holds the lock.
const SWEPT_BY_A_CALL: usize = 4;
const SWEPT_AT_ONCE: usize = 10_000;

/// The answer to "was this jti used before?".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FirstUse {
    /// It was not, and from now on it was.
    Recorded,
    Replayed,
    /// There is no room to remember it, so it must not be let through.
    Full,
}

/// Remembers each (app, jti) until its token has expired by wall clock and by monotonic clock, so that a clock that is
/// set back opens no window. Nothing is evicted: a full memory says so. No app may take more than a quarter of it.
/// Of any number of simultaneous uses exactly one is recorded.
pub struct ReplayMemory {
    clock: Clock,
    hasher: hmac::Key,
    max_entries: usize,
    entries: AtomicUsize,
    /// By app, so that an app's share is counted exactly.
    shards: Vec<Mutex<Shard>>,
}

#[derive(Default)]
struct Shard {
    used: HashSet<u128>,
    per_app: HashMap<AppNumber, usize>,
    ends: BinaryHeap<Reverse<End>>,
}

/// In order of the monotonic end.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct End {
    monotonic: Duration,
    wall: Timestamp,
    hash: u128,
    app: AppNumber,
}

impl ReplayMemory {
    /// # Errors
    /// When the system gives no randomness.
    pub fn new(max_entries: usize, clock: Clock) -> Result<Self, Unspecified> {
        let hasher = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())?;
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Ok(Self { clock, hasher, max_entries, entries: AtomicUsize::new(0), shards })
    }

    /// Records the first use of a jti, to be remembered until `until`.
    pub fn first_use(&self, app: AppNumber, jti: &str, until: Timestamp, now: Timestamp) -> FirstUse {
        match self.record(app, jti, until, now) {
            // What has ended may still take the room, where its apps no longer call.
            FirstUse::Full if self.sweep(now) > 0 => self.record(app, jti, until, now),
            answer => answer,
        }
    }

    /// Forgets what both clocks have passed, for all apps; how many. To be called every second or so.
    pub fn sweep(&self, now: Timestamp) -> usize {
        let monotonic = self.clock.monotonic();
        let sweep = |shard: &Mutex<Shard>| {
            let gone = shard.lock().unwrap_or_else(PoisonError::into_inner).sweep(now, monotonic, SWEPT_AT_ONCE);
            self.entries.fetch_sub(gone, Ordering::Relaxed);
            gone
        };
        self.shards.iter().map(sweep).sum()
    }

    fn record(&self, app: AppNumber, jti: &str, until: Timestamp, now: Timestamp) -> FirstUse {
        let hash = self.hash(app, jti);
        let monotonic = self.clock.monotonic();
        let index = usize::try_from(app.0.unsigned_abs()).unwrap_or_default() % SHARDS;
        // A panic can't leave a shard half changed: what is called under the lock does not panic.
        let mut shard = self.shards[index].lock().unwrap_or_else(PoisonError::into_inner);
        let gone = shard.sweep(now, monotonic, SWEPT_BY_A_CALL);
        self.entries.fetch_sub(gone, Ordering::Relaxed);
        if shard.used.contains(&hash) {
            return FirstUse::Replayed;
        }
        let share = (self.max_entries / 4).max(1);
        if shard.per_app.get(&app).copied().unwrap_or_default() >= share {
            return FirstUse::Full;
        }
        if self.entries.fetch_add(1, Ordering::Relaxed) >= self.max_entries {
            self.entries.fetch_sub(1, Ordering::Relaxed);
            return FirstUse::Full;
        }
        shard.used.insert(hash);
        *shard.per_app.entry(app).or_default() += 1;
        shard.ends.push(Reverse(End { monotonic: monotonic + now.until(until), wall: until, hash, app }));
        FirstUse::Recorded
    }

    /// How many uses are remembered.
    pub fn len(&self) -> usize {
        self.entries.load(Ordering::Relaxed)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// 128 keyed bits: nobody can look for two that collide.
    fn hash(&self, app: AppNumber, jti: &str) -> u128 {
        let mut context = hmac::Context::with_key(&self.hasher);
        context.update(&app.0.to_be_bytes());
        context.update(jti.as_bytes());
        let mut hash = [0; 16];
        hash.copy_from_slice(&context.sign().as_ref()[..16]);
        u128::from_be_bytes(hash)
    }
}

impl Shard {
    /// Forgets a few of those that both clocks have passed; how many.
    fn sweep(&mut self, now: Timestamp, monotonic: Duration, most: usize) -> usize {
        let mut gone = 0;
        while gone < most {
            match self.ends.peek() {
                Some(Reverse(end)) if end.monotonic <= monotonic && end.wall <= now => {}
                _ => break,
            }
            let Some(Reverse(end)) = self.ends.pop() else { break };
            self.used.remove(&end.hash);
            if let Some(count) = self.per_app.get_mut(&end.app) {
                *count -= 1;
                if *count == 0 {
                    self.per_app.remove(&end.app);
                }
            }
            gone += 1;
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    const APP: AppNumber = AppNumber(1);
    const NOON: Timestamp = Timestamp::from_secs(1_795_348_800);

    fn minutes(n: u64) -> Timestamp {
        NOON.after(Duration::from_secs(60 * n))
    }

    #[test]
    fn a_jti_is_new_once_per_app_and_again_after_its_end() {
        let (clock, hands) = Clock::manual(NOON);
        let memory = ReplayMemory::new(100, clock).unwrap();
        assert_eq!(memory.first_use(APP, "a", minutes(1), NOON), FirstUse::Recorded);
        assert_eq!(memory.first_use(APP, "a", minutes(1), NOON), FirstUse::Replayed);
        assert_eq!(memory.first_use(AppNumber(2), "a", minutes(1), NOON), FirstUse::Recorded);
        hands.advance(Duration::from_secs(60));
        assert_eq!(memory.first_use(APP, "a", minutes(2), minutes(1)), FirstUse::Recorded);
    }

    #[test]
    fn a_clock_that_is_set_forward_or_back_opens_no_window() {
        let (clock, hands) = Clock::manual(NOON);
        let memory = ReplayMemory::new(100, clock).unwrap();
        assert_eq!(memory.first_use(APP, "a", minutes(5), NOON), FirstUse::Recorded);
        assert_eq!(memory.first_use(APP, "a", minutes(5), minutes(60)), FirstUse::Replayed, "wall clock alone");
        hands.advance(Duration::from_secs(600));
        assert_eq!(memory.first_use(APP, "a", minutes(5), NOON), FirstUse::Replayed, "monotonic clock alone");
        assert_eq!(memory.first_use(APP, "a", minutes(12), minutes(10)), FirstUse::Recorded);
    }

    #[test]
    fn a_full_memory_refuses_and_no_app_takes_more_than_a_quarter() {
        let (clock, _) = Clock::manual(NOON);
        let memory = ReplayMemory::new(8, clock).unwrap();
        let use_up = |app, jti: &str| memory.first_use(AppNumber(app), jti, minutes(5), NOON);
        assert_eq!(
            [use_up(1, "a"), use_up(1, "b"), use_up(1, "c")],
            [FirstUse::Recorded, FirstUse::Recorded, FirstUse::Full]
        );
        for app in 2..=4 {
            assert_eq!([use_up(app, "a"), use_up(app, "b")], [FirstUse::Recorded; 2]);
        }
        assert_eq!(use_up(5, "a"), FirstUse::Full);
        assert_eq!(use_up(1, "a"), FirstUse::Replayed, "a full memory still knows");
        assert_eq!(memory.len(), 8);
    }

    #[test]
    fn what_has_ended_makes_room_though_its_apps_no_longer_call() {
        let (clock, hands) = Clock::manual(NOON);
        let memory = ReplayMemory::new(8, clock).unwrap();
        for (app, jti) in (1..=4).flat_map(|app| [(app, "a"), (app, "b")]) {
            assert_eq!(memory.first_use(AppNumber(app), jti, minutes(1), NOON), FirstUse::Recorded);
        }
        assert_eq!(memory.first_use(AppNumber(5), "a", minutes(1), NOON), FirstUse::Full);
        hands.advance(Duration::from_secs(60));
        assert_eq!(memory.first_use(AppNumber(5), "a", minutes(2), minutes(1)), FirstUse::Recorded);
        assert_eq!(memory.len(), 1);
        hands.advance(Duration::from_secs(60));
        assert_eq!((memory.sweep(minutes(2)), memory.len()), (1, 0));
    }

    #[test]
    fn of_a_thousand_simultaneous_uses_one_is_the_first() {
        let memory = ReplayMemory::new(100_000, Clock::System).unwrap();
        let first = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..125 {
                        if memory.first_use(APP, "once", minutes(5), NOON) == FirstUse::Recorded {
                            first.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(first.into_inner(), 1);
    }
}
