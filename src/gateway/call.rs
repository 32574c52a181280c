//! A call from its first byte on: its id, its moment, and the ledger of what becomes known about it.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderMap, HeaderValue, Request};

use super::hygiene;
use super::ledger::Ledger;
use super::{Client, Refused};
use crate::clock::Timestamp;
use crate::model::Refusal;
use crate::net::Peer;

/// What every step may know of the call that it works on.
#[derive(Clone, Debug)]
pub struct Call {
    pub id: RequestId,
    /// Read once; the whole call is judged at this moment.
    pub now: Timestamp,
    /// The other end of the connection; none where whoever embeds the stack tells none.
    pub peer: Option<Peer>,
    pub client: Client,
    /// Whether trailers reach the caller. Over HTTP/1.1 most servers drop them, and callers don't look.
    pub(super) takes_trailers: bool,
    pub(super) ledger: Arc<Ledger>,
}

impl Call {
    /// Whence the client calls; none where nobody knows.
    pub fn address(&self) -> Option<IpAddr> {
        self.client.address
    }

    /// Whether the gateway stops and waits for it no longer.
    pub(super) fn is_cut(&self) -> bool {
        self.peer.as_ref().is_some_and(Peer::is_cut)
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

/// 32 hexadecimal digits, unlike those of any other call; or what a trusted proxy calls it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId {
    bytes: [u8; MAX_ID],
    length: u8,
}

/// Of an id that others made.
const MAX_ID: usize = 64;
const MIN_ID: usize = 8;

impl RequestId {
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.bytes()).unwrap_or_default()
    }

    pub(super) fn header_value(&self) -> HeaderValue {
        HeaderValue::from_bytes(self.bytes()).unwrap_or(HeaderValue::from_static("0"))
    }

    /// The one that came with the request, if it is well formed.
    pub(super) fn kept(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(hygiene::REQUEST_ID).iter();
        let (value, None) = (values.next()?.as_bytes(), values.next()) else { return None };
        let is_plain = value.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        ((MIN_ID..=MAX_ID).contains(&value.len()) && is_plain).then(|| Self::new(value))
    }

    fn new(text: &[u8]) -> Self {
        let mut bytes = [0; MAX_ID];
        bytes[..text.len()].copy_from_slice(text);
        Self { bytes, length: u8::try_from(text.len()).unwrap_or_default() }
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
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
        RequestId::new(&id)
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

    #[test]
    fn an_id_of_others_is_kept_if_it_can_stand_anywhere() {
        let kept = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(hygiene::REQUEST_ID, HeaderValue::from_str(value).unwrap());
            }
            RequestId::kept(&headers).map(|id| id.to_string())
        };
        let longest = "x".repeat(64);
        for id in ["12345678", "8f1c2e34-aaaa-4bbb-8ccc-000000000001", "req_1.A-b", &longest] {
            assert_eq!(kept(&[id]).as_deref(), Some(id));
        }
        let too_long = "x".repeat(65);
        for ids in [&[][..], &[""], &["1234567"], &["a b c d e"], &["\"12345678\""], &[&too_long], &["12345678"; 2]] {
            assert_eq!(kept(ids), None, "{ids:?}");
        }
    }
}
