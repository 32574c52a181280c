//! The journal of first uses: a SQLite database of its own, which one process has open at a time.

mod fault;
mod shrink;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::rand;
use serde_json::json;
use sqlx::sqlite::{SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqliteLockingMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};

pub use self::fault::JournalFault;

use super::condition::files_of;
use super::migrations;
use super::sqlite::make_file;
use crate::clock::Timestamp;
use crate::files::{Moved, OpenFiles};
use crate::model::AppNumber;
use crate::replay::{Durability, Journal, JournalEntry, JournalError, UseHash};
use crate::secret::Secret;

/// As in the first migration.
const APPLICATION_ID: i64 = 1_397_183_050;
/// How long a start waits for a process that is just ending.
const BUSY: Duration = Duration::from_secs(1);
/// Rows that are read at once, and removed at once: some milliseconds of work.
const READ_CHUNK: i64 = 10_000;
const FORGET_CHUNK: i64 = 4096;
/// What is left of the write-ahead log after a peak.
const LOG_BYTES: &str = "4194304";

/// A journal in a file. The process that has it open locks it; the lock ends with the process.
pub struct ReplayJournal {
    path: PathBuf,
    pub(super) connection: SqliteConnection,
    hash_key: Secret,
    /// The id up to which it was read.
    read: i64,
    files: Arc<Mutex<OpenFiles>>,
    /// What became of the files, as the last check found it.
    moved: Option<Moved>,
}

impl ReplayJournal {
    /// Opens the journal; makes the folder, and a file for its owner alone, if they are not there.
    ///
    /// # Errors
    /// When another process has it open, when it is damaged or something else, or was written by a later release.
    pub async fn open(path: &Path, durability: Durability) -> Result<Self, JournalFault> {
        make_file(path).map_err(|(path, source)| JournalFault::File { path, source })?;
        let mut connection = connect(path, durability).await.map_err(|e| JournalFault::of(path, e))?;
        let hash_key = prepare(&mut connection, path).await?;
        if let Err(error) = shrink::prepare(&mut connection).await {
            tracing::warn!(%error, "the replay journal's file can't shrink: there may be too little room to copy it");
        }
        let files = Arc::new(Mutex::new(OpenFiles::new(files_of(path, &["", "-wal"]))));
        let mut journal = Self { path: path.into(), connection, hash_key, read: 0, files, moved: None };
        // From now on these are its files.
        journal.look().await;
        Ok(journal)
    }

    async fn look(&mut self) {
        let files = Arc::clone(&self.files);
        let check = move || files.lock().unwrap_or_else(PoisonError::into_inner).check().unwrap_or(None);
        if let Ok(moved) = tokio::task::spawn_blocking(check).await {
            self.moved = moved;
        }
    }

    fn check_moved(&self) -> Result<(), JournalError> {
        self.moved.clone().map_or(Ok(()), |moved| Err(JournalFault::Moved(moved).into()))
    }

    fn failed(&self) -> impl FnOnce(sqlx::Error) -> JournalError + use<> {
        let path = self.path.clone();
        move |error| JournalFault::of(&path, error).into()
    }
}

/// In exclusive mode a write-ahead log needs no shared memory, and nobody else gets in.
async fn connect(path: &Path, durability: Durability) -> Result<SqliteConnection, sqlx::Error> {
    let synchronous = match durability {
        // A commit is in the log before it returns: the system keeps it, whatever becomes of the process.
        Durability::Process => SqliteSynchronous::Normal,
        Durability::Power => SqliteSynchronous::Full,
    };
    SqliteConnectOptions::new()
        .filename(path)
        .locking_mode(SqliteLockingMode::Exclusive)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous)
        .busy_timeout(BUSY)
        .auto_vacuum(SqliteAutoVacuum::Incremental)
        .pragma("journal_size_limit", LOG_BYTES)
        .disable_statement_logging()
        .connect()
        .await
}

