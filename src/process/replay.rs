//! The memory of used tokens that the configuration names.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::StartError;
use crate::clock::{Clock, instant};
use crate::config::{ReplayPlace, ReplaySettings};
use crate::health::Fault;
use crate::replay::{Arrival, Awaited, Durability, InProcess, JournalError, Journalled, Keeper, ReplayMemory};
use crate::store::ReplayJournal;

/// How long the end of a process waits for a disk that hangs.
const LAST_ENTRIES: Duration = Duration::from_secs(10);
/// Until a journal is tried again that can't be opened.
const ANOTHER_TRY: Duration = Duration::from_millis(500);

/// The memory, and what keeps its journal, if it has one.
pub(super) async fn open(
    settings: &ReplaySettings,
    clock: &Clock,
) -> Result<(Arc<dyn ReplayMemory>, Option<Keeper<ReplayJournal>>), StartError> {
    let (max_entries, clock) = (settings.max_entries, clock.clone());
    match &settings.place {
        ReplayPlace::Memory => {
            let memory = InProcess::new(max_entries, clock).map_err(|_| StartError::Randomness)?;
            Ok((Arc::new(memory), None))
        }
        ReplayPlace::Journal { path, durability } => {
            let started = instant();
            let journal =
                ReplayJournal::open(path, *durability).await.map_err(|fault| StartError::Replay(fault.into()))?;
            let opened = Journalled::open(journal, max_entries, clock).await;
            let (memory, keeper) = opened.map_err(StartError::Replay)?;
            let milliseconds = instant().duration_since(started).as_millis();
            tracing::info!(entries = memory.entries(), milliseconds, "replay journal read");
            Ok((Arc::new(memory), Some(keeper)))
        }
    }
}

/// A memory whose journal another process has, until it is free.
pub(super) struct Inheritance {
    path: PathBuf,
    durability: Durability,
    max_entries: usize,
    clock: Clock,
    arrival: Arrival,
}

/// The memory that is to come, if it has a journal at all: one without forgets at a restart, and this is one.
pub(super) fn inherit(settings: &ReplaySettings, clock: &Clock) -> Option<(Arc<dyn ReplayMemory>, Inheritance)> {
    let ReplayPlace::Journal { path, durability } = &settings.place else { return None };
    let (memory, arrival) = Awaited::new();
    let (path, durability, max_entries) = (path.clone(), *durability, settings.max_entries);
    Some((Arc::new(memory), Inheritance { path, durability, max_entries, clock: clock.clone(), arrival }))
}

impl Inheritance {
    /// Opens the journal when it is free, and keeps it.
    async fn keep(self, free: oneshot::Receiver<()>, stop: oneshot::Receiver<()>, fault: Fault) {
        _ = free.await;
        let (memory, keeper) = loop {
            match self.open().await {
                Ok(opened) => break opened,
                // Calls with tokens of single use are refused until it is there.
                Err(error) => {
                    if fault.set(format!("the replay journal can't be taken over: {error}")) {
                        tracing::error!(%error, "the replay journal can't be taken over; it is tried again");
                    }
                }
            }
            tokio::time::sleep(ANOTHER_TRY).await;
        };
        tracing::info!(entries = memory.entries(), "replay journal taken over");
        fault.clear();
        self.arrival.bring(Arc::new(memory));
        keeper.telling(fault).run(async { _ = stop.await }).await;
    }

    async fn open(&self) -> Result<(Journalled, Keeper<ReplayJournal>), JournalError> {
        let journal = ReplayJournal::open(&self.path, self.durability).await?;
        Journalled::open(journal, self.max_entries, self.clock.clone()).await
    }
}

/// A journal that is being kept, on the control runtime.
pub(super) struct Kept {
    stop: oneshot::Sender<()>,
    keeper: JoinHandle<()>,
}

impl Kept {
    pub fn new(keeper: Keeper<ReplayJournal>) -> Self {
        let (stop, stopped) = oneshot::channel();
        let keeper = tokio::spawn(keeper.run(async { _ = stopped.await }));
        Self { stop, keeper }
    }

    pub fn inheriting(inheritance: Inheritance, free: oneshot::Receiver<()>, fault: Fault) -> Self {
        let (stop, stopped) = oneshot::channel();
        let keeper = tokio::spawn(inheritance.keep(free, stopped, fault));
        Self { stop, keeper }
    }

    /// Writes what is under way and closes the file, if the disk lets it. To be called when no worker is left.
    pub async fn close(self) {
        _ = self.stop.send(());
        if tokio::time::timeout(LAST_ENTRIES, self.keeper).await.is_err() {
            tracing::error!(limit = ?LAST_ENTRIES, "the replay journal was not closed in time");
        }
    }
}
