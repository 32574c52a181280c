//! One change of the registry, as it is planned, committed and audited.

use std::collections::BTreeSet;
use std::fmt;

use super::{
    Account, AppSettings, Bot, Difference, GrantTarget, InstallationSettings, KeyNumber, KeyState, Permissions,
    Resource, ServiceSettings,
};
use crate::jose::{DecryptionMaterial, KeyMaterial};
use crate::model::{AccountId, BotId, ClientId, InstallationId, KeyId, Level, RoleName, ScopeId, ServiceName};
use crate::password::PasswordHash;

/// A change; carrying it out twice is the same as once, except for a key that is added, and where it names what it has to meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    PutAccount(Account),
    DeleteAccount(AccountId),
    PutBot(Bot),
    DeleteBot(BotId),
    /// Adds or replaces an app's settings; keys and grants stay. An app that is given to another account loses its
    /// permissions on tables and views: they were given by the account that it leaves.
    PutApp {
        settings: AppSettings,
        is_new: bool,
    },
    /// With its keys, grants and installations.
    DeleteApp(ClientId),
    AddKey {
        app: ClientId,
        kid: Option<KeyId>,
        material: KeyMaterial,
        state: KeyState,
    },
    /// Gives a key that is there other material.
    ReplaceKey {
        app: ClientId,
        key: KeyNumber,
        kid: Option<KeyId>,
        material: KeyMaterial,
    },
    SetKeyState {
        app: ClientId,
        key: KeyNumber,
        state: KeyState,
    },
    DeleteKey {
        app: ClientId,
        key: KeyNumber,
        kid: Option<KeyId>,
    },
    /// A key pair that the app's tokens may be encrypted to.
    AddEncryptionKey {
        app: ClientId,
        kid: KeyId,
        material: DecryptionMaterial,
        state: KeyState,
    },
    SetEncryptionKeyState {
        app: ClientId,
        kid: KeyId,
        state: KeyState,
    },
    DeleteEncryptionKey {
        app: ClientId,
        kid: KeyId,
    },
    /// Sets the draft, and what is in force too where `publish` says so.
    PutGrant {
        app: ClientId,
        target: GrantTarget,
        scopes: BTreeSet<ScopeId>,
        publish: bool,
    },
    /// Edits the draft, and on an account what is in force, too; so edits of several people add up.
    AlterGrant {
        app: ClientId,
        target: GrantTarget,
        by: Difference,
        /// Where it is given, the draft has to be this still.
        seen: Option<BTreeSet<ScopeId>>,
    },
    /// Puts the draft in force, which has to be this still.
    PublishGrant {
        app: ClientId,
        target: GrantTarget,
        draft: BTreeSet<ScopeId>,
    },
    /// Puts the set of an earlier version in force; the draft keeps its edits, on top of that set.
    RestoreGrant {
        app: ClientId,
        target: GrantTarget,
        version: i64,
        scopes: BTreeSet<ScopeId>,
    },
    DeleteGrant {
        app: ClientId,
        target: GrantTarget,
    },
    PutTableGrant {
        app: ClientId,
        resource: Resource,
        permissions: Permissions,
    },
    /// Gives some permissions and takes others; a grant of none is deleted.
    AlterTableGrant {
        app: ClientId,
        resource: Resource,
        gained: Permissions,
        lost: Permissions,
    },
    DeleteTableGrant {
        app: ClientId,
        resource: Resource,
    },
    /// Adds or changes what the app is on the account of the settings; an app is on an account once.
    PutInstallation {
        app: ClientId,
        installation: InstallationSettings,
    },
    DeleteInstallation {
        app: ClientId,
        id: InstallationId,
    },
    /// Adds or changes a service account. One that is there keeps its password where none is given.
    PutService {
        service: ServiceSettings,
        password: Option<PasswordHash>,
    },
    DeleteService(ServiceName),
}

impl Change {
    /// What is changed, as (kind, id), for the audit.
    pub fn subject(&self) -> (&'static str, &str) {
        match self {
            Self::PutAccount(account) => ("account", account.id.as_str()),
            Self::DeleteAccount(id) => ("account", id.as_str()),
            Self::PutBot(bot) => ("bot", bot.id.as_str()),
            Self::DeleteBot(id) => ("bot", id.as_str()),
            Self::PutApp { settings, .. } => ("app", settings.client_id.as_str()),
            Self::DeleteApp(id) => ("app", id.as_str()),
            Self::AddKey { app, .. }
            | Self::ReplaceKey { app, .. }
            | Self::SetKeyState { app, .. }
            | Self::DeleteKey { app, .. } => ("key", app.as_str()),
            Self::AddEncryptionKey { app, .. }
            | Self::SetEncryptionKeyState { app, .. }
            | Self::DeleteEncryptionKey { app, .. } => ("encryption_key", app.as_str()),
            Self::PutGrant { app, .. }
            | Self::AlterGrant { app, .. }
            | Self::PublishGrant { app, .. }
            | Self::RestoreGrant { app, .. }
            | Self::DeleteGrant { app, .. } => ("grant", app.as_str()),
            Self::PutTableGrant { app, .. }
            | Self::AlterTableGrant { app, .. }
            | Self::DeleteTableGrant { app, .. } => ("table_grant", app.as_str()),
            Self::PutInstallation { app, .. } | Self::DeleteInstallation { app, .. } => ("installation", app.as_str()),
            Self::PutService { service, .. } => ("service_account", service.name.as_str()),
            Self::DeleteService(name) => ("service_account", name.as_str()),
        }
    }
}

