//! Whether an address is sent calls. It goes out of service after failures in a row, for longer each time, and comes back
//! by one trial call; health checks take it out and bring it back besides.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// When calls' own failures take an address out of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ejection {
    /// In a row; 0 never takes it out.
    pub failures: u32,
    /// For how long the first time; twice as long each further time.
    pub least: Duration,
    pub most: Duration,
}

/// How many health checks in a row change what is held of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    pub healthy: u32,
    pub unhealthy: u32,
}

/// How a call may go to an address, which was out of service so many times before. What a call finds out about an address
/// counts only while that is still so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    Regular(u32),
    /// To see whether it works again, one at a time. Its holder has to report how it went, or give it up.
    Trial(u32),
}

/// Why a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// There is no connection: the address is to blame.
    Unreachable,
    /// How the address took the call.
    Call,
}

/// Out of service or back in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Ejected(Duration),
    Returned,
}

#[derive(Debug, Default)]
pub(super) struct Circuit {
    /// False while there is nothing but success: most calls look no further.
    is_troubled: AtomicBool,
    /// How many times it went out of service or came back; while it is the same, nothing changed.
    changes: AtomicU32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    ejections: u32,
    out: Option<Out>,
    returned: Option<Instant>,
    /// Whether a call tries it.
    is_tried: bool,
    is_sick: bool,
    good_checks: u32,
    bad_checks: u32,
}

#[derive(Clone, Copy, Debug)]
struct Out {
    until: Instant,
    span: Duration,
    cause: Cause,
}

impl Circuit {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settle(&self, state: &State) {
        let is_troubled = state.is_sick || state.out.is_some() || state.failures > 0;
        self.is_troubled.store(is_troubled, Ordering::Release);
    }

    /// None while the address is out of service.
    pub fn admit(&self, now: Instant) -> Option<Admission> {
        let changes = self.changes.load(Ordering::Acquire);
        if !self.is_troubled.load(Ordering::Acquire) {
            return Some(Admission::Regular(changes));
        }
        let mut state = self.lock();
        let changes = self.changes.load(Ordering::Acquire);
        match state.out {
            _ if state.is_sick => None,
            None => Some(Admission::Regular(changes)),
            Some(out) if now < out.until || state.is_tried => None,
            Some(_) => {
                state.is_tried = true;
                Some(Admission::Trial(changes))
            }
        }
    }

    /// Whether a call could be admitted now; takes no trial.
    pub fn is_open(&self, now: Instant) -> bool {
        if !self.is_troubled.load(Ordering::Acquire) {
            return true;
        }
        let state = self.lock();
        !state.is_sick && state.out.is_none_or(|out| now >= out.until)
    }

    pub fn succeeded(&self, admission: Admission, now: Instant) -> Option<Change> {
        if !self.is_troubled.load(Ordering::Acquire) {
            return None;
        }
        let mut state = self.lock();
        if !self.is_of_now(admission) {
            return None;
        }
        state.failures = 0;
        let change = matches!(admission, Admission::Trial(_)).then(|| {
            self.changes.fetch_add(1, Ordering::AcqRel);
            state.come_back(now);
            Change::Returned
        });
        self.settle(&state);
        change
    }

    /// There is a connection. That brings back an address to which there was none: what then becomes of the call may take
    /// its time, and keeps others out no longer.
    pub fn reached(&self, admission: Admission, now: Instant) -> Option<Change> {
        let is_trial = matches!(admission, Admission::Trial(_));
        let is_enough = is_trial && self.lock().out.is_some_and(|out| out.cause == Cause::Unreachable);
        if is_enough { self.succeeded(admission, now) } else { None }
    }

    pub fn failed(&self, admission: Admission, cause: Cause, rules: &Ejection, now: Instant) -> Option<Change> {
        if rules.failures == 0 {
            return None;
        }
        let mut state = self.lock();
        if !self.is_of_now(admission) {
            return None;
        }
        let is_due = match admission {
            Admission::Trial(_) => true,
            Admission::Regular(_) => {
                state.failures = state.failures.saturating_add(1);
                state.failures >= rules.failures
            }
        };
        let change = is_due.then(|| {
            self.changes.fetch_add(1, Ordering::AcqRel);
            Change::Ejected(state.eject(cause, rules, now))
        });
        self.settle(&state);
        change
    }

    /// A trial whose caller left: another may have it.
    pub fn give_up(&self, admission: Admission) {
        let mut state = self.lock();
        if matches!(admission, Admission::Trial(_)) && self.is_of_now(admission) {
            state.is_tried = false;
        }
    }

    /// Whether nothing has changed since. To be asked under the lock.
    fn is_of_now(&self, admission: Admission) -> bool {
        let (Admission::Regular(changes) | Admission::Trial(changes)) = admission;
        changes == self.changes.load(Ordering::Acquire)
    }

