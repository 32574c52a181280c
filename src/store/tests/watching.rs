use super::Folder;
use crate::clock::Timestamp;
use crate::registry::Repository as _;
use crate::registry::conformance::{Fixture as _, actor, put_account};

#[tokio::test]
async fn a_watcher_sees_commits_of_its_own_store_and_of_others() {
    let folder = Folder::new();
    let (store, other) = (folder.open().await, folder.open().await);
    let mut watcher = store.watch();
    assert!(watcher.changed().await.unwrap(), "the first call knows nothing");
    assert!(!watcher.changed().await.unwrap());
    other.commit(&[put_account("a", &[])], &actor()).await.unwrap();
    assert!(watcher.changed().await.unwrap());
    assert!(!watcher.changed().await.unwrap());
    store.commit(&[put_account("b", &[])], &actor()).await.unwrap();
    assert!(watcher.changed().await.unwrap());
    other.request_reload("cli:ana@host", Timestamp::from_secs(0)).await.unwrap();
    assert!(watcher.changed().await.unwrap());
    assert!(!watcher.changed().await.unwrap());
}

#[tokio::test]
async fn a_watcher_is_not_woken_by_readers_or_by_refused_commits() {
    let folder = Folder::new();
    let (store, other) = (folder.open().await, folder.open().await);
    let mut watcher = store.watch();
    watcher.changed().await.unwrap();
    other.load().await.unwrap();
    folder.open().await.version().await.unwrap();
    other.commit(&[], &actor()).await.unwrap();
    assert!(!watcher.changed().await.unwrap());
}
