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

#[cfg(test)]
mod tests {
    use super::super::{Desired, Plan, PlanOptions};
    use super::*;
    use crate::password::NewPassword;
    use crate::registry::conformance::{password, service};
    use crate::registry::{GrantRules, Registry, ServiceSettings};

    const PRUNE: PlanOptions = PlanOptions { prune: true, draft: false };

    fn plain(text: &str) -> DesiredPassword {
        DesiredPassword::Plain(NewPassword::new(text).unwrap())
    }

    /// Service account `s` of account `default` with a password.
    fn stored(hash: PasswordHash) -> Registry {
        let ServiceSettings { name, account, kind, roles, enabled } = service("s", "default", &["bot-api"]);
        let service = ServiceAccount { name: name.clone(), account, kind, roles, enabled, hash, credential_version: 1 };
        Registry { service_accounts: [(name, service)].into(), ..Registry::default() }
    }

    fn wanted(settings: ServiceSettings, password: Option<DesiredPassword>) -> DesiredService {
        DesiredService { settings, password }
    }

    fn plan(registry: &Registry, service_accounts: Vec<DesiredService>) -> Result<Vec<Change>, Vec<String>> {
        let desired = Desired { service_accounts, ..Desired::default() };
        let planned = Plan::new(registry, &desired, &GrantRules::default(), PRUNE);
        planned.map(|plan| plan.0).map_err(|errors| errors.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_password_that_is_the_stored_one_changes_nothing() {
        let same = || service("s", "default", &["bot-api"]);
        let registry = stored(NewPassword::new("the right password").unwrap().hash().unwrap());
        assert_eq!(plan(&registry, vec![wanted(same(), Some(plain("the right password")))]), Ok(vec![]));
        assert_eq!(plan(&registry, vec![wanted(same(), None)]), Ok(vec![]));
        let hash = registry.service_accounts["s"].hash.clone();
        assert_eq!(plan(&registry, vec![wanted(same(), Some(DesiredPassword::Hash(hash)))]), Ok(vec![]));
        let other = plan(&registry, vec![wanted(same(), Some(plain("another password")))]).unwrap();
        let [Change::PutService { password: Some(new), .. }] = &other[..] else { panic!("{other:?}") };
        assert_eq!(new.matches(b"another password"), Ok(true));
        let other = plan(&registry, vec![wanted(same(), Some(DesiredPassword::Hash(password('x'))))]).unwrap();
        assert_eq!(other, [Change::PutService { service: same(), password: Some(password('x')) }]);
    }

    #[test]
    fn settings_change_without_the_password_and_what_is_not_named_is_pruned() {
        let registry = stored(password('a'));
        let disabled = ServiceSettings { enabled: false, ..service("s", "default", &[]) };
        let changes = plan(&registry, vec![wanted(disabled.clone(), None)]).unwrap();
        assert_eq!(changes, [Change::PutService { service: disabled, password: None }]);
        assert_eq!(changes[0].to_string(), "set service account s (service of account default, no roles): disabled");
        assert_eq!(plan(&registry, vec![]).unwrap()[0].to_string(), "delete service account s");
    }

    #[test]
    fn what_is_wrong_is_told_at_its_entry() {
        let new = |name, account| wanted(service(name, account, &[]), None);
        let errors = plan(&stored(password('a')), vec![new("s", "default"), new("s", "default"), new("t", "none")]);
        assert_eq!(
            errors.unwrap_err(),
            [
                "[[service_account]] number 2: service account s stands twice",
                "[[service_account]] number 3: account none does not exist",
            ]
        );
        let errors = plan(&Registry::default(), vec![new("t", "default")]).unwrap_err();
        assert!(errors[0].contains("service account t is new: give password_file"), "{errors:?}");
    }
}
