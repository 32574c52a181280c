//! The memory of used tokens that the configuration names.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::StartError;
use crate::clock::{Clock, instant};
use crate::config::{ReplayPlace, ReplaySettings};
use crate::replay::{InProcess, Journalled, Keeper, ReplayMemory};
use crate::store::ReplayJournal;

/// How long the end of a process waits for a disk that hangs.
const LAST_ENTRIES: Duration = Duration::from_secs(10);

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

    /// Writes what is under way and closes the file, if the disk lets it. To be called when no worker is left.
    pub async fn close(self) {
        _ = self.stop.send(());
        if tokio::time::timeout(LAST_ENTRIES, self.keeper).await.is_err() {
            tracing::error!(limit = ?LAST_ENTRIES, "the replay journal was not closed in time");
        }
    }
}
