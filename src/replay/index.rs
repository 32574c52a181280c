//! The exact index of uses, by which every memory of this process decides.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::hash::{AsItIs, UseHash};
use super::{FirstUse, JournalEntry};
use crate::clock::{Clock, Timestamp};
use crate::model::AppNumber;

/// A table that grows holds up its callers for a millisecond at most.
const SHARDS: usize = 256;
const SHARE_SHARDS: u32 = 64;
/// How often at most a full index is swept by those who find it full.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

pub(super) struct Index {
    clock: Clock,
    max_entries: usize,
    /// Those of `shares` together.
    entries: AtomicUsize,
    shards: Vec<Mutex<Shard>>,
    /// Entries of each app. Locked after a shard, never before one.
    shares: Vec<Mutex<HashMap<Share, usize>>>,
    /// The monotonic time of the last sweep, in milliseconds.
    swept: AtomicU64,
}

/// The shard of a use. A table doubles when it is full, and if all were of one size, all would double at once, after which
/// half of their memory is empty. So the last shard gets twice as many entries as the first, those between in between: at
/// any time a part of them is due, and an entry takes about the same on average.
fn shard_of(hash: UseHash) -> usize {
    let part = f64::from(hash.spread()) / 65_536.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 up to 256, which it never is")]
    let shard = ((1.0 + part).log2() * 256.0) as usize;
    shard.min(SHARDS - 1)
}

/// 28 bytes an entry, since there may be millions, and a byte of the table's own; with room to grow 48 on average.
type Shard = HashMap<UseHash, Entry, AsItIs>;

#[derive(Clone, Copy)]
struct Entry {
    end: End,
    share: Share,
}

/// Whose quarter an entry counts to: the app's number, as far as 32 bits hold it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Share(u32);

impl Share {
    /// Of an entry that counts to nobody's.
    const NONE: Self = Self(u32::MAX);

    fn of(app: AppNumber) -> Self {
        Self(u32::try_from(app.0.rem_euclid(i64::from(u32::MAX))).unwrap_or_default())
    }
}

/// When an entry may be forgotten, by both clocks: in seconds, rounded up. The last second is never.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    monotonic: u32,
    wall: u32,
}

impl End {
    fn new(monotonic: Duration, until: Timestamp) -> Self {
        let seconds = |millis: u128| u32::try_from(millis.div_ceil(1000)).unwrap_or(u32::MAX);
        let wall = u128::try_from(until.millis()).unwrap_or(0);
        Self { monotonic: seconds(monotonic.as_millis()), wall: seconds(wall) }
    }

    fn has_passed(self, now: Now) -> bool {
        let passed = |end: u32, now: i64| end != u32::MAX && i64::from(end) <= now;
        passed(self.monotonic, now.monotonic) && passed(self.wall, now.wall)
    }

    fn or_later(self, other: Self) -> Self {
        Self { monotonic: self.monotonic.max(other.monotonic), wall: self.wall.max(other.wall) }
    }
}

/// Both clocks, in seconds.
#[derive(Clone, Copy)]
struct Now {
    monotonic: i64,
    wall: i64,
}

/// What a sweep found.
pub(super) struct Swept {
    pub gone: usize,
    /// The earliest end by wall clock of what is left.
    pub earliest: Option<Timestamp>,
}

