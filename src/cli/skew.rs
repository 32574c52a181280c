//! How far this machine's clock is from a gateway's, by the `Date` of an answer (RFC 9110 section 6.6.1).

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderMap, Request, Uri, header};

use super::call::{CallError, Transport};
use crate::clock::{Clock, Timestamp};

/// A measured difference.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Skew {
    /// This machine's clock less the gateway's: above zero where it is fast.
    millis: i64,
    /// How wrong that may be: `Date` has whole seconds, and an answer takes its time.
    within: Duration,
}

/// `Date` names the second in which the answer was made.
const HALF_A_SECOND: Duration = Duration::from_millis(500);

impl Skew {
    /// From when this clock said that the request went and the answer came; none where the answer has no `Date`.
    pub fn measure(sent: Timestamp, came: Timestamp, headers: &HeaderMap) -> Option<Self> {
        let date = http_date(headers.get(header::DATE)?.to_str().ok()?)?.after(HALF_A_SECOND);
        let underway = sent.until(came) / 2;
        let middle = sent.after(underway);
        Some(Self { millis: middle.millis().saturating_sub(date.millis()), within: HALF_A_SECOND + underway })
    }

    /// Whether there is a difference at all, as far as this can be told.
    pub fn is_seen(self) -> bool {
        self.size() > self.within
    }

    pub fn size(self) -> Duration {
        Duration::from_millis(self.millis.unsigned_abs())
    }

    /// Whole seconds, above zero where this machine's clock is fast.
    pub fn secs(self) -> i64 {
        if self.is_seen() { (self.millis + 500).div_euclid(1000) } else { 0 }
    }

    /// What the gateway's clock says when this one says `now`.
    pub fn corrected(self, now: Timestamp) -> Timestamp {
        if self.is_seen() { Timestamp::from_millis(now.millis().saturating_sub(self.millis)) } else { now }
    }

    /// What this clock says when the gateway's says `then`.
    pub fn local(self, then: Timestamp) -> Timestamp {
        if self.is_seen() { Timestamp::from_millis(then.millis().saturating_add(self.millis)) } else { then }
    }
}

impl fmt::Display for Skew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let within = self.within.as_millis().div_ceil(1000);
        match self.secs() {
            0 => write!(f, "no difference to be seen, within {within} s"),
            fast @ 1.. => write!(f, "{fast} s fast, within {within} s"),
            slow => write!(f, "{} s slow, within {within} s", slow.unsigned_abs()),
        }
    }
}

/// RFC 9110 section 5.6.7, in any of its three forms.
pub fn http_date(text: &str) -> Option<Timestamp> {
    let since = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp::default().after(since))
}

/// Asks whoever listens at the address; any answer will do, also a refusal.
///
/// # Errors
/// When there is no answer, or one without a `Date`.
pub async fn ask(url: &Uri, transport: &impl Transport, clock: &Clock) -> Result<Skew, CallError> {
    let request = Request::get(url.clone()).body(Bytes::new());
    let request = request.map_err(|error| CallError::NotMade(error.to_string()))?;
    let sent = clock.now();
    let answer = transport.send(request).await?;
    let measured = Skew::measure(sent, clock.now(), answer.headers());
    measured.ok_or_else(|| CallError::NoAnswer(format!("{url} answers without a Date, so its clock is unknown")))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const DATE: &str = "Sun, 22 Nov 2026 12:00:00 GMT";
    const NOON: Timestamp = Timestamp::from_secs(1_795_348_800);

    fn measured(ahead: i64, took: u64) -> Skew {
        let headers = HeaderMap::from_iter([(header::DATE, HeaderValue::from_static(DATE))]);
        let sent = Timestamp::from_millis(NOON.millis() + ahead);
        Skew::measure(sent, sent.after(Duration::from_millis(took)), &headers).unwrap()
    }

    #[test]
    fn a_date_is_read_in_each_of_its_forms() {
        for text in [DATE, "Sunday, 22-Nov-26 12:00:00 GMT", "Sun Nov 22 12:00:00 2026"] {
            assert_eq!(http_date(text), Some(NOON), "{text}");
        }
        for text in ["", "now", "1795348800", "2026-11-22T12:00:00Z"] {
            assert_eq!(http_date(text), None, "{text}");
        }
    }

    #[test]
    fn f159_a_clock_is_fast_or_slow_by_so_many_seconds() {
        assert_eq!(measured(120_500, 0).to_string(), "120 s fast, within 1 s");
        assert_eq!(measured(-119_500, 0).to_string(), "120 s slow, within 1 s");
        assert_eq!(measured(120_500, 2000).to_string(), "121 s fast, within 2 s");
        for same in [0, 500, 999] {
            assert_eq!(measured(same, 0).to_string(), "no difference to be seen, within 1 s");
        }
    }

    proptest! {
        #[test]
        fn a_corrected_clock_is_the_gateways_as_near_as_can_be_told(
            skew in -1_000_000_i64..1_000_000, within_second in 0_u64..1000, there in 0_u64..5000, back in 0_u64..5000,
        ) {
            let theirs = NOON.after(Duration::from_millis(within_second));
            let ours = |at: Timestamp| Timestamp::from_millis(at.millis() + skew);
            let headers = HeaderMap::from_iter([(header::DATE, HeaderValue::from_static(DATE))]);
            let (sent, came) = (theirs.before(Duration::from_millis(there)), theirs.after(Duration::from_millis(back)));
            let measured = Skew::measure(ours(sent), ours(came), &headers).unwrap();
            let error = measured.corrected(ours(came)).millis() - came.millis();
            // Where no difference is seen, none is taken away, and the one that is there is as small as what can be seen.
            let most = 2 * measured.within.as_millis() + 1;
            prop_assert!(u128::from(error.unsigned_abs()) <= most, "{error} of {most}");
            let there_and_back = measured.local(measured.corrected(came));
            prop_assert_eq!(there_and_back, came);
        }
    }
}
