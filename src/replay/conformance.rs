//! What every memory of first uses has to do: one function a promise, run over each implementation; and what those with a
//! journal have to do over a restart.

mod restarts;
mod rules;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{FirstUse, Journal, Journalled, ReplayMemory};
use crate::clock::{Clock, Timestamp};
use crate::model::AppNumber;

pub use restarts::*;
pub use rules::*;

pub const APP: AppNumber = AppNumber(1);
pub const NOON: Timestamp = Timestamp::from_secs(1_795_348_800);

pub fn minutes(n: u64) -> Timestamp {
    NOON.after(Duration::from_secs(60 * n))
}

/// An empty place for a memory.
pub trait Fixture: Sync {
    /// Opens the place. Of a memory that is kept, once at a time.
    fn open(&self, max_entries: usize, clock: Clock) -> impl Future<Output = Opened> + Send;
}

/// A memory that is in use.
pub struct Opened {
    pub memory: Arc<dyn ReplayMemory>,
    keeper: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Opened {
    pub fn new(memory: impl ReplayMemory + 'static) -> Self {
        Self { memory: Arc::new(memory), keeper: None }
    }

    pub async fn journalled(journal: impl Journal, max_entries: usize, clock: Clock) -> Self {
        let (memory, keeper) = Journalled::open(journal, max_entries, clock).await.unwrap();
        let (stop, stopped) = oneshot::channel();
        let keeper = tokio::spawn(keeper.run(async { _ = stopped.await }));
        Self { memory: Arc::new(memory), keeper: Some((stop, keeper)) }
    }

    /// The first use of a jti by `APP`.
    pub async fn first_use(&self, jti: &str, until: Timestamp, now: Timestamp) -> FirstUse {
        self.first_use_by(APP.0, jti, until, now).await
    }

    pub async fn first_use_by(&self, app: i64, jti: &str, until: Timestamp, now: Timestamp) -> FirstUse {
        self.memory.first_use(AppNumber(app), jti, until, now).wait().await
    }

    pub async fn close(self) {
        if let Some((stop, keeper)) = self.keeper {
            _ = stop.send(());
            keeper.await.unwrap();
        }
    }

    /// Ends the keeper as the end of its process would: between two things that it does.
    pub async fn break_off(self) {
        if let Some((_, keeper)) = self.keeper {
            keeper.abort();
            _ = keeper.await;
        }
    }
}

/// A test for each promise, over the places that an expression makes.
macro_rules! conformance_tests {
    ($fixture:expr) => {
        $crate::replay::conformance::conformance_tests! { $fixture;
            a_jti_is_new_once_per_app_and_again_after_its_end
            a_clock_that_is_set_forward_or_back_opens_no_window
            what_a_wrong_clock_recorded_ends_when_the_clock_is_right
            a_full_memory_refuses_and_no_app_takes_more_than_a_quarter
            what_has_ended_makes_room_though_its_apps_no_longer_call
            a_sweep_forgets_what_has_ended_and_nothing_else
            of_a_thousand_simultaneous_uses_one_is_the_first
            a_use_whose_caller_left_stays_used
            a_call_that_comes_after_the_tokens_end_is_not_let_through
            a_look_changes_nothing
            any_sequence_of_uses_and_clocks_lets_each_token_through_once
        }
    };
    ($fixture:expr; $($promise:ident)*) => {$(
        #[tokio::test]
        async fn $promise() {
            $crate::replay::conformance::$promise(&$fixture).await;
        }
    )*};
}
pub(crate) use conformance_tests;

/// The same, for memories with a journal.
macro_rules! restart_tests {
    ($fixture:expr) => {
        $crate::replay::conformance::conformance_tests! { $fixture;
            what_was_recorded_is_known_after_a_restart
            what_ended_long_ago_is_not_known_after_a_restart
            a_clock_that_is_ahead_at_a_restart_and_set_back_opens_no_window
            a_clock_that_is_behind_at_a_restart_keeps_nothing_for_ever
            what_has_ended_by_the_wall_clock_alone_takes_no_room_after_a_restart
            a_restart_keeps_more_than_there_is_room_for
        }
    };
}
pub(crate) use restart_tests;
