//! How fast a request's body has to arrive, so that none is dripped without an end.

use std::sync::atomic::Ordering;
use std::time::Duration;

use http::{HeaderMap, header};
use tokio::time::Instant;

use super::Limits;
use super::ledger::Ledger;

/// The average pace of a body, over the time that it was waited for.
pub(super) struct Pace {
    /// Bytes a second; 0 for none.
    least: u64,
    /// How long it may be waited for before it is judged.
    grace: Duration,
    waited: Duration,
    waits_since: Option<Instant>,
}

impl Pace {
    /// Messages of gRPC come when they come.
    pub fn new(limits: &Limits, headers: &HeaderMap) -> Self {
        let of = headers.get(header::CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
        let is_grpc = of.get(..16).is_some_and(|start| start.eq_ignore_ascii_case(b"application/grpc"));
        let least = if is_grpc { 0 } else { limits.body_rate };
        Self { least, grace: limits.body_grace, waited: Duration::ZERO, waits_since: None }
    }

    /// Nothing is there.
    pub fn waits(&mut self) {
        if self.least > 0 {
            self.waits_since.get_or_insert_with(Instant::now);
        }
    }

    /// To be asked when something came, before it is counted.
    pub fn is_too_slow(&mut self, ledger: &Ledger) -> bool {
        let Some(since) = self.waits_since.take() else { return false };
        self.waited += since.elapsed();
        if self.waited <= self.grace || ledger.is_answered.load(Ordering::Relaxed) {
            return false;
        }
        let received = u128::from(ledger.bytes_in());
        received * 1000 < u128::from(self.least) * self.waited.as_millis()
    }
}
