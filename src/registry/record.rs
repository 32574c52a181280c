//! What the registry holds, as it is stored.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Installation, ServiceAccount};
use crate::clock::Timestamp;
use crate::jose::{DecryptionMaterial, KeyMaterial};
use crate::model::{
    AccountId, Algorithm, AppNumber, AuthenticatorName, BotId, ClientId, KeyId, Level, Network, ScopeId, ServiceName,
};

/// A tenant. One named `default` always exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub id: AccountId,
    /// Host names that belong to this account alone, in lower case.
    pub hosts: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bot {
    pub id: BotId,
    pub account: AccountId,
}

/// An app with everything that is its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppRecord {
    pub number: AppNumber,
    pub settings: AppSettings,
    pub keys: Vec<KeyRecord>,
    pub encryption_keys: Vec<EncryptionKeyRecord>,
    pub grants: Vec<Grant>,
    pub table_grants: Vec<TableGrant>,
    /// In order of their ids.
    pub installations: Vec<Installation>,
    /// The version of the registry at which keys of either kind or algorithms last changed.
    pub credential_version: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppSettings {
    pub client_id: ClientId,
    pub name: String,
    pub account: AccountId,
    pub level: Level,
    /// For an app of level `bot`: the bots that it may act on.
    pub bots: BTreeSet<BotId>,
    /// The kinds of route it may be used with; empty means all.
    pub authenticators: BTreeSet<AuthenticatorName>,
    pub algorithms: BTreeSet<Algorithm>,
    pub enforce_jti: bool,
    pub enforce_jwe: bool,
    pub require_exp: bool,
    pub max_lifetime: Option<Duration>,
    /// Where its calls may come from; empty means anywhere.
    pub networks: BTreeSet<Network>,
    pub enabled: bool,
}

/// A key's number in the registry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct KeyNumber(pub i64);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    pub number: KeyNumber,
    pub kid: Option<KeyId>,
    pub material: KeyMaterial,
    pub state: KeyState,
}

/// A key pair that the app's tokens are encrypted to; the private half stays here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncryptionKeyRecord {
    pub number: KeyNumber,
    /// Names this key alone, over all apps.
    pub kid: KeyId,
    pub material: DecryptionMaterial,
    pub state: KeyState,
    pub created_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    Active,
    /// Good until then.
    Retiring(Timestamp),
    /// Verifies and decrypts nothing; kept so that the log can say so.
    Retired,
}

impl KeyState {
    /// The word for it in files and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Retiring(_) => "retiring",
            Self::Retired => "retired",
        }
    }

    pub fn usable_at(self, now: Timestamp) -> bool {
        match self {
            Self::Active => true,
            Self::Retiring(until) => now < until,
            Self::Retired => false,
        }
    }
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Active => f.write_str("active"),
            Self::Retiring(until) => write!(f, "retiring, good until {until}"),
            Self::Retired => f.write_str("retired"),
        }
    }
}

/// Scopes of an app on a bot or an account: as edited, and as they are in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub target: GrantTarget,
    pub draft: BTreeSet<ScopeId>,
    pub published: BTreeSet<ScopeId>,
    /// How often what is in force has changed: the newest [`super::GrantVersion`], 0 where there is none.
    pub version: i64,
    /// When draft or published last changed.
    pub updated_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GrantTarget {
    Bot(BotId),
    Account(AccountId),
}

impl GrantTarget {
    pub fn level(&self) -> Level {
        match self {
            Self::Bot(_) => Level::Bot,
            Self::Account(_) => Level::Account,
        }
    }

    pub fn bot(&self) -> Option<&BotId> {
        match self {
            Self::Bot(bot) => Some(bot),
            Self::Account(_) => None,
        }
    }
}

impl fmt::Display for GrantTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bot(bot) => write!(f, "bot {bot}"),
            Self::Account(account) => write!(f, "account {account}"),
        }
    }
}

/// Rights on one data table or view; scopes give none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableGrant {
    pub resource: Resource,
    pub permissions: Permissions,
}

/// A data table or a view, by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resource {
    pub kind: ResourceKind,
    pub name: String,
}

impl Resource {
    /// Why no path can name it, if none can: a grant on it would give nothing.
    pub fn fault(&self) -> Option<String> {
        let never = |c: char| c.is_control() || matches!(c, '/' | '\\' | ';');
        let kind = self.kind.as_str();
        if self.name.is_empty() {
            Some(format!("the name of the {kind} is empty"))
        } else if self.name.contains(never) || matches!(self.name.as_str(), "." | "..") {
            let name = &self.name;
            Some(format!("no call can name a {kind} {name:?}: slashes, semicolons and control characters are refused"))
        } else {
            None
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceKind {
    Table,
    View,
}

impl ResourceKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::View => "view",
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.name)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    Read = 1,
    Write = 2,
    Delete = 4,
}

impl Permission {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Delete => "delete",
        }
    }
}

/// Any of read, write and delete.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Permissions(u8);

impl Permissions {
    pub const NONE: Self = Self(0);
    pub const ALL: Self = Self(Permission::Read as u8 | Permission::Write as u8 | Permission::Delete as u8);

    pub fn includes(self, needed: Self) -> bool {
        self.0 & needed.0 == needed.0
    }

    #[must_use]
    pub fn with(self, more: Self) -> Self {
        Self(self.0 | more.0)
    }

    #[must_use]
    pub fn without(self, less: Self) -> Self {
        Self(self.0 & !less.0)
    }

    pub fn iter(self) -> impl Iterator<Item = Permission> {
        [Permission::Read, Permission::Write, Permission::Delete].into_iter().filter(move |p| self.0 & *p as u8 != 0)
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        Self(permissions.into_iter().fold(0, |bits, p| bits | p as u8))
    }
}

impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.iter().map(Permission::as_str).collect();
        f.write_str(if names.is_empty() { "none" } else { "" })?;
        f.write_str(&names.join(" "))
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// All that is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registry {
    pub accounts: BTreeMap<AccountId, Account>,
    pub bots: BTreeMap<BotId, Bot>,
    pub apps: BTreeMap<ClientId, AppRecord>,
    pub service_accounts: BTreeMap<ServiceName, ServiceAccount>,
}
