//! The memory that survives its process: the index decides, and a journal has the use before the call goes on.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, Histogram};
use tokio::sync::{mpsc, oneshot, watch};

use super::hash::UseHasher;
use super::index::{End, Index};
use super::{Answer, FirstUse, Journal, JournalEntry, JournalError, ReplayMemory};
use crate::clock::{Clock, Timestamp, instant};
use crate::health::Fault;
use crate::model::AppNumber;

/// How long a call waits for the journal.
const PATIENCE: Duration = Duration::from_secs(3);
/// Uses that wait for the journal; one more is refused at once.
const QUEUE: usize = 8192;
/// Uses of one commit.
const BATCH: usize = 1024;
/// How long after its end an entry goes from the journal: longer than a call may be under way before it gets here.
const SLACK: Duration = Duration::from_secs(60);

/// Decides at once and answers when the journal has the use; the [`Keeper`] writes it.
pub struct Journalled {
    hasher: UseHasher,
    index: Arc<Index>,
    uses: mpsc::Sender<Use>,
    ended: watch::Sender<Timestamp>,
}

/// A use that is in the index and has to get into the journal.
struct Use {
    entry: JournalEntry,
    end: End,
    /// Told whether the journal has it.
    done: oneshot::Sender<bool>,
}

impl Journalled {
    /// Reads the journal. The memory answers as long as its keeper runs.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub async fn open<J: Journal>(
        mut journal: J,
        max_entries: usize,
        clock: Clock,
    ) -> Result<(Self, Keeper<J>), JournalError> {
        let hasher = UseHasher::new(journal.hash_key());
        let now = clock.now();
        let index = Arc::new(Index::new(max_entries, clock));
        if let Some(last) = journal.last().await? {
            loop {
                let entries = journal.read().await?;
                if entries.is_empty() {
                    break;
                }
                for entry in &entries {
                    index.restore(entry, last, now);
                }
            }
        }
        let (uses, requests) = mpsc::channel(QUEUE);
        let (ended, told) = watch::channel(Timestamp::from_millis(i64::MIN));
        let keeper = Keeper {
            journal,
            index: Arc::clone(&index),
            requests,
            ended: told,
            bound: Timestamp::from_millis(i64::MIN),
            soonest: Timestamp::MAX,
            fault: Fault::default(),
            meters: Meters::new(),
        };
        Ok((Self { hasher, index, uses, ended }, keeper))
    }
}

impl ReplayMemory for Journalled {
    fn is_used(&self, app: AppNumber, jti: &str, now: Timestamp) -> bool {
        self.index.knows(self.hasher.hash(app, jti), now)
    }

    fn first_use(&self, app: AppNumber, jti: &str, until: Timestamp, now: Timestamp) -> Answer {
        let hash = self.hasher.hash(app, jti);
        let end = match self.index.record(hash, app, until, now) {
            Ok(end) => end,
            Err(why) => return Answer::Now(why),
        };
        let (done, answer) = oneshot::channel();
        let entry = JournalEntry { hash, app, until, at: now };
        if self.uses.try_send(Use { entry, end, done }).is_err() {
            self.index.release(hash, end);
            return Answer::Now(FirstUse::Unavailable);
        }
        Answer::Later(Box::pin(async {
            match tokio::time::timeout(PATIENCE, answer).await {
                Ok(Ok(true)) => FirstUse::Recorded,
                // Too late, refused, or nobody there any more. The journal may get it yet, so the index keeps it.
                _ => FirstUse::Unavailable,
            }
        }))
    }

    fn sweep(&self, now: Timestamp) -> usize {
        let swept = self.index.sweep(now);
        let left = swept.earliest.unwrap_or(Timestamp::MAX).before(Duration::from_secs(1));
        self.ended.send_replace(now.before(SLACK).min(left));
        swept.gone
    }

    fn entries(&self) -> usize {
        self.index.len()
    }
}

