//! What one command does to the registry, as changes: each is a small plan, so that what holds of a registry file holds
//! of a command. Pure: the time is an argument, and whoever carries the changes out reports what the store refuses.

mod keys;
mod services;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;

pub use self::keys::{LastKey, NewKey, safe_to_retire};

use super::plan::good_until;
use super::{
    Account, AppRecord, AppSettings, Bot, Change, Desired, DesiredApp, GrantRules, GrantTarget, Plan, PlanOptions,
    Registry,
};
use crate::clock::Timestamp;
use crate::model::{AccountId, ClientId};

/// The registry as it was read, and what is done to it now.
#[derive(Clone, Copy)]
pub struct Editor<'a> {
    pub registry: &'a Registry,
    pub rules: &'a GrantRules,
    pub now: Timestamp,
}

/// Why something can't be done, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EditError(pub String);

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for EditError {}

pub(super) fn refuse<T>(why: impl Into<String>) -> Result<T, EditError> {
    Err(EditError(why.into()))
}

type Edited = Result<Vec<Change>, EditError>;

impl<'a> Editor<'a> {
    /// # Errors
    /// When there is an account of the name.
    pub fn add_account(&self, account: Account) -> Edited {
        if self.registry.accounts.contains_key(&account.id) {
            return refuse(format!("account {} exists already; `account host add` gives it more hosts", account.id));
        }
        self.plan(&Desired { accounts: vec![account], ..Desired::default() })
    }

    /// # Errors
    /// When there is no such account.
    pub fn add_hosts(&self, id: &AccountId, hosts: &BTreeSet<String>) -> Edited {
        let mut account = self.account(id)?.clone();
        account.hosts.extend(hosts.iter().cloned());
        self.plan(&Desired { accounts: vec![account], ..Desired::default() })
    }

    /// # Errors
    /// When there is no such account, or it does not have one of the hosts.
    pub fn remove_hosts(&self, id: &AccountId, hosts: &BTreeSet<String>) -> Edited {
        let mut account = self.account(id)?.clone();
        if let Some(strange) = hosts.iter().find(|host| !account.hosts.remove(*host)) {
            return refuse(format!("account {id} has no host {strange}"));
        }
        self.plan(&Desired { accounts: vec![account], ..Desired::default() })
    }

    /// # Errors
    /// When there is no such account.
    pub fn account(&self, id: &AccountId) -> Result<&'a Account, EditError> {
        self.registry.accounts.get(id).ok_or_else(|| EditError(format!("account {id} does not exist")))
    }

    /// # Errors
    /// When there is a bot of the name, or no such account.
    pub fn add_bot(&self, bot: Bot) -> Edited {
        if let Some(known) = self.registry.bots.get(&bot.id) {
            return refuse(format!("bot {} exists already, in account {}", bot.id, known.account));
        }
        self.plan(&Desired { bots: vec![bot], ..Desired::default() })
    }

    /// An app needs no key whose tokens are issued here.
    ///
    /// # Errors
    /// When there is an app of the client id, or the app or its key breaks a rule.
    pub fn create_app(&self, settings: AppSettings, key: Option<NewKey>) -> Edited {
        if self.registry.apps.contains_key(&settings.client_id) {
            return refuse(format!("app {} exists already", settings.client_id));
        }
        if let Some(key) = &key {
            keys::check_is_good(key, self.now)?;
        }
        let keys = key.map(|key| key.desired(&settings.client_id)).into_iter().collect();
        self.plan(&Desired { apps: vec![DesiredApp(settings)], keys, ..Desired::default() })
    }

    /// Changes settings; what was granted on a bot that the app leaves is gone with it.
    ///
    /// # Errors
    /// When there is no such app, it would break a rule, or none of its keys could be used any more.
    pub fn change_app(&self, id: &ClientId, change: impl FnOnce(&mut AppSettings)) -> Edited {
        let record = self.app(id)?;
        let mut settings = record.settings.clone();
        change(&mut settings);
        if good_until(&settings, &record.keys) < good_until(&record.settings, &record.keys) {
            return refuse(format!("no key of app {id} could be used with these algorithms: add one first"));
        }
        let left: Vec<_> = record.settings.bots.difference(&settings.bots).cloned().collect();
        let mut changes = self.plan(&Desired { apps: vec![DesiredApp(settings)], ..Desired::default() })?;
        let grants = record.grants.iter().map(|grant| &grant.target);
        let gone = grants.filter(|target| matches!(target, GrantTarget::Bot(bot) if left.contains(bot)));
        changes.extend(gone.map(|target| Change::DeleteGrant { app: id.clone(), target: target.clone() }));
        Ok(changes)
    }

    /// # Errors
    /// When there is no such app.
    pub fn app(&self, id: &ClientId) -> Result<&'a AppRecord, EditError> {
        self.registry.apps.get(id).ok_or_else(|| EditError(format!("app {id} does not exist")))
    }

    fn plan(&self, desired: &Desired) -> Edited {
        self.plan_then(desired, Vec::new())
    }

    /// With more changes after those of the plan, which has to hold with them.
    fn plan_then(&self, desired: &Desired, more: Vec<Change>) -> Edited {
        let planned = Plan::then(self.registry, desired, self.rules, PlanOptions::default(), more);
        planned.map(|plan| plan.0).map_err(|errors| {
            let messages: Vec<_> = errors.into_iter().map(|error| error.message).collect();
            EditError(messages.join("; "))
        })
    }
}
