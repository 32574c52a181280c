//! First use of a `jti` (RFC 7519 section 4.1.7): an exact memory that never forgets early.
//!
//! [`InProcess`] forgets at a restart. [`Journalled`] decides by the same index and has each first use in a [`Journal`]
//! before it says so. Both pass the tests of `conformance`.

mod awaited;
#[cfg(test)]
pub(crate) mod conformance;
mod hash;
mod in_process;
mod index;
mod journal;
mod journalled;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::pin::Pin;

pub use awaited::{Arrival, Awaited};
pub use hash::UseHash;
pub use in_process::InProcess;
pub use journal::{Durability, Journal, JournalEntry, JournalError};
pub use journalled::{Journalled, Keeper};

use crate::clock::Timestamp;
use crate::model::AppNumber;

/// The answer to "was this jti used before?".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FirstUse {
    /// It was not, and from now on it was.
    Recorded,
    Replayed,
    /// It has ended while the call was under way, so that a use may have been forgotten: it must not be let through.
    Ended,
    /// There is no room to remember it, so it must not be let through.
    Full,
    /// It can't be remembered now, or not known whether it was: it must not be let through, and may be used up by this.
    Unavailable,
}

/// An answer, or the wait for it.
pub enum Answer {
    Now(FirstUse),
    /// To be awaited in a tokio runtime that has timers. Dropping it leaves the jti used.
    Later(Pin<Box<dyn Future<Output = FirstUse> + Send>>),
}

impl Answer {
    pub async fn wait(self) -> FirstUse {
        match self {
            Self::Now(answer) => answer,
            Self::Later(answer) => answer.await,
        }
    }
}

/// Remembers each (app, jti) until its token has expired by wall clock and by monotonic clock, so that a clock that is
/// set back opens no window. Of any number of simultaneous uses, on any thread, at most one is [`FirstUse::Recorded`],
/// and that one is kept as durably as the memory promises before the answer is there. Nothing is evicted: a full memory
/// says so, and no app may take more than a quarter of it. What can't be decided is never `Recorded`.
///
/// A trait object, not an enum: a request that comes this far pays an indirect call among a hash and a lock, and who
/// embeds the gateway can bring a memory of his own.
pub trait ReplayMemory: Send + Sync {
    /// Whether the jti is known to have been used. A look that changes nothing and decides nothing: between it and a
    /// first use others may come.
    fn is_used(&self, app: AppNumber, jti: &str, now: Timestamp) -> bool;

    /// Records the first use of a jti, to be remembered until `until`.
    fn first_use(&self, app: AppNumber, jti: &str, until: Timestamp, now: Timestamp) -> Answer;

    /// Forgets what both clocks have passed; how many. To be called every second or so, where it may take
    /// milliseconds.
    fn sweep(&self, now: Timestamp) -> usize;

    /// How many uses are remembered.
    fn entries(&self) -> usize;
}
