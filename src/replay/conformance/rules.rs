use std::collections::HashMap;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::{APP, Fixture, NOON, minutes};
use crate::clock::{Clock, Timestamp};
use crate::replay::FirstUse;

pub async fn a_jti_is_new_once_per_app_and_again_after_its_end(fixture: &impl Fixture) {
    let (clock, hands) = Clock::manual(NOON);
    let opened = fixture.open(100, clock.clone()).await;
    assert_eq!(opened.first_use("a", minutes(1), NOON).await, FirstUse::Recorded);
    assert_eq!(opened.first_use("a", minutes(1), NOON).await, FirstUse::Replayed);
    assert_eq!(opened.first_use("b", minutes(1), NOON).await, FirstUse::Recorded);
    assert_eq!(opened.first_use_by(2, "a", minutes(1), NOON).await, FirstUse::Recorded);
    hands.advance(Duration::from_secs(59));
    assert_eq!(opened.first_use("a", minutes(2), clock.now()).await, FirstUse::Replayed);
    hands.advance(Duration::from_secs(1));
    assert_eq!(opened.first_use("a", minutes(2), clock.now()).await, FirstUse::Recorded);
    assert_eq!(opened.first_use("a", minutes(2), clock.now()).await, FirstUse::Replayed);
}

pub async fn a_clock_that_is_set_forward_or_back_opens_no_window(fixture: &impl Fixture) {
    let (clock, hands) = Clock::manual(NOON);
    let opened = fixture.open(100, clock.clone()).await;
    assert_eq!(opened.first_use("a", minutes(5), NOON).await, FirstUse::Recorded);
    opened.memory.sweep(minutes(60));
    assert_eq!(opened.first_use("a", minutes(5), minutes(60)).await, FirstUse::Replayed, "wall clock alone");
    hands.advance(Duration::from_secs(600));
    opened.memory.sweep(NOON);
    assert_eq!(opened.first_use("a", minutes(5), NOON).await, FirstUse::Replayed, "monotonic clock alone");
    assert_eq!(opened.first_use("a", minutes(12), minutes(10)).await, FirstUse::Recorded);
}

pub async fn what_a_wrong_clock_recorded_ends_when_the_clock_is_right(fixture: &impl Fixture) {
    let (clock, hands) = Clock::manual(minutes(1000));
    let opened = fixture.open(8, clock.clone()).await;
    assert_eq!(opened.first_use("ahead", minutes(1001), minutes(1000)).await, FirstUse::Recorded);
    hands.set_wall(NOON);
    assert_eq!(opened.first_use("right", minutes(1), NOON).await, FirstUse::Recorded);
    hands.advance(Duration::from_secs(120));
    assert_eq!(opened.memory.sweep(clock.now()), 1, "one that ended is not kept by one that has not");
    hands.set_wall(minutes(1002));
    assert_eq!((opened.memory.sweep(clock.now()), opened.memory.entries()), (1, 0));
}

pub async fn a_full_memory_refuses_and_no_app_takes_more_than_a_quarter(fixture: &impl Fixture) {
    let (clock, _) = Clock::manual(NOON);
    let opened = fixture.open(8, clock.clone()).await;
    let use_up = |app, jti| opened.first_use_by(app, jti, minutes(5), NOON);
    assert_eq!(use_up(1, "a").await, FirstUse::Recorded);
    assert_eq!(use_up(1, "b").await, FirstUse::Recorded);
    assert_eq!(use_up(1, "c").await, FirstUse::Full);
    for app in 2..=4 {
        assert_eq!(use_up(app, "a").await, FirstUse::Recorded);
        assert_eq!(use_up(app, "b").await, FirstUse::Recorded);
    }
    assert_eq!(use_up(5, "a").await, FirstUse::Full);
    assert_eq!(use_up(1, "a").await, FirstUse::Replayed, "a full memory still knows");
    assert_eq!(opened.memory.entries(), 8);
}

pub async fn what_has_ended_makes_room_though_its_apps_no_longer_call(fixture: &impl Fixture) {
    let (clock, hands) = Clock::manual(NOON);
    let opened = fixture.open(8, clock.clone()).await;
    for (app, jti) in (1..=4).flat_map(|app| [(app, "a"), (app, "b")]) {
        assert_eq!(opened.first_use_by(app, jti, minutes(1), NOON).await, FirstUse::Recorded);
    }
    assert_eq!(opened.first_use_by(5, "a", minutes(1), NOON).await, FirstUse::Full);
    hands.advance(Duration::from_secs(60));
    // Without anybody who sweeps.
    assert_eq!(opened.first_use_by(5, "a", minutes(2), clock.now()).await, FirstUse::Recorded);
    assert_eq!(opened.memory.entries(), 1);
}

pub async fn a_sweep_forgets_what_has_ended_and_nothing_else(fixture: &impl Fixture) {
    let (clock, hands) = Clock::manual(NOON);
    let opened = fixture.open(100_000, clock.clone()).await;
    for n in 0..1000 {
        let until = minutes(1 + n % 2);
        let answer = opened.first_use_by(n.cast_signed() % 7, &n.to_string(), until, NOON).await;
        assert_eq!(answer, FirstUse::Recorded);
    }
    assert_eq!((opened.memory.sweep(NOON), opened.memory.entries()), (0, 1000));
    hands.advance(Duration::from_secs(60));
    assert_eq!((opened.memory.sweep(clock.now()), opened.memory.entries()), (500, 500));
    for n in 0..1000u64 {
        let known = n % 2 == 1;
        let answer = opened.first_use_by(n.cast_signed() % 7, &n.to_string(), minutes(2), clock.now()).await;
        assert_eq!(answer, if known { FirstUse::Replayed } else { FirstUse::Recorded }, "{n}");
    }
    hands.advance(Duration::from_secs(60));
    assert_eq!((opened.memory.sweep(clock.now()), opened.memory.entries()), (1000, 0));
}