/// Writes the journal of a [`Journalled`] memory: what has queued up during a commit goes into the next one.
pub struct Keeper<J> {
    journal: J,
    index: Arc<Index>,
    requests: mpsc::Receiver<Use>,
    ended: watch::Receiver<Timestamp>,
    /// What ended by then may go from the journal.
    bound: Timestamp,
    /// The earliest end among what was appended since the bound was set.
    soonest: Timestamp,
    fault: Fault,
    meters: Meters,
}

impl<J: Journal> Keeper<J> {
    /// Tells there, too, what is wrong with the journal.
    #[must_use]
    pub fn telling(self, fault: Fault) -> Self {
        Self { fault, ..self }
    }

    /// Runs until it is told to stop; then writes what was asked for before, and closes the journal.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let (mut batch, mut is_stopping, mut is_behind) = (Vec::with_capacity(BATCH), false, false);
        loop {
            tokio::select! {
                count = self.requests.recv_many(&mut batch, BATCH) => match count {
                    0 => break,
                    _ => self.write(&mut batch).await,
                },
                () = &mut stop, if !is_stopping => {
                    is_stopping = true;
                    self.requests.close();
                }
                Ok(()) = self.ended.changed() => {
                    self.set_bound();
                    let is_failing = self.fault.get().is_some();
                    let checked = self.journal.check(is_failing).await;
                    is_behind = checked.is_ok();
                    self.tell(checked);
                }
                () = std::future::ready(()), if is_behind => {}
            }
            // A slice after each commit: neither keeps the other waiting.
            is_behind = is_behind && self.forget().await;
        }
        if let Err(error) = self.journal.close().await {
            tracing::error!(%error, "the replay journal was not closed; what was recorded is in it");
        }
    }

    async fn write(&mut self, batch: &mut Vec<Use>) {
        let entries: Vec<_> = batch.iter().map(|u| u.entry).collect();
        for entry in &entries {
            self.soonest = self.soonest.min(entry.until);
        }
        self.bound = self.bound.min(just_before(self.soonest));
        let started = instant();
        let written = self.journal.append(&entries).await;
        self.meters.commit.record(instant().duration_since(started).as_secs_f64());
        #[expect(clippy::cast_precision_loss, reason = "histograms are of floating-point numbers")]
        self.meters.batch.record(entries.len() as f64);
        let is_written = written.is_ok();
        self.tell(written);
        for Use { entry, end, done } in batch.drain(..) {
            if !is_written {
                self.index.release(entry.hash, end);
            }
            // A caller who left does not want to know.
            _ = done.send(is_written);
        }
    }

    /// A sweep does not see what is recorded while it goes on: if the wall clock was set back meanwhile, that may end
    /// before what the sweep calls over.
    fn set_bound(&mut self) {
        self.bound = (*self.ended.borrow_and_update()).min(just_before(self.soonest));
        self.soonest = Timestamp::MAX;
    }

    /// Whether there is more to forget.
    async fn forget(&mut self) -> bool {
        let forgotten = self.journal.forget(self.bound).await;
        let is_behind = matches!(forgotten, Ok(true));
        // That there was nothing to forget says nothing of a disk that is full.
        if let Err(error) = forgotten {
            self.tell(Err(error));
        }
        is_behind
    }

    /// Counts each error, and logs the first of a row and its end.
    fn tell(&mut self, outcome: Result<(), JournalError>) {
        match outcome {
            Ok(()) if self.fault.clear() => tracing::info!("the replay journal takes entries again"),
            Ok(()) => {}
            Err(error) => {
                self.meters.errors.increment(1);
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                let what = cause.as_ref().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
                if self.fault.set(what) {
                    tracing::error!(%error, cause, "tokens of single use are refused until this is mended");
                }
            }
        }
    }
}

fn just_before(time: Timestamp) -> Timestamp {
    time.before(Duration::from_millis(1))
}

struct Meters {
    commit: Histogram,
    batch: Histogram,
    errors: Counter,
}

impl Meters {
    fn new() -> Self {
        Self {
            commit: metrics::histogram!("scopegate_replay_commit_duration_seconds"),
            batch: metrics::histogram!("scopegate_replay_batch_size"),
            errors: metrics::counter!("scopegate_replay_errors_total"),
        }
    }
}
