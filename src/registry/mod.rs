//! Who may call: accounts, bots, apps with their keys, scopes and grants. The domain and its traits; no SQL.
//!
//! Records are what is stored. A [`Snapshot`] is what a request sees: the same, immutable, with keys ready to verify.

mod app;
mod catalogue;
mod change;
#[cfg(test)]
pub(crate) mod conformance;
mod edit;
mod encryption;
mod installation;
mod part;
mod plan;
mod publishing;
mod record;
mod repository;
mod rules;
mod service;
mod sharded;
mod snapshot;
mod usage;

pub use app::{App, KeyChoice, KeyFault, KeyHint, MAX_KEYS, RegisteredEncryptionKey, RegisteredKey, ScopeSet};
pub use catalogue::{ScopeCatalogue, ScopeDefinition};
pub use change::Change;
pub use edit::{EditError, Editor, LastKey, NewKey, safe_to_retire};
pub use encryption::{lacking_encryption_keys, new_encryption_key, rotation};
pub use installation::{
    Installation, InstallationSettings, InstallationTarget, PermissionFault, PermissionLevel, PermissionSet,
    Repositories, SelectedRepository,
};
pub use part::Part;
pub use plan::{
    DEFAULT_ACCOUNT, Desired, DesiredApp, DesiredEncryptionKey, DesiredGrant, DesiredKey, DesiredPassword,
    DesiredService, Plan, PlanError, PlanOptions,
};
pub use publishing::{
    Difference, Edit, GrantVersion, Mapping, Proposal, Selection, faults, roll_back, waiting, with_differences,
};
pub use record::{
    Account, AppRecord, AppSettings, Bot, EncryptionKeyRecord, Grant, GrantTarget, KeyNumber, KeyRecord, KeyState,
    Permission, Permissions, Registry, Resource, ResourceKind, TableGrant,
};
pub use repository::{Actor, Delta, Repository, SERVICE_ACTOR, StoreError, Version};
pub use rules::{GrantError, GrantRules, TakenTokens};
pub use service::{BOT_API, ServiceAccount, ServiceKind, ServiceSettings};
pub(crate) use sharded::Sharded;
pub use snapshot::Snapshot;
pub use usage::{NOTED_EVERY, ScopeUse, UsageBook, Use};
