//! How fast a request's body has to arrive, so that none is dripped without an end.

use std::sync::atomic::Ordering;
use std::time::Duration;

use http::{HeaderMap, Version};
use tokio::time::Instant;

use super::Limits;
use super::answer::grpc::Dialect;
use super::ledger::Ledger;

/// The average pace of a body, over the time that it was waited for.
pub(super) struct Pace {
    /// Bytes a second; 0 for none.
    least: u64,
    /// How long it may be waited for before it is judged.
    grace: Duration,
    /// Whether its content type says gRPC, whose messages come when they come.
    is_grpc: bool,
    is_http2: bool,
    waited: Duration,
    waits_since: Option<Instant>,
}

impl Pace {
    pub fn new(limits: &Limits, headers: &HeaderMap, version: Version) -> Self {
        Self {
            least: limits.body_rate,
            grace: limits.body_grace,
            is_grpc: Dialect::of(headers).is_some(),
            is_http2: version == Version::HTTP_2,
            waited: Duration::ZERO,
            waits_since: None,
        }
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
        // A content type, which any client can send, exempts no request where no gRPC is spoken.
        let speaks_grpc = self.is_grpc && (self.is_http2 || ledger.route.get().is_some_and(|route| route.grpc));
        if self.waited <= self.grace || speaks_grpc || ledger.is_answered.load(Ordering::Relaxed) {
            return false;
        }
        let received = u128::from(ledger.bytes_in());
        received * 1000 < u128::from(self.least) * self.waited.as_millis()
    }
}
