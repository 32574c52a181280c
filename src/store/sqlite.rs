//! What is SQLite alone: where the file is, how it is opened, and how a commit by others is seen.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::error::DatabaseError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, Sqlite, SqliteConnection, SqlitePool};

use super::condition::Condition;
use super::error::{OpenError, failed};
use super::migrations;
use crate::registry::StoreError;

/// The database that the SQL of this module runs on.
pub type Db = Sqlite;
pub type Connection = SqliteConnection;

const READERS: u32 = 4;
/// How long a command waits for the lock of another process; a plan of 100,000 changes holds it for seconds.
const LOCK_WAIT: Duration = Duration::from_secs(30);
/// How long SQLite itself waits for a lock. Longer waits are made of such: a caller that leaves frees its connection soon.
const BUSY: Duration = Duration::from_millis(100);
const RETRY: Duration = Duration::from_millis(20);

/// One connection that writes and a few that read.
#[derive(Clone)]
pub struct Database {
    path: PathBuf,
    writer: SqlitePool,
    readers: SqlitePool,
    lock_wait: Duration,
    pub condition: Arc<Condition>,
}

/// A transaction; dropped before its end it changes nothing.
pub struct Transaction {
    inner: sqlx::Transaction<'static, Db>,
    /// Of a transaction that writes.
    doubt: Doubt,
}

/// Dropped with its condition it casts doubt on it: a transaction that breaks off may tell that writes fail.
struct Doubt(Option<Arc<Condition>>);

impl Drop for Doubt {
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(|condition| condition.suspect());
    }
}

impl Transaction {
    pub async fn commit(self) -> Result<(), sqlx::Error> {
        let Self { inner, mut doubt } = self;
        inner.commit().await?;
        doubt.0 = None;
        Ok(())
    }

    pub async fn rollback(self) -> Result<(), sqlx::Error> {
        let Self { inner, mut doubt } = self;
        inner.rollback().await?;
        doubt.0 = None;
        Ok(())
    }
}

impl Deref for Transaction {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.inner
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.inner
    }
}

impl Database {
    /// Brings the schema up to date; makes the file and its folder if they are not there and that is wanted.
    pub async fn open(url: &str, create: bool) -> Result<Self, OpenError> {
        let path = path_of(url)?;
        if create {
            make(&path)?;
        } else if !path.exists() {
            return Err(OpenError::Absent(path));
        }
        let broken = |error: sqlx::Error| OpenError::Database { path: path.clone(), source: Box::new(error) };
        let writer = open_writer(&path).await.map_err(broken)?;
        migrate(&writer, &path).await?;
        let read = options(&path).pragma("query_only", "ON");
        let readers = pool().max_connections(READERS).connect_with(read).await.map_err(broken)?;
        let condition = Arc::new(Condition::new(&path));
        Ok(Self { path, writer, readers, lock_wait: LOCK_WAIT, condition })
    }

