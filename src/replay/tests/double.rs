use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;

use crate::clock::Timestamp;
use crate::replay::{Journal, JournalEntry, JournalError};
use crate::secret::Secret;

/// A journal in memory. Copies share what is in it, as a file does that is opened again.
#[derive(Clone)]
pub struct Double {
    key: Secret,
    state: Arc<Mutex<State>>,
    /// A permit lets one `append` go on.
    gate: Arc<Semaphore>,
    read: usize,
}

#[derive(Default)]
pub struct State {
    pub entries: Vec<JournalEntry>,
    /// How many each `append` brought.
    pub batches: Vec<usize>,
    pub is_failing: bool,
    pub is_closed: bool,
}

impl Double {
    pub fn new() -> Self {
        let gate = Arc::new(Semaphore::new(Semaphore::MAX_PERMITS));
        Self { key: Secret::new([7; 32]), state: Arc::default(), gate, read: 0 }
    }

    /// Every `append` waits until it is let on.
    pub fn held() -> Self {
        Self { gate: Arc::new(Semaphore::new(0)), ..Self::new() }
    }

    pub fn let_on(&self, appends: usize) {
        self.gate.add_permits(appends);
    }

    pub fn state<T>(&self, of: impl FnOnce(&mut State) -> T) -> T {
        of(&mut self.state.lock().unwrap())
    }

    pub fn fail(&self, is_failing: bool) {
        self.state(|state| state.is_failing = is_failing);
    }
}

impl Journal for Double {
    fn hash_key(&self) -> &Secret {
        &self.key
    }

    async fn last(&mut self) -> Result<Option<Timestamp>, JournalError> {
        Ok(self.state(|state| state.entries.iter().map(|e| e.at).max()))
    }

    async fn read(&mut self) -> Result<Vec<JournalEntry>, JournalError> {
        let entries: Vec<_> = self.state(|state| state.entries[self.read..].iter().take(7).copied().collect());
        self.read += entries.len();
        Ok(entries)
    }

    async fn append(&mut self, entries: &[JournalEntry]) -> Result<(), JournalError> {
        self.gate.acquire().await.unwrap().forget();
        self.state(|state| {
            state.batches.push(entries.len());
            if state.is_failing {
                return Err(JournalError::new("the disk is full"));
            }
            state.entries.extend(entries);
            Ok(())
        })
    }

    async fn forget(&mut self, until: Timestamp) -> Result<bool, JournalError> {
        self.state(|state| {
            state.entries.sort_by_key(|e| e.until);
            let ended = state.entries.iter().take_while(|e| e.until <= until).count();
            state.entries.drain(..ended.min(3));
            Ok(ended > 3)
        })
    }

    async fn check(&mut self, is_failing: bool) -> Result<(), JournalError> {
        let fails = self.state(|state| is_failing && state.is_failing);
        if fails { Err(JournalError::new("the disk is still full")) } else { Ok(()) }
    }

    async fn close(self) -> Result<(), JournalError> {
        self.state(|state| state.is_closed = true);
        Ok(())
    }
}
