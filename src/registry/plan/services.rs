//! Service accounts, whose passwords are compared by what they are and not by how they are stored.

use std::collections::BTreeSet;

use super::{DesiredPassword, DesiredService, Planner};
use crate::password::{PasswordError, PasswordHash};
use crate::registry::{Change, ServiceAccount};

impl Planner<'_> {
    pub(super) fn service_accounts(&mut self) {
        let desired = self.desired;
        let mut seen = BTreeSet::new();
        for (i, service) in desired.service_accounts.iter().enumerate() {
            let name = &service.settings.name;
            if !seen.insert(name) {
                self.error("service_account", i, format!("service account {name} stands twice"));
                continue;
            }
            match self.service_change(service) {
                Ok(change) => self.changes.extend(change),
                Err(message) => self.error("service_account", i, message),
            }
        }
    }

    fn service_change(&self, DesiredService { settings, password }: &DesiredService) -> Result<Option<Change>, String> {
        if !self.has_account(settings.account.as_str()) {
            return Err(format!("account {} does not exist", settings.account));
        }
        let stored = self.stored.service_accounts.get(&settings.name);
        if stored.is_none() && password.is_none() {
            return Err(format!(
                "service account {} is new: give password_file, password_env, password or password_hash",
                settings.name
            ));
        }
        let password = password.as_ref().map(|password| new_hash(password, stored)).transpose();
        let password = password.map_err(|error| error.to_string())?.flatten();
        let is_kept = password.is_none() && stored.is_some_and(|stored| stored.settings() == *settings);
        Ok((!is_kept).then(|| Change::PutService { service: settings.clone(), password }))
    }

    pub(super) fn prune_services(&mut self) {
        let wanted: BTreeSet<_> = self.desired.service_accounts.iter().map(|service| &service.settings.name).collect();
        let unwanted = self.stored.service_accounts.keys().filter(|name| !wanted.contains(name));
        self.changes.extend(unwanted.map(|name| Change::DeleteService(name.clone())));
    }
}

/// None where it is the stored one.
fn new_hash(
    password: &DesiredPassword,
    stored: Option<&ServiceAccount>,
) -> Result<Option<PasswordHash>, PasswordError> {
    match (password, stored) {
        (DesiredPassword::Hash(hash), Some(stored)) if *hash == stored.hash => Ok(None),
        (DesiredPassword::Hash(hash), _) => Ok(Some(hash.clone())),
        (DesiredPassword::Plain(password), Some(stored)) if password.is_of(&stored.hash)? => Ok(None),
        (DesiredPassword::Plain(password), _) => password.hash().map(Some),
    }
}
