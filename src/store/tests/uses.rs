use super::Folder;
use crate::clock::Timestamp;
use crate::registry::Repository as _;
use crate::registry::conformance::{Fixture as _, actor, add_key, client_id, put_app, secret, settings};

#[tokio::test]
async fn the_last_uses_are_those_of_the_apps_own_keys() {
    let folder = Folder::new();
    let store = folder.open().await;
    let changes = [
        put_app(settings("c", "default", &[])),
        add_key("c", None, secret("a")),
        add_key("c", None, secret("b")),
        put_app(settings("d", "default", &[])),
        add_key("d", None, secret("c")),
    ];
    store.commit(&changes, &actor()).await.unwrap();
    assert!(store.key_uses(&client_id("c")).await.unwrap().is_empty());
    let used = [
        store.load().await.unwrap().1.apps["c"].keys[1].number,
        store.load().await.unwrap().1.apps["d"].keys[0].number,
    ];
    let mut transaction = store.database.write().await.unwrap();
    for key in used {
        let query = sqlx::query("UPDATE app_key SET last_used_at = 1795348801234 WHERE number = $1").bind(key.0);
        query.execute(&mut *transaction).await.unwrap();
    }
    transaction.commit().await.unwrap();
    let uses = store.key_uses(&client_id("c")).await.unwrap();
    assert_eq!(uses.into_iter().collect::<Vec<_>>(), [(used[0], Timestamp::from_millis(1_795_348_801_234))]);
    assert!(store.key_uses(&client_id("none")).await.unwrap().is_empty());
}
