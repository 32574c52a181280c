use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::Folder;
use crate::jose::KeyMaterial;
use crate::model::ClientId;
use crate::password::NewPassword;
use crate::registry::conformance::{
    Fixture as _, PAIRS, actor, add_encryption_key, add_key, everything, password, put_app, put_service, secret,
    service, settings,
};
use crate::registry::{Change, Repository as _, ServiceSettings, StoreError};
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
async fn no_private_half_of_a_key_pair_is_in_any_file_of_the_store_nor_in_the_audit() {
    let folder = Folder::new();
    let store = folder.open().await;
    store.commit(&everything(), &actor()).await.unwrap();
    let shown = format!("{:?}", store.audit(&AuditFilter::latest(100)).await.unwrap());
    for pair in &PAIRS[..2] {
        let public = pair.public().unwrap();
        assert!(shown.contains(&public.thumbprint()), "{shown}");
        // The last bytes: in PKCS #8 of RSA they are a factor's inverse, of P-256 they are public.
        let private = pair.pkcs8().expose();
        let part = if private.len() > 200 { &private[private.len() - 64..] } else { &private[36..60] };
        for file in fs::read_dir(folder.path("")).unwrap() {
            let path = file.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            assert!(!bytes.windows(16).any(|w| part.windows(16).any(|p| p == w)), "{}", path.display());
        }
    }
}

#[tokio::test]
async fn a_private_half_moved_to_another_row_is_not_read() {
    let folder = Folder::new();
    let store = folder.open().await;
    let app = |id| put_app(settings(id, "default", &[]));
    let keys = [add_encryption_key("c", "k1", 1), add_encryption_key("d", "k2", 2)];
    store.commit(&[&[app("c"), app("d")][..], &keys].concat(), &actor()).await.unwrap();
    let moved =
        "UPDATE encryption_key SET sealed = (SELECT sealed FROM encryption_key WHERE number = 1) WHERE number = 2";
    execute(&store, moved).await;
    assert!(unreadable(&store).await.contains("encryption_key 2 of d"));
    execute(&store, "UPDATE encryption_key SET sealed = NULL WHERE number = 2").await;
    assert!(unreadable(&store).await.contains("the material of encryption key k2 of app d is damaged"));
}

#[tokio::test]
async fn neither_a_password_nor_its_hash_is_in_any_file_of_the_store_nor_in_the_audit() {
    let folder = Folder::new();
    let store = folder.open().await;
    let password = NewPassword::new("a password that nobody should find").unwrap();
    let hash = password.hash().unwrap();
    let changes = [put_service(service("s", "default", &["bot-api"]), Some(hash.clone()))];
    store.commit(&changes, &actor()).await.unwrap();
    let again = ServiceSettings { enabled: false, ..service("s", "default", &[]) };
    store.commit(&[put_service(again, Some(password.hash().unwrap()))], &actor()).await.unwrap();
    let phc = hash.to_phc();
    let output = phc.expose().rsplit(|b| *b == b'$').next().unwrap();
    for file in fs::read_dir(folder.path("")).unwrap() {
        let path = file.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        for part in [b"nobody should", &output[..12], b"$argon2id$v"] {
            assert!(!bytes.windows(part.len()).any(|w| w == part), "{}", path.display());
        }
    }
    let rows = store.audit(&AuditFilter::latest(9)).await.unwrap();
    let told: Vec<_> = rows.iter().map(|row| (row.action.as_str(), row.after.as_deref().unwrap())).collect();
    assert_eq!(told[0].0, "change");
    assert!(told.iter().all(|(_, after)| after.contains(r#""password":"new""#)), "{told:?}");
    assert!(!format!("{changes:?}{}", changes[0]).contains("argon2id"));
    assert_eq!(store.load().await.unwrap().1.service_accounts["s"].hash, hash);
}

#[tokio::test]
async fn a_hash_moved_to_another_row_is_not_read() {
    let folder = Folder::new();
    let store = folder.open().await;
    let changes = ["s", "t"].map(|name| put_service(service(name, "default", &[]), Some(password('a'))));
    store.commit(&changes, &actor()).await.unwrap();
    let moved =
        "UPDATE service_account SET sealed = (SELECT sealed FROM service_account WHERE number = 1) WHERE number = 2";
    execute(&store, moved).await;
    assert!(unreadable(&store).await.contains("service_account 2 of t"));
    execute(&store, "UPDATE service_account SET sealed = NULL WHERE number = 2").await;
    assert!(unreadable(&store).await.contains("the password of service account t is damaged"));
}

#[tokio::test]
async fn a_store_with_a_service_account_alone_is_not_opened_with_another_master_key() {
    let folder = Folder::new();
    let store = folder.open().await;
    store.commit(&[put_service(service("s", "default", &[]), Some(password('a')))], &actor()).await.unwrap();
    store.close().await;
    fs::remove_file(folder.path("master.key")).unwrap();
    assert!(matches!(folder.try_open().await, Err(OpenError::Key(KeyFileError::Missing(_)))));
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
    let is_sealed = |c: &Change| {
        matches!(c, Change::AddEncryptionKey { .. } | Change::PutService { .. }) || format!("{c:?}").contains("Secret")
    };
    let (sealed, public): (Vec<_>, Vec<_>) = everything().into_iter().partition(is_sealed);
    store.commit(&public, &actor()).await.unwrap();
    store.close().await;
    fs::remove_file(folder.path("master.key")).unwrap();
    let store = folder.open().await;
    let key_pair = sealed.into_iter().find(|c| matches!(c, Change::AddEncryptionKey { .. })).unwrap();
    store.commit(&[key_pair], &actor()).await.unwrap();
    store.close().await;
    let key = fs::read(folder.path("master.key")).unwrap();
    fs::remove_file(folder.path("master.key")).unwrap();
    assert!(matches!(folder.try_open().await, Err(OpenError::Key(KeyFileError::Missing(_)))), "a key pair is sealed");
    fs::write(folder.path("master.key"), key).unwrap();
    fs::set_permissions(folder.path("master.key"), fs::Permissions::from_mode(0o600)).unwrap();
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