    /// Waits no longer than that for a connection and for locks of other processes.
    pub fn with_lock_wait(self, lock_wait: Duration) -> Self {
        Self { lock_wait, ..self }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A transaction that holds the write lock from its start, so that it can't fail half-way for want of it.
    pub async fn write(&self) -> Result<Transaction, StoreError> {
        self.look().await?;
        let inner = self.waiting(|| self.writer.begin_with("BEGIN IMMEDIATE")).await.inspect_err(|error| {
            if !is_lock(error) {
                self.condition.suspect();
            }
        });
        Ok(Transaction { inner: inner.map_err(failed)?, doubt: Doubt(Some(Arc::clone(&self.condition))) })
    }

    /// A transaction that sees one state of the database throughout.
    pub async fn read(&self) -> Result<Transaction, StoreError> {
        self.condition.check()?;
        let begin = || async {
            let mut transaction = self.readers.begin().await?;
            // Its lock is taken by the first query.
            sqlx::query("PRAGMA schema_version").execute(&mut *transaction).await?;
            Ok(transaction)
        };
        Ok(Transaction { inner: self.waiting(begin).await.map_err(failed)?, doubt: Doubt(None) })
    }

    /// Begins a transaction, and waits for the lock of another process. Dropped meanwhile, it begins none.
    async fn waiting<F>(&self, begin: impl Fn() -> F) -> Result<sqlx::Transaction<'static, Db>, sqlx::Error>
    where
        F: Future<Output = Result<sqlx::Transaction<'static, Db>, sqlx::Error>>,
    {
        let begun = async {
            loop {
                match begin().await {
                    Err(sqlx::Error::Database(error)) if is_busy(&*error) => tokio::time::sleep(RETRY).await,
                    begun => return begun,
                }
            }
        };
        tokio::time::timeout(self.lock_wait, begun).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }

    /// Looks whether the files are still the ones that were opened.
    ///
    /// # Errors
    /// When they are not.
    pub async fn look(&self) -> Result<(), StoreError> {
        let condition = Arc::clone(&self.condition);
        let looked = tokio::task::spawn_blocking(move || condition.look()).await;
        looked.unwrap_or_else(|error| Err(StoreError::Unavailable(error.into())))
    }

    /// Writes more than a page and takes it back, where a transaction broke off or writes failed before.
    pub async fn try_writing(&self) {
        if !self.condition.is_doubtful() {
            return;
        }
        let tried = async {
            let mut transaction = self.write().await?;
            for query in [
                "INSERT INTO reload_request (at, actor) VALUES (0, hex(zeroblob(8192)))",
                "DELETE FROM reload_request WHERE id = (SELECT MAX(id) FROM reload_request)",
            ] {
                sqlx::query(query).execute(&mut *transaction).await.map_err(failed)?;
            }
            transaction.commit().await.map_err(failed)
        };
        let tried = tried.await;
        // Another process that writes for long is no fault of the store.
        if !matches!(&tried, Err(StoreError::Unavailable(error)) if error.downcast_ref().is_some_and(is_lock)) {
            self.condition.judge(tried);
        }
    }

    /// A connection of its own, for [`data_version`].
    pub async fn connect(&self) -> Result<Connection, StoreError> {
        options(&self.path).pragma("query_only", "ON").connect().await.map_err(failed)
    }

    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// A connection that only reads; none where there is no database, or its schema is not that of this release.
pub async fn glance(url: &str) -> Result<Option<Connection>, OpenError> {
    let peeked = peek(url).await?.filter(|peeked| peeked.schema == newest_schema());
    Ok(peeked.map(|peeked| peeked.connection))
}

/// The migration that this release ends with.
pub fn newest_schema() -> i64 {
    migrations::sqlite().iter().map(|migration| migration.version).max().unwrap_or_default()
}

/// A database that is only read, and how far its schema is.
pub struct Peeked {
    pub connection: Connection,
    pub path: PathBuf,
    /// The last of its migrations; 0 where it is no store yet.
    pub schema: i64,
}

/// None where there is no file.
pub async fn peek(url: &str) -> Result<Option<Peeked>, OpenError> {
    let path = path_of(url)?;
    if !path.exists() {
        return Ok(None);
    }
    let broken = |error: sqlx::Error| OpenError::Database { path: path.clone(), source: Box::new(error) };
    let mut connection = options(&path).pragma("query_only", "ON").connect().await.map_err(broken)?;
    let query = sqlx::query_scalar("SELECT COUNT(*) FROM sqlite_schema WHERE name = '_sqlx_migrations'");
    let tables: i64 = query.fetch_one(&mut connection).await.map_err(broken)?;
    if tables == 0 {
        return Ok(Some(Peeked { connection, path, schema: 0 }));
    }
    let query = sqlx::query_scalar("SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations");
    let schema: i64 = query.fetch_one(&mut connection).await.map_err(broken)?;
    Ok(Some(Peeked { connection, path, schema }))
}

/// An empty database for its owner alone; the files that SQLite puts beside it get the same mode.
fn make(path: &Path) -> Result<(), OpenError> {
    make_file(path).map_err(|(path, source)| OpenError::File { path, source })
}

/// The error comes with the folder or file that could not be made.
pub fn make_file(path: &Path) -> Result<(), (PathBuf, io::Error)> {
    if let Some(folder) = path.parent() {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|error| (folder.into(), error))?;
    }
    let made = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
    made.map(drop).map_err(|error| (path.into(), error))
}

/// A number that is another one after each commit of any other connection, in this process or another.
pub async fn data_version(connection: &mut Connection) -> Result<i64, StoreError> {
    sqlx::query_scalar("PRAGMA data_version").fetch_one(connection).await.map_err(failed)
}

fn path_of(url: &str) -> Result<PathBuf, OpenError> {
    let Some(path) = url.strip_prefix("sqlite://") else {
        // Only the scheme is shown: the rest of a database's URL may hold a password.
        let given = match url.split_once("://") {
            Some((scheme, _)) => format!("this build has no store for {scheme}://"),
            None => "the store's url has no scheme".to_owned(),
        };
        return Err(OpenError::Url(format!("{given}; write url = \"sqlite://data/scopegate.db\"")));
    };
    if path.is_empty() || path.ends_with('/') {
        return Err(OpenError::Url(format!("{url} names no file; write url = \"sqlite://data/scopegate.db\"")));
    }
    if path == ":memory:" || path.contains('?') {
        return Err(OpenError::Url(format!("{url}: a store is a file, and takes no options after its path")));
    }
    Ok(PathBuf::from(path))
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY)
        .foreign_keys(true)
        .disable_statement_logging()
}

