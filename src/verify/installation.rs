//! What a token for an installation grants, and what is left of it now.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::model::{Claims, InstallationId, Reason, Refusal};
use crate::registry::{App, Installation, PermissionLevel, PermissionSet, Repositories, Snapshot};

/// What was granted when the token was issued. The installation may have less by now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstallationGrant {
    pub installation: InstallationId,
    pub permissions: PermissionSet,
    #[serde(default, skip_serializing_if = "GrantedRepositories::is_all")]
    pub repositories: GrantedRepositories,
}

/// The repositories that a token was narrowed to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum GrantedRepositories {
    /// Not at all: whatever the installation reaches.
    #[default]
    All,
    These(Vec<RepositoryRef>),
}

/// One of a selection by its id, which outlives its name; one of an installation on all repositories by its name, since
/// no list of them is kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RepositoryRef {
    Id(i64),
    Name(String),
}

impl GrantedRepositories {
    pub fn is_all(&self) -> bool {
        *self == Self::All
    }
}

impl InstallationGrant {
    /// From the claims that carry it, beside those that every token of ours has.
    ///
    /// # Errors
    /// `token.claim_invalid`: what is signed with a key of ours, and is no such token.
    pub fn read(claims: &Claims) -> Result<Self, Refusal> {
        let invalid = |error: serde_json::Error| {
            Refusal::new(Reason::TokenClaimInvalid).expected("the claims of an installation").found(error.to_string())
        };
        serde_json::from_str(claims.as_json()).map_err(invalid)
    }

    /// Bytes of memory, about.
    pub(super) fn weight(&self) -> usize {
        let repositories = match &self.repositories {
            GrantedRepositories::All => 0,
            GrantedRepositories::These(these) => these.iter().map(RepositoryRef::weight).sum(),
        };
        repositories + 64 * self.permissions.iter().count()
    }
}

impl RepositoryRef {
    fn weight(&self) -> usize {
        let own = if let Self::Name(name) = self { name.len() } else { 0 };
        size_of::<Self>() + own
    }
}

/// What a token reaches now: no more than was granted, and no more than the installation has.
#[derive(Clone, Copy, Debug)]
pub struct Reach<'a> {
    installation: &'a Arc<Installation>,
    grant: &'a InstallationGrant,
}

impl<'a> Reach<'a> {
    pub(super) fn new(installation: &'a Arc<Installation>, grant: &'a InstallationGrant) -> Self {
        Self { installation, grant }
    }

    /// # Errors
    /// `token.revoked` where the app has no such installation any more, `installation.suspended`.
    pub fn of(grant: &'a InstallationGrant, app: &App, snapshot: &'a Snapshot) -> Result<Self, Refusal> {
        let id = grant.installation;
        let Some(installation) = snapshot.installation(id.get()).filter(|i| i.app == app.client_id) else {
            let found = format!("installation {id}, which {} does not have any more", app.client_id);
            return Err(Refusal::new(Reason::TokenRevoked).expected("an installation of the app").found(found));
        };
        check_suspension(installation)?;
        Ok(Self { installation, grant })
    }

    pub fn installation(self) -> &'a Arc<Installation> {
        self.installation
    }

    /// The level at which a permission is held.
    pub fn level(self, name: &str) -> Option<PermissionLevel> {
        Some(self.grant.permissions.level(name)?.min(self.installation.permissions.level(name)?))
    }

    pub fn permissions(self) -> PermissionSet {
        self.grant.permissions.lesser(&self.installation.permissions)
    }

    /// Whether a repository of the account is within reach. Names are compared exactly.
    pub fn reaches(self, name: &str) -> bool {
        let selected = match &self.installation.repositories {
            Repositories::All => None,
            Repositories::Selected(selected) => match selected.iter().find(|r| r.name == name) {
                Some(repository) => Some(repository.id),
                None => return false,
            },
        };
        match &self.grant.repositories {
            GrantedRepositories::All => true,
            GrantedRepositories::These(these) => these.iter().any(|granted| match granted {
                RepositoryRef::Id(id) => selected == Some(*id),
                RepositoryRef::Name(granted) => granted == name,
            }),
        }
    }

    /// Those that are known: the selected ones, or those that the token was narrowed to; none where it is all of them.
    pub fn repositories(self) -> Option<Vec<(Option<i64>, &'a str)>> {
        match (&self.installation.repositories, &self.grant.repositories) {
            (Repositories::Selected(selected), _) => {
                let reached = selected.iter().filter(|r| self.reaches(&r.name));
                Some(reached.map(|r| (Some(r.id), r.name.as_str())).collect())
            }
            (Repositories::All, GrantedRepositories::All) => None,
            (Repositories::All, GrantedRepositories::These(these)) => {
                let named = these.iter().filter_map(|granted| match granted {
                    RepositoryRef::Name(name) => Some((None, name.as_str())),
                    RepositoryRef::Id(_) => None,
                });
                Some(named.collect())
            }
        }
    }
}

