//! The registry as requests see it: immutable, complete, and cheap to replace.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::sharded::Sharded;
use super::{Account, App, Delta, RegisteredEncryptionKey, Registry, Version};
use crate::model::{AccountId, BotId, ClientId, KeyId};

/// One version of the registry, compiled.
#[derive(Clone, Default)]
pub struct Snapshot {
    version: Version,
    accounts: Arc<BTreeMap<AccountId, Account>>,
    hosts: Arc<HashMap<String, AccountId>>,
    bots: Sharded<BotId, AccountId>,
    apps: Sharded<ClientId, Arc<App>>,
    /// Whose the encryption keys are.
    encryption: Sharded<KeyId, ClientId>,
}

impl Snapshot {
    pub fn new(version: Version, registry: Registry) -> Self {
        let delta = Delta {
            version,
            accounts: registry.accounts.into_iter().map(|(id, account)| (id, Some(account))).collect(),
            bots: registry.bots.into_iter().map(|(id, bot)| (id, Some(bot))).collect(),
            apps: registry.apps.into_iter().map(|(id, app)| (id, Some(app))).collect(),
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
        let kids_of = |app: &App| app.encryption_keys().iter().map(|k| k.kid.clone()).collect::<Vec<_>>();
        // What was goes first: a key may leave one app and come to another.
        let gone = apps.iter().filter_map(|(id, _)| self.apps.get(id.as_str())).flat_map(|app| kids_of(app));
        let owned = apps.iter().filter_map(|(id, app)| Some((id, kids_of(app.as_ref()?))));
        let there = owned.flat_map(|(id, kids)| kids.into_iter().map(move |kid| (kid, Some(id.clone()))));
        let encryption = self.encryption.with(gone.map(|kid| (kid, None)).chain(there));
        Self {
            version: delta.version,
            accounts,
            hosts,
            bots: self.bots.with(delta.bots.into_iter().map(|(id, bot)| (id, bot.map(|b| b.account)))),
            apps: self.apps.with(apps),
            encryption,
        }
    }

    pub fn version(&self) -> Version {
        self.version
    }

    pub fn app(&self, client_id: &str) -> Option<&Arc<App>> {
        self.apps.get(client_id)
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
