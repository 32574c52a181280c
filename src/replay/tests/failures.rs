use std::time::Duration;

use tokio::task::JoinHandle;

use super::{Double, Journalled};
use crate::clock::Clock;
use crate::health::Fault;
use crate::replay::conformance::{APP, Fixture as _, NOON, Opened, minutes};
use crate::replay::{Answer, FirstUse, ReplayMemory as _};

fn clock() -> Clock {
    Clock::manual(NOON).0
}

/// The use is on its way to the journal, and its answer waited for.
fn begin(opened: &Opened, jti: &str) -> JoinHandle<FirstUse> {
    tokio::spawn(opened.memory.first_use(APP, jti, minutes(5), NOON).wait())
}

/// Lets the other tasks of this thread do what they can.
async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_use_that_the_journal_refused_is_unavailable_and_its_jti_free_again() {
    let journal = Double::new();
    let opened = journal.open(4, clock()).await;
    journal.fail(true);
    // More often than there is room: what was refused takes none.
    for _ in 0..5 {
        assert_eq!(opened.first_use("a", minutes(5), NOON).await, FirstUse::Unavailable);
        assert_eq!(opened.memory.entries(), 0);
    }
    journal.fail(false);
    assert_eq!(opened.first_use("a", minutes(5), NOON).await, FirstUse::Recorded);
    assert_eq!(opened.first_use("a", minutes(5), NOON).await, FirstUse::Replayed);
}

#[tokio::test]
async fn a_journal_that_fails_is_told_until_it_takes_entries_again_without_a_call() {
    let journal = Double::new();
    let (memory, keeper) = Journalled::open(journal.clone(), 100, clock()).await.unwrap();
    let fault = Fault::default();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let keeper = tokio::spawn(keeper.telling(fault.clone()).run(async { _ = stopped.await }));
    memory.sweep(NOON);
    settle().await;
    assert_eq!(fault.get(), None);
    journal.fail(true);
    assert_eq!(memory.first_use(APP, "a", minutes(5), NOON).wait().await, FirstUse::Unavailable);
    assert_eq!(fault.get().as_deref(), Some("the disk is full"));
    memory.sweep(NOON);
    settle().await;
    assert_eq!(fault.get().as_deref(), Some("the disk is still full"));
    journal.fail(false);
    memory.sweep(NOON);
    settle().await;
    assert_eq!(fault.get(), None);
    stop.send(()).unwrap();
    keeper.await.unwrap();
}

#[tokio::test]
async fn no_use_is_recorded_before_the_journal_has_it() {
    let journal = Double::held();
    let opened = journal.open(100, clock()).await;
    let first = begin(&opened, "a");
    settle().await;
    assert!(!first.is_finished());
    assert_eq!(opened.first_use("a", minutes(5), NOON).await, FirstUse::Replayed, "nor is there a second");
    journal.let_on(1);
    assert_eq!(first.await.unwrap(), FirstUse::Recorded);
    assert_eq!(journal.state(|s| s.entries.len()), 1);
}

