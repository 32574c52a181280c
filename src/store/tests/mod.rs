//! A store in a temporary folder.

mod audit;
mod bulk;
mod faults;
mod history;
mod journal;
mod opening;
mod part;
mod reload;
mod sealing;
mod size;
mod token_service;
mod tokens;
mod usage;
mod watching;

use std::path::PathBuf;

use super::{OpenError, Store, StoreSettings};
use crate::registry::conformance::{Fixture, conformance_tests};

/// A folder that is there for the length of a test.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join("data").join(name)
    }

    fn settings(&self) -> StoreSettings {
        StoreSettings { url: format!("sqlite://{}", self.path("scopegate.db").display()), key_file: None, create: true }
    }

    async fn try_open(&self) -> Result<Store, OpenError> {
        Store::open(&self.settings()).await
    }
}

impl Fixture for Folder {
    type Store = Store;

    async fn open(&self) -> Store {
        self.try_open().await.unwrap()
    }
}

conformance_tests!(Folder::new());