pub async fn of_a_thousand_simultaneous_uses_one_is_the_first(fixture: &impl Fixture) {
    const THREADS: usize = 8;
    let opened = fixture.open(100_000, Clock::manual(NOON).0).await;
    let start = Arc::new(Barrier::new(THREADS));
    let worker = |_| {
        let (memory, start) = (Arc::clone(&opened.memory), Arc::clone(&start));
        tokio::task::spawn_blocking(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            start.wait();
            let uses: Vec<_> = (0..125).map(|_| memory.first_use(APP, "once", minutes(5), NOON)).collect();
            let answers = uses.into_iter().map(|answer| runtime.block_on(answer.wait()));
            answers.filter(|answer| *answer == FirstUse::Recorded).count()
        })
    };
    let mut recorded = 0;
    for worker in (0..THREADS).map(worker).collect::<Vec<_>>() {
        recorded += worker.await.unwrap();
    }
    assert_eq!(recorded, 1);
}

pub async fn a_use_whose_caller_left_stays_used(fixture: &impl Fixture) {
    let opened = fixture.open(100, Clock::manual(NOON).0).await;
    drop(opened.memory.first_use(APP, "a", minutes(5), NOON));
    assert_eq!(opened.first_use("a", minutes(5), NOON).await, FirstUse::Replayed);
}

/// A call may have waited so long that a sweep has forgotten the use before it.
pub async fn a_call_that_comes_after_the_tokens_end_is_not_let_through(fixture: &impl Fixture) {
    let (clock, hands) = Clock::manual(NOON);
    let opened = fixture.open(100, clock).await;
    let until = minutes(1);
    assert_eq!(opened.first_use("a", until, NOON).await, FirstUse::Recorded);
    hands.advance(Duration::from_secs(61));
    opened.memory.sweep(minutes(1).after(Duration::from_secs(1)));
    assert_eq!(opened.first_use("a", until, NOON).await, FirstUse::Ended);
    assert_eq!(opened.first_use("b", until, NOON).await, FirstUse::Ended);
}

pub async fn a_look_changes_nothing(fixture: &impl Fixture) {
    let (clock, hands) = Clock::manual(NOON);
    let opened = fixture.open(100, clock).await;
    assert!(!opened.memory.is_used(APP, "a", NOON) && opened.memory.entries() == 0);
    assert_eq!(opened.first_use("a", minutes(1), NOON).await, FirstUse::Recorded);
    assert!(opened.memory.is_used(APP, "a", NOON) && !opened.memory.is_used(APP, "b", NOON));
    hands.advance(Duration::from_secs(61));
    assert!(!opened.memory.is_used(APP, "a", minutes(1).after(Duration::from_secs(1))));
}

/// Whatever the clocks do: a use that is remembered is a replay until there was a moment when both clocks had passed its
/// end, and is forgotten where they have passed it now.
pub async fn any_sequence_of_uses_and_clocks_lets_each_token_through_once(fixture: &impl Fixture) {
    let mut runner = TestRunner::deterministic();
    for case in 0..20 {
        let steps = prop::collection::vec(step(), 1..120).new_tree(&mut runner).unwrap().current();
        let (clock, hands) = Clock::manual(NOON);
        let opened = fixture.open(10_000, clock.clone()).await;
        let mut known: HashMap<u8, Known> = HashMap::new();
        for step in &steps {
            match *step {
                Step::Use(token) => {
                    let (now, monotonic) = (clock.now(), clock.monotonic());
                    let until = now.after(Duration::from_secs(20 + 10 * u64::from(token)));
                    // The same token in another case is another.
                    let answer = opened.first_use(&format!("{case}-{token}"), until, now).await;
                    let before = known.get(&token);
                    match answer {
                        FirstUse::Recorded => {
                            assert!(before.is_none_or(|k| k.was_over), "{step:?} of {steps:?}");
                            known.insert(
                                token,
                                Known { monotonic: monotonic + now.until(until), until, was_over: false },
                            );
                        }
                        FirstUse::Replayed => {
                            assert!(before.is_some_and(|k| !k.is_over(&clock)), "{step:?} of {steps:?}");
                        }
                        FirstUse::Ended => assert!(until <= clock.now(), "{step:?} of {steps:?}"),
                        other => panic!("{other:?}: {step:?} of {steps:?}"),
                    }
                }
                Step::Pass(seconds) => hands.advance(Duration::from_secs(seconds.into())),
                Step::SetWall(by) => hands.set_wall(Timestamp::from_secs(clock.now().secs() + i64::from(by))),
                Step::Sweep => _ = opened.memory.sweep(clock.now()),
            }
            for known in known.values_mut() {
                known.was_over |= known.is_over(&clock);
            }
        }
        opened.close().await;
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Use(u8),
    Pass(u16),
    SetWall(i16),
    Sweep,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..12u8).prop_map(Step::Use),
        2 => (0..90u16).prop_map(Step::Pass),
        1 => (-200..200i16).prop_map(Step::SetWall),
        1 => Just(Step::Sweep),
    ]
}

struct Known {
    monotonic: Duration,
    until: Timestamp,
    was_over: bool,
}

impl Known {
    fn is_over(&self, clock: &Clock) -> bool {
        self.monotonic <= clock.monotonic() && self.until <= clock.now()
    }
}
