//! A memory that another process still has.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::{Answer, FirstUse, ReplayMemory};
use crate::clock::Timestamp;
use crate::model::AppNumber;

/// How long a first use waits for the memory.
const PATIENCE: Duration = Duration::from_secs(10);

type Memory = Option<Arc<dyn ReplayMemory>>;

/// Stands for a memory until it is there: first uses wait for it, and nothing is decided without it.
pub struct Awaited(watch::Receiver<Memory>);

/// By which the memory comes. Dropped before, none will.
pub struct Arrival(watch::Sender<Memory>);

impl Awaited {
    pub fn new() -> (Self, Arrival) {
        let (arrival, memory) = watch::channel(None);
        (Self(memory), Arrival(arrival))
    }

    fn memory(&self) -> Memory {
        self.0.borrow().clone()
    }
}

impl Arrival {
    pub fn bring(self, memory: Arc<dyn ReplayMemory>) {
        self.0.send_replace(Some(memory));
    }
}

impl ReplayMemory for Awaited {
    fn is_used(&self, app: AppNumber, jti: &str, now: Timestamp) -> bool {
        self.memory().is_some_and(|memory| memory.is_used(app, jti, now))
    }

    fn first_use(&self, app: AppNumber, jti: &str, until: Timestamp, now: Timestamp) -> Answer {
        if let Some(memory) = self.memory() {
            return memory.first_use(app, jti, until, now);
        }
        let (mut memory, jti) = (self.0.clone(), jti.to_owned());
        Answer::Later(Box::pin(async move {
            let come = tokio::time::timeout(PATIENCE, memory.wait_for(Option::is_some)).await;
            let come = come.ok().and_then(|memory| memory.ok()?.clone());
            match come {
                Some(memory) => memory.first_use(app, &jti, until, now).wait().await,
                None => FirstUse::Unavailable,
            }
        }))
    }

    fn sweep(&self, now: Timestamp) -> usize {
        self.memory().map_or(0, |memory| memory.sweep(now))
    }

    fn entries(&self) -> usize {
        self.memory().map_or(0, |memory| memory.entries())
    }
}

#[cfg(test)]
mod tests {
    use super::super::InProcess;
    use super::*;
    use crate::clock::Clock;

    #[tokio::test(start_paused = true)]
    async fn uses_wait_for_the_memory_and_are_judged_by_it() {
        let (clock, _hands) = Clock::manual(Timestamp::from_secs(1000));
        let (now, until) = (clock.now(), Timestamp::from_secs(2000));
        let memory = Arc::new(InProcess::new(100, clock).unwrap());
        memory.first_use(AppNumber(1), "old", until, now).wait().await;
        let (awaited, arrival) = Awaited::new();
        assert!(!awaited.is_used(AppNumber(1), "old", now));
        let waiting = ["old", "new"].map(|jti| tokio::spawn(awaited.first_use(AppNumber(1), jti, until, now).wait()));
        tokio::task::yield_now().await;
        assert!(waiting.iter().all(|waiting| !waiting.is_finished()));
        arrival.bring(memory);
        let [old, new] = waiting;
        assert_eq!((old.await.unwrap(), new.await.unwrap()), (FirstUse::Replayed, FirstUse::Recorded));
        assert_eq!(awaited.first_use(AppNumber(1), "new", until, now).wait().await, FirstUse::Replayed);
        assert!(awaited.is_used(AppNumber(1), "old", now) && awaited.entries() == 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_memory_that_does_not_come_lets_nothing_through() {
        let (now, until) = (Timestamp::from_secs(1000), Timestamp::from_secs(2000));
        let (awaited, arrival) = Awaited::new();
        assert_eq!(awaited.first_use(AppNumber(1), "a", until, now).wait().await, FirstUse::Unavailable);
        drop(arrival);
        assert_eq!(awaited.first_use(AppNumber(1), "a", until, now).wait().await, FirstUse::Unavailable);
    }
}
