//! Why a store can't be opened, and how the database's errors become the registry's.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::registry::StoreError;

/// The store can't be opened; each says what to do.
#[derive(Debug)]
pub enum OpenError {
    /// Not a place where a store can be.
    Url(String),
    /// There is no store, and none was to be made.
    Absent(PathBuf),
    /// The folder or the file of the database.
    File { path: PathBuf, source: io::Error },
    /// The database itself.
    Database { path: PathBuf, source: Box<dyn Error + Send + Sync> },
    /// A later release has been here; the number is that of its migration.
    NewerSchema { path: PathBuf, version: i64 },
    /// The master key.
    Key(KeyFileError),
    /// What is in it.
    Store(StoreError),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(what) => f.write_str(what),
            Self::Absent(path) => {
                write!(f, "there is no store at {}: `scopegate apply` or `scopegate serve` makes one", path.display())
            }
            Self::File { path, .. } | Self::Database { path, .. } => {
                write!(f, "the store {} can't be opened", path.display())
            }
            Self::NewerSchema { path, version } => write!(
                f,
                "the store {} was written by a later release (its schema has migration {version}): use that release, \
                 or restore a backup from before the upgrade",
                path.display()
            ),
            Self::Key(error) => fmt::Display::fmt(error, f),
            Self::Store(error) => fmt::Display::fmt(error, f),
        }
    }
}

impl Error for OpenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Url(_) | Self::Absent(_) | Self::NewerSchema { .. } => None,
            Self::File { source, .. } => Some(source),
            Self::Database { source, .. } => Some(&**source),
            Self::Key(error) => error.source(),
            Self::Store(error) => error.source(),
        }
    }
}

/// The file with the master key can't be used.
#[derive(Debug)]
pub enum KeyFileError {
    /// There is none, and the store holds what only it can open.
    Missing(PathBuf),
    /// Others than its owner may read it.
    Exposed {
        path: PathBuf,
        mode: u32,
    },
    /// It does not hold 32 bytes as base64.
    Malformed(PathBuf),
    Io {
        path: PathBuf,
        source: io::Error,
    },
    /// No randomness, or no cipher.
    Crypto,
}

impl fmt::Display for KeyFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(path) => write!(
                f,
                "the master key {} is missing, and the store holds secrets that only it can open: put the file back, \
                 from the backup of the store",
                path.display()
            ),
            Self::Exposed { path, mode } => {
                let path = path.display();
                write!(f, "the master key {path} can be read by others (mode {mode:04o}): run `chmod 600 {path}`")
            }
            Self::Malformed(path) => {
                write!(
                    f,
                    "{} is no master key: 32 bytes in base64 and nothing else, not even a byte order mark. Put the backup of the \
                     file back; where the store is new, remove it, and the next start makes another",
                    path.display()
                )
            }
            Self::Io { path, .. } => write!(f, "the master key {} can't be read or made", path.display()),
            Self::Crypto => f.write_str("no master key can be made: the system gives no randomness"),
        }
    }
}

impl Error for KeyFileError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Missing(_) | Self::Exposed { .. } | Self::Malformed(_) | Self::Crypto => None,
        }
    }
}

/// What could not be decoded is damage; all else is a store that does not answer.
pub fn failed(error: sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::ColumnDecode { index, source } => StoreError::Unreadable(format!("column {index}: {source}")),
        other => StoreError::Unavailable(Box::new(other)),
    }
}

/// An insert whose one reference may lead nowhere: the sentence says where.
pub fn or_missing(error: sqlx::Error, sentence: impl FnOnce() -> String) -> StoreError {
    match &error {
        sqlx::Error::Database(e) if e.is_foreign_key_violation() => StoreError::Conflict(sentence()),
        _ => failed(error),
    }
}

/// An insert or update that may meet what is there already: the sentence names it.
pub fn or_taken(error: sqlx::Error, sentence: impl FnOnce() -> String) -> StoreError {
    match &error {
        sqlx::Error::Database(e) if e.is_unique_violation() => StoreError::Conflict(sentence()),
        _ => failed(error),
    }
}
