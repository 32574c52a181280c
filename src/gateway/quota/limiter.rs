//! One quota's counts, by key: governor's GCRA for each window, and all windows as one.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::RateLimiter;
use governor::clock::Clock as _;
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::{DashMapStateStore, ShrinkableKeyedStateStore};
use http::HeaderValue;

use super::key::Key;
use super::{Count, Exceeded, Standing};
use crate::clock::Clock;
use crate::policy::{Quota, QuotaWindow};

/// Calls of one key wait for each other, those of different keys hardly ever.
const TURNS: usize = 64;

pub struct Limiter {
    windows: Vec<Window>,
    /// Whoever asks all windows and then takes a call of each holds its key's turn: a call is counted in every window or
    /// in none.
    turns: Vec<Mutex<()>>,
    policy: HeaderValue,
}

/// One window, and what stands before and after the number of calls that are left in it.
struct Window {
    prefix: String,
    suffix: String,
    limiter: RateLimiter<Ask, States, Ticks, StateInformationMiddleware>,
}

impl Limiter {
    pub fn new(quota: &Quota, clock: &Clock) -> Self {
        let windows: Vec<_> =
            quota.windows.iter().enumerate().map(|(i, window)| Window::new(&name(quota, i), window, clock)).collect();
        let policies = quota.windows.iter().enumerate();
        let policies = policies.map(|(i, w)| format!("\"{}\";q={};w={}", name(quota, i), w.calls(), w.per().as_secs()));
        let policy = policies.collect::<Vec<_>>().join(", ");
        let turns = (0..TURNS).map(|_| Mutex::default()).collect();
        Self { windows, turns, policy: header(policy) }
    }

    /// Counts a call in every window, or in none if one of them has no call left.
    pub fn take(&self, key: Key) -> Count {
        let turn = usize::try_from(key % TURNS as u128).unwrap_or_default();
        let several = self.windows.len() > 1;
        let _turn = several.then(|| self.turns[turn].lock().unwrap_or_else(PoisonError::into_inner));
        // All but the first are looked at before anything is taken; the first decides when it is asked for its call.
        let is_short = self.windows.iter().skip(1).any(|w| w.limiter.check_key(&Ask::Look(key)).is_err());
        let mut ask = if is_short { Ask::Look(key) } else { Ask::Take(key) };
        let mut exceeded = is_short.then_some(Exceeded { window: 0, retry_after: 1 });
        let mut left = String::with_capacity(64);
        for (i, window) in self.windows.iter().enumerate() {
            left.push_str(if i == 0 { "" } else { ", " });
            left.push_str(&window.prefix);
            _ = match window.limiter.check_key(&ask) {
                Ok(state) => {
                    // Who only looks is told what would be left after the call.
                    let remaining = state.remaining_burst_capacity() + u32::from(matches!(ask, Ask::Look(_)));
                    write!(left, "{remaining}{}", window.suffix)
                }
                Err(until) => {
                    ask = Ask::Look(key);
                    let retry_after = seconds(until.wait_time_from(window.limiter.clock().now()));
                    if exceeded.as_ref().is_none_or(|e| e.retry_after <= retry_after) {
                        exceeded = Some(Exceeded { window: i, retry_after });
                    }
                    write!(left, "0;t={retry_after}")
                }
            };
        }
        Count { standing: Standing { policy: self.policy.clone(), left: header(left) }, exceeded }
    }

    /// Forgets the keys that have all of their calls again.
    pub fn sweep(&self) {
        for window in &self.windows {
            window.limiter.retain_recent();
        }
    }

    pub fn len(&self) -> usize {
        self.windows.iter().map(|window| window.limiter.len()).sum()
    }
}

impl Window {
    fn new(name: &str, window: &QuotaWindow, clock: &Clock) -> Self {
        // An interval is never 0; if it were, this would be too strict and not too lax.
        let quota = governor::Quota::with_period(window.interval())
            .unwrap_or(governor::Quota::per_hour(std::num::NonZeroU32::MIN))
            .allow_burst(window.calls());
        let limiter = RateLimiter::new(quota, States(DashMapStateStore::default()), Ticks(clock.clone()));
        // Within an interval there is one call more, however many are left.
        let suffix = format!(";t={}", seconds(window.interval()));
        Self { prefix: format!("\"{name}\";r="), suffix, limiter }
    }
}

/// The first window has the quota's name, others have it with their length.
fn name(quota: &Quota, window: usize) -> String {
    match quota.windows.get(window).filter(|_| window > 0) {
        None => quota.name.to_string(),
        Some(window) => format!("{}-{}", quota.name, humantime::format_duration(window.per())).replace(' ', "-"),
    }
}

/// Rounded up, and at least one.
fn seconds(span: Duration) -> u64 {
    (span.as_secs() + u64::from(span.subsec_nanos() > 0)).max(1)
}

