//! A call from its first byte on: its id, its moment, and the ledger of what becomes known about it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use http::{HeaderValue, Request};

use super::ledger::Ledger;
use crate::clock::Timestamp;
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

/// A request that is on record. Made by `record` alone.
#[derive(Debug)]
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

/// Gives out ids: a random half for the process's run and a count.
#[derive(Debug)]
pub(super) struct RequestIds {
    run: u64,
    count: AtomicU64,
}

impl RequestIds {
    pub(super) fn new() -> Self {
        let mut random = [0; 16];
        // Without randomness ids of two runs may be alike; nothing else depends on them.
        _ = SystemRandom::new().fill(&mut random);
        let half = |at: usize| random[at..at + 8].iter().fold(0, |n, b| n << 8 | u64::from(*b));
        Self { run: half(0), count: AtomicU64::new(half(8) & 0xffff_ffff_0000_0000) }
    }

    pub(super) fn next(&self) -> RequestId {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let mut id = [0; 32];
        for (i, digit) in id.iter_mut().enumerate() {
            let half = if i < 16 { self.run } else { count };
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
        let ids = RequestIds::new();
        let (a, b) = (ids.next(), ids.next());
        assert_ne!(a, b);
        assert!(a.as_str().len() == 32 && a.as_str().bytes().all(|c| c.is_ascii_hexdigit()));
        assert_ne!(RequestIds::new().next(), a);
    }
}
