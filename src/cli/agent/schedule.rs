//! When a token is refreshed, tried again and given up. Pure: no clock, no chance, no call.

use std::time::Duration;

use crate::clock::Timestamp;

const DAY: Duration = Duration::from_secs(86_400);

/// From when to when a token is good, by the gateway's clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Life {
    pub from: Timestamp,
    pub until: Timestamp,
}

impl Life {
    pub fn span(self) -> Duration {
        self.from.until(self.until)
    }

    pub fn left(self, now: Timestamp) -> Duration {
        now.until(self.until)
    }
}

/// How the last attempt ended.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub enum Last {
    /// Well; or there was none with this token.
    #[default]
    Good,
    Failed {
        /// Counted from 1, since the last good one.
        times: u32,
        at: Timestamp,
        /// What the gateway asked for (RFC 9110 section 10.2.3).
        retry_after: Option<Duration>,
        /// From 0 to 1, drawn when it failed.
        draw: f64,
    },
}

/// What is to be done now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    Refresh,
    Wait(Timestamp),
    /// The last attempt failed, and too little of the token's life is left to go on in silence.
    GiveUp,
}

#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// The life that is left when a refresh is due; none: a third of it, at most 30 days.
    pub refresh_below: Option<Duration>,
    /// The life that is left when a failure is fatal; none: a twelfth of it, at most 7 days.
    pub exit_below: Option<Duration>,
}

impl Schedule {
    /// The wait before a second attempt is up to this, and twice as long at each one more.
    pub const FIRST_RETRY: Duration = Duration::from_secs(5);
    pub const LONGEST_RETRY: Duration = Duration::from_secs(3600);
    /// Chance may not make a storm of calls.
    pub const SHORTEST_RETRY: Duration = Duration::from_secs(1);
    /// A `Retry-After` beyond this is taken for this.
    pub const LONGEST_REQUEST: Duration = DAY;

    /// `life` is none where nobody knows how long the token is good, or there is none yet.
    pub fn next(&self, now: Timestamp, life: Option<Life>, last: Last) -> Action {
        match (life, last) {
            (None, Last::Good) => Action::Refresh,
            (Some(life), Last::Good) => match life.until.before(self.refresh_below(life)) {
                due if due <= now => Action::Refresh,
                due => Action::Wait(due),
            },
            (life, Last::Failed { times, at, retry_after, draw }) => {
                if life.is_none_or(|life| life.left(now) < self.exit_below(life)) {
                    return Action::GiveUp;
                }
                // A clock that was set back does not stretch the wait.
                match at.min(now).after(delay(times, retry_after, draw)) {
                    due if due <= now => Action::Refresh,
                    due => Action::Wait(due),
                }
            }
        }
    }

    pub fn refresh_below(&self, life: Life) -> Duration {
        self.refresh_below.unwrap_or_else(|| (life.span() / 3).min(30 * DAY))
    }

    pub fn exit_below(&self, life: Life) -> Duration {
        self.exit_below.unwrap_or_else(|| (life.span() / 12).min(7 * DAY))
    }
}

/// Full jitter under a bound that doubles, and no shorter than was asked for.
fn delay(times: u32, retry_after: Option<Duration>, draw: f64) -> Duration {
    let doublings = times.saturating_sub(1).min(16);
    let bound = (Schedule::FIRST_RETRY * 2_u32.pow(doublings)).min(Schedule::LONGEST_RETRY);
    let drawn = bound.mul_f64(draw.clamp(0.0, 1.0)).max(Schedule::SHORTEST_RETRY);
    retry_after.map_or(drawn, |asked| drawn.max(asked.min(Schedule::LONGEST_REQUEST)))
}

/// When to say that a token ends, in days that are left.
const ALERTS: [u64; 4] = [1, 7, 14, 30];

