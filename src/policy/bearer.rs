//! What a token leaves of the rights of its app. Every requirement is decided by this, never by the app alone.

use std::borrow::Cow;

use crate::model::{AccountId, ScopeId};
use crate::registry::{App, PermissionLevel, Permissions, ResourceKind};
use crate::verify::{Reach, Verified};

/// The scope of an access token that leaves the app its permissions on tables and views, which are no scopes themselves.
pub const TABLES_SCOPE: &str = "scopegate:tables";

/// An app as one of its tokens shows it: the token may leave less than the app holds.
#[derive(Clone, Copy, Debug)]
pub struct Bearer<'a> {
    pub app: &'a App,
    /// The scopes that are left, with a space between them; none where all are.
    pub left: Option<&'a str>,
    /// What the token reaches, where it is one for an installation.
    pub reach: Option<Reach<'a>>,
}

impl<'a> From<&'a App> for Bearer<'a> {
    fn from(app: &'a App) -> Self {
        Self { app, left: None, reach: None }
    }
}

impl<'a> From<&'a Verified> for Bearer<'a> {
    fn from(verified: &'a Verified) -> Self {
        Self { app: verified.app(), left: verified.claims().scope.as_deref(), reach: verified.reach() }
    }
}

impl<'a> Bearer<'a> {
    /// The account in whose name the app calls.
    pub(super) fn account(self) -> &'a AccountId {
        self.reach.map_or(&self.app.account, |reach| &reach.installation().account)
    }

    /// Whether the token leaves the scope, if the app holds it. A token for an installation leaves none.
    pub fn leaves(self, scope: &str) -> bool {
        self.reach.is_none() && self.left.is_none_or(|left| left.split(' ').any(|one| one == scope))
    }

    /// What may be done on a bot of the app's account, with a space between them.
    pub fn scopes_on(self, bot: Option<&str>) -> Cow<'a, str> {
        let held = self.app.scopes_on(bot);
        if held.iter().all(|scope| self.leaves(scope.as_str())) {
            return held.as_str().into();
        }
        let left = held.iter().map(ScopeId::as_str).filter(|scope| self.leaves(scope));
        left.collect::<Vec<_>>().join(" ").into()
    }

    /// All scopes that may be used, on any bot, and [`TABLES_SCOPE`] where tables or views may be used.
    pub fn scopes(self) -> Vec<&'a str> {
        let held = self.app.scopes().into_iter().map(ScopeId::as_str).filter(|scope| self.leaves(scope));
        held.chain(self.has_a_resource().then_some(TABLES_SCOPE)).collect()
    }

    /// What may be done on a table or view.
    pub fn permissions_on(self, kind: ResourceKind, name: &str) -> Permissions {
        if self.leaves(TABLES_SCOPE) { self.app.permissions_on(kind, name) } else { Permissions::NONE }
    }

    /// Whether anything may be done on any table or view.
    pub fn has_a_resource(self) -> bool {
        self.leaves(TABLES_SCOPE) && self.app.has_a_resource()
    }

    /// The level at which a permission of an installation is held; an app itself has none.
    pub fn permission(self, name: &str) -> Option<PermissionLevel> {
        self.reach?.level(name)
    }
}
