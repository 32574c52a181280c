//! Reading: all of it, and what changed.

use super::sample::{
    account_id, add_key, bot_id, client_id, everything, materials, on_bot, put_account, put_app, put_bot, put_grant,
    scopes, secret, settings, unusual_settings, view,
};
use super::{Fixture, actor, commit, load};
use crate::model::AccountId;
use crate::registry::{
    Account, Bot, Change, Delta, Grant, GrantTarget, KeyState, Permission, Permissions, Registry, Repository, Resource,
    ResourceKind, TableGrant, Version,
};

pub async fn a_new_store_holds_the_default_account_alone(place: &impl Fixture) {
    let registry = load(&place.open().await).await;
    assert_eq!(registry.accounts.keys().map(AccountId::as_str).collect::<Vec<_>>(), ["default"]);
    assert!(registry.bots.is_empty() && registry.apps.is_empty() && registry.service_accounts.is_empty());
}

pub async fn everything_comes_back_as_it_went_in(place: &impl Fixture) {
    let store = place.open().await;
    let committed = commit(&store, &everything()).await;
    let (version, registry) = store.load().await.unwrap();
    assert_eq!(version, committed);
    let hosts = ["acme.example", "bots.acme.example"].map(String::from).into();
    assert_eq!(registry.accounts["acme"], Account { id: account_id("acme"), hosts });
    assert_eq!(registry.bots["b2"], Bot { id: bot_id("b2"), account: account_id("acme") });
    let app = &registry.apps["bot-app"];
    assert_eq!(app.settings, unusual_settings("bot-app", "acme", &["b1", "b2"]));
    assert_eq!(registry.apps["account-app"].settings, settings("account-app", "acme", &[]));
    assert_eq!(app.keys.iter().map(|k| k.material.clone()).collect::<Vec<_>>(), materials());
    let kids: Vec<_> = app.keys.iter().map(|k| k.kid.as_ref().map(|k| k.as_str().to_owned())).collect();
    assert_eq!(
        kids,
        [None, Some("bytes"), Some("pem"), Some("jwk"), Some("certificate"), Some("rsa")].map(|k| k.map(str::to_owned))
    );
    assert!(app.keys.iter().all(|k| k.state == KeyState::Active));
    let published = scopes(&["logs:change_logs", "a"]);
    let updated_at = actor().at;
    let grant = |bot, draft, published, version| Grant { target: on_bot(bot), draft, published, version, updated_at };
    assert_eq!(app.grants[0], grant("b1", published.clone(), published, 1));
    assert_eq!(app.grants[1], grant("b2", scopes(&["b"]), scopes(&[]), 0));
    let account_grant = &registry.apps["account-app"].grants[0];
    assert_eq!(account_grant.target, GrantTarget::Account(account_id("acme")));
    let read_and_delete = Permissions::from_iter([Permission::Read, Permission::Delete]);
    let table = Resource { kind: ResourceKind::Table, ..view("orders") };
    assert_eq!(app.table_grants.len(), 2);
    assert!(app.table_grants.contains(&TableGrant { resource: view("orders"), permissions: read_and_delete }));
    assert!(app.table_grants.contains(&TableGrant { resource: table, permissions: Permissions::NONE }));
}

pub async fn what_was_committed_is_there_when_the_store_is_opened_again(place: &impl Fixture) {
    let store = place.open().await;
    commit(&store, &everything()).await;
    let before = store.load().await.unwrap();
    drop(store);
    assert_eq!(place.open().await.load().await.unwrap(), before);
}

pub async fn versions_go_up_with_each_change_and_stay_without_one(place: &impl Fixture) {
    let store = place.open().await;
    let start = store.version().await.unwrap();
    assert_eq!(commit(&store, &[]).await, start);
    let one = commit(&store, &[put_account("a", &[])]).await;
    let same = commit(&store, &[put_account("a", &[])]).await;
    assert!(start < one && one < same);
    assert_eq!(store.version().await.unwrap(), same);
    assert_eq!(store.load().await.unwrap().0, same);
}

