//! A full disk, a lock that another process holds, and files that are moved away while the store is open.

use std::fs;
use std::time::Duration;

use sqlx::{ConnectOptions as _, Connection as _};
use tokio::time::Instant;

use super::Folder;
use crate::model::AccountId;
use crate::registry::conformance::{Fixture as _, actor};
use crate::registry::{Account, Change, Repository as _, StoreError};
use crate::store::Store;

fn account(name: &str) -> Change {
    let hosts = (0..200).map(|n| format!("{n}.{name}.example.com")).collect();
    Change::PutAccount(Account { id: AccountId::new(name).unwrap(), hosts })
}

fn cause(error: &StoreError) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

/// No page more: what a full disk is to SQLite. Holds for the connection that writes now.
async fn fill(store: &Store) {
    let mut transaction = store.database.write().await.unwrap();
    sqlx::query("PRAGMA max_page_count = 1").execute(&mut *transaction).await.unwrap();
    transaction.commit().await.unwrap();
}

#[tokio::test]
async fn a_store_that_was_full_is_written_again_and_tells_meanwhile() {
    let folder = Folder::new();
    let store = folder.open().await;
    let fault = store.write_fault();
    fill(&store).await;
    let error = store.commit(&[account("one")], &actor()).await.unwrap_err();
    assert!(cause(&error).contains("full"), "{error:?}");
    // The connection that failed is not used again: the next one has room.
    store.commit(&[account("one")], &actor()).await.unwrap();
    store.try_writing().await;
    assert_eq!(fault.get(), None);

    let (_, registry) = store.load().await.unwrap();
    assert!(registry.accounts.contains_key("one"));
}

#[tokio::test]
async fn a_store_that_can_not_be_written_tells_until_it_can_without_any_other_write() {
    let folder = Folder::new();
    let store = folder.open().await;
    let fault = store.write_fault();
    let fail = "CREATE TRIGGER full BEFORE INSERT ON reload_request BEGIN SELECT RAISE(ABORT, 'full'); END";
    for (switch, is_told) in [(fail, true), ("DROP TRIGGER full", false)] {
        let mut transaction = store.database.write().await.unwrap();
        sqlx::query(switch).execute(&mut *transaction).await.unwrap();
        transaction.commit().await.unwrap();
        store.database.condition.suspect();
        for _ in 0..2 {
            store.try_writing().await;
            assert_eq!(fault.get().is_some_and(|told| told.contains("the store can't be written: ")), is_told);
        }
    }
    store.commit(&[account("one")], &actor()).await.unwrap();
}

#[tokio::test]
async fn changes_that_are_refused_are_no_fault() {
    let folder = Folder::new();
    let store = folder.open().await;
    let gone = Change::DeleteAccount(AccountId::new("nowhere").unwrap());
    assert!(matches!(store.commit(&[gone], &actor()).await, Err(StoreError::Conflict(_))));
    store.try_writing().await;
    assert_eq!(store.write_fault().get(), None);
    store.commit(&[account("one")], &actor()).await.unwrap();
}

/// Another process, which has the database to itself.
async fn lock(folder: &Folder, begin: &'static str) -> sqlx::SqliteConnection {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.path("scopegate.db"));
    let mut other = options.busy_timeout(Duration::from_secs(10)).connect().await.unwrap();
    sqlx::query(begin).execute(&mut other).await.unwrap();
    other
}

#[tokio::test]
async fn a_store_that_is_locked_is_waited_for_no_longer_than_allowed_however_many_wait() {
    let folder = Folder::new();
    let store = folder.open().await.with_lock_wait(Duration::from_millis(300));
    let other = lock(&folder, "BEGIN IMMEDIATE").await;
    let started = Instant::now();
    let commits = ["one", "two", "three"].map(|name| {
        let store = store.clone();
        tokio::spawn(async move { store.commit(&[account(name)], &actor()).await })
    });
    for commit in commits {
        let error = commit.await.unwrap().unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    }
    // One that waited after the other would have taken three times as long.
    assert!(started.elapsed() < Duration::from_millis(800), "{:?}", started.elapsed());
    store.load().await.unwrap();
    store.try_writing().await;
    assert_eq!(store.write_fault().get(), None, "the store itself is well");
    other.close().await.unwrap();
    store.commit(&[account("one")], &actor()).await.unwrap();
    let (_, registry) = store.load().await.unwrap();
    assert!(!registry.accounts.contains_key("two"));
}

#[tokio::test]
async fn who_leaves_while_the_store_is_locked_changes_nothing_and_keeps_no_other_waiting() {
    let folder = Folder::new();
    let store = folder.open().await;
    let other = lock(&folder, "BEGIN IMMEDIATE").await;
    let left = [account("left")];
    let actor = actor();
    let waiting = store.commit(&left, &actor);
    assert!(tokio::time::timeout(Duration::from_millis(150), waiting).await.is_err());
    other.close().await.unwrap();
    store.commit(&[account("one")], &actor).await.unwrap();
    let (_, registry) = store.load().await.unwrap();
    assert!(registry.accounts.contains_key("one") && !registry.accounts.contains_key("left"));
}

#[tokio::test]
async fn a_store_whose_files_are_moved_away_is_refused_until_they_are_back() {
    for file in ["scopegate.db", "scopegate.db-wal"] {
        let folder = Folder::new();
        let store = folder.open().await;
        let mut watcher = store.watch();
        watcher.changed().await.unwrap();
        let (path, aside) = (folder.path(file), folder.path("aside"));
        fs::rename(&path, &aside).unwrap();
        let deleted = store.commit(&[account("one")], &actor()).await.unwrap_err();
        assert!(cause(&deleted).contains("was deleted while the gateway had it open"), "{file}: {deleted:?}");
        fs::write(&path, "").unwrap();
        let replaced = watcher.changed().await.unwrap_err();
        assert!(cause(&replaced).contains(&format!("{file} of the store was replaced")), "{replaced:?}");
        // What is read would be of the file that is gone.
        assert!(store.load().await.is_err() && store.version().await.is_err(), "{file}");
        fs::rename(&aside, &path).unwrap();
        assert!(watcher.changed().await.unwrap(), "{file}: there may be news");
        store.commit(&[account("one")], &actor()).await.unwrap();
        assert!(store.load().await.unwrap().1.accounts.contains_key("one"), "{file}");
    }
}
