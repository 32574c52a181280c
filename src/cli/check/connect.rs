//! Tries everything that a configuration needs, and changes nothing.

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::{files, listeners, stores, upstreams};
use crate::clock::Timestamp;
use crate::clock::instant;
use crate::config::Config;
use crate::jose::{Certificate, ENDS_SOON, Validity};

/// How something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    Ok,
    /// It works, and somebody should look at it.
    Warning,
    Failed,
}

/// What was found.
#[derive(Debug)]
pub(super) struct Finding {
    pub outcome: Outcome,
    pub detail: String,
}

impl Finding {
    pub fn good(detail: impl Into<String>) -> Self {
        Self { outcome: Outcome::Ok, detail: detail.into() }
    }

    pub fn warning(detail: impl Into<String>) -> Self {
        Self { outcome: Outcome::Warning, detail: detail.into() }
    }

    pub fn failed(detail: impl Into<String>) -> Self {
        Self { outcome: Outcome::Failed, detail: detail.into() }
    }

    /// With the whole chain of causes.
    pub fn broken(error: &dyn std::error::Error) -> Self {
        let (mut text, mut cause) = (error.to_string(), error.source());
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        Self::failed(text)
    }

    /// As good as a certificate is now.
    pub fn of_certificate(certificate: &Certificate, now: Timestamp) -> Self {
        let end = certificate.not_after();
        match certificate.validity(now) {
            Validity::Over(_) => Self::failed(format!("the certificate ended at {end}")),
            Validity::NotYet(from) => Self::failed(format!("the certificate begins at {from}")),
            Validity::Good => {
                let days = now.until(end).as_secs() / 86_400;
                let text = format!("the certificate ends in {days} {}", if days == 1 { "day" } else { "days" });
                if now.until(end) < ENDS_SOON { Self::warning(text) } else { Self::good(text) }
            }
        }
    }

    /// The worse of both, with what both say.
    pub fn and(self, other: &Self) -> Self {
        let outcome = match (self.outcome, other.outcome) {
            (Outcome::Failed, _) | (_, Outcome::Failed) => Outcome::Failed,
            (Outcome::Warning, _) | (_, Outcome::Warning) => Outcome::Warning,
            (Outcome::Ok, Outcome::Ok) => Outcome::Ok,
        };
        Self { outcome, detail: format!("{}; {}", self.detail, other.detail) }
    }
}

/// One thing that was tried.
#[derive(Debug, Serialize)]
pub(super) struct Trial {
    /// What it is for, such as `upstream bots`.
    check: String,
    /// Which one, such as its address.
    target: String,
    outcome: Outcome,
    detail: String,
    #[serde(rename = "milliseconds", serialize_with = "milliseconds")]
    took: Duration,
}

fn milliseconds<S: Serializer>(took: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((took.as_secs_f64() * 1e6).round() / 1e3)
}

impl Trial {
    pub async fn of(
        check: impl Into<String>,
        target: impl Into<String>,
        trying: impl Future<Output = Finding>,
    ) -> Self {
        let started = instant();
        let Finding { outcome, detail } = trying.await;
        let took = instant().duration_since(started);
        Self { check: check.into(), target: target.into(), outcome, detail, took }
    }

    pub fn has_failed(&self) -> bool {
        self.outcome == Outcome::Failed
    }
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.outcome {
            Outcome::Ok => "ok",
            Outcome::Warning => "warning",
            Outcome::Failed => "FAILED",
        };
        let took = format!("{:.1} ms", self.took.as_secs_f64() * 1e3);
        write!(f, "{mark:8}{:18} {:34} {took:>10}  {}", self.check, self.target, self.detail)
    }
}

/// All of it, in the order in which a start and a call need it.
pub(super) async fn try_all(config: &Config, now: Timestamp) -> Vec<Trial> {
    let mut trials = files::try_all(&config.files, now).await;
    trials.extend(stores::try_all(config, now).await);
    trials.extend(listeners::try_all(config).await);
    trials.extend(upstreams::try_all(config, now).await);
    trials
}
