//! Grants between draft and published: what differs, what an edit, a publication or a step back comes to, and which apps
//! would miss what they lose. Pure; [`Change`]s carry it out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{AppRecord, Change, Grant, GrantError, GrantRules, GrantTarget, Registry, ScopeUse};
use crate::clock::Timestamp;
use crate::model::{AccountId, BotId, ClientId, Level, ScopeId};

/// What a set of scopes gains and loses on its way to another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    pub gained: BTreeSet<ScopeId>,
    pub lost: BTreeSet<ScopeId>,
}

impl Difference {
    pub fn between(before: &BTreeSet<ScopeId>, after: &BTreeSet<ScopeId>) -> Self {
        Self { gained: after - before, lost: before - after }
    }

    pub fn is_empty(&self) -> bool {
        self.gained.is_empty() && self.lost.is_empty()
    }

    /// All of it, each with `+` or `-`.
    pub fn signed(&self) -> impl Iterator<Item = (char, &ScopeId)> {
        let lost = self.lost.iter().map(|scope| ('-', scope));
        self.gained.iter().map(|scope| ('+', scope)).chain(lost)
    }

    #[must_use]
    pub fn applied_to(&self, scopes: &BTreeSet<ScopeId>) -> BTreeSet<ScopeId> {
        &(scopes - &self.lost) | &self.gained
    }
}

/// `+gained -lost`.
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (sign, scope)) in self.signed().enumerate() {
            let space = if i == 0 { "" } else { " " };
            write!(f, "{space}{sign}{scope}")?;
        }
        Ok(())
    }
}

impl Grant {
    /// Nothing, never published.
    pub fn new(target: GrantTarget) -> Self {
        let (draft, published) = (BTreeSet::new(), BTreeSet::new());
        Self { target, draft, published, version: 0, updated_at: Timestamp::default() }
    }

    /// What publishing would change.
    pub fn waiting(&self) -> Difference {
        Difference::between(&self.published, &self.draft)
    }

    /// Its draft edited; on an account, what is in force as well.
    #[must_use]
    pub fn altered(self, by: &Difference) -> Self {
        let published = match self.target.level() {
            Level::Bot => self.published,
            Level::Account => by.applied_to(&self.published),
        };
        Self { draft: by.applied_to(&self.draft), published, ..self }
    }

    /// An earlier set in force again. The draft keeps its edits, on top of that set.
    #[must_use]
    pub fn restored(self, scopes: &BTreeSet<ScopeId>) -> Self {
        Self { draft: self.waiting().applied_to(scopes), published: scopes.clone(), ..self }
    }
}

/// A set that was put in force: the history of a grant has one for each time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantVersion {
    pub app: ClientId,
    pub target: GrantTarget,
    /// Counted from 1 for each app and target.
    pub version: i64,
    pub at: Timestamp,
    pub actor: String,
    pub why: Option<String>,
    pub scopes: BTreeSet<ScopeId>,
}

/// Each version with what it changed, in the order given; what comes before has to stand before.
pub fn with_differences(history: &[GrantVersion]) -> Vec<(&GrantVersion, Difference)> {
    let (mut latest, nothing) = (BTreeMap::new(), BTreeSet::new());
    let step = |version| {
        let GrantVersion { app, target, scopes, .. }: &GrantVersion = version;
        let before = latest.insert((app, target), scopes).unwrap_or(&nothing);
        (version, Difference::between(before, scopes))
    };
    history.iter().map(step).collect()
}

/// A grant and its app.
#[derive(Clone, Copy, Debug)]
pub struct Mapping<'r> {
    pub app: &'r AppRecord,
    pub grant: &'r Grant,
}

impl Mapping<'_> {
    /// Not so for a bot that the app has lost, or an account that it has left.
    pub fn has_effect(&self) -> bool {
        self.app.settings.check_target(&self.grant.target).is_ok()
    }
}

/// Which grants are meant; what is not named is any.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    pub app: Option<ClientId>,
    pub bot: Option<BotId>,
    /// Whose apps.
    pub account: Option<AccountId>,
}

impl Selection {
    pub fn takes(&self, app: &AppRecord) -> bool {
        let settings = &app.settings;
        self.app.as_ref().is_none_or(|id| *id == settings.client_id)
            && self.account.as_ref().is_none_or(|id| *id == settings.account)
    }

    pub fn of<'r>(&self, registry: &'r Registry) -> impl Iterator<Item = Mapping<'r>> {
        let on = |grant: &Grant| self.bot.is_none() || grant.target.bot() == self.bot.as_ref();
        let apps = registry.apps.values().filter(|app| self.takes(app));
        apps.flat_map(|app| app.grants.iter().map(move |grant| Mapping { app, grant })).filter(move |m| on(m.grant))
    }
}

