//! Installations: which of the stored ones a wanted one is, by its number or by the account that it is on.

use std::collections::{BTreeMap, BTreeSet};

use super::Planner;
use crate::model::{AccountId, ClientId, InstallationId};
use crate::registry::{AppRecord, Change, Installation, InstallationSettings};

impl Planner<'_> {
    pub(super) fn installations(&mut self) {
        let desired = self.desired;
        let owners: BTreeMap<InstallationId, &Installation> = if desired.installations.is_empty() {
            BTreeMap::new()
        } else {
            self.stored.apps.values().flat_map(|app| &app.installations).map(|known| (known.id, known)).collect()
        };
        let (mut places, mut ids) = (BTreeSet::new(), BTreeSet::new());
        for (i, (app, installation)) in desired.installations.iter().enumerate() {
            let twice = if places.insert((app, &installation.account)) {
                let id = installation.id.filter(|id| !ids.insert(*id));
                id.map(|id| format!("two installations have the id {id}"))
            } else {
                Some(format!("app {app} has two installations on account {}", installation.account))
            };
            match twice.map_or_else(|| self.installation_change(app, installation, &owners), Err) {
                Ok(change) => self.changes.extend(change),
                Err(message) => self.error("installation", i, message),
            }
        }
    }

    fn installation_change(
        &self,
        app: &ClientId,
        wanted: &InstallationSettings,
        owners: &BTreeMap<InstallationId, &Installation>,
    ) -> Result<Option<Change>, String> {
        if self.settings_of(app).is_none() {
            return Err(format!("app {app} does not exist"));
        }
        let account = &wanted.account;
        if !self.has_account(account.as_str()) {
            return Err(format!("account {account} does not exist"));
        }
        let stored = self.installation_on(app, account);
        match (stored, wanted.id.and_then(|id| owners.get(&id))) {
            (_, Some(other)) if other.app != *app || other.account != *account => {
                return Err(format!(
                    "installation {} is that of app {} on account {}, and stays there: give another id, or none",
                    other.id, other.app, other.account
                ));
            }
            (Some(stored), _) if wanted.id.is_some_and(|id| id != stored.id) => {
                return Err(format!(
                    "app {app} is installed on account {account} already, as installation {}: give that id, or none",
                    stored.id
                ));
            }
            _ => {}
        }
        let settings = InstallationSettings { id: stored.map(|stored| stored.id).or(wanted.id), ..wanted.clone() };
        let is_kept = stored.is_some_and(|stored| stored.settings() == settings);
        Ok((!is_kept).then(|| Change::PutInstallation { app: app.clone(), installation: settings }))
    }

    fn installation_on(&self, app: &ClientId, account: &AccountId) -> Option<&Installation> {
        self.stored.apps.get(app)?.installations.iter().find(|known| known.account == *account)
    }

    pub(super) fn prune_installations(&mut self, record: &AppRecord) {
        let app = &record.settings.client_id;
        for known in &record.installations {
            if !self.index.installations.contains(&(app, &known.account)) {
                self.changes.push(Change::DeleteInstallation { app: app.clone(), id: known.id });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Desired, DesiredApp, Plan, PlanOptions};
    use super::*;
    use crate::clock::Timestamp;
    use crate::model::AppNumber;
    use crate::registry::conformance::{account_id, client_id, installation, installation_id, settings};
    use crate::registry::{GrantRules, Registry};

    /// Apps `c` and `d`; `c` is installed on `default` with number 7.
    fn stored() -> Registry {
        let now = Timestamp::from_secs(1);
        let InstallationSettings { account, target, permissions, repositories, .. } = installation(None, "default");
        let known = Installation {
            id: installation_id(7),
            app: client_id("c"),
            account,
            target,
            permissions,
            repositories,
            suspended_at: None,
            created_at: now,
            updated_at: now,
        };
        let record = |(id, installations): (&str, Vec<Installation>)| {
            let record = AppRecord {
                number: AppNumber(1),
                settings: settings(id, "default", &[]),
                keys: Vec::new(),
                encryption_keys: Vec::new(),
                grants: Vec::new(),
                table_grants: Vec::new(),
                installations,
                credential_version: 1,
            };
            (client_id(id), record)
        };
        Registry { apps: [("c", vec![known]), ("d", vec![])].map(record).into(), ..Registry::default() }
    }

    fn plan(wanted: Vec<(&str, InstallationSettings)>) -> Result<Vec<String>, Vec<String>> {
        let apps = ["c", "d"].map(|id| DesiredApp(settings(id, "default", &[]))).into();
        let accounts = vec![crate::registry::Account { id: account_id("acme"), hosts: BTreeSet::new() }];
        let installations = wanted.into_iter().map(|(app, wanted)| (client_id(app), wanted)).collect();
        let desired = Desired { accounts, apps, installations, ..Desired::default() };
        let planned = Plan::new(&stored(), &desired, &GrantRules::default(), PlanOptions { prune: true, draft: false });
        planned
            .map(|plan| plan.0[1..].iter().map(ToString::to_string).collect())
            .map_err(|errors| errors.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn an_installation_is_the_same_by_its_number_or_by_its_account() {
        for id in [None, Some(7)] {
            assert_eq!(plan(vec![("c", installation(id, "default"))]), Ok(vec![]));
        }
        let suspended = InstallationSettings { suspended: true, ..installation(None, "default") };
        let line = "set installation 7 of app c on account default: contents:read on all repositories, suspended";
        assert_eq!(plan(vec![("c", suspended)]).unwrap(), [line]);
        assert_eq!(plan(vec![]).unwrap(), ["delete installation 7 of app c"]);
        let new = [
            "set installation of app c on account acme: contents:read on all repositories",
            "delete installation 7 of app c",
        ];
        assert_eq!(plan(vec![("c", installation(None, "acme"))]).unwrap(), new);
    }

    #[test]
    fn what_is_wrong_is_told_at_its_entry() {
        for (wanted, why) in [
            (vec![("none", installation(None, "default"))], "number 1: app none does not exist"),
            (vec![("c", installation(None, "none"))], "account none does not exist"),
            (vec![("c", installation(Some(8), "default"))], "already, as installation 7: give that id, or none"),
            (vec![("c", installation(Some(7), "acme"))], "installation 7 is that of app c on account default"),
            (vec![("d", installation(Some(7), "default"))], "installation 7 is that of app c on account default"),
            (
                vec![("d", installation(Some(9), "default")), ("d", installation(Some(9), "acme"))],
                "number 2: two installations have the id 9",
            ),
            (
                vec![("d", installation(None, "acme")), ("d", installation(None, "acme"))],
                "number 2: app d has two installations on account acme",
            ),
        ] {
            let errors = plan(wanted).unwrap_err();
            assert!(errors.len() == 1 && errors[0].contains(why), "{errors:?}");
        }
    }
}