/// One line for a person. No secret is in it.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PutAccount(account) => write!(f, "set account {}", account.id),
            Self::DeleteAccount(id) => write!(f, "delete account {id}"),
            Self::PutBot(bot) => write!(f, "set bot {} (account {})", bot.id, bot.account),
            Self::DeleteBot(id) => write!(f, "delete bot {id}"),
            Self::PutApp { settings, is_new } => {
                write!(f, "{} app {} ({})", if *is_new { "add" } else { "change" }, settings.client_id, settings.name)
            }
            Self::DeleteApp(id) => write!(f, "delete app {id}"),
            Self::AddKey { app, kid, material, state } => {
                write!(f, "add key {} of app {app}", KeyName { kid, material: Some(material) })?;
                if *state == KeyState::Active { Ok(()) } else { write!(f, ": {state}") }
            }
            Self::ReplaceKey { app, kid, material, .. } => {
                write!(f, "change key {} of app {app}", KeyName { kid, material: Some(material) })
            }
            Self::SetKeyState { app, key, state } => write!(f, "change key number {} of app {app}: {state}", key.0),
            Self::DeleteKey { app, kid, key } => match kid {
                Some(kid) => write!(f, "delete key {kid} of app {app}"),
                None => write!(f, "delete key number {} of app {app}", key.0),
            },
            Self::AddEncryptionKey { app, kid, material, .. } => {
                write!(f, "add encryption key {kid} ({}) of app {app}", material.kind())
            }
            Self::SetEncryptionKeyState { app, kid, state } => {
                write!(f, "change encryption key {kid} of app {app}: {state}")
            }
            Self::DeleteEncryptionKey { app, kid } => write!(f, "delete encryption key {kid} of app {app}"),
            Self::PutGrant { app, target, scopes, publish } => {
                let draft = if *publish { "" } else { WAITS };
                write!(f, "set grant to app {app} on {target}: {}{draft}", list(scopes))
            }
            Self::AlterGrant { app, target, by, .. } => {
                let draft = if target.level() == Level::Account { "" } else { WAITS };
                write!(f, "change grant to app {app} on {target}: {by}{draft}")
            }
            Self::PublishGrant { app, target, draft } => {
                write!(f, "publish grant to app {app} on {target}: {}", list(draft))
            }
            Self::RestoreGrant { app, target, version, scopes } => {
                write!(f, "publish version {version} of the grant to app {app} on {target} again: {}", list(scopes))
            }
            Self::DeleteGrant { app, target } => write!(f, "delete grant to app {app} on {target}"),
            Self::PutTableGrant { app, resource, permissions } => {
                write!(f, "set grant to app {app} on {resource}: {permissions}")
            }
            Self::AlterTableGrant { app, resource, gained, lost } => {
                let signed = gained.iter().map(|p| ('+', p)).chain(lost.iter().map(|p| ('-', p)));
                let signed: Vec<_> = signed.map(|(sign, p)| format!("{sign}{}", p.as_str())).collect();
                write!(f, "change grant to app {app} on {resource}: {}", signed.join(" "))
            }
            Self::DeleteTableGrant { app, resource } => write!(f, "delete grant to app {app} on {resource}"),
            Self::PutInstallation { app, installation } => {
                let InstallationSettings { id, account, permissions, repositories, suspended, .. } = installation;
                let id = id.map(|id| format!(" {id}")).unwrap_or_default();
                let suspended = if *suspended { ", suspended" } else { "" };
                let reach = repositories.as_str();
                write!(
                    f,
                    "set installation{id} of app {app} on account {account}: {permissions} on {reach} repositories{suspended}"
                )
            }
            Self::DeleteInstallation { app, id } => write!(f, "delete installation {id} of app {app}"),
            Self::PutService { service, password } => {
                let ServiceSettings { name, account, kind, roles, enabled } = service;
                let roles: Vec<_> = roles.iter().map(RoleName::as_str).collect();
                let roles = if roles.is_empty() { "no roles".into() } else { roles.join(" ") };
                write!(f, "set service account {name} ({kind} of account {account}, {roles})")?;
                f.write_str(if *enabled { "" } else { ": disabled" })?;
                f.write_str(if password.is_some() { ", with a new password" } else { "" })
            }
            Self::DeleteService(name) => write!(f, "delete service account {name}"),
        }
    }
}

const WAITS: &str = " (draft: not live until it is published)";

fn list(scopes: &BTreeSet<ScopeId>) -> String {
    let ids: Vec<_> = scopes.iter().map(ScopeId::as_str).collect();
    if ids.is_empty() { "none".into() } else { ids.join(" ") }
}

struct KeyName<'a> {
    kid: &'a Option<KeyId>,
    material: Option<&'a KeyMaterial>,
}

impl fmt::Display for KeyName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kid, self.material.and_then(KeyMaterial::fingerprint)) {
            (Some(kid), _) => write!(f, "{kid}"),
            (None, Some(fingerprint)) => f.write_str(&fingerprint),
            (None, None) => f.write_str("(secret)"),
        }
    }
}
