//! The configuration file as it is written.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::authenticator::AuthenticatorSection;
use super::proxy::ProxySection;
use super::quota::QuotaSection;
use super::registry::RegistrySection;
use super::route::RouteSection;
use super::scope::ScopeSection;
use super::stores::{ReplaySection, StoreSection, TelemetrySection};
use super::upstream::UpstreamSection;

/// The main file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct MainFile {
    pub profiles: Vec<String>,
    /// Patterns of files, relative to this one, that add to it.
    pub include: Vec<String>,
    pub profile: BTreeMap<String, ProfileSection>,
    pub proxy: ProxySection,
    pub telemetry: TelemetrySection,
    pub store: StoreSection,
    pub replay: ReplaySection,
    pub registry: RegistrySection,
    pub upstream: BTreeMap<String, UpstreamSection>,
    pub authenticator: BTreeMap<String, AuthenticatorSection>,
    pub quota: BTreeMap<String, QuotaSection>,
    pub route: Vec<RouteSection>,
    pub scope: Vec<ScopeSection>,
}

/// How a profile is used.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ProfileSection {
    /// Where its routes lead; needed where there are several upstreams.
    pub upstream: Option<String>,
    /// The hosts that its routes serve; any if absent.
    pub hosts: Vec<String>,
    /// Whether its routes have the platform's quotas.
    pub quotas: bool,
}

impl Default for ProfileSection {
    fn default() -> Self {
        Self { upstream: None, hosts: Vec::new(), quotas: true }
    }
}

/// A profile, or an included file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PartFile {
    pub upstream: BTreeMap<String, UpstreamSection>,
    pub authenticator: BTreeMap<String, AuthenticatorSection>,
    pub quota: BTreeMap<String, QuotaSection>,
    pub route: Vec<RouteSection>,
    pub scope: Vec<ScopeSection>,
}
