//! Grants: what is drafted, what is in force, and edits of several people.

use super::sample::{
    account_id, alter_grant, client_id, on_bot, put_app, put_bot, put_grant, put_table_grant, scopes, settings, view,
};
use super::{Fixture, commit, conflict, load};
use crate::registry::{Change, Grant, GrantTarget, Permission, Permissions, Repository};

pub async fn a_draft_leaves_what_is_published_in_force(place: &impl Fixture) {
    let store = place.open().await;
    commit(&store, &[put_bot("b", "default"), put_app(settings("c", "default", &["b"]))]).await;
    commit(&store, &[put_grant("c", on_bot("b"), &["one"], true), put_grant("c", on_bot("b"), &["two"], false)]).await;
    let grant = load(&store).await.apps["c"].grants[0].clone();
    assert_eq!((grant.draft, grant.published), (scopes(&["two"]), scopes(&["one"])));
    commit(&store, &[put_grant("c", on_bot("b"), &["two"], true)]).await;
    assert_eq!(load(&store).await.apps["c"].grants[0].published, scopes(&["two"]));
}

pub async fn edits_of_two_people_add_up(place: &impl Fixture) {
    let (one, other) = (place.open().await, place.open().await);
    commit(&one, &app_of_bot()).await;
    commit(&one, &[put_grant("c", on_bot("b"), &["x"], true)]).await;
    let edits = |name: &'static str| (0..8).map(move |i| format!("{name}-{i}"));
    let edit = async |store, name| {
        for scope in edits(name) {
            commit(store, &[alter_grant("c", on_bot("b"), &[&scope], &["x"])]).await;
        }
    };
    tokio::join!(edit(&one, "one"), edit(&other, "other"));
    let wanted: Vec<_> = edits("one").chain(edits("other")).collect();
    let grant = grant(&one).await;
    assert_eq!(grant.draft, scopes(&wanted.iter().map(String::as_str).collect::<Vec<_>>()));
    assert_eq!(grant.published, scopes(&["x"]));

    // Whoever replaces the whole draft has to have seen it.
    let replace = |seen: &[&str]| match alter_grant("c", on_bot("b"), &["new"], &["x"]) {
        Change::AlterGrant { app, target, by, .. } => Change::AlterGrant { app, target, by, seen: Some(scopes(seen)) },
        other => other,
    };
    assert!(conflict(&one, &[replace(&["x"])]).await.contains("changed by somebody else"));
    commit(&one, &[put_grant("c", on_bot("b"), &["x"], false), replace(&["x"])]).await;
    assert_eq!(self::grant(&one).await.draft, scopes(&["new"]));
}

pub async fn an_edit_on_an_account_is_in_force_at_once(place: &impl Fixture) {
    let store = place.open().await;
    let on_account = || GrantTarget::Account(account_id("default"));
    commit(&store, &[put_app(settings("c", "default", &[]))]).await;
    commit(&store, &[alter_grant("c", on_account(), &["a", "b"], &[])]).await;
    commit(&store, &[alter_grant("c", on_account(), &["c"], &["a", "not-held"])]).await;
    let grant = grant(&store).await;
    assert_eq!((&grant.draft, grant.version), (&grant.published, 2));
    assert_eq!(grant.published, scopes(&["b", "c"]));
}

pub async fn a_draft_is_published_only_as_it_was_seen(place: &impl Fixture) {
    let store = place.open().await;
    commit(&store, &app_of_bot()).await;
    let publish = |draft: &[&str]| {
        let draft = scopes(draft);
        Change::PublishGrant { app: client_id("c"), target: on_bot("b"), draft }
    };
    commit(&store, &[put_grant("c", on_bot("b"), &["a"], false)]).await;
    assert_eq!(grant(&store).await.version, 0);
    commit(&store, &[alter_grant("c", on_bot("b"), &["b"], &[])]).await;
    assert!(conflict(&store, &[publish(&["a"])]).await.contains("changed by somebody else"));
    assert!(grant(&store).await.published.is_empty());
    commit(&store, &[publish(&["a", "b"])]).await;
    let first = grant(&store).await;
    assert_eq!((first.published, first.version), (scopes(&["a", "b"]), 1));
    // Published as it is, it is no other version.
    commit(&store, &[publish(&["a", "b"]), put_grant("c", on_bot("b"), &["a", "b"], true)]).await;
    assert_eq!(grant(&store).await.version, 1);
    // Versions are counted on where a grant is made anew.
    commit(&store, &[Change::DeleteGrant { app: client_id("c"), target: on_bot("b") }]).await;
    commit(&store, &[alter_grant("c", on_bot("b"), &["b"], &[])]).await;
    assert_eq!(grant(&store).await.version, 2);
    commit(&store, &[publish(&["b"])]).await;
    assert_eq!(grant(&store).await.version, 3);
}

pub async fn an_earlier_set_is_restored_under_the_edits_of_the_draft(place: &impl Fixture) {
    let store = place.open().await;
    commit(&store, &app_of_bot()).await;
    let restore = |version, set: &[&str]| {
        let scopes = scopes(set);
        Change::RestoreGrant { app: client_id("c"), target: on_bot("b"), version, scopes }
    };
    commit(&store, &[put_grant("c", on_bot("b"), &["a"], true), put_grant("c", on_bot("b"), &["b", "c"], true)]).await;
    commit(&store, &[restore(1, &["a"])]).await;
    let back = grant(&store).await;
    assert_eq!((back.draft, back.published, back.version), (scopes(&["a"]), scopes(&["a"]), 3));
    commit(&store, &[alter_grant("c", on_bot("b"), &["new"], &["a"]), restore(2, &["a", "b", "c"])]).await;
    let back = grant(&store).await;
    assert_eq!((back.draft, back.published), (scopes(&["b", "c", "new"]), scopes(&["a", "b", "c"])));
}

pub async fn permissions_on_a_table_are_given_and_taken_one_by_one(place: &impl Fixture) {
    let store = place.open().await;
    commit(&store, &[put_app(settings("c", "default", &[]))]).await;
    let alter = |gained: &[Permission], lost: &[Permission]| {
        let bits = |list: &[Permission]| list.iter().copied().collect();
        let (gained, lost) = (bits(gained), bits(lost));
        Change::AlterTableGrant { app: client_id("c"), resource: view("orders"), gained, lost }
    };
    let held = async || load(&store).await.apps["c"].table_grants.first().map(|g| g.permissions);
    commit(&store, &[alter(&[Permission::Read], &[]), alter(&[Permission::Write], &[Permission::Delete])]).await;
    assert_eq!(held().await, Some(Permissions::from_iter([Permission::Read, Permission::Write])));
    commit(&store, &[alter(&[], &[Permission::Read])]).await;
    assert_eq!(held().await, Some(Permissions::from_iter([Permission::Write])));
    commit(&store, &[alter(&[], &[Permission::Write])]).await;
    assert_eq!(held().await, None);
    // A grant of nothing that was put so stays.
    commit(&store, &[put_table_grant("c", view("orders"), &[])]).await;
    assert_eq!(held().await, Some(Permissions::NONE));
}

fn app_of_bot() -> [Change; 2] {
    [put_bot("b", "default"), put_app(settings("c", "default", &["b"]))]
}

async fn grant(store: &impl Repository) -> Grant {
    load(store).await.apps["c"].grants[0].clone()
}