/// The change to a write-ahead log does not wait for its lock: of processes that make a store at once, all but one are
/// told that it is busy, and try again.
async fn open_writer(path: &Path) -> Result<SqlitePool, sqlx::Error> {
    let options = options(path).create_if_missing(true).journal_mode(SqliteJournalMode::Wal);
    let opening = async {
        loop {
            match pool().max_connections(1).connect_with(options.clone()).await {
                Err(sqlx::Error::Database(error)) if is_busy(&*error) => tokio::time::sleep(RETRY).await,
                opened => return opened,
            }
        }
    };
    tokio::time::timeout(LOCK_WAIT, opening).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

fn is_busy(error: &dyn DatabaseError) -> bool {
    primary_code(error) == Some(SQLITE_BUSY)
}

/// Whether others keep the database or its connections to themselves.
fn is_lock(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::PoolTimedOut) || error.as_database_error().is_some_and(is_busy)
}

pub const SQLITE_BUSY: i32 = 5;
pub const SQLITE_CORRUPT: i32 = 11;
pub const SQLITE_NOTADB: i32 = 26;

/// The low byte of the extended code.
pub fn primary_code(error: &dyn DatabaseError) -> Option<i32> {
    error.code().and_then(|code| code.parse::<i32>().ok()).map(|code| code & 0xff)
}

/// A connection to a file does not age. One whose transaction could not be ended is discarded: after an error such as a
/// full disk SQLite ends the transaction itself, and what counts transactions for the connection does not notice.
fn pool() -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .acquire_timeout(LOCK_WAIT)
        .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
}

/// In one transaction that holds the write lock: of two processes that start at once, the second finds it done.
async fn migrate(writer: &SqlitePool, path: &Path) -> Result<(), OpenError> {
    let broken = |error: sqlx::Error| OpenError::Database { path: path.into(), source: Box::new(error) };
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await.map_err(broken)?;
    migrations::sqlite().run_direct(None, &mut *transaction, false).await.map_err(|error| match error {
        sqlx::migrate::MigrateError::VersionMissing(version) => OpenError::NewerSchema { path: path.into(), version },
        other => OpenError::Database { path: path.into(), source: Box::new(other) },
    })?;
    transaction.commit().await.map_err(broken)
}
