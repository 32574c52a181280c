//! Writing: all or nothing, and what is refused.

use super::sample::{
    account_id, add_encryption_key, add_key, bot_id, change_app, client_id, everything, on_bot, put_account, put_app,
    put_bot, put_grant, put_table_grant, secret, settings, view,
};
use super::{Fixture, actor, commit, conflict, load};
use crate::model::KeyId;
use crate::registry::{AppSettings, Change, GrantTarget, KeyNumber, KeyState, Permission, Repository, StoreError};

pub async fn a_commit_that_fails_leaves_nothing(place: &impl Fixture) {
    let store = place.open().await;
    commit(&store, &everything()).await;
    let before = store.load().await.unwrap();
    let mut changes = vec![
        put_account("late", &["late.example"]),
        put_bot("late", "late"),
        put_app(settings("late", "late", &["late"])),
        add_key("late", None, secret("late")),
        add_key("bot-app", Some("late"), secret("late")),
        Change::DeleteApp(client_id("account-app")),
    ];
    changes.push(Change::DeleteBot(bot_id("not there")));
    assert_eq!(conflict(&store, &changes).await, "bot not there does not exist");
    assert_eq!(store.load().await.unwrap(), before);
    assert_eq!(store.version().await.unwrap(), before.0);
    commit(&store, &changes[..6]).await;
}

pub async fn a_change_of_what_is_not_there_is_a_conflict(place: &impl Fixture) {
    let store = place.open().await;
    commit(&store, &everything()).await;
    let (app, key) = (client_id("account-app"), load(&store).await.apps["bot-app"].keys[0].number);
    let of_nobody = |app| {
        let state = KeyState::Retired;
        [
            Change::SetKeyState { app: client_id(app), key, state },
            Change::ReplaceKey { app: client_id(app), key, kid: None, material: secret("x") },
            Change::DeleteKey { app: client_id(app), key, kid: None },
            Change::SetEncryptionKeyState { app: client_id(app), kid: kid("k-rsa"), state },
            Change::DeleteEncryptionKey { app: client_id(app), kid: kid("k-rsa") },
            Change::DeleteGrant { app: client_id(app), target: on_bot("b1") },
            Change::DeleteTableGrant { app: client_id(app), resource: view("orders") },
        ]
    };
    let mut changes = vec![
        Change::DeleteAccount(account_id("none")),
        Change::DeleteApp(client_id("none")),
        put_bot("b9", "none"),
        put_bot("b1", "none"),
        put_app(settings("new", "none", &[])),
        put_app(settings("new", "acme", &["none"])),
        change_app(settings("none", "acme", &[])),
        change_app(settings("account-app", "none", &[])),
        change_app(settings("bot-app", "acme", &["b1", "none"])),
        add_key("none", None, secret("x")),
        add_encryption_key("none", "k-new", 1),
        put_grant("none", on_bot("b1"), &[], true),
        put_grant("bot-app", on_bot("none"), &[], true),
        put_grant("bot-app", GrantTarget::Account(account_id("none")), &[], true),
        put_table_grant("none", view("orders"), &[]),
        Change::DeleteKey { app: app.clone(), key: KeyNumber(i64::MAX), kid: None },
    ];
    changes.extend(of_nobody("none"));
    // What another app has is not this one's.
    changes.extend(of_nobody(app.as_str()));
    for change in changes {
        let sentence = conflict(&store, std::slice::from_ref(&change)).await;
        assert!(sentence.contains("does not exist") || sentence.contains(" has no "), "{change:?}: {sentence}");
    }
}

fn kid(id: &str) -> KeyId {
    KeyId::new(id).unwrap()
}

pub async fn an_app_that_exists_is_not_added_over_with_other_settings(place: &impl Fixture) {
    let store = place.open().await;
    commit(&store, &[put_account("a", &[]), put_app(settings("c", "a", &[]))]).await;
    let before = load(&store).await;
    assert!(conflict(&store, &[put_app(settings("c", "default", &[]))]).await.contains("app c exists already"));
    commit(&store, &[put_app(settings("c", "a", &[]))]).await;
    assert_eq!(load(&store).await, before);
}

pub async fn an_account_that_holds_something_is_not_deleted(place: &impl Fixture) {
    let store = place.open().await;
    let delete = Change::DeleteAccount(account_id("a"));
    commit(&store, &[put_account("a", &["a.example"]), put_bot("b", "a"), put_app(settings("c", "a", &[]))]).await;
    let sentence = conflict(&store, std::slice::from_ref(&delete)).await;
    assert!(sentence.contains("app c") && sentence.contains("bot b"), "{sentence}");
    let granted = put_grant("c", GrantTarget::Account(account_id("a")), &["s"], true);
    commit(&store, &[granted, Change::DeleteBot(bot_id("b")), change_app(settings("c", "default", &[]))]).await;
    assert!(conflict(&store, std::slice::from_ref(&delete)).await.contains("a grant to app c"));
    commit(&store, &[Change::DeleteApp(client_id("c")), delete]).await;
    assert!(!load(&store).await.accounts.contains_key("a"));
    // Its hosts went with it.
    commit(&store, &[put_account("default", &["a.example"])]).await;
}

