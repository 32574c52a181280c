//! Key pairs for encrypted tokens.

use super::sample::{PAIRS, actor, add_encryption_key, client_id, everything, on_bot, put_app, put_grant, settings};
use super::{Fixture, commit, conflict, load};
use crate::clock::Timestamp;
use crate::model::KeyId;
use crate::registry::{Change, EncryptionKeyRecord, KeyState, Repository};

pub async fn encryption_keys_come_back_as_they_went_in(place: &impl Fixture) {
    let store = place.open().await;
    commit(&store, &everything()).await;
    let keys = load(&store).await.apps["bot-app"].encryption_keys.clone();
    for (key, (kid, pair)) in keys.iter().zip([("k-rsa", 0), ("k-p256", 1)]) {
        let (number, kid, material) = (key.number, kid_of(kid), PAIRS[pair].clone());
        let state = KeyState::Active;
        assert_eq!(*key, EncryptionKeyRecord { number, kid, material, state, created_at: actor().at });
    }
    assert_eq!(keys.len(), 2);
    assert!(load(&store).await.apps["account-app"].encryption_keys.is_empty());
}

pub async fn a_kid_names_one_encryption_key_of_all_apps(place: &impl Fixture) {
    let store = place.open().await;
    commit(&store, &[put_app(settings("c", "default", &[])), put_app(settings("d", "default", &[]))]).await;
    commit(&store, &[add_encryption_key("c", "k", 1)]).await;
    for app in ["c", "d"] {
        assert!(conflict(&store, &[add_encryption_key(app, "k", 2)]).await.contains("encryption key k already"));
    }
    // It is free again once its app is gone, and may change its app within a commit.
    let delete = Change::DeleteEncryptionKey { app: client_id("c"), kid: kid_of("k") };
    commit(&store, &[delete, add_encryption_key("d", "k", 1)]).await;
    commit(&store, &[Change::DeleteApp(client_id("d")), add_encryption_key("c", "k", 2)]).await;
    assert_eq!(load(&store).await.apps["c"].encryption_keys[0].material, PAIRS[2]);
}

pub async fn an_encryption_key_is_retired_and_deleted_in_place(place: &impl Fixture) {
    let store = place.open().await;
    let (app, kid) = (client_id("c"), kid_of("k"));
    let start = [put_app(settings("c", "default", &["b"])), add_encryption_key("c", "k", 0)];
    commit(&store, &[super::put_bot("b", "default")]).await;
    let added = commit(&store, &start).await;
    assert_eq!(load(&store).await.apps["c"].credential_version, added.0);
    for state in [KeyState::Retiring(Timestamp::from_millis(1_795_348_801_234)), KeyState::Retired, KeyState::Active] {
        let change = Change::SetEncryptionKeyState { app: app.clone(), kid: kid.clone(), state };
        let version = commit(&store, &[change]).await;
        let stored = load(&store).await.apps["c"].clone();
        assert_eq!((stored.encryption_keys[0].state, stored.credential_version), (state, version.0));
        // Of a grant, no proof depends.
        commit(&store, &[put_grant("c", on_bot("b"), &["s"], true)]).await;
        assert_eq!(load(&store).await.apps["c"].credential_version, version.0);
    }
    let before = store.version().await.unwrap();
    let version = commit(&store, &[Change::DeleteEncryptionKey { app, kid }]).await;
    let stored = load(&store).await.apps["c"].clone();
    assert_eq!((stored.encryption_keys.len(), stored.credential_version), (0, version.0));
    assert_eq!(store.changes_since(before).await.unwrap().apps.len(), 1);
}

fn kid_of(id: &str) -> KeyId {
    KeyId::new(id).unwrap()
}