/// The alert that is due: the fewest of 30, 14, 7 and 1 days that the life left has come under, unless `told` was
/// said before. None of them is for a token whose whole life is shorter.
pub fn alert(life: Life, now: Timestamp, told: Option<u64>) -> Option<u64> {
    let days = |days: u64| Duration::from_secs(days * 86_400);
    let under = ALERTS.into_iter().find(|d| life.left(now) <= days(*d) && days(*d) < life.span())?;
    told.is_none_or(|told| under < told).then_some(under)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_795_348_800);
    const DEFAULT: Schedule = Schedule { refresh_below: None, exit_below: None };

    fn life(from: Timestamp, span: Duration) -> Life {
        Life { from, until: from.after(span) }
    }

    fn failed(times: u32, at: Timestamp) -> Last {
        Last::Failed { times, at, retry_after: None, draw: 1.0 }
    }

    #[test]
    fn f056_a_token_is_refreshed_at_a_third_of_its_life_or_thirty_days() {
        let due = |days: u32, schedule: Schedule| match schedule.next(NOW, Some(life(NOW, days * DAY)), Last::Good) {
            Action::Wait(due) => due.until(NOW.after(days * DAY)),
            other => panic!("{other:?}"),
        };
        assert_eq!(due(90, DEFAULT), 30 * DAY);
        assert_eq!(due(365, DEFAULT), 30 * DAY);
        assert_eq!(due(30, DEFAULT), 10 * DAY);
        assert_eq!(due(90, Schedule { refresh_below: Some(5 * DAY), ..DEFAULT }), 5 * DAY);
        assert_eq!(DEFAULT.next(NOW, None, Last::Good), Action::Refresh);
    }

    #[test]
    fn f057_a_failure_is_fatal_when_little_is_left() {
        let life = life(NOW.before(60 * DAY), 90 * DAY);
        let next = |days_left: u32| {
            let now = life.until.before(days_left * DAY);
            DEFAULT.next(now, Some(life), failed(1, now))
        };
        assert!(matches!(next(30), Action::Wait(_)) && matches!(next(7), Action::Wait(_)));
        assert_eq!((next(6), next(0)), (Action::GiveUp, Action::GiveUp));
        assert_eq!(
            DEFAULT.next(NOW, None, failed(1, NOW)),
            Action::GiveUp,
            "with no token there is nothing to wait for"
        );
    }

    #[test]
    fn alerts_come_once_each_and_the_nearest_alone() {
        let life = life(NOW, 90 * DAY);
        let at = |days_left: u32, told| alert(life, life.until.before(days_left * DAY), told);
        assert_eq!((at(31, None), at(30, None), at(29, Some(30)), at(14, Some(30))), (None, Some(30), None, Some(14)));
        assert_eq!((at(5, None), at(5, Some(7)), at(1, Some(7)), at(0, Some(1))), (Some(7), None, Some(1), None));
        let hour = Life { from: NOW, until: NOW.after(DAY / 24) };
        assert_eq!(alert(hour, NOW, None), None);
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_stretch_the_wait() {
        let life = life(NOW, 90 * DAY);
        let next = DEFAULT.next(NOW, Some(life), failed(1, NOW.after(DAY)));
        assert_eq!(next, Action::Wait(NOW.after(Schedule::FIRST_RETRY)));
    }

    fn lives() -> impl Strategy<Value = Life> {
        (0_u64..400 * 86_400).prop_map(|span| life(NOW, Duration::from_secs(span)))
    }

    proptest! {
        #[test]
        fn nothing_is_refreshed_before_it_is_due(life in lives(), at in 0_u64..500 * 86_400) {
            let now = NOW.after(Duration::from_secs(at));
            let is_due = life.left(now) <= DEFAULT.refresh_below(life);
            prop_assert_eq!(DEFAULT.next(now, Some(life), Last::Good) == Action::Refresh, is_due);
        }

        #[test]
        fn a_wait_ends_later_and_what_follows_is_a_refresh(
            life in lives(), at in 0_u64..500 * 86_400, times in 0_u32..100, draw in -1.0_f64..2.0,
            asked in prop::option::of(0_u64..1_000_000), has_failed in any::<bool>(),
        ) {
            let now = NOW.after(Duration::from_secs(at));
            let retry_after = asked.map(Duration::from_secs);
            let last = if has_failed { Last::Failed { times, at: now, retry_after, draw } } else { Last::Good };
            if let Action::Wait(until) = DEFAULT.next(now, Some(life), last) {
                prop_assert!(until > now);
                let wait = now.until(until);
                if has_failed {
                    prop_assert!(wait >= Schedule::SHORTEST_RETRY && wait <= DAY);
                    prop_assert!(retry_after.is_none_or(|asked| wait >= asked.min(Schedule::LONGEST_REQUEST)));
                    prop_assert!(retry_after.is_some() || wait <= Schedule::LONGEST_RETRY);
                }
                let then = DEFAULT.next(until, Some(life), last);
                prop_assert!(then == Action::Refresh || then == Action::GiveUp && has_failed);
            }
        }

        /// An agent that is started at any time, against a gateway that fails now and then.
        #[test]
        fn a_gateway_that_answers_at_all_keeps_the_token_alive(
            answers in prop::collection::vec((any::<bool>(), 0.0_f64..1.0), 1..60),
        ) {
            let (span, mut now) = (90 * DAY, NOW);
            let (mut current, mut last, mut failures) = (life(NOW, span), Last::Good, 0);
            for (is_good, draw) in answers {
                if let Action::Wait(until) = DEFAULT.next(now, Some(current), last) {
                    now = until;
                }
                prop_assert_eq!(DEFAULT.next(now, Some(current), last), Action::Refresh);
                // Sixty failures an hour apart are no week: nothing is given up, and nothing expires.
                prop_assert!(current.left(now) > 20 * DAY);
                failures = if is_good { 0 } else { failures + 1 };
                if is_good {
                    (current, last) = (life(now, span), Last::Good);
                } else {
                    last = Last::Failed { times: failures, at: now, retry_after: None, draw };
                }
            }
        }
    }
}
