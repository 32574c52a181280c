//! What the reader of a connection learns from the requests that hyper made of what it read.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use http::{Request, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;

use super::Malformed;

const NONE_YET: u64 = u64::MAX;
const CHUNKED: u64 = u64::MAX - 1;
/// hyper takes no longer body.
const LONGEST: u64 = u64::MAX - 2;

/// How hyper reads the body of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Length(u64),
    Chunked,
}

/// Between the reader and the service of a connection, which run in one task.
#[derive(Debug)]
pub struct Turn {
    framing: AtomicU64,
    malformed: AtomicU8,
    asks_for_upgrade: AtomicBool,
    is_tunnel: AtomicBool,
}

impl Default for Turn {
    fn default() -> Self {
        Self {
            framing: AtomicU64::new(NONE_YET),
            malformed: AtomicU8::new(0),
            asks_for_upgrade: AtomicBool::new(false),
            is_tunnel: AtomicBool::new(false),
        }
    }
}

impl Turn {
    /// A request was made of the last header. What it was malformed by, where it stands for another.
    pub fn begin(&self, request: &Request<Incoming>) -> Option<Malformed> {
        let framing = match request.body().size_hint().exact() {
            Some(length) => length.min(LONGEST),
            None => CHUNKED,
        };
        self.asks_for_upgrade.store(request.extensions().get::<OnUpgrade>().is_some(), Ordering::Relaxed);
        self.framing.store(framing, Ordering::Relaxed);
        Malformed::from_code(self.malformed.swap(0, Ordering::Relaxed))
    }

    /// The response begins.
    pub fn answered(&self, status: StatusCode) {
        if self.asks_for_upgrade.load(Ordering::Relaxed) {
            // Success is an upgrade for CONNECT alone, which no route takes; to read on as if it were one is safe.
            let is_tunnel = status == StatusCode::SWITCHING_PROTOCOLS;
            self.is_tunnel.store(is_tunnel, Ordering::Relaxed);
            self.asks_for_upgrade.store(is_tunnel, Ordering::Relaxed);
        }
    }

    /// The next request stands for one that is malformed.
    pub(super) fn refuse(&self, malformed: Malformed) {
        self.malformed.store(malformed as u8, Ordering::Relaxed);
    }

    /// How the body of the request goes that has begun since it was last asked.
    pub(super) fn take_framing(&self) -> Option<Framing> {
        match self.framing.swap(NONE_YET, Ordering::Relaxed) {
            NONE_YET => None,
            CHUNKED => Some(Framing::Chunked),
            length => Some(Framing::Length(length)),
        }
    }

    /// Whether what comes next may be of another protocol.
    pub(super) fn may_upgrade(&self) -> bool {
        self.asks_for_upgrade.load(Ordering::Relaxed)
    }

    pub(super) fn is_tunnel(&self) -> bool {
        self.is_tunnel.load(Ordering::Relaxed)
    }
}
