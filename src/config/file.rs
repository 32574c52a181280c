//! The configuration file as it is written.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::authenticator::AuthenticatorSection;
use super::cors::CorsSection;
use super::identity::IdentitySection;
use super::proxy::ProxySection;
use super::quota::QuotaSection;
use super::registry::RegistrySection;
use super::route::RouteSection;
use super::scope::ScopeSection;
use super::stores::{ReplaySection, StoreSection, TelemetrySection};
use super::tokens::{IcrSection, KhorosSection, OauthSection, TokensSection};
use super::upstream::UpstreamSection;

/// The main file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct MainFile {
    /// Whether the files that the configuration was read from are followed.
    pub watch: bool,
    pub profiles: Vec<String>,
    /// Patterns of files, relative to this one, that add to it.
    pub include: Vec<String>,
    pub profile: BTreeMap<String, ProfileSection>,
    pub proxy: ProxySection,
    pub telemetry: TelemetrySection,
    pub store: StoreSection,
    pub replay: ReplaySection,
    pub registry: RegistrySection,
    pub tokens: TokensSection,
    pub khoros: KhorosSection,
    pub icr: IcrSection,
    pub oauth: OauthSection,
    pub identity: IdentitySection,
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
    /// The hosts that its routes serve, or those of each authenticator's routes; any if absent.
    pub hosts: HostsKey,
    /// Pages of which origins may call its routes.
    pub cors: Option<CorsSection>,
    /// Whether its routes have the platform's quotas.
    pub quotas: bool,
}

impl Default for ProfileSection {
    fn default() -> Self {
        Self { upstream: None, hosts: HostsKey::default(), cors: None, quotas: true }
    }
}

/// One list for all routes of a profile, or one for the routes of each authenticator.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "expected a list of hosts, or { AUTHENTICATOR = [hosts] }")]
pub(super) enum HostsKey {
    All(Vec<String>),
    Each(BTreeMap<String, Vec<String>>),
}

impl Default for HostsKey {
    fn default() -> Self {
        Self::All(Vec::new())
    }
}

impl HostsKey {
    pub fn all(&self) -> impl Iterator<Item = &String> {
        let (all, each) = match self {
            Self::All(hosts) => (Some(hosts), None),
            Self::Each(each) => (None, Some(each)),
        };
        all.into_iter().flatten().chain(each.into_iter().flat_map(BTreeMap::values).flatten())
    }

    /// Those whose routes have hosts of their own.
    pub fn authenticators(&self) -> impl Iterator<Item = &String> {
        let each = if let Self::Each(each) = self { Some(each) } else { None };
        each.into_iter().flat_map(BTreeMap::keys)
    }

    /// The hosts of the routes of an authenticator.
    pub fn of(&self, authenticator: &str) -> &[String] {
        match self {
            Self::All(hosts) => hosts,
            Self::Each(each) => each.get(authenticator).map_or(&[], Vec::as_slice),
        }
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
