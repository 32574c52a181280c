//! The registry, kept in SQLite: behind the trait `registry::Repository`, with secrets sealed under a master key. And the
//! journal of first uses behind `replay::Journal`, in a file of its own.
//!
//! `sqlite` is what SQLite alone knows; the SQL of the other files is such that PostgreSQL takes it too.

mod audit;
mod commit;
mod condition;
mod error;
mod glance;
mod history;
mod journal;
mod load;
mod master_key;
mod migrations;
mod part;
mod reload;
mod rows;
mod seal;
mod sqlite;
#[cfg(test)]
mod tests;
mod tokens;
mod usage;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sqlx::AssertSqlSafe;

pub use self::audit::{AuditFilter, AuditRow, Note};
pub use self::error::{KeyFileError, OpenError};
pub use self::glance::{Content, Sight, look_at, service_accounts_at};
pub use self::journal::{JournalFault, ReplayJournal};
pub use self::reload::ReloadOutcome;
pub use self::watch::Watcher;

use self::seal::{Place, Sealer};
use self::sqlite::{Connection, Database, Transaction};
use crate::health::Fault;
use crate::registry::{Actor, Change, Delta, Part, Registry, Repository, StoreError, Version};

/// Where the store is.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// `sqlite://` and a path.
    pub url: String,
    /// The file with the master key; `master.key` beside the database where none is given.
    pub key_file: Option<PathBuf>,
    /// Whether a store that is not there is made, or is an error.
    pub create: bool,
}

/// An open store; copies share its connections.
#[derive(Clone)]
pub struct Store {
    database: Database,
    sealer: Arc<Sealer>,
}

impl Store {
    /// Opens the store, and makes what is missing: folder, database, schema, and the master key if nothing is sealed
    /// under one.
    ///
    /// # Errors
    /// When it can't be opened, was written by a later release, or was sealed under another master key.
    pub async fn open(settings: &StoreSettings) -> Result<Self, OpenError> {
        let database = Database::open(&settings.url, settings.create).await?;
        let key_file = settings.key_file.clone().unwrap_or_else(|| database.path().with_file_name("master.key"));
        let mut connection = database.read().await.map_err(OpenError::Store)?;
        let sealed = first_sealed(&mut connection).await.map_err(OpenError::Store)?;
        drop(connection);
        let key = match (master_key::read(&key_file).map_err(OpenError::Key)?, &sealed) {
            (Some(key), _) => key,
            (None, None) => master_key::make(&key_file).map_err(OpenError::Key)?,
            (None, Some(_)) => return Err(OpenError::Key(KeyFileError::Missing(key_file))),
        };
        let sealer = Sealer::new(&key).map_err(OpenError::Key)?;
        if let Some(sealed) = sealed {
            sealed.check(&sealer).map_err(OpenError::Store)?;
        }
        // From now on these are its files.
        database.look().await.map_err(OpenError::Store)?;
        Ok(Self { database, sealer: Arc::new(sealer) })
    }

    /// Waits no longer than that for other processes that have locked it; commands wait for half a minute.
    #[must_use]
    pub fn with_lock_wait(self, lock_wait: Duration) -> Self {
        Self { database: self.database.with_lock_wait(lock_wait), ..self }
    }

    /// Set while it can't be written; [`Store::try_writing`] finds it out.
    pub fn write_fault(&self) -> Fault {
        self.database.condition.unwritable.clone()
    }

    /// Finds out whether it can be written again, or still, after a transaction that broke off. To be called every now and
    /// then.
    pub async fn try_writing(&self) {
        self.database.try_writing().await;
    }

    /// Waits for what is under way and closes the files; every copy of the store is then of no use.
    pub async fn close(&self) {
        self.database.close().await;
    }

    /// Does what `commit_at` would do and takes it back: a dry run that meets every refusal of the store.
    ///
    /// # Errors
    /// Those of `commit_at`.
    pub async fn rehearse(&self, read: Version, changes: &[Change], actor: &Actor) -> Result<(), StoreError> {
        let (transaction, _) = self.carry_out_at(read, changes, actor).await?;
        transaction.rollback().await.map_err(error::failed)
    }

