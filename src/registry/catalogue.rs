//! The scopes that exist, keyed by id and level.

use crate::model::{Level, ScopeId, nearest};

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

    /// The scope of the level that is most like a misspelt one.
    pub fn nearest(&self, id: &str, level: Level) -> Option<&ScopeId> {
        let of_level = || self.0.iter().filter(|s| s.level == level).map(|s| &s.id);
        let near = nearest(id, of_level().map(ScopeId::as_str))?;
        of_level().find(|scope| scope.as_str() == near)
    }

    pub fn iter(&self) -> impl Iterator<Item = &ScopeDefinition> {
        self.0.iter()
    }
}
