//! When keys and scopes were last used. Noted on the way of a request, written in batches, never a new version.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::{GrantTarget, KeyNumber};
use crate::clock::Timestamp;
use crate::model::{AppNumber, ClientId, ScopeId};

/// A use that follows a noted one sooner than this is not noted: last-used times are exact to a minute.
pub const NOTED_EVERY: Duration = Duration::from_secs(60);
/// What may wait to be written. While the store can't be reached, older uses give way.
const MAX_WAITING: usize = 1 << 20;

/// A use of a key or a scope, to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Use {
    /// The key verified a token that was good.
    Key { app: AppNumber, key: KeyNumber, at: Timestamp },
    /// The scope opened a route.
    Scope { app: AppNumber, target: GrantTarget, scope: ScopeId, at: Timestamp },
}

/// When an app last used a scope that it holds, or held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeUse {
    pub app: ClientId,
    pub target: GrantTarget,
    pub scope: ScopeId,
    pub at: Timestamp,
}

/// Lets one use a minute through. A relaxed load is all that the others cost.
#[derive(Debug, Default)]
pub(super) struct Mark(AtomicI64);

impl Mark {
    /// Whether this use is the one to note. Of simultaneous ones, one is.
    pub fn is_due(&self, now: Timestamp) -> bool {
        let noted = self.0.load(Ordering::Relaxed);
        // By the distance, so that a clock that was set back goes on noting.
        u128::from(now.millis().abs_diff(noted)) >= NOTED_EVERY.as_millis()
            && self.0.compare_exchange(noted, now.millis(), Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// Uses that wait to be written. Shared by the workers, which add, and the control runtime, which takes.
#[derive(Debug, Default)]
pub struct UsageBook(Mutex<Vec<Use>>);

impl UsageBook {
    pub fn note(&self, used: Use) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < MAX_WAITING {
            waiting.push(used);
        }
    }

    /// All that wait, in their order.
    pub fn take(&self) -> Vec<Use> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts back what could not be written.
    pub fn put_back(&self, mut uses: Vec<Use>) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        uses.append(&mut waiting);
        let surplus = uses.len().saturating_sub(MAX_WAITING);
        uses.drain(..surplus);
        *waiting = uses;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_secs(1_795_348_800);

    fn used(at: Timestamp) -> Use {
        Use::Key { app: AppNumber(1), key: KeyNumber(1), at }
    }

    #[test]
    fn one_use_a_minute_is_noted_also_by_a_clock_that_was_set_back() {
        let mark = Mark::default();
        let later = |secs| NOON.after(Duration::from_secs(secs));
        let noted = [0, 1, 59, 60, 61, 119, 120].map(|secs| mark.is_due(later(secs)));
        assert_eq!(noted, [true, false, false, true, false, false, true]);
        assert!(mark.is_due(NOON), "an hour back, or two minutes, is a distance too");
        assert!(!mark.is_due(later(30)));
    }

    #[test]
    fn of_many_simultaneous_uses_one_is_noted() {
        let mark = Mark::default();
        let noted = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| mark.is_due(NOON))).collect();
            threads.into_iter().map(|t| t.join().unwrap()).filter(|noted| *noted).count()
        });
        assert_eq!(noted, 1);
    }

    #[test]
    fn what_could_not_be_written_comes_back_before_what_was_noted_since() {
        let book = UsageBook::default();
        book.note(used(NOON));
        let taken = book.take();
        assert!(book.take().is_empty());
        let later = NOON.after(NOTED_EVERY);
        book.note(used(later));
        book.put_back(taken);
        assert_eq!(book.take(), [used(NOON), used(later)]);
    }

    #[test]
    fn while_the_store_is_away_the_oldest_uses_give_way() {
        let book = UsageBook::default();
        let at = |n: usize| Timestamp::from_millis(i64::try_from(n).unwrap());
        book.note(used(at(MAX_WAITING)));
        book.put_back((0..MAX_WAITING).map(|n| used(at(n))).collect());
        let kept = book.take();
        assert_eq!(
            (kept.len(), kept.first(), kept.last()),
            (MAX_WAITING, Some(&used(at(1))), Some(&used(at(MAX_WAITING))))
        );
    }
}
