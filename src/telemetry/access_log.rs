//! The access log: one JSON object a line, one line a call, written by a thread of its own.

use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::line::{Line, escape, finish};
use super::log_file::LogFile;
use crate::clock::instant;
use crate::gateway::{AccessLog, Entry};
use crate::policy::Case;

/// How long a line may wait before it is written.
const INTERVAL: Duration = Duration::from_millis(100);
/// How long the end of a process waits for the last lines to be written.
const LAST_LINES: Duration = Duration::from_secs(2);
/// What may wait to be written. A reader that is slower than that loses lines, and no call waits for it.
const MAX_WAITING: usize = 16 << 20;
/// How many refused calls are looked into within a second. Garbage gets no more of the processor than that.
const CASES_A_SECOND: u32 = 10;

/// Writes nothing.
#[derive(Clone, Copy, Debug)]
pub struct NoLog;

impl AccessLog for NoLog {
    fn write(&self, _: &Entry<'_>) {}
}

/// Lines wait in memory and are written together. Dropping the log writes what waits, or gives up
/// after two seconds.
///
/// What is behind a refusal is found out here, between the end of the call and the writing of its line: by then the
/// answer is with the caller, and no call shares this thread.
pub struct JsonLog {
    shared: Arc<Shared>,
    writer: JoinHandle<()>,
    written: Mutex<Receiver<()>>,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    lines: Vec<u8>,
    cases: Vec<Open>,
    budget: Budget,
    is_over: bool,
}

/// A line that is not finished.
struct Open {
    line: Vec<u8>,
    case: Case,
}

/// So many cases a second.
#[derive(Default)]
struct Budget(Option<(Instant, u32)>);

impl Budget {
    fn takes_one(&mut self, now: Instant) -> bool {
        let (_, taken) = match &mut self.0 {
            Some(second) if now.duration_since(second.0) < Duration::from_secs(1) => second,
            second => second.insert((now, 0)),
        };
        let is_within = *taken < CASES_A_SECOND;
        *taken += u32::from(is_within);
        is_within
    }
}

impl JsonLog {
    /// # Errors
    /// When the system gives no thread.
    pub fn new(mut sink: impl Write + Send + 'static) -> io::Result<Self> {
        Self::writing(move |lines| sink.write_all(lines).and_then(|()| sink.flush()))
    }

    /// Appends to a file, made with mode 0640 if it is missing, and made again when it was moved away.
    ///
    /// # Errors
    /// When the file can't be written to, or the system gives no thread.
    pub fn to_file(path: &Path) -> io::Result<Self> {
        let mut file = LogFile::open(path)?;
        Self::writing(move |lines| file.append(lines))
    }

    fn writing(mut write: impl FnMut(&[u8]) -> io::Result<()> + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let (written, all) = channel();
        let run = move || {
            let mut lines = Vec::new();
            loop {
                thread::park_timeout(INTERVAL);
                let (cases, is_over) = theirs.take(&mut lines);
                for case in cases {
                    case.solve(&mut lines);
                }
                if !lines.is_empty() && write(&lines).is_err() {
                    lost(lines.split(|byte| *byte == b'\n').count() - 1);
                }
                lines.clear();
                if is_over {
                    _ = written.send(());
                    return;
                }
            }
        };
        let writer = thread::Builder::new().name("access-log".into()).spawn(run)?;
        Ok(Self { shared, writer, written: Mutex::new(all) })
    }
}

fn lost(lines: usize) {
    metrics::counter!("scopegate_access_log_dropped_total").increment(lines as u64);
}

impl Open {
    /// Looks into the case and finishes the line.
    fn solve(mut self, lines: &mut Vec<u8>) {
        // It reads what strangers send: should that ever make it panic, the log goes on.
        let case = self.case;
        let solved = catch_unwind(AssertUnwindSafe(|| case.solve())).ok();
        let (expected, found) = solved.map_or((None, None), |refusal| (refusal.expected, refusal.found));
        finish(&mut self.line, expected.as_deref(), found.as_deref());
        lines.append(&mut self.line);
    }
}

impl Shared {
    fn take(&self, into: &mut Vec<u8>) -> (Vec<Open>, bool) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut waiting.lines, into);
        (std::mem::take(&mut waiting.cases), waiting.is_over)
    }
}

impl Drop for JsonLog {
    fn drop(&mut self) {
        self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner).is_over = true;
        self.writer.thread().unpark();
        // A reader that has stopped reading holds nobody up.
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        _ = written.recv_timeout(LAST_LINES);
    }
}

impl AccessLog for JsonLog {
    fn write(&self, entry: &Entry<'_>) {
        let mut line = Vec::with_capacity(512);
        if serde_json::to_writer(&mut line, &Line::of(entry)).is_err() {
            return;
        }
        escape(&mut line);
        let mut waiting = self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.lines.len() + line.len() > MAX_WAITING {
            return lost(1);
        }
        let case = if entry.is_open() && waiting.budget.takes_one(instant()) { entry.case() } else { None };
        match case {
            None => {
                finish(&mut line, entry.expected, entry.found);
                waiting.lines.extend_from_slice(&line);
            }
            Some(case) => waiting.cases.push(Open { line, case }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_cases_are_taken_than_the_second_has() {
        let (mut budget, start) = (Budget::default(), instant());
        let taken = |budget: &mut Budget, at| (0..100).filter(|_| budget.takes_one(at)).count();
        assert_eq!(taken(&mut budget, start), 10);
        assert_eq!(taken(&mut budget, start + Duration::from_millis(999)), 0);
        assert_eq!(taken(&mut budget, start + Duration::from_secs(1)), 10);
    }
}