/// # Errors
/// `installation.suspended`.
pub fn check_suspension(installation: &Installation) -> Result<(), Refusal> {
    let since = |at: Timestamp| format!("installation {}, suspended since {at}", installation.id);
    match installation.suspended_at {
        Some(at) => Err(Refusal::new(Reason::InstallationSuspended).found(since(at))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AccountId, ClientId, PermissionName};
    use crate::registry::{InstallationTarget, SelectedRepository};

    fn set(permissions: &[(&str, PermissionLevel)]) -> PermissionSet {
        permissions.iter().map(|(name, level)| (PermissionName::new(name).unwrap(), *level)).collect()
    }

    fn selection(repositories: &[(i64, &str)]) -> Repositories {
        let selected = repositories.iter().map(|(id, name)| SelectedRepository { id: *id, name: (*name).into() });
        Repositories::selected(selected.collect()).unwrap()
    }

    fn installation(repositories: Repositories) -> Arc<Installation> {
        Arc::new(Installation {
            id: InstallationId::new(7).unwrap(),
            app: ClientId::new("cs-a").unwrap(),
            account: AccountId::new("acme").unwrap(),
            target: InstallationTarget::Organization,
            permissions: set(&[("contents", PermissionLevel::Read), ("issues", PermissionLevel::Write)]),
            repositories,
            suspended_at: None,
            created_at: Timestamp::default(),
            updated_at: Timestamp::default(),
        })
    }

    fn grant(repositories: GrantedRepositories) -> InstallationGrant {
        let permissions = set(&[("contents", PermissionLevel::Write), ("metadata", PermissionLevel::Read)]);
        InstallationGrant { installation: InstallationId::new(7).unwrap(), permissions, repositories }
    }

    fn these(refs: &[RepositoryRef]) -> GrantedRepositories {
        GrantedRepositories::These(refs.to_vec())
    }

    #[test]
    fn permissions_are_the_lesser_of_what_was_granted_and_what_is_held_now() {
        let (installation, grant) = (installation(Repositories::All), grant(GrantedRepositories::All));
        let reach = Reach { installation: &installation, grant: &grant };
        assert_eq!(reach.permissions(), set(&[("contents", PermissionLevel::Read)]));
        let levels = ["contents", "issues", "metadata"].map(|name| reach.level(name));
        assert_eq!(levels, [Some(PermissionLevel::Read), None, None]);
    }

    #[test]
    fn repositories_are_those_that_were_granted_and_are_reached_now() {
        let (id, name) = (RepositoryRef::Id, |name: &str| RepositoryRef::Name(name.into()));
        let now = |repositories: &Repositories| installation(repositories.clone());
        let (all, some) = (Repositories::All, selection(&[(1, "a"), (2, "b")]));
        for (now, granted, reached) in [
            (now(&all), GrantedRepositories::All, ["a", "b", "c", "A"].as_slice()),
            (now(&all), these(&[name("a"), name("c")]), &["a", "c"]),
            // It was a selection when the token was issued: which names the ids have now, nobody knows.
            (now(&all), these(&[id(1)]), &[]),
            (now(&some), GrantedRepositories::All, &["a", "b"]),
            (now(&some), these(&[id(1), id(3)]), &["a"]),
            (now(&some), these(&[name("a"), name("c")]), &["a"]),
            (now(&some), these(&[]), &[]),
        ] {
            let grant = grant(granted);
            let reach = Reach { installation: &now, grant: &grant };
            let found: Vec<_> = ["a", "b", "c", "A"].into_iter().filter(|name| reach.reaches(name)).collect();
            assert_eq!(found, reached, "{grant:?}");
        }
    }

    #[test]
    fn a_grant_is_read_as_it_was_written() {
        let some = these(&[RepositoryRef::Id(5), RepositoryRef::Name("b".into())]);
        for grant in [grant(GrantedRepositories::All), grant(some), grant(these(&[]))] {
            let text = serde_json::to_string(&grant).unwrap();
            assert_eq!(serde_json::from_str::<InstallationGrant>(&text).unwrap(), grant, "{text}");
        }
    }
}
