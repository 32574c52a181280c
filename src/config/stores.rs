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
    /// # Errors
    /// What is wrong, and with which key.
    pub fn resolve(&self) -> Result<StoreLocation, (&'static str, String)> {
        const KNOWN: &str = "a store is a file of SQLite: url = \"sqlite://data/scopegate.db\"";
        file_of(&self.url, "store", KNOWN).map_err(|why| ("url", why))?;
        if self.key_file.as_ref().is_some_and(|path| path.as_os_str().is_empty()) {
            return Err(("key_file", "it names no file; without the key it is master.key beside the database".into()));
        }
        Ok(StoreLocation { url: self.url.clone(), key_file: self.key_file.clone() })
    }
}

impl StoreLocation {
    /// The database.
    pub fn path(&self) -> &Path {
        Path::new(self.url.strip_prefix("sqlite://").unwrap_or(&self.url))
    }
}

/// What has room in about 100 GB of memory.
const MOST_ENTRIES: usize = 1_000_000_000;

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
    pub fn resolve(&self, store: Option<&StoreLocation>) -> Result<ReplaySettings, (&'static str, String)> {
        const KNOWN: &str = "there are \"sqlite://data/replay.db\", and \"memory://\", which forgets at a restart";
        let max_entries = self.max_entries;
        if !(1..=MOST_ENTRIES).contains(&max_entries) {
            return Err(("max_entries", format!("{max_entries} is out of range: 1 to {MOST_ENTRIES}")));
        }
        let place = if self.url == "memory://" {
            if self.durability.is_some() {
                return Err(("durability", "memory:// keeps nothing; only sqlite:// has a durability".into()));
            }
            ReplayPlace::Memory
        } else {
            let path = file_of(&self.url, "replay memory", KNOWN).map_err(|why| ("url", why))?;
            if store.is_some_and(|store| same_file(store.path(), Path::new(path))) {
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

/// The file that a URL names, without what stands behind the scheme of another: it may be a password.
fn file_of<'u>(url: &'u str, what: &str, known: &str) -> Result<&'u str, String> {
    let Some((scheme, path)) = url.split_once("://") else { return Err(format!("no scheme; {known}")) };
    if scheme != "sqlite" {
        let scheme =
            if scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)) { scheme } else { "…" };
        return Err(format!("this version has no {what} at {scheme}://; {known}"));
    }
    if path.is_empty() || path.ends_with('/') || path.contains('?') || path == ":memory:" {
        return Err(format!("{path:?} is no file, without options after its name; {known}"));
    }
    if Path::new(path).is_dir() {
        return Err(format!("{path:?} is a folder, and the {what} is a file; {known}"));
    }
    Ok(path)
}

/// As far as their names tell.
pub(super) fn same_file<'p>(a: &'p Path, b: &'p Path) -> bool {
    let parts = |path: &'p Path| path.components().filter(|part| *part != Component::CurDir);
    parts(a).eq(parts(b))
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TelemetrySection {
    listen: SocketAddr,
    access_log: AccessLogTarget,
    route_histograms: usize,
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
        let listen = SocketAddr::from(([127, 0, 0, 1], 8082));
        Self { listen, access_log: AccessLogTarget::Stdout, route_histograms: 200 }
    }
}

/// The listener for `/healthz`, `/readyz` and `/metrics`, and the access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TelemetrySettings {
    pub listen: SocketAddr,
    /// Where each call is written, a JSON line each.
    pub access_log: AccessLogTarget,
    /// How many routes have a histogram of their own.
    pub route_histograms: usize,
}

impl TelemetrySection {
    pub fn resolve(&self) -> TelemetrySettings {
        let Self { listen, access_log, route_histograms } = self;
        TelemetrySettings { listen: *listen, access_log: access_log.clone(), route_histograms: *route_histograms }
    }
}