pub async fn the_default_account_is_not_deleted(place: &impl Fixture) {
    let store = place.open().await;
    let sentence = conflict(&store, &[Change::DeleteAccount(account_id("default"))]).await;
    assert!(sentence.contains("always exists"), "{sentence}");
}

pub async fn a_bot_that_apps_name_is_not_deleted(place: &impl Fixture) {
    let store = place.open().await;
    commit(&store, &[put_bot("b", "default"), put_bot("b2", "default")]).await;
    let apps: Vec<_> = (0..7).map(|i| put_app(settings(&format!("app-{i}"), "default", &["b"]))).collect();
    commit(&store, &apps).await;
    let delete = Change::DeleteBot(bot_id("b"));
    let sentence = conflict(&store, std::slice::from_ref(&delete)).await;
    assert!(sentence.ends_with("named by app app-0, app-1, app-2, app-3, app-4 and more"), "{sentence}");
    let mut changes: Vec<_> = (1..7).map(|i| Change::DeleteApp(client_id(&format!("app-{i}")))).collect();
    changes.push(put_grant("app-0", on_bot("b"), &["s"], true));
    changes.push(change_app(settings("app-0", "default", &["b2"])));
    commit(&store, &changes).await;
    assert!(conflict(&store, std::slice::from_ref(&delete)).await.contains("a grant to app app-0"));
    commit(&store, &[Change::DeleteGrant { app: client_id("app-0"), target: on_bot("b") }, delete]).await;
}

pub async fn a_host_belongs_to_one_account_and_may_move_within_a_commit(place: &impl Fixture) {
    let store = place.open().await;
    commit(&store, &[put_account("a", &["x.example", "y.example"])]).await;
    let sentence = conflict(&store, &[put_account("b", &["x.example"])]).await;
    assert!(sentence.contains("x.example") && sentence.contains("account a"), "{sentence}");
    commit(&store, &[put_account("b", &["x.example"]), put_account("a", &["y.example"])]).await;
    let registry = load(&store).await;
    assert!(registry.accounts["a"].hosts.contains("y.example") && registry.accounts["b"].hosts.contains("x.example"));
}

pub async fn what_was_made_from_an_older_version_is_not_committed(place: &impl Fixture) {
    let (one, other) = (place.open().await, place.open().await);
    commit(&one, &[put_app(settings("c", "default", &[]))]).await;
    let (read, _) = one.load().await.unwrap();
    let rename = |name: &str| [change_app(AppSettings { name: name.into(), ..settings("c", "default", &[]) })];
    let next = other.commit_at(read, &rename("first"), &actor()).await.unwrap();
    let late = one.commit_at(read, &rename("second"), &actor()).await;
    assert!(matches!(late, Err(StoreError::Outdated)), "{late:?}");
    assert_eq!(load(&one).await.apps["c"].settings.name, "first");
    assert_eq!(one.version().await.unwrap(), next);
    one.commit_at(next, &rename("second"), &actor()).await.unwrap();
    assert_eq!(load(&other).await.apps["c"].settings.name, "second");
}

pub async fn an_app_that_changes_its_account_loses_its_permissions_on_tables(place: &impl Fixture) {
    let store = place.open().await;
    let grant = put_table_grant("c", view("orders"), &[Permission::Read]);
    commit(&store, &[put_account("a", &[]), put_app(settings("c", "a", &[])), grant.clone()]).await;
    let renamed = AppSettings { name: "another name".into(), ..settings("c", "a", &[]) };
    commit(&store, &[change_app(renamed)]).await;
    assert_eq!(load(&store).await.apps["c"].table_grants.len(), 1, "another name changes nothing");
    commit(&store, &[change_app(settings("c", "default", &[]))]).await;
    assert!(load(&store).await.apps["c"].table_grants.is_empty());
    commit(&store, &[change_app(settings("c", "a", &[]))]).await;
    assert!(load(&store).await.apps["c"].table_grants.is_empty(), "and coming back brings none back");
    // What is granted after the change, in the same commit too, is granted by the new account.
    commit(&store, &[change_app(settings("c", "default", &[])), grant]).await;
    assert_eq!(load(&store).await.apps["c"].table_grants.len(), 1);
}
