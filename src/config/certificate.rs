//! `client_certificate` of a route.

use serde::Deserialize;

use crate::policy::CertificateRule;

/// Whether one is needed, or what it has to be named.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "expected true, false, or { names = [\"…\"] }")]
pub(super) enum ClientCertificateKey {
    Needed(bool),
    Named(NamesSection),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NamesSection {
    names: Vec<String>,
}

impl ClientCertificateKey {
    pub fn resolve(&self) -> Result<Option<CertificateRule>, String> {
        match self {
            Self::Needed(needed) => Ok(needed.then_some(CertificateRule::Any)),
            Self::Named(NamesSection { names }) if names.is_empty() => {
                Err("names of nobody: write true for any certificate".to_owned())
            }
            Self::Named(NamesSection { names }) => {
                Ok(Some(CertificateRule::Named(names.iter().filter_map(|name| name.parse().ok()).collect())))
            }
        }
    }
}
