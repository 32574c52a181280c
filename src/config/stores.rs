//! `[store]`, `[replay]` and `[telemetry]`.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Component, Path, PathBuf};

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

use crate::replay::Durability;

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
    durability: Option<DurabilityName>,
    max_entries: usize,
}

#[derive(Clone, Copy, Debug, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum DurabilityName {
    Process,
    Power,
}

impl Default for ReplaySection {
    fn default() -> Self {
        Self { url: "sqlite://data/replay.db".into(), durability: None, max_entries: 10_000_000 }
    }
}

/// How used tokens are remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplaySettings {
    pub place: ReplayPlace,
    pub max_entries: usize,
}

/// Where used tokens are remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplayPlace {
    /// In the process, until it ends.
    Memory,
    /// In a journal of the process' own.
    Journal { path: PathBuf, durability: Durability },
}

impl ReplaySection {
    /// # Errors
    /// What is wrong, and with which key.
    pub fn resolve(&self, store: &StoreLocation) -> Result<ReplaySettings, (&'static str, String)> {
        if self.max_entries == 0 {
            return Err(("max_entries", "at least 1".into()));
        }
        let place = if self.url == "memory://" {
            if self.durability.is_some() {
                return Err(("durability", "memory:// keeps nothing; only sqlite:// has a durability".into()));
            }
            ReplayPlace::Memory
        } else {
            let path = journal_path(&self.url).map_err(|why| ("url", why))?;
            if store.url.strip_prefix("sqlite://").is_some_and(|store| same_file(store, path)) {
                return Err(("url", "that is the store's file; the journal is one of its own".into()));
            }
            let durability = match self.durability {
                None | Some(DurabilityName::Process) => Durability::Process,
                Some(DurabilityName::Power) => Durability::Power,
            };
            ReplayPlace::Journal { path: path.into(), durability }
        };
        Ok(ReplaySettings { place, max_entries: self.max_entries })
    }
}

fn journal_path(url: &str) -> Result<&str, String> {
    const KNOWN: &str = "there are \"sqlite://data/replay.db\", and \"memory://\", which forgets at a restart";
    let Some((scheme, path)) = url.split_once("://") else { return Err(format!("no scheme; {KNOWN}")) };
    // The rest of the URL may hold a password.
    if scheme != "sqlite" {
        return Err(format!("this version has no replay memory at {scheme}://; {KNOWN}"));
    }
    if path.is_empty() || path.ends_with('/') || path.contains('?') || path == ":memory:" {
        return Err(format!("{path:?} is no file, without options after its name; {KNOWN}"));
    }
    Ok(path)
}

/// As far as their names tell.
fn same_file<'p>(a: &'p str, b: &'p str) -> bool {
    let parts = |path: &'p str| Path::new(path).components().filter(|part| *part != Component::CurDir);
    parts(a).eq(parts(b))
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
