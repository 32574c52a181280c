//! Installations: an app on an account, with what it may do there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::model::{AccountId, ClientId, InstallationId, PermissionName, nearest};

/// One app on one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    pub id: InstallationId,
    pub app: ClientId,
    /// Where it is installed, not whose the app is.
    pub account: AccountId,
    pub target: InstallationTarget,
    pub permissions: PermissionSet,
    pub repositories: Repositories,
    /// Since when it gets no tokens and its tokens are refused.
    pub suspended_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// All of an installation that a file or a command gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstallationSettings {
    /// Assigned where there is none.
    pub id: Option<InstallationId>,
    pub account: AccountId,
    pub target: InstallationTarget,
    pub permissions: PermissionSet,
    pub repositories: Repositories,
    pub suspended: bool,
}

impl Installation {
    pub fn settings(&self) -> InstallationSettings {
        let Self { id, account, target, permissions, repositories, suspended_at, .. } = self.clone();
        let suspended = suspended_at.is_some();
        InstallationSettings { id: Some(id), account, target, permissions, repositories, suspended }
    }
}

/// What kind of owner the account stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InstallationTarget {
    #[default]
    Organization,
    User,
}

impl InstallationTarget {
    pub const ALL: [Self; 2] = [Self::Organization, Self::User];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::User => "user",
        }
    }
}

/// Each level includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PermissionLevel {
    Read,
    Write,
    Admin,
}

impl PermissionLevel {
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Admin];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }

    /// The level of this name.
    pub fn named(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == text)
    }
}

impl fmt::Display for PermissionLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Permissions with their levels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PermissionSet(BTreeMap<PermissionName, PermissionLevel>);

/// Why one wanted permission can't be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PermissionFault {
    /// Nothing of the name is granted; perhaps another name was meant, such as one with underscores for hyphens.
    NotGranted { name: String, near: Option<PermissionName> },
    /// Granted, but not as much.
    TooHigh { name: PermissionName, wanted: PermissionLevel, granted: PermissionLevel },
    /// Neither read, write nor admin.
    NoLevel { name: String, level: String },
}

impl fmt::Display for PermissionFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotGranted { name, near: Some(near) } => write!(f, "{name:?} is not granted; did you mean {near}?"),
            Self::NotGranted { name, near: None } => write!(f, "{name:?} is not granted"),
            Self::TooHigh { name, wanted, granted } => write!(f, "{name} is granted for {granted}, not for {wanted}"),
            Self::NoLevel { name, level } => write!(f, "{level:?} is no level of {name:?}: read, write or admin"),
        }
    }
}

impl PermissionSet {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&PermissionName, PermissionLevel)> {
        self.0.iter().map(|(name, level)| (name, *level))
    }

    /// The level at which a permission is held.
    pub fn level(&self, name: &str) -> Option<PermissionLevel> {
        self.0.get(name).copied()
    }

    /// Whether all of another set is within this one.
    pub fn includes(&self, other: &Self) -> bool {
        other.iter().all(|(name, level)| self.level(name.as_str()) >= Some(level))
    }

    /// What both sets have, each permission at the lower of the two levels.
    #[must_use]
    pub fn lesser(&self, other: &Self) -> Self {
        let both =
            self.0.iter().filter_map(|(name, level)| Some((name.clone(), other.level(name.as_str())?.min(*level))));
        Self(both.collect())
    }

    /// A part of this set, as texts from outside name it.
    ///
    /// # Errors
    /// Every permission that is wanted and not within this set.
    pub fn narrow<'w>(
        &self,
        wanted: impl IntoIterator<Item = (&'w str, &'w str)>,
    ) -> Result<Self, Vec<PermissionFault>> {
        let (mut part, mut faults) = (BTreeMap::new(), Vec::new());
        for (name, level) in wanted {
            match self.part(name, level) {
                Ok((name, level)) => _ = part.insert(name, level),
                Err(fault) => faults.push(fault),
            }
        }
        if faults.is_empty() { Ok(Self(part)) } else { Err(faults) }
    }

    fn part(&self, name: &str, level: &str) -> Result<(PermissionName, PermissionLevel), PermissionFault> {
        let Some((own, granted)) = self.0.get_key_value(name) else {
            let near =
                nearest(&name.to_ascii_lowercase().replace(['-', ' '], "_"), self.0.keys().map(PermissionName::as_str));
            let near = near.and_then(|near| self.0.get_key_value(near)).map(|(near, _)| near.clone());
            return Err(PermissionFault::NotGranted { name: name.to_owned(), near });
        };
        let Some(wanted) = PermissionLevel::named(level) else {
            return Err(PermissionFault::NoLevel { name: name.to_owned(), level: level.to_owned() });
        };
        if wanted > *granted {
            return Err(PermissionFault::TooHigh { name: own.clone(), wanted, granted: *granted });
        }
        Ok((own.clone(), wanted))
    }
}

impl FromIterator<(PermissionName, PermissionLevel)> for PermissionSet {
    fn from_iter<I: IntoIterator<Item = (PermissionName, PermissionLevel)>>(permissions: I) -> Self {
        Self(permissions.into_iter().collect())
    }
}

impl fmt::Display for PermissionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.iter().map(|(name, level)| format!("{name}:{level}")).collect();
        f.write_str(if words.is_empty() { "none" } else { "" })?;
        f.write_str(&words.join(" "))
    }
}

