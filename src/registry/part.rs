use std::collections::BTreeSet;

use crate::model::{AccountId, BotId, ClientId, InstallationId, ServiceName};

/// The part of the registry that a change touches: what it names, with the bots and accounts of the apps that it names.
/// Whatever is not there is not in it. So a change of one app costs the same among 100,000.
#[derive(Clone, Debug, Default)]
pub struct Part {
    pub accounts: BTreeSet<AccountId>,
    pub bots: BTreeSet<BotId>,
    pub apps: BTreeSet<ClientId>,
    /// Names that apps are to have: with those that have them already, in the same accounts.
    pub app_names: BTreeSet<String>,
    /// With the apps that are installed so.
    pub installations: BTreeSet<InstallationId>,
    pub service_accounts: BTreeSet<ServiceName>,
}

impl Part {
    pub fn app(id: &ClientId) -> Self {
        Self { apps: [id.clone()].into(), ..Self::default() }
    }

    pub fn account(id: &AccountId) -> Self {
        Self { accounts: [id.clone()].into(), ..Self::default() }
    }

    pub fn bot(id: &BotId) -> Self {
        Self { bots: [id.clone()].into(), ..Self::default() }
    }

    pub fn installation(id: InstallationId) -> Self {
        Self { installations: [id].into(), ..Self::default() }
    }

    pub fn service_account(name: &ServiceName) -> Self {
        Self { service_accounts: [name.clone()].into(), ..Self::default() }
    }

    /// With what another one names.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.accounts.extend(other.accounts);
        self.bots.extend(other.bots);
        self.apps.extend(other.apps);
        self.app_names.extend(other.app_names);
        self.installations.extend(other.installations);
        self.service_accounts.extend(other.service_accounts);
        self
    }
}
