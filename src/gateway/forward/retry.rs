//! When a call may go out again: never where the upstream could have acted on it already, and never as a storm.

use std::sync::atomic::{AtomicI64, Ordering};

use http::Method;

/// Whether and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// Beyond the first attempt; 0 never tries again.
    pub attempts: u32,
    /// How many calls in a hundred may be such attempts, over time.
    pub percent: u32,
}

/// What is left to spend: each call earns a part of a retry, each retry spends one.
#[derive(Debug)]
pub(super) struct Budget {
    hundredths: AtomicI64,
    earned: i64,
}

/// Retries that are there before any call was made, and that may be saved up.
const MOST: i64 = 20 * 100;

impl Budget {
    pub fn new(retries: Retries) -> Self {
        let begun = if retries.percent == 0 { 0 } else { MOST };
        Self { hundredths: AtomicI64::new(begun), earned: i64::from(retries.percent) }
    }

    /// A call began.
    pub fn earn(&self) {
        // Mostly there is nothing to earn: the budget is full.
        if self.hundredths.load(Ordering::Relaxed) < MOST {
            self.hundredths.fetch_add(self.earned, Ordering::Relaxed);
        }
    }

    pub fn spend(&self) -> bool {
        let spent = self
            .hundredths
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| (left >= 100).then_some(left - 100));
        spent.is_ok()
    }
}

/// Whether doing it twice is as good as once (RFC 9110 section 9.2.2).
pub(super) fn is_idempotent(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_nothing_is_none() {
        let budget = Budget::new(Retries { attempts: 1, percent: 0 });
        budget.earn();
        assert!(!budget.spend());
    }

    #[test]
    fn retries_are_a_share_of_the_calls() {
        let budget = Budget::new(Retries { attempts: 1, percent: 20 });
        assert_eq!((0..100).filter(|_| budget.spend()).count(), 20, "what was there to begin with");
        for _ in 0..50 {
            budget.earn();
        }
        assert_eq!((0..100).filter(|_| budget.spend()).count(), 10);
        for _ in 0..100_000 {
            budget.earn();
        }
        assert_eq!((0..100).filter(|_| budget.spend()).count(), 20, "no more is saved up");
    }
}
