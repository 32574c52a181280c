//! How long an answer may take: from the end of the request on.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::super::ledger::Ledger;

/// Waits for an answer for the limit, counted from when the last of the request went. While the client is to send more of
/// it, the bound of its own pauses counts; while the upstream takes no more of it, this one.
pub(super) async fn within<F: Future>(limit: Duration, sent: F, ledger: &Ledger) -> Option<F::Output> {
    let mut sent = std::pin::pin!(sent);
    let mut from = Instant::now();
    loop {
        if let Ok(answer) = timeout_at(from + limit, sent.as_mut()).await {
            return Some(answer);
        }
        let moved = ledger.body_moved().filter(|moved| *moved > from);
        from = match moved {
            _ if ledger.waits_for_caller() => Instant::now(),
            Some(moved) => moved,
            None => return None,
        };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use tokio::time::sleep;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(2);

    async fn cut_after(ledger: &Ledger, request: impl Future<Output = ()>) -> Duration {
        let begun = Instant::now();
        let answer = within(LIMIT, std::future::pending::<()>(), ledger);
        let ((), answer) = tokio::join!(request, answer);
        assert!(answer.is_none());
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_without_a_body_ends_as_it_begins() {
        assert_eq!(cut_after(&Ledger::default(), async {}).await, LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn the_limit_counts_from_the_last_of_the_body() {
        let ledger = Ledger::default();
        let request = async {
            for _ in 0..3 {
                sleep(Duration::from_millis(1500)).await;
                ledger.body_moves();
            }
        };
        assert_eq!(cut_after(&ledger, request).await, Duration::from_millis(4500) + LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_pauses_is_not_cut_by_it() {
        let ledger = Ledger::default();
        let request = async {
            ledger.waits_for_caller.store(true, Ordering::Relaxed);
            sleep(Duration::from_secs(31)).await;
            ledger.waits_for_caller.store(false, Ordering::Relaxed);
            ledger.body_moves();
        };
        assert_eq!(cut_after(&ledger, request).await, Duration::from_secs(31) + LIMIT);
    }
}
