//! The registry as requests see it: immutable, complete, and cheap to replace.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use super::sharded::Sharded;
use super::{Account, App, Delta, Installation, RegisteredEncryptionKey, Registry, ServiceAccount, Version};
use crate::model::{AccountId, AppNumber, BotId, ClientId, InstallationId, KeyId, ServiceName};

/// One version of the registry, compiled.
#[derive(Clone, Default)]
pub struct Snapshot {
    version: Version,
    accounts: Arc<BTreeMap<AccountId, Account>>,
    hosts: Arc<HashMap<String, AccountId>>,
    bots: Sharded<BotId, AccountId>,
    apps: Sharded<ClientId, Arc<App>>,
    numbers: Sharded<AppNumber, Arc<App>>,
    /// Whose the encryption keys are.
    encryption: Sharded<KeyId, ClientId>,
    installations: Sharded<InstallationId, Arc<Installation>>,
    service_accounts: Sharded<ServiceName, Arc<ServiceAccount>>,
}

impl Snapshot {
    pub fn new(version: Version, registry: Registry) -> Self {
        let delta = Delta {
            version,
            accounts: registry.accounts.into_iter().map(|(id, account)| (id, Some(account))).collect(),
            bots: registry.bots.into_iter().map(|(id, bot)| (id, Some(bot))).collect(),
            apps: registry.apps.into_iter().map(|(id, app)| (id, Some(app))).collect(),
            service_accounts: registry.service_accounts.into_iter().map(|(name, s)| (name, Some(s))).collect(),
        };
        Self::default().with(delta)
    }

    /// The next version: compiles what the delta names and shares the rest.
    #[must_use]
    pub fn with(&self, delta: Delta) -> Self {
        let (accounts, hosts) = if delta.accounts.is_empty() {
            (Arc::clone(&self.accounts), Arc::clone(&self.hosts))
        } else {
            let mut accounts = (*self.accounts).clone();
            for (id, account) in delta.accounts {
                match account {
                    Some(account) => _ = accounts.insert(id, account),
                    None => _ = accounts.remove(&id),
                }
            }
            let hosts = accounts.values().flat_map(|a| a.hosts.iter().map(|h| (h.clone(), a.id.clone()))).collect();
            (Arc::new(accounts), Arc::new(hosts))
        };
        let compile = |record| {
            let app = App::compile(&record);
            if let Some(fault) = &app.fault {
                tracing::error!(app = %app.client_id, fault, "app disabled: a stored key can't be used");
            }
            Arc::new(app)
        };
        let apps: Vec<_> = delta.apps.into_iter().map(|(id, app)| (id, app.map(compile))).collect();
        let before: Vec<_> = apps.iter().filter_map(|(id, _)| self.apps.get(id.as_str())).collect();
        let after: Vec<_> = apps.iter().filter_map(|(_, app)| app.as_ref()).collect();
        let kids = |app: &Arc<App>| app.encryption_keys().iter().map(|k| k.kid.clone()).collect::<Vec<_>>();
        let named = after.iter().flat_map(|app| kids(app).into_iter().map(|kid| (kid, app.client_id.clone())));
        let encryption = replaced(&self.encryption, before.iter().flat_map(|app| kids(app)), named);
        let numbered = after.iter().map(|app| (app.number, Arc::clone(app)));
        let numbers = replaced(&self.numbers, before.iter().map(|app| app.number), numbered);
        let installed = after.iter().flat_map(|app| app.installations().iter().map(|i| (i.id, Arc::clone(i))));
        let left = before.iter().flat_map(|app| app.installations().iter().map(|i| i.id));
        let installations = replaced(&self.installations, left, installed);
        let services = delta.service_accounts.into_iter().map(|(name, service)| (name, service.map(Arc::new)));
        Self {
            version: delta.version,
            accounts,
            hosts,
            bots: self.bots.with(delta.bots.into_iter().map(|(id, bot)| (id, bot.map(|b| b.account)))),
            numbers,
            encryption,
            installations,
            service_accounts: self.service_accounts.with(services),
            apps: self.apps.with(apps),
        }
    }

    pub fn version(&self) -> Version {
        self.version
    }

    pub fn app(&self, client_id: &str) -> Option<&Arc<App>> {
        self.apps.get(client_id)
    }

    pub fn app_by_number(&self, number: AppNumber) -> Option<&Arc<App>> {
        self.numbers.get(&number)
    }

    pub fn apps(&self) -> impl Iterator<Item = &Arc<App>> {
        self.apps.values()
    }

    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    /// The key pair of this name, and the app that it belongs to.
    pub fn encryption_key(&self, kid: &str) -> Option<(&Arc<App>, &RegisteredEncryptionKey)> {
        let app = self.apps.get(self.encryption.get(kid)?.as_str())?;
        Some((app, app.encryption_keys().iter().find(|k| k.kid.as_str() == kid)?))
    }

    /// Also one that is suspended, or whose app is disabled.
    pub fn installation(&self, id: i64) -> Option<&Arc<Installation>> {
        self.installations.get(&InstallationId::new(id).ok()?)
    }

    /// In order of their ids.
    pub fn installations_of(&self, app: AppNumber) -> &[Arc<Installation>] {
        self.app_by_number(app).map_or(&[], |app| app.installations())
    }

    /// Also one that is disabled.
    pub fn service_account(&self, name: &str) -> Option<&Arc<ServiceAccount>> {
        self.service_accounts.get(name)
    }

    pub fn service_accounts(&self) -> impl Iterator<Item = &Arc<ServiceAccount>> {
        self.service_accounts.values()
    }

    pub fn account_of_bot(&self, bot: &str) -> Option<&AccountId> {
        self.bots.get(bot)
    }

    /// The account that alone owns a host name.
    pub fn account_of_host(&self, host: &str) -> Option<&AccountId> {
        if self.hosts.is_empty() { None } else { self.hosts.get(host) }
    }

    /// Numbers of accounts, bots and apps.
    pub fn counts(&self) -> (usize, usize, usize) {
        (self.accounts.len(), self.bots.len(), self.apps.len())
    }
}

/// What was goes first: an entry may leave one app and come to another.
fn replaced<K: Clone + Eq + Hash, V: Clone>(
    map: &Sharded<K, V>,
    gone: impl Iterator<Item = K>,
    there: impl Iterator<Item = (K, V)>,
) -> Sharded<K, V> {
    map.with(gone.map(|key| (key, None)).chain(there.map(|(key, value)| (key, Some(value)))))
}
