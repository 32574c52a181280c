//! What a journal of first uses promises.

use std::error::Error;
use std::fmt;
use std::future::Future;

use super::UseHash;
use crate::clock::Timestamp;
use crate::model::AppNumber;
use crate::secret::Secret;

/// What a first use survives once it is recorded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Durability {
    /// The end of the process, however sudden.
    #[default]
    Process,
    /// The end of the power supply, too.
    Power,
}

/// A first use, as it is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct JournalEntry {
    pub hash: UseHash,
    pub app: AppNumber,
    /// When the token ends.
    pub until: Timestamp,
    /// When it was used.
    pub at: Timestamp,
}

/// Why a journal did not do what was asked.
#[derive(Debug)]
pub struct JournalError(Box<dyn Error + Send + Sync>);

impl JournalError {
    pub fn new(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Error for JournalError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// Keeps first uses over the end of the process. It has one owner, who asks one thing at a time.
///
/// What `append` has taken is there at the next start, as far as its durability promises; what it refused may be there or
/// not. Nothing goes but by `forget`.
pub trait Journal: Send + 'static {
    /// The key of the hashes in it: made with the journal, never changed, never shown.
    fn hash_key(&self) -> &Secret;

    /// When the newest entry was made, by the wall clock of then; none where the journal is empty.
    fn last(&mut self) -> impl Future<Output = Result<Option<Timestamp>, JournalError>> + Send;

    /// The next of the entries that were there when the journal was opened, some thousands at once; empty at the end.
    fn read(&mut self) -> impl Future<Output = Result<Vec<JournalEntry>, JournalError>> + Send;

    /// Takes all of them, or none, before it says so.
    fn append(&mut self, entries: &[JournalEntry]) -> impl Future<Output = Result<(), JournalError>> + Send;

    /// Removes some of the entries that ended at `until` or before, those of the last minute perhaps not yet; whether
    /// there is more to remove.
    fn forget(&mut self, until: Timestamp) -> impl Future<Output = Result<bool, JournalError>> + Send;

    /// Whether the journal is still the one that was opened, and, where it is said to fail, whether it takes entries again.
    /// Asked about once a second. While it is not the one that was opened, it takes none.
    fn check(&mut self, is_failing: bool) -> impl Future<Output = Result<(), JournalError>> + Send;

    /// Leaves the journal as one that was not broken off.
    fn close(self) -> impl Future<Output = Result<(), JournalError>> + Send;
}
