use std::time::Duration;

use super::Folder;
use crate::clock::Timestamp;
use crate::model::{AppNumber, ScopeId};
use crate::registry::conformance::{
    Fixture as _, SECRET, account_id, actor, add_key, bot_id, client_id, put_account, put_app, put_bot, secret,
    settings,
};
use crate::registry::{Change, GrantTarget, KeyNumber, Repository as _, ScopeUse, Use};
use crate::store::Store;

const NOON: Timestamp = Timestamp::from_secs(1_795_348_800);

fn later(secs: u64) -> Timestamp {
    NOON.after(Duration::from_secs(secs))
}

fn scope(id: &str) -> ScopeId {
    ScopeId::new(id).unwrap()
}

async fn numbers(store: &Store, app: &str) -> (AppNumber, Option<KeyNumber>) {
    let (_, registry) = store.load().await.unwrap();
    let app = &registry.apps[&client_id(app)];
    (app.number, app.keys.first().map(|key| key.number))
}

#[tokio::test]
async fn the_latest_use_of_a_scope_is_kept_and_found_by_time() {
    let folder = Folder::new();
    let store = folder.open().await;
    let apps = [put_account("acme", &[]), put_bot("st-1", "acme"), put_app(settings("a", "acme", &["st-1"]))];
    store.commit(&apps, &actor()).await.unwrap();
    let (app, _) = numbers(&store, "a").await;
    let on_bot = GrantTarget::Bot(bot_id("st-1"));
    let used = |target: &GrantTarget, id, at| Use::Scope { app, target: target.clone(), scope: scope(id), at };
    let on_account = GrantTarget::Account(account_id("acme"));
    let uses = [used(&on_bot, "x:y", later(60)), used(&on_bot, "x:y", NOON), used(&on_account, "x:y", later(90))];
    store.record_uses(&uses).await.unwrap();
    let found =
        |target: &GrantTarget, at| ScopeUse { app: client_id("a"), target: target.clone(), scope: scope("x:y"), at };
    let (first, second) = (found(&on_account, later(90)), found(&on_bot, later(60)));
    assert_eq!(store.uses_of_scopes(NOON, None).await.unwrap(), [first.clone(), second]);
    assert_eq!(store.uses_of_scopes(later(61), None).await.unwrap(), [first]);
    assert_eq!(store.uses_of_scopes(later(91), None).await.unwrap(), []);
}

#[tokio::test]
async fn a_use_makes_no_version_and_one_of_what_is_gone_is_skipped() {
    let folder = Folder::new();
    let store = folder.open().await;
    store
        .commit(&[put_app(settings("a", "default", &[])), add_key("a", None, secret(SECRET))], &actor())
        .await
        .unwrap();
    let (app, key) = numbers(&store, "a").await;
    let key = key.unwrap();
    let before = store.version().await.unwrap();
    let target = GrantTarget::Account(account_id("default"));
    let uses = [Use::Key { app, key, at: NOON }, Use::Scope { app, target, scope: scope("x:y"), at: NOON }];
    store.record_uses(&uses).await.unwrap();
    assert_eq!(store.version().await.unwrap(), before);
    let before = store.commit(&[Change::DeleteApp(client_id("a"))], &actor()).await.unwrap();
    assert_eq!(store.uses_of_scopes(NOON, None).await.unwrap(), [], "an app's uses go with it");
    store.record_uses(&uses).await.unwrap();
    assert_eq!(store.uses_of_scopes(NOON, None).await.unwrap(), []);
    assert_eq!(store.version().await.unwrap(), before);
}

#[tokio::test]
async fn the_last_uses_of_keys_are_those_of_the_apps_own() {
    let folder = Folder::new();
    let store = folder.open().await;
    let changes = ["a", "b"].map(|id| {
        let key = |text: &str| add_key(id, None, secret(&format!("{text} of {id}")));
        [put_app(settings(id, "default", &[])), key("first"), key("second")]
    });
    store.commit(&changes.concat(), &actor()).await.unwrap();
    let (_, registry) = store.load().await.unwrap();
    let keys = ["a", "b"].map(|id| registry.apps[&client_id(id)].keys[1].number);
    let uses = keys.map(|key| Use::Key { app: AppNumber(1), key, at: NOON });
    store.record_uses(&uses).await.unwrap();
    let found = store.uses_of_keys(&client_id("a")).await.unwrap();
    assert_eq!(found.into_iter().collect::<Vec<_>>(), [(keys[0], NOON)]);
    assert!(store.uses_of_keys(&client_id("none")).await.unwrap().is_empty());
}
