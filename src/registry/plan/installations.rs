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
