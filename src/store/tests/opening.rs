use std::fs;

use super::Folder;
use crate::registry::conformance::{Fixture as _, actor};
use crate::registry::{Repository as _, StoreError};
use crate::store::{OpenError, Store, StoreSettings};

async fn refusal(url: &str) -> String {
    match Store::open(&StoreSettings { url: url.into(), key_file: None, create: true }).await {
        Err(OpenError::Url(why)) => why,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("{url} was opened"),
    }
}

#[tokio::test]
async fn opening_again_changes_nothing() {
    let folder = Folder::new();
    let first = folder.open().await.load().await.unwrap();
    assert_eq!(folder.open().await.load().await.unwrap(), first);
}

#[tokio::test]
async fn processes_that_open_a_new_store_at_once_agree() {
    let folder = Folder::new();
    let opened = tokio::join!(folder.try_open(), folder.try_open(), folder.try_open(), folder.try_open());
    let versions = [
        opened.0.unwrap().version().await.unwrap(),
        opened.1.unwrap().version().await.unwrap(),
        opened.2.unwrap().version().await.unwrap(),
        opened.3.unwrap().version().await.unwrap(),
    ];
    assert!(versions.iter().all(|v| *v == versions[0]));
}

#[tokio::test]
async fn a_store_of_a_later_release_is_refused() {
    let folder = Folder::new();
    let store = folder.open().await;
    let mut transaction = store.database.write().await.unwrap();
    let query = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (99, 'later', TRUE, x'00', 0)";
    sqlx::query(query).execute(&mut *transaction).await.unwrap();
    transaction.commit().await.unwrap();
    match folder.try_open().await {
        Err(error @ OpenError::NewerSchema { version: 99, .. }) => {
            assert!(error.to_string().contains("a later release"), "{error}");
        }
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("a later store was opened"),
    }
}

#[tokio::test]
async fn a_url_that_is_no_store_is_refused_with_one_that_is() {
    for url in ["postgres://scopegate:hunter2@db/scopegate", "data/scopegate.db", "sqlite:data.db", ""] {
        let why = refusal(url).await;
        assert!(why.contains("sqlite://data/scopegate.db") && !why.contains("hunter2"), "{why}");
    }
    for url in ["sqlite://", "sqlite://data/", "sqlite://:memory:", "sqlite://data.db?mode=ro"] {
        assert!(refusal(url).await.contains(url));
    }
}

#[tokio::test]
async fn a_path_that_can_not_be_opened_is_named() {
    let folder = Folder::new();
    fs::write(folder.0.path().join("data"), "a file, where a folder should be").unwrap();
    let error = folder.try_open().await.err().unwrap();
    assert!(matches!(error, OpenError::File { .. }) && error.to_string().contains("/data"), "{error}");
    let folder = Folder::new();
    fs::create_dir_all(folder.path("scopegate.db")).unwrap();
    let error = folder.try_open().await.err().unwrap();
    assert!(matches!(error, OpenError::File { .. }) && error.to_string().contains("scopegate.db"), "{error}");
}

#[tokio::test]
async fn a_closed_store_is_unavailable() {
    let folder = Folder::new();
    let store = folder.open().await;
    store.clone().close().await;
    assert!(matches!(store.version().await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.commit(&[], &actor()).await, Err(StoreError::Unavailable(_))));
}

#[tokio::test]
async fn a_store_that_is_not_there_is_made_only_where_that_is_wanted() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new();
    let mut settings = folder.settings();
    settings.create = false;
    assert!(matches!(Store::open(&settings).await, Err(OpenError::Absent(_))));
    settings.create = true;
    Store::open(&settings).await.unwrap().close().await;
    let mode = std::fs::metadata(folder.path("scopegate.db")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    settings.create = false;
    Store::open(&settings).await.unwrap();
}
