//! `[store]`, `[replay]` and `[telemetry]`.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct StoreSection {
    url: String,
    key_file: Option<PathBuf>,
}

impl Default for StoreSection {
    fn default() -> Self {
        Self { url: "sqlite://data/scopegate.db".into(), key_file: None }
    }
}

/// Where the registry is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreLocation {
    pub url: String,
    /// The master key of sealed secrets; beside the database if absent.
    pub key_file: Option<PathBuf>,
}

impl StoreSection {
    pub fn resolve(&self) -> StoreLocation {
        StoreLocation { url: self.url.clone(), key_file: self.key_file.clone() }
    }
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ReplaySection {
    url: String,
    max_entries: usize,
}

impl Default for ReplaySection {
    fn default() -> Self {
        Self { url: "memory://".into(), max_entries: 10_000_000 }
    }
}

/// How used tokens are remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplaySettings {
    pub max_entries: usize,
}

impl ReplaySection {
    /// # Errors
    /// What is wrong, and with which key.
    pub fn resolve(&self) -> Result<ReplaySettings, (&'static str, String)> {
        if self.url != "memory://" {
            return Err(("url", format!("{:?} is no replay memory; this version has \"memory://\"", self.url)));
        }
        if self.max_entries == 0 {
            return Err(("max_entries", "at least 1".into()));
        }
        Ok(ReplaySettings { max_entries: self.max_entries })
    }
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TelemetrySection {
    listen: SocketAddr,
    access_log: AccessLogTarget,
}

/// Where the access log goes: `true`, `false`, or a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessLogTarget {
    Nowhere,
    Stdout,
    File(PathBuf),
}

impl<'de> Deserialize<'de> for AccessLogTarget {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Target;

        impl Visitor<'_> for Target {
            type Value = AccessLogTarget;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true for standard output, false for none, or the path of a file")
            }

            fn visit_bool<E>(self, is_on: bool) -> Result<AccessLogTarget, E> {
                Ok(if is_on { AccessLogTarget::Stdout } else { AccessLogTarget::Nowhere })
            }

            fn visit_str<E: Error>(self, path: &str) -> Result<AccessLogTarget, E> {
                if path.is_empty() {
                    return Err(E::invalid_value(Unexpected::Str(path), &self));
                }
                Ok(AccessLogTarget::File(path.into()))
            }
        }

        deserializer.deserialize_any(Target)
    }
}

impl Default for TelemetrySection {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 8082)), access_log: AccessLogTarget::Stdout }
    }
}

/// The listener for `/healthz`, `/readyz` and `/metrics`, and the access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TelemetrySettings {
    pub listen: SocketAddr,
    /// Where each call is written, a JSON line each.
    pub access_log: AccessLogTarget,
}

impl TelemetrySection {
    pub fn resolve(&self) -> TelemetrySettings {
        TelemetrySettings { listen: self.listen, access_log: self.access_log.clone() }
    }
}