    /// A part of the registry, at one version.
    ///
    /// # Errors
    /// When the store can't be reached or read.
    pub async fn load_part(&self, part: &Part) -> Result<(Version, Registry), StoreError> {
        load::part(&mut *self.database.read().await?, &self.sealer, part.clone()).await
    }

    async fn carry_out_at(
        &self,
        read: Version,
        changes: &[Change],
        actor: &Actor,
    ) -> Result<(Transaction, Version), StoreError> {
        let mut transaction = self.database.write().await?;
        if load::version(&mut transaction).await? != read {
            return Err(StoreError::Outdated);
        }
        let version = commit::carry_out(&mut transaction, &self.sealer, changes, actor).await?;
        Ok((transaction, version))
    }

    /// Tells when anyone has committed, without reading the registry.
    pub fn watch(&self) -> Watcher {
        Watcher::new(self.database.clone())
    }
}

impl Repository for Store {
    async fn version(&self) -> Result<Version, StoreError> {
        load::version(&mut *self.database.read().await?).await
    }

    async fn load(&self) -> Result<(Version, Registry), StoreError> {
        load::everything(&mut *self.database.read().await?, &self.sealer).await
    }

    async fn changes_since(&self, version: Version) -> Result<Delta, StoreError> {
        load::changes_since(&mut *self.database.read().await?, &self.sealer, version).await
    }

    async fn apps_created_by(&self, actor: &str) -> Result<u64, StoreError> {
        let query = sqlx::query_scalar("SELECT COUNT(*) FROM app WHERE created_by = $1").bind(actor);
        let count: i64 = query.fetch_one(&mut *self.database.read().await?).await.map_err(error::failed)?;
        Ok(count.unsigned_abs())
    }

    async fn commit(&self, changes: &[Change], actor: &Actor) -> Result<Version, StoreError> {
        let mut transaction = self.database.write().await?;
        let version = commit::carry_out(&mut transaction, &self.sealer, changes, actor).await?;
        transaction.commit().await.map_err(error::failed)?;
        Ok(version)
    }

    async fn commit_at(&self, read: Version, changes: &[Change], actor: &Actor) -> Result<Version, StoreError> {
        let (transaction, version) = self.carry_out_at(read, changes, actor).await?;
        transaction.commit().await.map_err(error::failed)?;
        Ok(version)
    }
}

/// A key's row, to which its secret is bound.
fn key_place(app: &str, number: i64) -> Place<'_> {
    Place { table: "app_key", owner: app, number }
}

/// A key pair's row, to which its private half is bound.
fn encryption_key_place(app: &str, number: i64) -> Place<'_> {
    Place { table: "encryption_key", owner: app, number }
}

/// A service account's row, to which the hash of its password is bound.
fn service_place(name: &str, number: i64) -> Place<'_> {
    Place { table: "service_account", owner: name, number }
}

/// Something under the master key, and where it stands.
struct Sealed {
    table: &'static str,
    owner: String,
    number: i64,
    blob: Vec<u8>,
}

impl Sealed {
    /// Whether it was sealed under this key.
    fn check(&self, sealer: &Sealer) -> Result<(), StoreError> {
        let Self { table, owner, number, blob } = self;
        sealer.check_key(blob, Place { table, owner, number: *number })
    }
}

async fn first_sealed(connection: &mut Connection) -> Result<Option<Sealed>, StoreError> {
    let of_apps = |table: &'static str| {
        let query = format!(
            "SELECT app.client_id, {table}.number, {table}.sealed \
             FROM {table} JOIN app ON app.number = {table}.app WHERE {table}.sealed IS NOT NULL LIMIT 1"
        );
        (table, query)
    };
    let ours = ("signing_key", "SELECT kid, number, sealed FROM signing_key LIMIT 1".to_owned());
    let services = "SELECT name, number, sealed FROM service_account WHERE sealed IS NOT NULL LIMIT 1".to_owned();
    for (table, query) in [of_apps("app_key"), of_apps("encryption_key"), ours, ("service_account", services)] {
        let row = sqlx::query_as(AssertSqlSafe(query)).fetch_optional(&mut *connection).await;
        if let Some((owner, number, blob)) = row.map_err(error::failed)? {
            return Ok(Some(Sealed { table, owner, number, blob }));
        }
    }
    Ok(None)
}
