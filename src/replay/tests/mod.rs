//! The memories of this module, and a journal that can be held up and made to fail.

mod double;
mod failures;

use super::conformance::{Fixture, Opened, conformance_tests, restart_tests};
use super::{InProcess, Journalled};
use crate::clock::Clock;
use double::Double;

mod in_process {
    use super::{Clock, Fixture, InProcess, Opened, conformance_tests};

    struct Nowhere;

    impl Fixture for Nowhere {
        async fn open(&self, max_entries: usize, clock: Clock) -> Opened {
            Opened::new(InProcess::new(max_entries, clock).unwrap())
        }
    }

    conformance_tests!(Nowhere);
}

mod journalled {
    use super::{Clock, Double, Fixture, Opened, conformance_tests, restart_tests};

    impl Fixture for Double {
        async fn open(&self, max_entries: usize, clock: Clock) -> Opened {
            Opened::journalled(self.clone(), max_entries, clock).await
        }
    }

    conformance_tests!(Double::new());
    restart_tests!(Double::new());
}