pub async fn changes_since_names_each_touched_entity_once_and_no_other(place: &impl Fixture) {
    let store = place.open().await;
    let before = commit(&store, &everything()).await;
    let changes = [
        put_account("other", &["other.example"]),
        put_bot("b3", "other"),
        put_bot("b3", "acme"),
        add_key("bot-app", Some("new"), secret("new")),
        put_grant("bot-app", on_bot("b1"), &["z"], true),
        put_grant("bot-app", on_bot("b1"), &["y"], true),
    ];
    let version = commit(&store, &changes).await;
    let delta = store.changes_since(before).await.unwrap();
    let now = load(&store).await;
    assert_eq!(delta.version, version);
    assert_eq!(delta.accounts, [(account_id("other"), now.accounts.get("other").cloned())]);
    assert_eq!(delta.bots, [(bot_id("b3"), now.bots.get("b3").cloned())]);
    assert_eq!(delta.apps, [(client_id("bot-app"), now.apps.get("bot-app").cloned())]);
    assert_eq!(now.bots["b3"].account, account_id("acme"));
}

pub async fn changes_since_the_current_version_are_none(place: &impl Fixture) {
    let store = place.open().await;
    let version = commit(&store, &everything()).await;
    let delta = store.changes_since(version).await.unwrap();
    assert_eq!(delta.version, version);
    assert!(delta.is_empty());
}

pub async fn changes_since_version_zero_are_everything(place: &impl Fixture) {
    let store = place.open().await;
    commit(&store, &everything()).await;
    let mut registry = Registry::default();
    refresh(&mut registry, store.changes_since(Version(0)).await.unwrap());
    assert_eq!(registry, load(&store).await);
}

pub async fn what_is_gone_is_named_as_gone(place: &impl Fixture) {
    let store = place.open().await;
    let before = commit(&store, &[put_account("a", &[]), put_bot("b", "a"), put_app(settings("c", "a", &["b"]))]).await;
    let (app, bot, account) = (client_id("c"), bot_id("b"), account_id("a"));
    let changes =
        [Change::DeleteApp(app.clone()), Change::DeleteBot(bot.clone()), Change::DeleteAccount(account.clone())];
    commit(&store, &changes).await;
    let delta = store.changes_since(before).await.unwrap();
    assert_eq!((delta.apps, delta.bots, delta.accounts), (vec![(app, None)], vec![(bot, None)], vec![(account, None)]));
}

/// Commits of two stores take turns: none is lost, and each has its own version.
pub async fn two_stores_commit_to_one_place_in_turn(place: &impl Fixture) {
    let (one, other) = (place.open().await, place.open().await);
    let (first, second) = tokio::join!(commit_apps(&one, "one"), commit_apps(&other, "other"));
    let registry = load(&one).await;
    assert_eq!(registry.apps.len(), 2 * APPS);
    assert_eq!(registry, load(&other).await);
    let mut versions: Vec<_> = first.iter().chain(&second).collect();
    assert!(first.is_sorted() && second.is_sorted());
    versions.sort();
    versions.dedup();
    assert_eq!(versions.len(), 2 * APPS);
}

const APPS: usize = 12;

async fn commit_apps(store: &impl Repository, name: &str) -> Vec<Version> {
    let mut versions = Vec::new();
    for i in 0..APPS {
        let id = format!("{name}-{i}");
        let changes = [put_app(settings(&id, "default", &[])), add_key(&id, None, secret(&id))];
        versions.push(store.commit(&changes, &actor()).await.unwrap());
    }
    versions
}

/// A registry brought up to date with what changed.
pub fn refresh(registry: &mut Registry, delta: Delta) {
    for (id, account) in delta.accounts {
        put(&mut registry.accounts, id, account);
    }
    for (id, bot) in delta.bots {
        put(&mut registry.bots, id, bot);
    }
    for (id, app) in delta.apps {
        put(&mut registry.apps, id, app);
    }
    for (name, service) in delta.service_accounts {
        put(&mut registry.service_accounts, name, service);
    }
}

fn put<K: Ord, V>(map: &mut std::collections::BTreeMap<K, V>, key: K, value: Option<V>) {
    match value {
        Some(value) => _ = map.insert(key, value),
        None => _ = map.remove(&key),
    }
}
