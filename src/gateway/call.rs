//! A call from its first byte on: its id, its moment, and the ledger of what becomes known about it.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderValue, Request};

use super::Refused;
use super::ledger::Ledger;
use crate::clock::Timestamp;
use crate::model::Refusal;
use crate::net::Peer;

/// What every step may know of the call that it works on.
#[derive(Clone, Debug)]
pub struct Call {
    pub id: RequestId,
    /// Read once; the whole call is judged at this moment.
    pub now: Timestamp,
    pub peer: Option<Peer>,
    pub(super) ledger: Arc<Ledger>,
}

impl Call {
    /// Whence the caller calls; none where nobody knows.
    pub fn address(&self) -> Option<IpAddr> {
        self.peer.map(|peer| peer.address.ip())
    }

    /// In the format of the call's route, once that is known.
    pub fn refused(&self, refusal: impl Into<Refusal>) -> Refused {
        let refused = Refused::new(refusal);
        match self.ledger.route.get() {
            Some(route) => refused.on(route),
            None => refused,
        }
    }
}

/// A request that is on record. Made by `record` alone.
pub struct Received<B> {
    request: Request<B>,
    call: Call,
}

impl<B> Received<B> {
    pub(super) fn new(request: Request<B>, call: Call) -> Self {
        Self { request, call }
    }

    pub(super) fn into_parts(self) -> (Request<B>, Call) {
        (self.request, self.call)
    }
}

/// 32 hexadecimal digits, unlike those of any other call.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId([u8; 32]);

impl RequestId {
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    pub(super) fn header_value(&self) -> HeaderValue {
        HeaderValue::from_bytes(&self.0).unwrap_or(HeaderValue::from_static("0"))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Gives out ids: a count under two keyed hashes, so that no caller can tell how many others there are.
#[derive(Debug, Default)]
pub(super) struct RequestIds {
    halves: [RandomState; 2],
    count: AtomicU64,
}

impl RequestIds {
    pub(super) fn next(&self) -> RequestId {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let halves = [self.halves[0].hash_one(count), self.halves[1].hash_one(count)];
        let mut id = [0; 32];
        for (i, digit) in id.iter_mut().enumerate() {
            let half = halves[i / 16];
            *digit = b"0123456789abcdef"[(half >> (60 - 4 * (i % 16)) & 15) as usize];
        }
        RequestId(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_32_hexadecimal_digits_and_never_alike() {
        let ids = RequestIds::default();
        let (a, b) = (ids.next(), ids.next());
        assert_ne!(a, b);
        assert!(a.as_str().len() == 32 && a.as_str().bytes().all(|c| c.is_ascii_hexdigit()));
        assert_ne!(RequestIds::default().next(), a);
    }
}
