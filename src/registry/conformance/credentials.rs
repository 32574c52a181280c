//! Keys, and the version by which a cache knows that they changed.

use super::sample::{add_key, change_app, client_id, materials, on_bot, put_app, put_bot, put_grant, secret, settings};
use super::{Fixture, commit, conflict, load};
use crate::clock::Timestamp;
use crate::model::{Algorithm, KeyId};
use crate::registry::{AppSettings, Change, KeyNumber, KeyState, Repository, Version};

pub async fn numbers_are_not_used_again(place: &impl Fixture) {
    let store = place.open().await;
    let changes = [put_app(settings("c", "default", &[])), add_key("c", None, secret("a"))];
    commit(&store, &changes).await;
    let old = load(&store).await.apps["c"].clone();
    commit(&store, &[Change::DeleteApp(client_id("c"))]).await;
    commit(&store, &changes).await;
    let new = load(&store).await.apps["c"].clone();
    assert!(new.number.0 > old.number.0 && new.keys[0].number > old.keys[0].number);
    assert!(new.credential_version > old.credential_version);
}

pub async fn a_kid_names_one_key_of_an_app(place: &impl Fixture) {
    let store = place.open().await;
    commit(&store, &[put_app(settings("c", "default", &[])), put_app(settings("d", "default", &[]))]).await;
    commit(&store, &[add_key("c", Some("k"), secret("a")), add_key("c", Some("l"), secret("b"))]).await;
    assert!(conflict(&store, &[add_key("c", Some("k"), secret("c"))]).await.contains("has a key k already"));
    let key = load(&store).await.apps["c"].keys[1].number;
    let rename = Change::ReplaceKey { app: client_id("c"), key, kid: Some(kid("k")), material: secret("d") };
    assert!(conflict(&store, &[rename]).await.contains("has a key k already"));
    // Another app's, and keys without a kid, are free.
    let free = [add_key("d", Some("k"), secret("a")), add_key("c", None, secret("e")), add_key("c", None, secret("f"))];
    commit(&store, &free).await;
}

pub async fn a_key_is_replaced_retired_and_deleted_in_place(place: &impl Fixture) {
    let store = place.open().await;
    commit(&store, &[put_app(settings("c", "default", &[])), add_key("c", None, secret("a"))]).await;
    let (app, key) = (client_id("c"), load(&store).await.apps["c"].keys[0].number);
    let replace = Change::ReplaceKey { app: app.clone(), key, kid: Some(kid("k")), material: secret("b") };
    commit(&store, &[replace]).await;
    let replaced = load(&store).await.apps["c"].keys[0].clone();
    assert_eq!((replaced.number, replaced.kid, replaced.material), (key, Some(kid("k")), secret("b")));
    for state in [KeyState::Retiring(Timestamp::from_millis(1_795_348_801_234)), KeyState::Retired, KeyState::Active] {
        commit(&store, &[Change::SetKeyState { app: app.clone(), key, state }]).await;
        assert_eq!(load(&store).await.apps["c"].keys[0].state, state);
    }
    commit(&store, &[Change::DeleteKey { app, key, kid: Some(kid("k")) }]).await;
    assert!(load(&store).await.apps["c"].keys.is_empty());
}

pub async fn a_certificate_comes_and_goes_with_its_key(place: &impl Fixture) {
    let store = place.open().await;
    let of_kind = |certified| {
        materials().into_iter().find(|m| m.certificate().is_some() == certified && m.fingerprint().is_some())
    };
    let (certified, bare) = (of_kind(true).unwrap(), of_kind(false).unwrap());
    commit(&store, &[put_app(settings("c", "default", &[])), add_key("c", Some("k"), certified.clone())]).await;
    let key = load(&store).await.apps["c"].keys[0].number;
    for material in [bare, certified.clone(), secret("a"), certified] {
        commit(
            &store,
            &[Change::ReplaceKey { app: client_id("c"), key, kid: Some(kid("k")), material: material.clone() }],
        )
        .await;
        let stored = load(&place.open().await).await.apps["c"].keys[0].material.clone();
        assert_eq!(stored, material);
        assert_eq!(stored.certificate(), material.certificate());
    }
}

pub async fn a_change_of_credentials_shows_in_the_version_of_the_app(place: &impl Fixture) {
    let store = place.open().await;
    let first = settings("c", "default", &["b"]);
    let start = commit(&store, &[put_bot("b", "default"), put_app(first.clone())]).await;
    assert_eq!(credential_version(&store).await, start);
    let key_added = commit(&store, &[add_key("c", None, secret("a"))]).await;
    assert_eq!(credential_version(&store).await, key_added);
    commit(&store, &[put_grant("c", on_bot("b"), &["s"], true)]).await;
    commit(&store, &[change_app(AppSettings { enabled: false, name: "other".into(), ..first.clone() })]).await;
    assert_eq!(credential_version(&store).await, key_added);
    let algorithms = [Algorithm::Hs256, Algorithm::Hs512].into();
    let version = commit(&store, &[change_app(AppSettings { algorithms, ..first })]).await;
    assert_eq!(credential_version(&store).await, version);
    let (app, key) = (client_id("c"), KeyNumber(load(&store).await.apps["c"].keys[0].number.0));
    let changes = [
        Change::SetKeyState { app: app.clone(), key, state: KeyState::Retired },
        Change::ReplaceKey { app: app.clone(), key, kid: None, material: secret("b") },
        Change::DeleteKey { app, key, kid: None },
    ];
    for change in changes {
        let version = commit(&store, &[change]).await;
        assert_eq!(credential_version(&store).await, version);
    }
}

async fn credential_version(store: &impl Repository) -> Version {
    Version(load(store).await.apps["c"].credential_version)
}

fn kid(id: &str) -> KeyId {
    KeyId::new(id).unwrap()
}
