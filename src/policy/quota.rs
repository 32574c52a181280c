//! How many calls of a kind are let through, and by what they are counted. Counting is the gateway's.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::num::NonZeroU32;
use std::time::Duration;

use crate::model::QuotaName;

/// A bound on calls. All of its windows apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    pub name: QuotaName,
    pub windows: Vec<QuotaWindow>,
    /// Calls are counted apart that differ in one of these; nothing counts all calls together.
    pub key: Vec<QuotaKey>,
}

/// Names tell quotas apart well enough for a hash.
impl Hash for Quota {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

/// What a call is counted by. A call that has no such thing, as a token without `sub`, counts as one of all that have none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QuotaKey {
    App,
    /// The app's.
    Account,
    /// The one in the path.
    Bot,
    Route,
    /// The token's.
    Subject,
    /// The address of the connection's other end; of an IPv6 address its network of 64 bits.
    Peer,
    /// A parameter of the path.
    Param(String),
}

impl QuotaKey {
    /// Whether only an app's token tells it.
    pub const fn needs_app(&self) -> bool {
        matches!(self, Self::App | Self::Account | Self::Bot | Self::Subject)
    }
}

/// As a configuration writes it.
impl fmt::Display for QuotaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::App => "app",
            Self::Account => "account",
            Self::Bot => "bot",
            Self::Route => "route",
            Self::Subject => "subject",
            Self::Peer => "peer",
            Self::Param(name) => return write!(f, "param:{name}"),
        })
    }
}

/// So many calls in a time. They may come at once, and come back evenly over the time: after a burst of all of them, one
/// more is let through each [`interval`](Self::interval). A stretch of any length `t` has at most `calls + t / interval`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QuotaWindow {
    calls: NonZeroU32,
    per: Duration,
}

impl QuotaWindow {
    /// The most calls in a second: intervals stay long against the nanosecond that they are counted in.
    const MAX_RATE: u64 = 1_000_000;
    const MAX_PER: Duration = Duration::from_secs(366 * 24 * 3600);

    /// # Errors
    /// When there are no calls, or too many; when the time is no whole number of seconds, or longer than a year.
    pub fn new(calls: u32, per: Duration) -> Result<Self, &'static str> {
        let Some(calls) = NonZeroU32::new(calls) else {
            return Err("calls = 0 lets nothing through: leave the route out");
        };
        if per.as_secs() == 0 || per.subsec_nanos() != 0 || per > Self::MAX_PER {
            return Err("per is in whole seconds, from \"1s\" to \"366days\"");
        }
        if u64::from(calls.get()) > per.as_secs().saturating_mul(Self::MAX_RATE) {
            return Err("more than a million calls a second");
        }
        Ok(Self { calls, per })
    }

    pub const fn calls(&self) -> NonZeroU32 {
        self.calls
    }

    pub const fn per(&self) -> Duration {
        self.per
    }

    /// After how long one call more comes back.
    pub fn interval(&self) -> Duration {
        self.per / self.calls.get()
    }
}

impl fmt::Display for QuotaWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} calls in {}", self.calls, humantime::format_duration(self.per))
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |parts: Vec<String>| parts.join(" and ");
        let windows = list(self.windows.iter().map(ToString::to_string).collect());
        match &self.key[..] {
            [] => write!(f, "{}: {windows}, over all callers", self.name),
            key => write!(f, "{}: {windows}, by {}", self.name, list(key.iter().map(ToString::to_string).collect())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_one_that_can_be_counted() {
        let window = QuotaWindow::new(600, Duration::from_secs(60)).unwrap();
        assert_eq!((window.interval(), window.to_string()), (Duration::from_millis(100), "600 calls in 1m".to_owned()));
        assert!(QuotaWindow::new(1_000_000, Duration::from_secs(1)).is_ok());
        assert!(QuotaWindow::new(1, Duration::from_secs(366 * 24 * 3600)).is_ok());
        let seconds = Duration::from_secs;
        for (calls, per) in [
            (0, seconds(1)),
            (1, seconds(0)),
            (1, Duration::from_millis(1500)),
            (1, seconds(366 * 24 * 3600 + 1)),
            (1_000_001, seconds(1)),
        ] {
            assert!(QuotaWindow::new(calls, per).is_err(), "{calls} in {per:?}");
        }
    }

    #[test]
    fn a_quota_reads_as_a_sentence() {
        let window = |calls, per| QuotaWindow::new(calls, Duration::from_secs(per)).unwrap();
        let windows = vec![window(60, 60), window(1800, 3600)];
        let key = vec![QuotaKey::Account, QuotaKey::Param("table".into())];
        let quota = Quota { name: QuotaName::new("tables").unwrap(), windows, key };
        assert_eq!(quota.to_string(), "tables: 60 calls in 1m and 1800 calls in 1h, by account and param:table");
        let quota = Quota { key: Vec::new(), ..quota };
        assert!(quota.to_string().ends_with(", over all callers"));
    }
}
