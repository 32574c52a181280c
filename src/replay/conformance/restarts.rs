use std::time::Duration;

use super::{APP, Fixture, NOON, Opened, minutes};
use crate::clock::{Clock, Timestamp};
use crate::replay::FirstUse;

/// A memory after a restart at this time: its monotonic clock begins anew.
async fn restart(opened: Opened, fixture: &impl Fixture, max_entries: usize, now: Timestamp) -> (Opened, Clock) {
    opened.break_off().await;
    let clock = Clock::manual(now).0;
    (fixture.open(max_entries, clock.clone()).await, clock)
}

fn advance(clock: &Clock, span: Duration) {
    let Clock::Manual(hands) = clock else { panic!("no manual clock") };
    hands.advance(span);
}

fn set_wall(clock: &Clock, now: Timestamp) {
    let Clock::Manual(hands) = clock else { panic!("no manual clock") };
    hands.set_wall(now);
}

pub async fn what_was_recorded_is_known_after_a_restart(fixture: &impl Fixture) {
    let opened = fixture.open(100_000, Clock::manual(NOON).0).await;
    for n in 0..100i64 {
        assert_eq!(opened.first_use_by(n % 3, &n.to_string(), minutes(5), NOON).await, FirstUse::Recorded);
    }
    drop(opened.memory.first_use(APP, "its caller left", minutes(5), NOON));
    let known = opened.first_use("its caller left", minutes(5), NOON).await;
    opened.first_use("which is then written", minutes(5), NOON).await;
    assert_eq!(known, FirstUse::Replayed);

    let (opened, _) = restart(opened, fixture, 100_000, minutes(1)).await;
    assert_eq!(opened.memory.entries(), 102);
    for n in 0..100i64 {
        let jti = n.to_string();
        let by = |app| opened.first_use_by(app, &jti, minutes(5), minutes(1));
        assert_eq!((by(n % 3).await, by(n % 3 + 3).await), (FirstUse::Replayed, FirstUse::Recorded), "{n}");
    }
    assert_eq!(opened.first_use("its caller left", minutes(5), minutes(1)).await, FirstUse::Replayed);

    // In good order, and once more.
    opened.close().await;
    let opened = fixture.open(100_000, Clock::manual(minutes(2)).0).await;
    assert_eq!(opened.memory.entries(), 202);
    assert_eq!(opened.first_use_by(1, "1", minutes(5), minutes(2)).await, FirstUse::Replayed);
}

pub async fn what_ended_long_ago_is_not_known_after_a_restart(fixture: &impl Fixture) {
    let (clock, _) = Clock::manual(NOON);
    let opened = fixture.open(100, clock.clone()).await;
    assert_eq!(opened.first_use("a", minutes(1), NOON).await, FirstUse::Recorded);
    advance(&clock, Duration::from_secs(300));
    assert_eq!(opened.first_use("b", minutes(9), minutes(5)).await, FirstUse::Recorded);
    let (opened, _) = restart(opened, fixture, 100, minutes(5)).await;
    assert_eq!(opened.memory.entries(), 1);
    assert_eq!(opened.first_use("a", minutes(9), minutes(5)).await, FirstUse::Recorded);
    assert_eq!(opened.first_use("b", minutes(9), minutes(5)).await, FirstUse::Replayed);
}

pub async fn a_clock_that_is_ahead_at_a_restart_and_set_back_opens_no_window(fixture: &impl Fixture) {
    let opened = fixture.open(100, Clock::manual(NOON).0).await;
    assert_eq!(opened.first_use("a", minutes(5), NOON).await, FirstUse::Recorded);
    let (opened, clock) = restart(opened, fixture, 100, minutes(1000)).await;
    opened.memory.sweep(minutes(1000));
    advance(&clock, Duration::from_secs(60));
    opened.memory.sweep(minutes(1001));
    set_wall(&clock, minutes(1));
    assert_eq!(opened.first_use("a", minutes(5), minutes(1)).await, FirstUse::Replayed);
    // It is over when as much time has passed as the token had left when the journal was last written.
    set_wall(&clock, minutes(1001));
    assert_eq!(opened.first_use("a", minutes(1005), minutes(1001)).await, FirstUse::Replayed);
    advance(&clock, Duration::from_secs(240));
    assert_eq!(opened.first_use("a", minutes(1009), minutes(1005)).await, FirstUse::Recorded);
}

pub async fn a_clock_that_is_behind_at_a_restart_keeps_nothing_for_ever(fixture: &impl Fixture) {
    let opened = fixture.open(100, Clock::manual(NOON).0).await;
    assert_eq!(opened.first_use("a", minutes(5), NOON).await, FirstUse::Recorded);
    let (opened, clock) = restart(opened, fixture, 100, Timestamp::from_secs(0)).await;
    assert_eq!(opened.first_use("a", minutes(5), clock.now()).await, FirstUse::Replayed);
    set_wall(&clock, minutes(1));
    assert_eq!(opened.first_use("a", minutes(5), minutes(1)).await, FirstUse::Replayed);
    advance(&clock, Duration::from_secs(300));
    opened.memory.sweep(minutes(6));
    assert_eq!(opened.memory.entries(), 0);
}

pub async fn what_has_ended_by_the_wall_clock_alone_takes_no_room_after_a_restart(fixture: &impl Fixture) {
    let opened = fixture.open(8, Clock::manual(NOON).0).await;
    for app in 1..=4 {
        assert_eq!(opened.first_use_by(app, "a", minutes(5), NOON).await, FirstUse::Recorded);
        assert_eq!(opened.first_use_by(app, "b", minutes(5), NOON).await, FirstUse::Recorded);
    }
    let (opened, _) = restart(opened, fixture, 8, minutes(10)).await;
    assert_eq!(opened.memory.entries(), 0);
    for app in 1..=4 {
        let answer = |jti| opened.first_use_by(app, jti, minutes(15), minutes(10));
        assert_eq!(
            (answer("a").await, answer("c").await, answer("d").await, answer("e").await),
            (FirstUse::Replayed, FirstUse::Recorded, FirstUse::Recorded, FirstUse::Full)
        );
    }
}

pub async fn a_restart_keeps_more_than_there_is_room_for(fixture: &impl Fixture) {
    let opened = fixture.open(100_000, Clock::manual(NOON).0).await;
    for n in 0..20 {
        assert_eq!(opened.first_use(&n.to_string(), minutes(5), NOON).await, FirstUse::Recorded);
    }
    let (opened, clock) = restart(opened, fixture, 8, minutes(1)).await;
    assert_eq!(opened.memory.entries(), 20);
    for n in 0..20 {
        assert_eq!(opened.first_use(&n.to_string(), minutes(5), minutes(1)).await, FirstUse::Replayed);
    }
    assert_eq!(opened.first_use_by(2, "a", minutes(5), minutes(1)).await, FirstUse::Full);
    advance(&clock, Duration::from_secs(300));
    assert_eq!(opened.first_use_by(2, "a", minutes(9), minutes(6)).await, FirstUse::Recorded);
}
