//! The one place that asks for the time.
//!
//! Everything else takes a [`Timestamp`] as an argument, so that expiry, leeway and replay windows are exact in tests.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01T00:00:00Z, without leap seconds (RFC 7519 section 2, NumericDate).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Later than any time that a token can name.
    pub const MAX: Self = Self(i64::MAX);

    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// The last one that RFC 3339 can write.
    const LAST_SECOND: i64 = 253_402_300_799;

    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds, rounded down.
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis(span)))
    }

    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis(span)))
    }

    /// How far `later` lies ahead; zero if it does not.
    pub fn until(self, later: Self) -> Duration {
        Duration::from_millis(u64::try_from(later.0.saturating_sub(self.0)).unwrap_or(0))
    }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// RFC 3339 with milliseconds, in UTC.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, second) = (self.secs().div_euclid(86_400), self.secs().rem_euclid(86_400));
        let (year, month, day) = civil_from_days(days);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
            second / 3600,
            second / 60 % 60,
            second % 60,
            self.0.rem_euclid(1000)
        )
    }
}

/// A text that names no moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoTimestamp(String);

impl fmt::Display for NoTimestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no time: write 2026-11-22T12:00:00Z or seconds since 1970", self.0)
    }
}

impl std::error::Error for NoTimestamp {}

/// RFC 3339 in UTC, or seconds since 1970.
impl FromStr for Timestamp {
    type Err = NoTimestamp;

    fn from_str(text: &str) -> Result<Self, NoTimestamp> {
        if let Ok(seconds) = text.parse::<i64>() {
            // A larger number is most likely in milliseconds.
            let is_time = (0..=Self::LAST_SECOND).contains(&seconds);
            return if is_time { Ok(Self::from_secs(seconds)) } else { Err(NoTimestamp(text.to_owned())) };
        }
        let time = humantime::parse_rfc3339_weak(text).ok();
        let since = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        since.map(|since| Self::default().after(since)).ok_or_else(|| NoTimestamp(text.to_owned()))
    }
}

/// The proleptic Gregorian date of a day counted from 1970-01-01: years start in March, so that the leap day comes last.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Tells the time: the system's, or one that a test sets.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    #[default]
    System,
    /// Wall and monotonic time that move only when told to.
    Manual(Arc<ManualClock>),
}

impl Clock {
    /// A clock that stands at `now` until it is told otherwise.
    pub fn manual(now: Timestamp) -> (Self, Arc<ManualClock>) {
        let manual = Arc::new(ManualClock { wall: AtomicI64::new(now.millis()), elapsed: AtomicI64::new(0) });
        (Self::Manual(Arc::clone(&manual)), manual)
    }

    pub fn now(&self) -> Timestamp {
        match self {
            #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
            Self::System => match SystemTime::now().duration_since(UNIX_EPOCH) {
                Ok(since) => Timestamp(millis(since)),
                Err(before) => Timestamp(-millis(before.duration())),
            },
            Self::Manual(manual) => Timestamp(manual.wall.load(Ordering::SeqCst)),
        }
    }

    /// Time since some fixed moment, which never goes back.
    pub fn monotonic(&self) -> Duration {
        match self {
            #[expect(clippy::disallowed_methods, reason = "the one place that reads the monotonic clock")]
            Self::System => {
                static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(instant);
                START.elapsed()
            }
            Self::Manual(manual) => {
                Duration::from_millis(u64::try_from(manual.elapsed.load(Ordering::SeqCst)).unwrap_or(0))
            }
        }
    }
}

/// A moment to measure durations from; never compared with a token's claims.
pub fn instant() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the monotonic clock")]
    Instant::now()
}

/// The hands of a [`Clock::Manual`].
#[derive(Debug)]
pub struct ManualClock {
    wall: AtomicI64,
    elapsed: AtomicI64,
}

impl ManualClock {
    /// Moves both clocks forward.
    pub fn advance(&self, span: Duration) {
        self.wall.fetch_add(millis(span), Ordering::SeqCst);
        self.elapsed.fetch_add(millis(span), Ordering::SeqCst);
    }

    /// Sets the wall clock alone, as an administrator or NTP would.
    pub fn set_wall(&self, now: Timestamp) {
        self.wall.store(now.millis(), Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_print_as_rfc_3339() {
        assert_eq!(Timestamp::from_secs(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Timestamp::from_millis(951_782_400_123).to_string(), "2000-02-29T00:00:00.123Z");
        assert_eq!(Timestamp::from_secs(1_795_348_801).to_string(), "2026-11-22T12:00:01.000Z");
        assert_eq!(Timestamp::from_millis(-1).to_string(), "1969-12-31T23:59:59.999Z");
    }

    #[test]
    fn a_timestamp_is_read_as_it_is_printed() {
        for millis in [0, 951_782_400_123, 1_795_348_801_000] {
            let at = Timestamp::from_millis(millis);
            assert_eq!(at.to_string().parse(), Ok(at));
        }
        assert_eq!("1795348801".parse(), Ok(Timestamp::from_secs(1_795_348_801)));
        for no in ["", "tomorrow", "1969-12-31T23:59:59Z", "2026-13-01T00:00:00Z"] {
            assert_eq!(no.parse::<Timestamp>(), Err(NoTimestamp(no.to_owned())));
        }
    }

    #[test]
    fn a_manual_clock_moves_only_when_told_to() {
        let (clock, hands) = Clock::manual(Timestamp::from_secs(100));
        let start = clock.monotonic();
        hands.advance(Duration::from_secs(5));
        assert_eq!(clock.now(), Timestamp::from_secs(105));
        hands.set_wall(Timestamp::from_secs(50));
        assert_eq!(clock.now(), Timestamp::from_secs(50));
        assert_eq!(clock.monotonic(), start + Duration::from_secs(5));
    }
}