impl Index {
    pub fn new(max_entries: usize, clock: Clock) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        let shares = (0..SHARE_SHARDS).map(|_| Mutex::default()).collect();
        Self { clock, max_entries, entries: AtomicUsize::new(0), shards, shares, swept: AtomicU64::new(0) }
    }

    /// Records a first use; or why it is none.
    pub fn record(&self, hash: UseHash, app: AppNumber, until: Timestamp, now: Timestamp) -> Result<End, FirstUse> {
        match self.try_record(hash, app, until, now) {
            // What has ended may still take the room.
            Err(FirstUse::Full) if self.sweep_is_due() => {
                self.sweep(now);
                self.try_record(hash, app, until, now)
            }
            recorded => recorded,
        }
    }

    fn try_record(&self, hash: UseHash, app: AppNumber, until: Timestamp, now: Timestamp) -> Result<End, FirstUse> {
        let clocks = self.clocks(now);
        let mut shard = self.shard(shard_of(hash));
        if let Some(known) = shard.get(&hash).copied() {
            if !known.end.has_passed(clocks) {
                return Err(FirstUse::Replayed);
            }
            shard.remove(&hash);
            self.uncount(known.share);
        }
        // Under the lock: whatever a sweep has forgotten of this token had ended before, and then so has the token.
        if until <= self.clock.now() {
            return Err(FirstUse::Ended);
        }
        let share = Share::of(app);
        if !self.count(share) {
            return Err(FirstUse::Full);
        }
        if shard.len() == shard.capacity() {
            self.make_room(&mut shard, clocks);
        }
        let end = End::new(self.clock.monotonic() + now.until(until), until);
        shard.insert(hash, Entry { end, share });
        Ok(end)
    }

    pub fn knows(&self, hash: UseHash, now: Timestamp) -> bool {
        let known = self.shard(shard_of(hash)).get(&hash).copied();
        known.is_some_and(|known| !known.end.has_passed(self.clocks(now)))
    }

    /// Takes a first use back that was recorded with this end.
    pub fn release(&self, hash: UseHash, end: End) {
        let mut shard = self.shard(shard_of(hash));
        if let Some(entry) = shard.get(&hash).copied().filter(|entry| entry.end == end) {
            shard.remove(&hash);
            self.uncount(entry.share);
        }
    }

    /// Takes in what an earlier process recorded, however full the index is.
    ///
    /// Nobody knows how long that process has been gone: the wall clock may be wrong at a start, and set right later. So
    /// an entry's remaining time is counted from the present, but from no later than the journal's last entry (a clock
    /// that runs ahead makes nothing end early) and from no earlier than the entry itself (nor one that is behind
    /// anything last for ever). What has ended by the wall clock alone counts to nobody's share.
    pub fn restore(&self, entry: &JournalEntry, last: Timestamp, now: Timestamp) {
        let from = now.min(last).max(entry.at);
        let end = End::new(self.clock.monotonic() + from.until(entry.until), entry.until);
        if end.has_passed(self.clocks(now)) {
            return;
        }
        let mut shard = self.shard(shard_of(entry.hash));
        if let Some(known) = shard.get_mut(&entry.hash) {
            known.end = known.end.or_later(end);
            return;
        }
        let share = if entry.until > now { Share::of(entry.app) } else { Share::NONE };
        if share != Share::NONE {
            *self.share(share).entry(share).or_default() += 1;
            self.entries.fetch_add(1, Ordering::Relaxed);
        }
        shard.insert(entry.hash, Entry { end, share });
    }

    /// Forgets what both clocks have passed.
    pub fn sweep(&self, now: Timestamp) -> Swept {
        let clocks = self.clocks(now);
        self.swept.store(millis(self.clock.monotonic()), Ordering::Relaxed);
        let (mut gone, mut earliest) = (0, None);
        for index in 0..SHARDS {
            let mut shard = self.shard(index);
            let (passed, first) = self.forget(&mut shard, clocks);
            gone += passed;
            earliest = earliest.into_iter().chain(first).min();
            // What a peak took is given back.
            let length = shard.len();
            if shard.capacity() > 4 * length {
                shard.shrink_to(2 * length);
            }
        }
        Swept { gone, earliest: earliest.map(|second| Timestamp::from_secs(second.into())) }
    }

    pub fn len(&self) -> usize {
        self.entries.load(Ordering::Relaxed)
    }

    /// A table that is full is cleaned before it grows; where that gives little, it grows all the same, so that it is
    /// not cleaned again for the next entry.
    fn make_room(&self, shard: &mut Shard, now: Now) {
        self.forget(shard, now);
        if shard.len() > shard.capacity() / 2 {
            shard.reserve(shard.capacity() - shard.len() + 1);
        }
    }

    /// How many are gone, and the earliest end by wall clock of what is left.
    fn forget(&self, shard: &mut Shard, now: Now) -> (usize, Option<u32>) {
        let (before, mut earliest) = (shard.len(), None);
        shard.retain(|_, entry| {
            let stays = !entry.end.has_passed(now);
            if stays {
                earliest = Some(earliest.unwrap_or(u32::MAX).min(entry.end.wall));
            } else {
                self.uncount(entry.share);
            }
            stays
        });
        (before - shard.len(), earliest)
    }

    /// Takes a place in the app's share and in the whole, if there is one.
    fn count(&self, share: Share) -> bool {
        let mut shares = self.share(share);
        let count = shares.get(&share).copied().unwrap_or_default();
        if count >= (self.max_entries / 4).max(1) {
            return false;
        }
        if self.entries.fetch_add(1, Ordering::Relaxed) >= self.max_entries {
            self.entries.fetch_sub(1, Ordering::Relaxed);
            return false;
        }
        shares.insert(share, count + 1);
        true
    }

    fn uncount(&self, share: Share) {
        let mut shares = self.share(share);
        let Some(count) = shares.get_mut(&share) else { return };
        *count -= 1;
        if *count == 0 {
            shares.remove(&share);
        }
        self.entries.fetch_sub(1, Ordering::Relaxed);
    }

    fn sweep_is_due(&self) -> bool {
        let (now, last) = (millis(self.clock.monotonic()), self.swept.load(Ordering::Relaxed));
        let is_due = now.saturating_sub(last) >= millis(SWEEP_INTERVAL);
        is_due && self.swept.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    fn clocks(&self, now: Timestamp) -> Now {
        let monotonic = i64::try_from(self.clock.monotonic().as_secs()).unwrap_or(i64::MAX);
        Now { monotonic, wall: now.secs() }
    }

    // A panic can't leave a table half changed: what is called under its lock does not panic.

    fn shard(&self, index: usize) -> MutexGuard<'_, Shard> {
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn share(&self, share: Share) -> MutexGuard<'_, HashMap<Share, usize>> {
        self.shares[(share.0 % SHARE_SHARDS) as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_secs(1_700_000_000);

    /// What the table takes: an entry and a byte for each of its buckets, of which an eighth stays free.
    fn bytes(index: &Index) -> usize {
        let size = size_of::<(UseHash, Entry)>() + 1;
        (0..SHARDS).map(|shard| (index.shard(shard).capacity() * 8 / 7).next_power_of_two() * size).sum()
    }

    #[test]
    fn an_entry_takes_fifty_bytes_however_many_there_are() {
        let (clock, _) = Clock::manual(NOON);
        let index = Index::new(usize::MAX / 8, clock);
        let until = NOON.after(Duration::from_secs(600));
        let mut checked = 0;
        for n in 1_u64..=200_000 {
            let mixed = u128::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
            let hash =
                UseHash((mixed ^ mixed >> 64).wrapping_mul(0xda94_2042_e4dd_58b5_d6e8_feb8_6659_fd93).to_be_bytes());
            index
                .record(hash, AppNumber(i64::try_from(n % 97).unwrap()), until, NOON)
                .unwrap_or_else(|why| panic!("{why:?}"));
            if n >= 40_000 && n % 10_000 == 0 {
                let each = bytes(&index) / index.len();
                assert!((40..=54).contains(&each), "{each} bytes for each of {n}");
                checked += 1;
            }
        }
        assert_eq!(checked, 17);
    }
}