/// Brings the schema up to date and makes the key, in one transaction: a file is a journal, or nothing yet.
async fn prepare(connection: &mut SqliteConnection, path: &Path) -> Result<Secret, JournalFault> {
    let broken = |error: sqlx::Error| JournalFault::of(path, error);
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(broken)?;
    let tables: i64 =
        sqlx::query_scalar("SELECT count(*) FROM sqlite_schema").fetch_one(&mut *transaction).await.map_err(broken)?;
    let id: i64 = sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut *transaction).await.map_err(broken)?;
    if tables > 0 && id != APPLICATION_ID {
        return Err(JournalFault::Foreign(path.into()));
    }
    migrations::replay().run_direct(None, &mut *transaction, false).await.map_err(|error| match error {
        sqlx::migrate::MigrateError::VersionMissing(version) => {
            JournalFault::NewerSchema { path: path.into(), version }
        }
        other => JournalFault::Database { path: path.into(), source: Box::new(other) },
    })?;
    let known: Option<Vec<u8>> =
        sqlx::query_scalar("SELECT secret FROM hash_key").fetch_optional(&mut *transaction).await.map_err(broken)?;
    let key = match known {
        Some(key) => Secret::new(key),
        None => {
            let mut bytes = [0; 32];
            rand::fill(&mut bytes).map_err(|_| JournalFault::Randomness)?;
            let key = Secret::new(bytes);
            let insert = sqlx::query("INSERT INTO hash_key (id, secret) VALUES (1, ?)").bind(key.expose());
            insert.execute(&mut *transaction).await.map_err(broken)?;
            key
        }
    };
    transaction.commit().await.map_err(broken)?;
    Ok(key)
}

type Row = (i64, Vec<u8>, i64, i64, i64);

impl Journal for ReplayJournal {
    fn hash_key(&self) -> &Secret {
        &self.hash_key
    }

    async fn last(&mut self) -> Result<Option<Timestamp>, JournalError> {
        let query = sqlx::query_scalar::<_, Option<i64>>("SELECT max(at) FROM used");
        let last = query.fetch_one(&mut self.connection).await.map_err(self.failed())?;
        Ok(last.map(Timestamp::from_millis))
    }

    async fn read(&mut self) -> Result<Vec<JournalEntry>, JournalError> {
        let query = "SELECT id, hash, app, at, until FROM used WHERE id > ? ORDER BY id LIMIT ?";
        let query = sqlx::query_as::<_, Row>(query).bind(self.read).bind(READ_CHUNK);
        let rows = query.fetch_all(&mut self.connection).await.map_err(self.failed())?;
        self.read = rows.last().map_or(self.read, |row| row.0);
        let entries: Option<Vec<_>> = rows.into_iter().map(entry).collect();
        entries.ok_or_else(|| JournalFault::Damaged { path: self.path.clone(), what: "a hash is cut".into() }.into())
    }

    /// One statement, so one commit; one text of SQL for any number of entries.
    async fn append(&mut self, entries: &[JournalEntry]) -> Result<(), JournalError> {
        self.check_moved()?;
        let row = |e: &JournalEntry| json!([hex(e.hash), e.app.0, e.at.millis(), e.until.millis()]);
        let rows: serde_json::Value = entries.iter().map(row).collect();
        let insert = "INSERT INTO used (hash, app, at, until) \
                      SELECT unhex(value ->> 0), value ->> 1, value ->> 2, value ->> 3 FROM json_each(?)";
        let done = sqlx::query(insert).bind(rows.to_string()).execute(&mut self.connection).await;
        done.map(drop).map_err(self.failed())
    }

    /// By whole minutes, which is what the index knows.
    async fn forget(&mut self, until: Timestamp) -> Result<bool, JournalError> {
        self.check_moved()?;
        let delete = "DELETE FROM used WHERE id IN \
                      (SELECT id FROM used WHERE until / 60000 < ? / 60000 LIMIT ?)";
        let delete = sqlx::query(delete).bind(until.millis()).bind(FORGET_CHUNK);
        let done = delete.execute(&mut self.connection).await.map_err(self.failed())?;
        if i64::try_from(done.rows_affected()).is_ok_and(|rows| rows >= FORGET_CHUNK) {
            return Ok(true);
        }
        shrink::give_back(&mut self.connection).await.map_err(self.failed())
    }

    async fn check(&mut self, is_failing: bool) -> Result<(), JournalError> {
        self.look().await;
        self.check_moved()?;
        if is_failing {
            // It changes nothing, and is written like everything else.
            let update = sqlx::query("UPDATE hash_key SET secret = secret").execute(&mut self.connection).await;
            update.map_err(self.failed())?;
        }
        Ok(())
    }

    async fn close(self) -> Result<(), JournalError> {
        let failed = self.failed();
        self.connection.close().await.map_err(failed)
    }
}

fn entry((_, hash, app, at, until): Row) -> Option<JournalEntry> {
    let (until, at) = (Timestamp::from_millis(until), Timestamp::from_millis(at));
    Some(JournalEntry { hash: UseHash(hash.try_into().ok()?), app: AppNumber(app), until, at })
}

fn hex(UseHash(hash): UseHash) -> String {
    format!("{:032x}", u128::from_be_bytes(hash))
}