    /// What a health check found.
    pub fn checked(&self, is_good: bool, thresholds: Thresholds, now: Instant) -> Option<Change> {
        let mut state = self.lock();
        let change = if is_good {
            state.bad_checks = 0;
            state.good_checks = state.good_checks.saturating_add(1);
            let was_out = state.is_sick || state.out.is_some();
            (was_out && state.good_checks >= thresholds.healthy).then(|| {
                self.changes.fetch_add(1, Ordering::AcqRel);
                state.is_sick = false;
                state.come_back(now);
                Change::Returned
            })
        } else {
            state.good_checks = 0;
            state.bad_checks = state.bad_checks.saturating_add(1);
            (!state.is_sick && state.bad_checks >= thresholds.unhealthy).then(|| {
                state.is_sick = true;
                Change::Ejected(Duration::ZERO)
            })
        };
        self.settle(&state);
        change
    }
}

impl State {
    fn come_back(&mut self, now: Instant) {
        (self.out, self.is_tried, self.failures) = (None, false, 0);
        self.returned = Some(now);
    }

    fn eject(&mut self, cause: Cause, rules: &Ejection, now: Instant) -> Duration {
        // An address that has worked for longer than it was out has a clean slate.
        let last = self.out.map_or(Duration::ZERO, |out| out.span);
        let span = rules.least.saturating_mul(1 << self.ejections.min(16)).min(rules.most);
        let is_forgiven = self.returned.is_some_and(|at| now.duration_since(at) > span.max(last));
        if is_forgiven && self.out.is_none() {
            self.ejections = 0;
        }
        let span = rules.least.saturating_mul(1 << self.ejections.min(16)).min(rules.most);
        self.ejections = self.ejections.saturating_add(1);
        // What was found before says nothing about what happened since.
        self.good_checks = 0;
        (self.failures, self.is_tried) = (0, false);
        self.out = Some(Out { until: now + span, span, cause });
        span
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::instant;

    const RULES: Ejection = Ejection { failures: 3, least: Duration::from_secs(1), most: Duration::from_secs(5) };
    const CHECKS: Thresholds = Thresholds { healthy: 2, unhealthy: 3 };
    const SECOND: Duration = Duration::from_secs(1);

    /// A call that fails for want of a connection, so many times.
    fn fail(circuit: &Circuit, times: u32, now: Instant) -> Option<Change> {
        let call = || circuit.failed(circuit.admit(now)?, Cause::Unreachable, &RULES, now);
        (0..times).filter_map(|_| call()).next_back()
    }

    fn succeed(circuit: &Circuit, now: Instant) -> Option<Change> {
        circuit.succeeded(circuit.admit(now).unwrap(), now)
    }

    fn trial(circuit: &Circuit, now: Instant) -> Admission {
        let admission = circuit.admit(now).unwrap();
        assert!(matches!(admission, Admission::Trial(_)), "{admission:?}");
        admission
    }

    fn is_regular(circuit: &Circuit, now: Instant) -> bool {
        matches!(circuit.admit(now), Some(Admission::Regular(_)))
    }

    #[test]
    fn failures_in_a_row_take_it_out_and_a_success_between_them_does_not_let_them_add_up() {
        let (circuit, now) = (Circuit::default(), instant());
        assert_eq!(fail(&circuit, 2, now), None);
        assert_eq!(succeed(&circuit, now), None);
        assert_eq!(fail(&circuit, 2, now), None);
        assert!(is_regular(&circuit, now));
        assert_eq!(fail(&circuit, 1, now), Some(Change::Ejected(SECOND)));
        assert_eq!(circuit.admit(now), None);
    }

    #[test]
    fn one_trial_call_decides_and_each_failed_one_keeps_it_out_for_longer() {
        let (circuit, mut now) = (Circuit::default(), instant());
        fail(&circuit, 3, now);
        for seconds in [2, 4, 5, 5] {
            now += 10 * SECOND;
            let admission = trial(&circuit, now);
            assert_eq!(circuit.admit(now), None, "one at a time");
            let change = circuit.failed(admission, Cause::Unreachable, &RULES, now);
            assert_eq!(change, Some(Change::Ejected(seconds * SECOND)));
            assert_eq!(circuit.admit(now + (seconds * SECOND).mul_f32(0.99)), None);
        }
        now += 5 * SECOND;
        assert_eq!(circuit.succeeded(trial(&circuit, now), now), Some(Change::Returned));
        assert!(is_regular(&circuit, now));
    }

    #[test]
    fn a_trial_that_nobody_finished_can_be_had_again() {
        let (circuit, now) = (Circuit::default(), instant());
        fail(&circuit, 3, now);
        circuit.give_up(trial(&circuit, now + SECOND));
        let second = trial(&circuit, now + SECOND);
        assert_eq!(circuit.admit(now + SECOND), None);
        assert_eq!(circuit.succeeded(second, now + SECOND), Some(Change::Returned));
    }

    #[test]
    fn a_trial_that_takes_its_time_stays_the_only_one_and_one_doubling_is_all_that_it_costs() {
        let (circuit, now) = (Circuit::default(), instant());
        fail(&circuit, 3, now);
        let admission = trial(&circuit, now + SECOND);
        assert_eq!(circuit.admit(now + 18 * SECOND), None);
        let change = circuit.failed(admission, Cause::Unreachable, &RULES, now + 18 * SECOND);
        assert_eq!(change, Some(Change::Ejected(2 * SECOND)));
        assert_eq!(circuit.failed(admission, Cause::Unreachable, &RULES, now + 19 * SECOND), None);
        trial(&circuit, now + 20 * SECOND);
    }

    #[test]
    fn a_connection_is_enough_where_there_was_none() {
        let (circuit, now) = (Circuit::default(), instant());
        fail(&circuit, 3, now);
        assert_eq!(circuit.reached(trial(&circuit, now + SECOND), now + SECOND), Some(Change::Returned));
        assert!(is_regular(&circuit, now + SECOND));
    }

    #[test]
    fn a_connection_is_not_enough_where_calls_failed() {
        let (circuit, now) = (Circuit::default(), instant());
        for _ in 0..3 {
            circuit.failed(circuit.admit(now).unwrap(), Cause::Call, &RULES, now);
        }
        let admission = trial(&circuit, now + SECOND);
        assert_eq!(circuit.reached(admission, now + SECOND), None);
        assert_eq!(circuit.admit(now + SECOND), None);
        assert_eq!(circuit.succeeded(admission, now + SECOND), Some(Change::Returned));
    }

    #[test]
    fn calls_from_before_a_change_say_nothing_about_what_is_after_it() {
        let (circuit, now) = (Circuit::default(), instant());
        let old: Vec<_> = (0..6).map(|_| circuit.admit(now).unwrap()).collect();
        let fail = |admission, now| circuit.failed(admission, Cause::Unreachable, &RULES, now);
        assert_eq!([fail(old[0], now), fail(old[1], now)], [None; 2]);
        assert_eq!(fail(old[2], now), Some(Change::Ejected(SECOND)));
        assert_eq!(circuit.succeeded(trial(&circuit, now + SECOND), now + SECOND), Some(Change::Returned));
        for late in &old[3..] {
            assert_eq!(fail(*late, now + 5 * SECOND), None);
        }
        assert!(is_regular(&circuit, now + 5 * SECOND));
    }

    #[test]
    fn a_health_check_from_before_an_ejection_does_not_count_after_it() {
        let (circuit, now) = (Circuit::default(), instant());
        assert_eq!([circuit.checked(true, CHECKS, now), circuit.checked(true, CHECKS, now)], [None; 2]);
        fail(&circuit, 3, now);
        assert_eq!(circuit.checked(true, CHECKS, now), None);
        assert_eq!(circuit.checked(true, CHECKS, now), Some(Change::Returned));
    }

    #[test]
    fn a_long_good_time_is_a_clean_slate() {
        let (circuit, now) = (Circuit::default(), instant());
        fail(&circuit, 3, now);
        succeed(&circuit, now + SECOND);
        assert_eq!(fail(&circuit, 3, now + 2 * SECOND), Some(Change::Ejected(2 * SECOND)), "too soon");
        succeed(&circuit, now + 9 * SECOND);
        assert_eq!(fail(&circuit, 3, now + 60 * SECOND), Some(Change::Ejected(SECOND)));
    }

    #[test]
    fn health_checks_take_it_out_and_bring_it_back() {
        let (circuit, now) = (Circuit::default(), instant());
        let check = |good| circuit.checked(good, CHECKS, now);
        assert_eq!([check(false), check(false), check(true), check(false)], [None; 4]);
        assert_eq!([check(false), check(false)], [None, Some(Change::Ejected(Duration::ZERO))]);
        assert_eq!(circuit.admit(now + 1000 * SECOND), None, "time does not bring it back");
        assert_eq!([check(true), check(true)], [None, Some(Change::Returned)]);
        fail(&circuit, 3, now);
        assert_eq!([check(true), check(true)], [None, Some(Change::Returned)], "they also end what calls began");
        assert!(is_regular(&circuit, now));
    }

    #[test]
    fn what_may_not_be_taken_out_stays() {
        let (circuit, now) = (Circuit::default(), instant());
        let rules = Ejection { failures: 0, ..RULES };
        for _ in 0..100 {
            assert_eq!(circuit.failed(circuit.admit(now).unwrap(), Cause::Call, &rules, now), None);
        }
        assert!(circuit.is_open(now));
    }
}