/// A change of one grant that is not made yet, and what it comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    pub app: ClientId,
    pub target: GrantTarget,
    pub by: Difference,
    /// Whether what is in force changes, or the draft alone.
    pub in_force: bool,
    pub change: Change,
}

impl Proposal {
    /// The uses of which the app is deprived.
    pub fn missed<'u>(&self, uses: &'u [ScopeUse]) -> impl Iterator<Item = &'u ScopeUse> {
        let of_this = move |used: &&ScopeUse| used.app == self.app && used.target == self.target;
        uses.iter().filter(of_this).filter(move |used| self.in_force && self.by.lost.contains(&used.scope))
    }
}

/// An edit of a draft.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    Add(BTreeSet<ScopeId>),
    Remove(BTreeSet<ScopeId>),
    /// These and no others.
    Only(BTreeSet<ScopeId>),
}

impl Edit {
    /// What the edit comes to; none if nothing changes. Others may add and remove at the same time; where the whole set is
    /// replaced they may not.
    ///
    /// # Errors
    /// The first rule that is broken by what is added, or a scope to remove that nobody knows.
    pub fn of(&self, app: &AppRecord, target: GrantTarget, rules: &GrantRules) -> Result<Option<Proposal>, GrantError> {
        let grant = app.grants.iter().find(|g| g.target == target).cloned().unwrap_or_else(|| Grant::new(target));
        let draft = &grant.draft;
        let by = match self {
            Self::Add(scopes) => Difference { gained: scopes - draft, lost: BTreeSet::new() },
            Self::Remove(scopes) => {
                (scopes - draft).iter().try_for_each(|scope| rules.catalogue.check(scope, app.settings.level))?;
                Difference { gained: BTreeSet::new(), lost: scopes & draft }
            }
            Self::Only(scopes) => Difference::between(draft, scopes),
        };
        check_gained(app, &grant.target, &by, rules)?;
        let seen = matches!(self, Self::Only(_)).then(|| draft.clone());
        let (app, target) = (app.settings.client_id.clone(), grant.target);
        let change = Change::AlterGrant { app: app.clone(), target: target.clone(), by: by.clone(), seen };
        let in_force = target.level() == Level::Account;
        Ok((!by.is_empty()).then_some(Proposal { app, target, by, in_force, change }))
    }
}

/// What is lost may always be lost.
fn check_gained(app: &AppRecord, target: &GrantTarget, by: &Difference, rules: &GrantRules) -> Result<(), GrantError> {
    if by.gained.is_empty() { Ok(()) } else { rules.check(&app.settings, target, &by.gained) }
}

/// What publishing these grants comes to: those with a draft that differs, and that have any effect.
pub fn waiting<'r>(mappings: impl Iterator<Item = Mapping<'r>>) -> Vec<Proposal> {
    let proposal = |Mapping { app, grant }: Mapping<'_>| {
        let (app, target, by) = (app.settings.client_id.clone(), grant.target.clone(), grant.waiting());
        let change = Change::PublishGrant { app: app.clone(), target: target.clone(), draft: grant.draft.clone() };
        (!by.is_empty()).then_some(Proposal { app, target, by, in_force: true, change })
    };
    mappings.filter(Mapping::has_effect).filter_map(proposal).collect()
}

/// The rules that proposals break now, even if they did not when the drafts were made.
pub fn faults(proposals: &[Proposal], registry: &Registry, rules: &GrantRules) -> Vec<GrantError> {
    let check = |p: &Proposal| check_gained(registry.apps.get(&p.app)?, &p.target, &p.by, rules).err();
    proposals.iter().filter_map(check).collect()
}

/// Puts an earlier set in force again, as a new version; none if it is in force already. `history` may be of other grants,
/// too.
///
/// # Errors
/// When there is no such version, or it breaks a rule now.
pub fn roll_back(
    app: &AppRecord,
    target: GrantTarget,
    history: &[GrantVersion],
    to: i64,
    rules: &GrantRules,
) -> Result<Option<Proposal>, GrantError> {
    let client_id = app.settings.client_id.clone();
    let own = || history.iter().filter(|v| v.app == client_id && v.target == target);
    let Some(earlier) = own().find(|v| v.version == to) else {
        let latest = own().map(|v| v.version).max().unwrap_or(0);
        return Err(GrantError::NoVersion { app: client_id, target, version: to, latest });
    };
    let scopes = earlier.scopes.clone();
    let grant = app.grants.iter().find(|g| g.target == target);
    let by = Difference::between(grant.map_or(&BTreeSet::new(), |g| &g.published), &scopes);
    check_gained(app, &target, &by, rules)?;
    let change = Change::RestoreGrant { app: client_id.clone(), target: target.clone(), version: to, scopes };
    Ok((!by.is_empty()).then_some(Proposal { app: client_id, target, by, in_force: true, change }))
}

#[cfg(test)]
mod tests;