/// Names have no quotes and nothing but printable ASCII.
fn header(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

/// What governor is asked about a key: with one limiter a call can be looked for, and taken.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Ask {
    Look(Key),
    Take(Key),
}

struct States(DashMapStateStore<Key>);

impl StateStore for States {
    type Key = Ask;

    fn measure_and_replace<T, F, E>(&self, ask: &Ask, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        match ask {
            Ask::Take(key) => self.0.measure_and_replace(key, measure),
            Ask::Look(key) => {
                // What was measured goes out as an error, which leaves the state as it was.
                let look = |state| Err::<(Infallible, Nanos), _>(measure(state).map(|(measured, _)| measured));
                match self.0.measure_and_replace(key, look) {
                    Err(measured) => measured,
                    Ok(never) => match never {},
                }
            }
        }
    }
}

impl ShrinkableKeyedStateStore<Ask> for States {
    fn retain_recent(&self, drop_below: Nanos) {
        self.0.retain_recent(drop_below);
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The monotonic clock, so that a wall clock that is set takes and gives no calls.
struct Ticks(Clock);

impl governor::clock::Clock for Ticks {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.monotonic()
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use proptest::prelude::*;

    use super::*;
    use crate::clock::Timestamp;
    use crate::model::QuotaName;

    fn limiter(windows: &[(u32, u64)], clock: &Clock) -> (Quota, Limiter) {
        let window = |(calls, per): &(u32, u64)| QuotaWindow::new(*calls, Duration::from_secs(*per)).unwrap();
        let windows = windows.iter().map(window).collect();
        let quota = Quota { name: QuotaName::new("q").unwrap(), windows, key: Vec::new() };
        let limiter = Limiter::new(&quota, clock);
        (quota, limiter)
    }

    /// Buckets that drip: what governor's arithmetic has to come to, for all windows at once.
    struct Buckets(Vec<(Duration, Duration, NonZeroU32)>);

    impl Buckets {
        fn of(quota: &Quota) -> Self {
            Self(quota.windows.iter().map(|w| (w.interval() * w.calls().get(), w.interval(), w.calls())).collect())
        }

        fn drip(&mut self, span: Duration) {
            for (level, interval, calls) in &mut self.0 {
                *level = (*level + span).min(*interval * calls.get());
            }
        }

        fn take(&mut self) -> bool {
            let has = self.0.iter().all(|(level, interval, _)| level >= interval);
            self.0.iter_mut().filter(|_| has).for_each(|(level, interval, _)| *level -= *interval);
            has
        }

        fn left(&self) -> Vec<u128> {
            self.0.iter().map(|(level, interval, _)| level.as_nanos() / interval.as_nanos()).collect()
        }

        fn wait(&self) -> Option<Duration> {
            self.0.iter().map(|(level, interval, _)| interval.saturating_sub(*level)).max()
        }
    }

    /// The `r` of each window.
    fn remaining(standing: &Standing) -> Vec<u128> {
        let text = standing.left.to_str().unwrap();
        text.split(", ")
            .map(|item| item.split(";r=").nth(1).unwrap().split(';').next().unwrap().parse().unwrap())
            .collect()
    }

    proptest! {
        #[test]
        fn a_call_is_counted_in_every_window_or_in_none(
            windows in prop::sample::subsequence(vec![(3, 2), (7, 10), (9, 30), (40, 60), (1, 1)], 1..=3),
            calls in prop::collection::vec((0_u64..1500, 1_usize..6, any::<bool>()), 1..80),
        ) {
            let (clock, hands) = Clock::manual(Timestamp::from_secs(0));
            let (quota, limiter) = limiter(&windows, &clock);
            let mut buckets = Buckets::of(&quota);
            for (pause, burst, sweeps) in calls {
                let pause = Duration::from_millis(pause);
                hands.advance(pause);
                buckets.drip(pause);
                if sweeps {
                    limiter.sweep();
                }
                for _ in 0..burst {
                    let count = limiter.take(7);
                    prop_assert_eq!(count.exceeded.is_none(), buckets.take());
                    prop_assert_eq!(remaining(&count.standing), buckets.left());
                    if let Some(exceeded) = count.exceeded {
                        prop_assert_eq!(exceeded.retry_after, seconds(buckets.wait().unwrap_or_default()));
                    }
                }
            }
        }
    }

    #[test]
    fn the_names_of_windows_are_words_and_differ() {
        let (quota, limiter) = limiter(&[(1, 60), (2, 3600), (3, 5400)], &Clock::default());
        assert_eq!(limiter.policy, "\"q\";q=1;w=60, \"q-1h\";q=2;w=3600, \"q-1h-30m\";q=3;w=5400");
        assert_eq!(name(&quota, 0), "q");
    }

    #[test]
    fn seconds_to_wait_are_rounded_up() {
        for (millis, wanted) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (59_999, 60)] {
            assert_eq!(seconds(Duration::from_millis(millis)), wanted);
        }
    }
}
