//! The scopes that exist, keyed by id and level.

use crate::model::{Level, ScopeId};

/// A scope at one level, as an administrator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeDefinition {
    pub id: ScopeId,
    pub level: Level,
    pub title: String,
    pub group: Option<String>,
    pub description: Option<String>,
    /// Not part of the documented list of its profile.
    pub addition: bool,
}

/// The declared scopes in their order. A scope that no one declares can be neither asked for nor granted.
#[derive(Clone, Debug, Default)]
pub struct ScopeCatalogue(Vec<ScopeDefinition>);

impl ScopeCatalogue {
    pub fn new(definitions: Vec<ScopeDefinition>) -> Self {
        Self(definitions)
    }

    pub fn get(&self, id: &str, level: Level) -> Option<&ScopeDefinition> {
        self.0.iter().find(|s| s.level == level && s.id.as_str() == id)
    }

    pub fn iter(&self) -> impl Iterator<Item = &ScopeDefinition> {
        self.0.iter()
    }
}
