//! Whether an open store works: whether its files are still the ones that were opened, and whether it can be written.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::files::{Moved, OpenFiles};
use crate::health::Fault;
use crate::registry::StoreError;

/// Shared by all copies of an open store.
#[derive(Debug)]
pub struct Condition {
    files: Mutex<OpenFiles>,
    /// Set while the files are not the ones that were opened: nothing is read or written then.
    moved: Fault,
    /// Set while writes fail.
    pub unwritable: Fault,
    /// A transaction broke off, whatever the reason.
    is_suspect: AtomicBool,
}

impl Condition {
    /// Of a database that was just opened.
    pub fn new(database: &Path) -> Self {
        let files = Mutex::new(OpenFiles::new(files_of(database, &["", "-wal", "-shm"])));
        Self { files, moved: Fault::default(), unwritable: Fault::default(), is_suspect: AtomicBool::new(false) }
    }

    /// Looks whether the files are still there.
    ///
    /// # Errors
    /// When one of them was deleted or replaced.
    pub fn look(&self) -> Result<(), StoreError> {
        // Where a folder can't be read, the database itself says so.
        let moved = self.files.lock().unwrap_or_else(PoisonError::into_inner).check().unwrap_or(None);
        match moved {
            None if self.moved.clear() => tracing::info!("the files of the store are the former ones again"),
            None => {}
            Some(moved) => {
                let what = told("store", &moved);
                if self.moved.set(&*what) {
                    tracing::error!("{what}; the last version of the registry stays in force");
                }
            }
        }
        self.check()
    }

    /// What the last look found.
    ///
    /// # Errors
    /// When a file was deleted or replaced.
    pub fn check(&self) -> Result<(), StoreError> {
        self.moved.get().map_or(Ok(()), |what| Err(StoreError::Unavailable(what.into())))
    }

    pub fn suspect(&self) {
        self.is_suspect.store(true, Ordering::Release);
    }

    /// Whether it is to be found out if the store can be written.
    pub fn is_doubtful(&self) -> bool {
        self.is_suspect.swap(false, Ordering::AcqRel) || self.unwritable.get().is_some()
    }

    /// What a trial of writing gave.
    pub fn judge(&self, tried: Result<(), StoreError>) {
        match tried {
            Ok(()) if self.unwritable.clear() => tracing::info!("the store can be written again"),
            Ok(()) => {}
            Err(error) => {
                let cause = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
                if self.unwritable.set(format!("the store can't be written: {cause}")) {
                    tracing::error!(%error, cause, "the store can't be written; it is tried again every second");
                }
            }
        }
    }
}

/// A database and the files that SQLite keeps beside it.
pub fn files_of(database: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let named = |ending: &&str| {
        let mut name = database.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    endings.iter().map(named).collect()
}

/// What happened to an open database, and what to do.
pub fn told(what: &str, moved: &Moved) -> String {
    let (path, happened) = match moved {
        Moved::Deleted(path) => (path, "deleted"),
        Moved::Replaced(path) => (path, "replaced by another file"),
    };
    format!(
        "{} of the {what} was {happened} while the gateway had it open: put the former file back, or restart the gateway",
        path.display()
    )
}
