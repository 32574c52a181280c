//! Why the journal of first uses can't be used.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::files::Moved;
use crate::replay::JournalError;
use crate::store::condition::told;
use crate::store::sqlite::{SQLITE_BUSY, SQLITE_CORRUPT, SQLITE_NOTADB, primary_code};

/// The journal of first uses can't be used; each says what to do.
#[derive(Debug)]
pub enum JournalFault {
    /// The folder or the file.
    File { path: PathBuf, source: io::Error },
    /// Another process has it open.
    InUse(PathBuf),
    /// A database, but no journal.
    Foreign(PathBuf),
    /// No database, or one that is broken.
    Damaged { path: PathBuf, what: String },
    /// A later release has been here; the number is that of its migration.
    NewerSchema { path: PathBuf, version: i64 },
    /// The database itself.
    Database { path: PathBuf, source: Box<dyn Error + Send + Sync> },
    /// It was deleted or replaced while it was open.
    Moved(Moved),
    /// No key can be made.
    Randomness,
}

impl JournalFault {
    pub(super) fn of(path: &Path, error: sqlx::Error) -> Self {
        let path = path.to_path_buf();
        let code = error.as_database_error().and_then(primary_code);
        match code {
            Some(SQLITE_BUSY) => Self::InUse(path),
            Some(SQLITE_CORRUPT | SQLITE_NOTADB) => {
                let what = error.as_database_error().map(|e| e.message().to_owned()).unwrap_or_default();
                Self::Damaged { path, what }
            }
            _ => Self::Database { path, source: Box::new(error) },
        }
    }
}

impl fmt::Display for JournalFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, .. } | Self::Database { path, .. } => {
                write!(f, "the replay journal {} can't be used", path.display())
            }
            Self::InUse(path) => write!(
                f,
                "the replay journal {} is in use by another process: each gateway needs one of its own, so set \
                 replay.url to another file",
                path.display()
            ),
            Self::Foreign(path) => write!(
                f,
                "{} is a database, but no replay journal: set replay.url to a file of its own",
                path.display()
            ),
            Self::Damaged { path, what } => write!(
                f,
                "the replay journal {} is damaged ({what}): move it away, and a new one is made. Tokens of single use \
                 that were used before and have not expired can then be used once more",
                path.display()
            ),
            Self::NewerSchema { path, version } => write!(
                f,
                "the replay journal {} was written by a later release (its schema has migration {version}): use that \
                 release",
                path.display()
            ),
            Self::Moved(moved) => f.write_str(&told("replay journal", moved)),
            Self::Randomness => f.write_str("the system gives no random bytes"),
        }
    }
}

impl Error for JournalFault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::File { source, .. } => Some(source),
            Self::Database { source, .. } => Some(&**source),
            Self::InUse(_)
            | Self::Foreign(_)
            | Self::Damaged { .. }
            | Self::NewerSchema { .. }
            | Self::Moved(_)
            | Self::Randomness => None,
        }
    }
}

impl From<JournalFault> for JournalError {
    fn from(fault: JournalFault) -> Self {
        Self::new(fault)
    }
}
