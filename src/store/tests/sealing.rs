use std::fs;

use super::Folder;
use crate::jose::KeyMaterial;
use crate::model::ClientId;
use crate::registry::conformance::{Fixture as _, actor, add_key, everything, put_app, secret, settings};
use crate::registry::{Repository as _, StoreError};
use crate::store::{AuditFilter, KeyFileError, OpenError, Store};

const SECRET: &str = "0123-a-secret-that-nobody-should-find-in-a-file";

async fn with_a_secret(folder: &Folder) -> Store {
    let store = folder.open().await;
    let changes = [
        put_app(settings("c", "default", &[])),
        add_key("c", None, secret(SECRET)),
        put_app(settings("d", "default", &[])),
        add_key("d", None, secret("another")),
    ];
    store.commit(&changes, &actor()).await.unwrap();
    store
}

async fn execute(store: &Store, query: &'static str) {
    let mut transaction = store.database.write().await.unwrap();
    sqlx::query(query).execute(&mut *transaction).await.unwrap();
    transaction.commit().await.unwrap();
}

async fn unreadable(store: &Store) -> String {
    match store.load().await {
        Err(StoreError::Unreadable(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn no_secret_is_in_any_file_of_the_store_nor_in_the_audit() {
    let folder = Folder::new();
    let store = with_a_secret(&folder).await;
    let bytes = |name| fs::read(folder.path(name)).unwrap();
    let files: Vec<_> = fs::read_dir(folder.path("")).unwrap().map(|f| f.unwrap().file_name()).collect();
    assert!(files.iter().any(|f| f == "scopegate.db-wal"), "{files:?}");
    for file in &files {
        let bytes = bytes(file.to_str().unwrap());
        for part in [&SECRET[..8], &SECRET[20..28]] {
            assert!(!bytes.windows(part.len()).any(|w| w == part.as_bytes()), "{part} in {file:?}");
        }
    }
    assert!(files.iter().any(|f| bytes(f.to_str().unwrap()).windows(9).any(|w| w == b"the app c")));
    assert!(!format!("{:?}", store.audit(&AuditFilter::latest(100)).await.unwrap()).contains(&SECRET[..8]));
}

#[tokio::test]
async fn a_secret_moved_to_another_row_is_not_read() {
    let folder = Folder::new();
    let store = with_a_secret(&folder).await;
    execute(&store, "UPDATE app_key SET sealed = (SELECT sealed FROM app_key WHERE number = 1) WHERE number = 2").await;
    assert!(unreadable(&store).await.contains("app_key 2 of d"));
}

#[tokio::test]
async fn a_key_moved_to_another_app_is_not_read() {
    let folder = Folder::new();
    let store = with_a_secret(&folder).await;
    execute(&store, "UPDATE app_key SET app = 2 WHERE number = 1").await;
    assert!(unreadable(&store).await.contains("app_key 1 of d"));
}

#[tokio::test]
async fn a_damaged_secret_is_not_read() {
    let folder = Folder::new();
    let store = with_a_secret(&folder).await;
    execute(&store, "UPDATE app_key SET sealed = CAST(substr(sealed, 1, 60) || x'00' AS BLOB) WHERE number = 1").await;
    assert!(unreadable(&store).await.contains("app_key 1 of c"));
}

#[tokio::test]
async fn a_store_is_not_opened_with_another_master_key() {
    let folder = Folder::new();
    with_a_secret(&folder).await.close().await;
    let other = Folder::new();
    other.open().await;
    fs::copy(other.path("master.key"), folder.path("master.key")).unwrap();
    let error = folder.try_open().await.err().unwrap();
    assert!(matches!(error, OpenError::Store(StoreError::Unreadable(_))), "{error:?}");
    assert!(error.to_string().contains("app_key 1 of c was sealed with another master key"), "{error}");
}

#[tokio::test]
async fn a_missing_master_key_is_made_only_while_nothing_is_sealed() {
    let folder = Folder::new();
    let store = folder.open().await;
    let public = everything().into_iter().filter(|c| !format!("{c:?}").contains("Secret")).collect::<Vec<_>>();
    store.commit(&public, &actor()).await.unwrap();
    store.close().await;
    fs::remove_file(folder.path("master.key")).unwrap();
    with_a_secret(&folder).await.close().await;
    fs::remove_file(folder.path("master.key")).unwrap();
    let error = folder.try_open().await.err().unwrap();
    assert!(matches!(error, OpenError::Key(KeyFileError::Missing(_))), "{error:?}");
    assert!(error.to_string().contains("put the file back"), "{error}");
    assert!(!folder.path("master.key").exists());
}

#[tokio::test]
async fn the_master_key_may_stand_elsewhere() {
    let (folder, keys) = (Folder::new(), Folder::new());
    let mut settings = folder.settings();
    settings.key_file = Some(keys.path("other.key"));
    let store = Store::open(&settings).await.unwrap();
    store.commit(&[put_app(settings_of_c()), add_key("c", None, secret(SECRET))], &actor()).await.unwrap();
    assert!(keys.path("other.key").exists() && !folder.path("master.key").exists());
    let app = Store::open(&settings).await.unwrap().load().await.unwrap().1.apps[&ClientId::new("c").unwrap()].clone();
    assert!(matches!(&app.keys[0].material, KeyMaterial::Secret(s) if s.expose() == SECRET.as_bytes()));
}

fn settings_of_c() -> crate::registry::AppSettings {
    settings("c", "default", &[])
}
