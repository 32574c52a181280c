//! `[registry]`: how the commands treat what is stored.

use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RegistrySection {
    secrets: SecretsShown,
}

/// How often a shared secret can be seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretsShown {
    /// When it is made, and never again.
    #[default]
    ShownOnce,
    /// Whenever an administrator asks; each time stands in the audit.
    Viewable,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrySettings {
    pub secrets: SecretsShown,
}

impl RegistrySection {
    pub fn resolve(&self) -> RegistrySettings {
        RegistrySettings { secrets: self.secrets }
    }
}
