//! What a store of the registry promises.

use std::fmt;
use std::future::Future;

use super::{Account, AppRecord, Bot, Change, Registry, ServiceAccount};
use crate::clock::Timestamp;
use crate::model::{AccountId, BotId, ClientId, ServiceName};

/// The registry's version: goes up with each commit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Version(pub i64);

/// All that changed between two versions, each entity once and as it is now; none where it is gone.
#[derive(Clone, Debug, Default)]
pub struct Delta {
    pub version: Version,
    pub accounts: Vec<(AccountId, Option<Account>)>,
    pub bots: Vec<(BotId, Option<Bot>)>,
    pub apps: Vec<(ClientId, Option<AppRecord>)>,
    pub service_accounts: Vec<(ServiceName, Option<ServiceAccount>)>,
}

impl Delta {
    /// How many entities it names.
    pub fn len(&self) -> usize {
        self.accounts.len() + self.bots.len() + self.apps.len() + self.service_accounts.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// With what the name of an actor begins that is a service account.
pub const SERVICE_ACTOR: &str = "service:";

/// Who changes something, and why; stands in the audit.
#[derive(Clone, Debug)]
pub struct Actor {
    /// `cli:user@host` for the command line, [`SERVICE_ACTOR`] and its name for a service account.
    pub name: String,
    pub why: Option<String>,
    pub at: Timestamp,
}

/// The store did not do what was asked; nothing was changed.
#[derive(Debug)]
pub enum StoreError {
    /// It can't be reached, or broke off.
    Unavailable(Box<dyn std::error::Error + Send + Sync>),
    /// What it holds can't be read: a wrong master key, a damaged row.
    Unreadable(String),
    /// A change that names what is not there, or what is there already.
    Conflict(String),
    /// Others have committed since what the changes were made from was read.
    Outdated,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(_) => f.write_str("the store can't be reached"),
            Self::Unreadable(what) => write!(f, "the store can't be read: {what}"),
            Self::Conflict(what) => f.write_str(what),
            Self::Outdated => f.write_str("the registry was changed by somebody else in the meantime: try again"),
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unavailable(error) => Some(&**error),
            Self::Unreadable(_) | Self::Conflict(_) | Self::Outdated => None,
        }
    }
}

/// Holds the registry. Commits are atomic and ordered; a reader sees all of a version or nothing of it; secrets come
/// back as they went in and are never stored in the clear.
pub trait Repository: Send + Sync {
    /// The current version; cheap enough to be asked several times a second.
    fn version(&self) -> impl Future<Output = Result<Version, StoreError>> + Send;

    /// Everything, at one version.
    fn load(&self) -> impl Future<Output = Result<(Version, Registry), StoreError>> + Send;

    /// What changed since a version that was read earlier.
    fn changes_since(&self, version: Version) -> impl Future<Output = Result<Delta, StoreError>> + Send;

    /// How many apps of the registry an actor that is no person has created, which were not moved since.
    fn apps_created_by(&self, actor: &str) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Carries out all the changes, or none; writes an audit row for each.
    fn commit(&self, changes: &[Change], actor: &Actor) -> impl Future<Output = Result<Version, StoreError>> + Send;

    /// As `commit`, unless others have committed since that version: then nothing is done, and the error is
    /// [`StoreError::Outdated`]. So nobody's change is lost to changes that were made from an older state.
    fn commit_at(
        &self,
        read: Version,
        changes: &[Change],
        actor: &Actor,
    ) -> impl Future<Output = Result<Version, StoreError>> + Send;
}
