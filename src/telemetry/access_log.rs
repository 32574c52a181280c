//! The access log: one JSON object a line, one line a call, written by a thread of its own.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde::Serialize;

use crate::gateway::{AccessLog, Entry};

/// How long a line may wait before it is written.
const INTERVAL: Duration = Duration::from_millis(100);
/// How long the end of a process waits for the last lines to be written.
const LAST_LINES: Duration = Duration::from_secs(2);
/// What may wait to be written. A reader that is slower than that loses lines, and no call waits for it.
const MAX_WAITING: usize = 16 << 20;

/// Writes nothing.
#[derive(Clone, Copy, Debug)]
pub struct NoLog;

impl AccessLog for NoLog {
    fn write(&self, _: &Entry<'_>) {}
}

/// Lines wait in memory and are written together. Dropping the log writes what waits, or gives up
/// after two seconds.
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
    is_over: bool,
}

impl JsonLog {
    /// # Errors
    /// When the system gives no thread.
    pub fn new(mut sink: impl Write + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let (written, all) = channel();
        let run = move || {
            let mut lines = Vec::new();
            loop {
                thread::park_timeout(INTERVAL);
                let is_over = theirs.take(&mut lines);
                // Nobody is left to tell when standard output is gone.
                _ = sink.write_all(&lines).and_then(|()| sink.flush());
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

impl Shared {
    fn take(&self, into: &mut Vec<u8>) -> bool {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut waiting.lines, into);
        waiting.is_over
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
        line.push(b'\n');
        let mut waiting = self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.lines.len() + line.len() > MAX_WAITING {
            metrics::counter!("scopegate_access_log_dropped_total").increment(1);
        } else {
            waiting.lines.extend_from_slice(&line);
        }
    }
}

/// A line, field by field; what is not known is left out. Neither query nor headers are in it: they may hold secrets.
#[derive(Serialize)]
struct Line<'a> {
    /// When the call came, RFC 3339.
    time: String,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<String>,
    method: &'a str,
    /// The method that was sent, where it was overridden.
    #[serde(skip_serializing_if = "Option::is_none")]
    override_from: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'a str>,
    path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    /// The client id that the token names; proved only where `verified` is true.
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'a str>,
    verified: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// The true reason, also where the caller was told less.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<&'a str>,
    /// complete, abandoned, cut or panicked.
    outcome: &'static str,
    duration_ms: f64,
    bytes_in: u64,
    bytes_out: u64,
}

impl<'a> Line<'a> {
    fn of(entry: &Entry<'a>) -> Self {
        Self {
            time: entry.at.to_string(),
            request_id: entry.request_id,
            peer: entry.peer.map(|p| p.address.to_string()),
            method: entry.method.as_str(),
            override_from: entry.overridden.map(http::Method::as_str),
            host: entry.host,
            path: entry.uri.path(),
            route: entry.route.map(|r| r.id.as_str()),
            app: entry.app.map(|a| a.client_id.as_str()),
            account: entry.app.map(|a| a.account.as_str()),
            verified: entry.is_verified,
            status: entry.status,
            reason: entry.reason.map(crate::model::Reason::code),
            expected: entry.expected,
            found: entry.found,
            outcome: entry.outcome.as_str(),
            duration_ms: (entry.duration.as_secs_f64() * 1e6).round() / 1e3,
            bytes_in: entry.bytes_in,
            bytes_out: entry.bytes_out,
        }
    }
}
