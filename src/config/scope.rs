//! `[[scope]]`: a scope that routes may ask for and apps may be granted.

use serde::Deserialize;

use crate::model::{Level, ScopeId};
use crate::registry::ScopeDefinition;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScopeSection {
    pub id: ScopeId,
    pub title: String,
    pub group: Option<String>,
    pub description: Option<String>,
    pub levels: Vec<Level>,
    #[serde(default)]
    pub addition: bool,
}

impl ScopeSection {
    /// One definition for each level; the same id may have another title at the other level.
    pub fn definitions(&self) -> impl Iterator<Item = ScopeDefinition> {
        self.levels.iter().map(|level| ScopeDefinition {
            id: self.id.clone(),
            level: *level,
            title: self.title.clone(),
            group: self.group.clone(),
            description: self.description.clone(),
            addition: self.addition,
        })
    }
}
