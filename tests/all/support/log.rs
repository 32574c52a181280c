//! An access log that is kept.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use scopegate::clock::Timestamp;
use scopegate::gateway::{AccessLog, Entry, Outcome};
use scopegate::model::Reason;

/// Entries in the order of their writing.
#[derive(Debug, Default)]
pub struct Log {
    lines: Mutex<Vec<Line>>,
    explains: AtomicBool,
}

/// An [`Entry`] that stays.
#[derive(Clone, Debug)]
pub struct Line {
    pub at: Timestamp,
    pub request_id: String,
    pub peer: Option<String>,
    pub client: Option<String>,
    pub method: String,
    pub override_from: Option<String>,
    pub uri: String,
    pub host: Option<String>,
    pub route: Option<String>,
    pub app: Option<String>,
    pub is_verified: bool,
    pub status: Option<u16>,
    pub reason: Option<Reason>,
    pub expected: Option<String>,
    pub found: Option<String>,
    pub outcome: Outcome,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub has_headers: bool,
}

impl AccessLog for Log {
    fn write(&self, entry: &Entry<'_>) {
        let owned = |text: &str| text.to_owned();
        let line = Line {
            at: entry.at,
            request_id: entry.request_id.to_owned(),
            peer: entry.peer.map(|p| p.address.to_string()),
            client: entry.client.map(|c| c.to_string()),
            method: entry.method.to_string(),
            override_from: entry.overridden.map(ToString::to_string),
            uri: entry.uri.to_string(),
            host: entry.host.map(owned),
            route: entry.route.map(|r| r.id.to_string()),
            app: entry.app.map(|a| a.client_id.to_string()),
            is_verified: entry.is_verified,
            status: entry.status,
            reason: entry.reason,
            expected: entry.expected.map(owned),
            found: entry.found.map(owned),
            outcome: entry.outcome,
            bytes_in: entry.bytes_in,
            bytes_out: entry.bytes_out,
            has_headers: entry.headers.is_some(),
        };
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    fn explains(&self) -> bool {
        self.explains.load(Ordering::Relaxed)
    }
}

impl Log {
    /// From now on refusals are to be explained.
    pub fn explain(&self) {
        self.explains.store(true, Ordering::Relaxed);
    }

    /// Takes what was written since the last time.
    pub fn take(&self) -> Vec<Line> {
        std::mem::take(&mut self.lines.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes the one entry that was written since the last time.
    #[track_caller]
    pub fn take_one(&self) -> Line {
        let mut lines = self.take();
        assert_eq!(lines.len(), 1, "one entry per call: {lines:#?}");
        lines.remove(0)
    }
}
