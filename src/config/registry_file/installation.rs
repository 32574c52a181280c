//! `[[installation]]`.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Unexpected, Visitor};

use super::Reader;
use crate::model::{AccountId, ClientId, InstallationId};
use crate::registry::{InstallationSettings, InstallationTarget, PermissionSet, Repositories, SelectedRepository};

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InstallationEntry {
    id: Option<InstallationId>,
    app: ClientId,
    account: Option<AccountId>,
    #[serde(default)]
    target: InstallationTarget,
    #[serde(default)]
    permissions: PermissionSet,
    #[serde(default)]
    repositories: RepositoriesEntry,
    #[serde(default)]
    suspended: bool,
}

/// `"all"`, or a list.
#[derive(Debug, Default)]
struct RepositoriesEntry(Option<Vec<SelectedRepository>>);

impl<'de> Deserialize<'de> for RepositoriesEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AllOrList;

        impl<'de> Visitor<'de> for AllOrList {
            type Value = RepositoriesEntry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"all\" or a list such as [{ id = 1, name = \"hello\" }]")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                if text == "all" {
                    Ok(RepositoriesEntry(None))
                } else {
                    Err(E::invalid_value(Unexpected::Str(text), &self))
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut repositories = Vec::new();
                while let Some(repository) = list.next_element()? {
                    repositories.push(repository);
                }
                Ok(RepositoriesEntry(Some(repositories)))
            }
        }

        deserializer.deserialize_any(AllOrList)
    }
}

impl Reader<'_> {
    pub(super) fn installation(
        &mut self,
        index: usize,
        entry: InstallationEntry,
        account: &impl Fn(Option<AccountId>) -> AccountId,
    ) -> Option<(ClientId, InstallationSettings)> {
        let InstallationEntry { id, app, account: named, target, permissions, repositories, suspended } = entry;
        let repositories = match repositories.0.map_or(Ok(Repositories::All), Repositories::selected) {
            Ok(repositories) => repositories,
            Err(why) => {
                let message = format!("installation of app {app}: {why}");
                self.fault(&["installation", &index.to_string(), "repositories"], message);
                return None;
            }
        };
        let account = account(named);
        Some((app, InstallationSettings { id, account, target, permissions, repositories, suspended }))
    }
}