#[tokio::test]
async fn what_queues_up_during_a_commit_goes_into_the_next_one() {
    let journal = Double::held();
    let opened = journal.open(100_000, clock()).await;
    let first = begin(&opened, "first");
    settle().await;
    let others: Vec<_> = (0..500).map(|n| begin(&opened, &n.to_string())).collect();
    journal.let_on(2);
    assert_eq!(first.await.unwrap(), FirstUse::Recorded);
    for other in others {
        assert_eq!(other.await.unwrap(), FirstUse::Recorded);
    }
    assert_eq!(journal.state(|s| s.batches.clone()), [1, 500]);
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_hangs_makes_nobody_wait_longer_than_three_seconds() {
    let journal = Double::held();
    let opened = journal.open(100, clock()).await;
    let started = tokio::time::Instant::now();
    assert_eq!(opened.first_use("written late", minutes(5), NOON).await, FirstUse::Unavailable);
    assert_eq!(started.elapsed(), Duration::from_secs(3));
    // Whether the journal will have it is open, so it counts as used.
    assert_eq!(opened.first_use("written late", minutes(5), NOON).await, FirstUse::Replayed);
    journal.let_on(1);
    settle().await;
    assert_eq!(opened.first_use("written late", minutes(5), NOON).await, FirstUse::Replayed);

    let late = begin(&opened, "refused late");
    assert_eq!(late.await.unwrap(), FirstUse::Unavailable);
    journal.fail(true);
    journal.let_on(1);
    settle().await;
    journal.fail(false);
    journal.let_on(1);
    assert_eq!(opened.first_use("refused late", minutes(5), NOON).await, FirstUse::Recorded);
}

#[tokio::test]
async fn a_queue_that_is_full_refuses_at_once() {
    let journal = Double::held();
    let opened = journal.open(1_000_000, clock()).await;
    begin(&opened, "under way");
    settle().await;
    let waiting: Vec<_> = (0..8192).map(|n| begin(&opened, &n.to_string())).collect();
    let entries = opened.memory.entries();
    let refused = opened.memory.first_use(APP, "one more", minutes(5), NOON);
    assert!(matches!(refused, Answer::Now(FirstUse::Unavailable)));
    assert_eq!(opened.memory.entries(), entries);
    journal.let_on(100);
    for waiting in waiting {
        assert_eq!(waiting.await.unwrap(), FirstUse::Recorded);
    }
    assert_eq!(opened.first_use("one more", minutes(5), NOON).await, FirstUse::Recorded);
}

#[tokio::test]
async fn without_a_keeper_nothing_is_recorded() {
    let (memory, keeper) = Journalled::open(Double::new(), 100, clock()).await.unwrap();
    drop(keeper);
    assert_eq!(memory.first_use(APP, "a", minutes(5), NOON).wait().await, FirstUse::Unavailable);
    assert_eq!(memory.entries(), 0);
}

#[tokio::test]
async fn a_keeper_that_is_told_to_stop_writes_what_it_was_asked_for_and_closes() {
    let journal = Double::held();
    let opened = journal.open(100, clock()).await;
    let waiting: Vec<_> = (0..10).map(|n| begin(&opened, &n.to_string())).collect();
    settle().await;
    let memory = std::sync::Arc::clone(&opened.memory);
    let closing = tokio::spawn(opened.close());
    settle().await;
    assert!(!closing.is_finished());
    journal.let_on(100);
    closing.await.unwrap();
    for waiting in waiting {
        assert_eq!(waiting.await.unwrap(), FirstUse::Recorded);
    }
    assert_eq!(journal.state(|s| (s.entries.len(), s.is_closed)), (10, true));
    assert_eq!(memory.first_use(APP, "late", minutes(5), NOON).wait().await, FirstUse::Unavailable);
}

#[tokio::test]
async fn what_is_over_goes_from_the_journal_in_slices_and_what_is_not_stays() {
    let (clock, hands) = Clock::manual(NOON);
    let journal = Double::new();
    let opened = journal.open(100_000, clock.clone()).await;
    for n in 0..20 {
        opened.first_use(&n.to_string(), minutes(1 + 9 * (n % 2)), NOON).await;
    }
    hands.advance(Duration::from_secs(90));
    opened.memory.sweep(clock.now());
    settle().await;
    assert_eq!(journal.state(|s| s.entries.len()), 20, "a minute later, since a call may have been long under way");
    hands.advance(Duration::from_secs(31));
    opened.memory.sweep(clock.now());
    settle().await;
    assert_eq!(journal.state(|s| s.entries.len()), 10);
    assert!(journal.state(|s| s.entries.iter().all(|e| e.until == minutes(10))));
}

#[tokio::test]
async fn what_has_ended_by_one_clock_alone_stays_in_the_journal() {
    let (clock, hands) = Clock::manual(NOON);
    let journal = Double::new();
    let opened = journal.open(100, clock.clone()).await;
    opened.first_use("a", minutes(5), NOON).await;
    hands.set_wall(minutes(1000));
    opened.memory.sweep(clock.now());
    settle().await;
    assert_eq!(journal.state(|s| s.entries.len()), 1);
    // Nor does a bound from before the clock was set back hold for what came after it.
    hands.advance(Duration::from_secs(600));
    opened.memory.sweep(clock.now());
    hands.set_wall(minutes(10));
    opened.first_use("b", minutes(15), minutes(10)).await;
    settle().await;
    assert_eq!(journal.state(|s| s.entries.iter().map(|e| e.until).collect::<Vec<_>>()), [minutes(15)]);
}