/// What of the account's the installation reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Repositories {
    /// All, also those to come.
    #[default]
    All,
    /// In order of their ids.
    Selected(Vec<SelectedRepository>),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelectedRepository {
    pub id: i64,
    pub name: String,
}

impl Repositories {
    /// # Errors
    /// When a number or a name is unusable, or stands twice (names are the same in any case).
    pub fn selected(mut repositories: Vec<SelectedRepository>) -> Result<Self, String> {
        let (mut ids, mut names) = (BTreeSet::new(), BTreeSet::new());
        for SelectedRepository { id, name } in &repositories {
            let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
            if *id < 1 {
                return Err(format!("repository {name:?} has the id {id}: ids are positive"));
            } else if !(1..=100).contains(&name.len())
                || !name.bytes().all(is_plain)
                || matches!(name.as_str(), "." | "..")
            {
                return Err(format!(
                    "{name:?} is no name of a repository: up to 100 letters, digits, dots, hyphens and underscores, and no \
                     owner before it"
                ));
            } else if !ids.insert(*id) {
                return Err(format!("two repositories have the id {id}"));
            } else if !names.insert(name.to_ascii_lowercase()) {
                return Err(format!("two repositories have the name {name}"));
            }
        }
        repositories.sort();
        Ok(Self::Selected(repositories))
    }

    /// `all` or `selected`.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Selected(_) => "selected",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_map;
    use proptest::prelude::{Strategy, prop_assert, prop_assert_eq, proptest};
    use proptest::sample::select;

    use super::*;

    fn set(permissions: &[(&str, PermissionLevel)]) -> PermissionSet {
        permissions.iter().map(|(name, level)| (PermissionName::new(name).unwrap(), *level)).collect()
    }

    fn granted() -> PermissionSet {
        set(&[("contents", PermissionLevel::Read), ("pull_requests", PermissionLevel::Write)])
    }

    #[test]
    fn a_part_of_what_is_granted_can_be_had() {
        let part = granted().narrow([("pull_requests", "read")]).unwrap();
        assert_eq!(part, set(&[("pull_requests", PermissionLevel::Read)]));
        assert_eq!(granted().narrow([("contents", "read"), ("pull_requests", "write")]), Ok(granted()));
        assert_eq!(granted().narrow([]), Ok(PermissionSet::default()));
    }

    #[test]
    fn all_that_is_too_much_is_named_with_what_may_have_been_meant() {
        let wanted = [("contents", "write"), ("pull-requests", "read"), ("Issues", "read"), ("contents", "owner")];
        let faults = granted().narrow(wanted).unwrap_err();
        let lines: Vec<_> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "contents is granted for read, not for write",
                "\"pull-requests\" is not granted; did you mean pull_requests?",
                "\"Issues\" is not granted",
                "\"owner\" is no level of \"contents\": read, write or admin",
            ]
        );
    }

    #[test]
    fn a_selection_names_each_repository_once() {
        let repository = |id, name: &str| SelectedRepository { id, name: name.into() };
        let selected = Repositories::selected(vec![repository(2, "b"), repository(1, "a.B-c_1")]).unwrap();
        assert_eq!(selected, Repositories::Selected(vec![repository(1, "a.B-c_1"), repository(2, "b")]));
        for (bad, why) in [
            (vec![repository(0, "a")], "positive"),
            (vec![repository(1, "acme/a")], "no owner"),
            (vec![repository(1, "")], "no name"),
            (vec![repository(1, "..")], "no name"),
            (vec![repository(1, "a"), repository(1, "b")], "the id 1"),
            (vec![repository(1, "a"), repository(2, "A")], "the name A"),
        ] {
            let fault = Repositories::selected(bad).unwrap_err();
            assert!(fault.contains(why), "{fault}");
        }
    }

    fn sets() -> impl Strategy<Value = PermissionSet> {
        let names = select(vec!["contents", "issues", "pull_requests", "metadata"]);
        let levels = select(PermissionLevel::ALL.to_vec());
        btree_map(names, levels, 0..4)
            .prop_map(|set| set.into_iter().map(|(name, level)| (PermissionName::new(name).unwrap(), level)).collect())
    }

    proptest! {
        #[test]
        fn what_can_be_had_is_what_is_included(granted in sets(), wanted in sets()) {
            let texts: Vec<_> = wanted.iter().map(|(name, level)| (name.as_str(), level.as_str())).collect();
            match granted.narrow(texts) {
                Ok(part) => {
                    prop_assert!(granted.includes(&wanted));
                    prop_assert_eq!(part, wanted);
                }
                Err(faults) => {
                    prop_assert!(!granted.includes(&wanted));
                    prop_assert!(faults.len() <= wanted.iter().count());
                }
            }
        }

        #[test]
        fn the_lesser_of_two_sets_is_the_greatest_that_both_include(one in sets(), two in sets(), other in sets()) {
            let lesser = one.lesser(&two);
            prop_assert!(one.includes(&lesser) && two.includes(&lesser));
            prop_assert!(!(one.includes(&other) && two.includes(&other)) || lesser.includes(&other));
        }

        #[test]
        fn a_set_includes_itself_and_what_it_includes_includes_less(one in sets(), two in sets(), three in sets()) {
            prop_assert!(one.includes(&one) && one.includes(&PermissionSet::default()));
            prop_assert!(!(one.includes(&two) && two.includes(&three)) || one.includes(&three));
        }
    }
}
