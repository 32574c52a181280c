//! Whether an address is sent calls. It goes out of service after failures in a row, for longer each time, and comes back
//! by one trial call; health checks take it out and bring it back besides.

use std::sync::atomic::{AtomicBool, Ordering};
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

/// How a call may go to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    Regular,
    /// To see whether it works again. Whoever got this one has to say how it went, or give it up.
    Trial,
}

/// Out of service or back in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Ejected(Duration),
    Returned,
}

/// How long one trial keeps others from being made.
const TRIAL: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Circuit {
    /// False while there is nothing but success: most calls look no further.
    is_troubled: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    ejections: u32,
    out: Option<Out>,
    returned: Option<Instant>,
    /// Since when a call tries it.
    trial: Option<Instant>,
    is_sick: bool,
    good_checks: u32,
    bad_checks: u32,
}

#[derive(Clone, Copy, Debug)]
struct Out {
    until: Instant,
    span: Duration,
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
        if !self.is_troubled.load(Ordering::Acquire) {
            return Some(Admission::Regular);
        }
        let mut state = self.lock();
        match state.out {
            _ if state.is_sick => None,
            None => Some(Admission::Regular),
            Some(out) if now < out.until => None,
            // A trial that takes its time keeps the others out no longer than this.
            Some(_) if state.trial.is_some_and(|since| now.duration_since(since) < TRIAL) => None,
            Some(_) => {
                state.trial = Some(now);
                Some(Admission::Trial)
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
        state.failures = 0;
        let change = (admission == Admission::Trial).then(|| {
            state.trial = None;
            state.out = None;
            state.returned = Some(now);
            Change::Returned
        });
        self.settle(&state);
        change
    }

    pub fn failed(&self, admission: Admission, rules: &Ejection, now: Instant) -> Option<Change> {
        if rules.failures == 0 {
            return None;
        }
        let mut state = self.lock();
        let is_trial = admission == Admission::Trial;
        if is_trial {
            state.trial = None;
        } else {
            state.failures = state.failures.saturating_add(1);
        }
        let is_due = (is_trial && state.out.is_some()) || (state.out.is_none() && state.failures >= rules.failures);
        let change = is_due.then(|| Change::Ejected(state.eject(rules, now)));
        self.settle(&state);
        change
    }

    /// A trial whose caller left: another may have it.
    pub fn give_up_trial(&self) {
        self.lock().trial = None;
    }

    /// What a health check found.
    pub fn checked(&self, is_good: bool, thresholds: Thresholds, now: Instant) -> Option<Change> {
        let mut state = self.lock();
        let change = if is_good {
            state.bad_checks = 0;
            state.good_checks = state.good_checks.saturating_add(1);
            let was_out = state.is_sick || state.out.is_some();
            (was_out && state.good_checks >= thresholds.healthy).then(|| {
                state.is_sick = false;
                (state.out, state.trial) = (None, None);
                state.failures = 0;
                state.returned = Some(now);
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
    fn eject(&mut self, rules: &Ejection, now: Instant) -> Duration {
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
        self.failures = 0;
        self.out = Some(Out { until: now + span, span });
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

    fn fail(circuit: &Circuit, times: u32, now: Instant) -> Option<Change> {
        (0..times).filter_map(|_| circuit.failed(Admission::Regular, &RULES, now)).last()
    }

    #[test]
    fn failures_in_a_row_take_it_out_and_a_success_between_them_does_not_let_them_add_up() {
        let (circuit, now) = (Circuit::default(), instant());
        assert_eq!(fail(&circuit, 2, now), None);
        circuit.succeeded(Admission::Regular, now);
        assert_eq!(fail(&circuit, 2, now), None);
        assert_eq!(circuit.admit(now), Some(Admission::Regular));
        assert_eq!(fail(&circuit, 1, now), Some(Change::Ejected(SECOND)));
        assert_eq!(circuit.admit(now), None);
    }

    #[test]
    fn one_trial_call_decides_and_each_failed_one_keeps_it_out_for_longer() {
        let (circuit, mut now) = (Circuit::default(), instant());
        fail(&circuit, 3, now);
        for seconds in [2, 4, 5, 5] {
            now += 10 * SECOND;
            assert_eq!(circuit.admit(now), Some(Admission::Trial));
            assert_eq!(circuit.admit(now), None, "one at a time");
            let change = circuit.failed(Admission::Trial, &RULES, now);
            assert_eq!(change, Some(Change::Ejected(seconds * SECOND)));
            assert_eq!(circuit.admit(now + (seconds * SECOND).mul_f32(0.99)), None);
        }
        now += 5 * SECOND;
        assert_eq!(circuit.admit(now), Some(Admission::Trial));
        assert_eq!(circuit.succeeded(Admission::Trial, now), Some(Change::Returned));
        assert_eq!(circuit.admit(now), Some(Admission::Regular));
    }

    #[test]
    fn a_trial_that_nobody_finished_can_be_had_again() {
        let (circuit, now) = (Circuit::default(), instant());
        fail(&circuit, 3, now);
        assert_eq!(circuit.admit(now + SECOND), Some(Admission::Trial));
        circuit.give_up_trial();
        assert_eq!(circuit.admit(now + SECOND), Some(Admission::Trial));
    }

    #[test]
    fn a_trial_that_takes_its_time_does_not_keep_everybody_out() {
        let (circuit, now) = (Circuit::default(), instant());
        fail(&circuit, 3, now);
        assert_eq!(circuit.admit(now + SECOND), Some(Admission::Trial));
        assert_eq!(circuit.admit(now + SECOND + TRIAL / 2), None);
        assert_eq!(circuit.admit(now + SECOND + TRIAL), Some(Admission::Trial));
        assert_eq!(circuit.succeeded(Admission::Trial, now + 2 * SECOND), Some(Change::Returned));
        assert_eq!(circuit.failed(Admission::Trial, &RULES, now + 3 * SECOND), None, "the other one comes too late");
        assert_eq!(circuit.admit(now + 3 * SECOND), Some(Admission::Regular));
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
        assert!(circuit.admit(now + SECOND).is_some());
        circuit.succeeded(Admission::Trial, now + SECOND);
        assert_eq!(fail(&circuit, 3, now + 2 * SECOND), Some(Change::Ejected(2 * SECOND)), "too soon");
        assert!(circuit.admit(now + 9 * SECOND).is_some());
        circuit.succeeded(Admission::Trial, now + 9 * SECOND);
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
        assert_eq!(circuit.admit(now), Some(Admission::Regular));
    }

    #[test]
    fn what_may_not_be_taken_out_stays() {
        let (circuit, now) = (Circuit::default(), instant());
        let rules = Ejection { failures: 0, ..RULES };
        for _ in 0..100 {
            assert_eq!(circuit.failed(Admission::Regular, &rules, now), None);
        }
        assert!(circuit.is_open(now));
    }
}
