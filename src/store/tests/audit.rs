use serde_json::json;

use super::Folder;
use crate::clock::Timestamp;
use crate::registry::conformance::{
    Fixture as _, account_id, actor, add_key, bot_id, change_app, client_id, everything, on_bot, put_account, put_app,
    put_bot, put_grant, secret, settings,
};
use crate::registry::{Actor, AppSettings, Change, Repository as _, StoreError};
use crate::store::{AuditFilter, AuditRow, Note, Store};

/// As "action kind subject", newest first.
async fn rows(store: &Store, filter: AuditFilter) -> Vec<String> {
    let rows = store.audit(&filter).await.unwrap();
    rows.iter().map(|row| format!("{} {} {}", row.action, row.kind, row.subject)).collect()
}

fn all() -> AuditFilter {
    AuditFilter::latest(100)
}

#[tokio::test]
async fn the_audit_tells_who_did_what_and_what_was_before() {
    let folder = Folder::new();
    let store = folder.open().await;
    let mut app = settings("c", "default", &[]);
    store.commit(&[put_app(app.clone())], &actor()).await.unwrap();
    app.name = "renamed".into();
    store.commit(&[change_app(app)], &actor()).await.unwrap();
    let rows = store.audit(&AuditFilter::latest(10)).await.unwrap();
    assert_eq!(rows.iter().map(|r| r.action.as_str()).collect::<Vec<_>>(), ["change", "add"]);
    let row = &rows[0];
    assert_eq!((row.actor.as_str(), row.kind.as_str(), row.subject.as_str()), ("cli:ana@host", "app", "c"));
    assert_eq!((row.at, row.why.as_deref()), (actor().at, Some("a test")));
    assert!(row.before.as_ref().unwrap().contains("the app c") && row.after.as_ref().unwrap().contains("renamed"));
    assert_eq!(store.audit(&AuditFilter::latest(1)).await.unwrap(), rows[..1]);
}

#[tokio::test]
async fn the_audit_is_read_by_account_app_actor_and_time() {
    let folder = Folder::new();
    let store = folder.open().await;
    let (before, by) = (Timestamp::from_secs(1), |name: &str, at| Actor { name: name.into(), why: None, at });
    let first =
        [put_account("a", &[]), put_bot("b", "a"), put_app(settings("c", "a", &["b"])), put_bot("x", "default")];
    store.commit(&first, &by("ana", before)).await.unwrap();
    let second = [
        put_app(settings("d", "default", &[])),
        add_key("c", None, secret("k")),
        add_key("d", None, secret("l")),
        put_grant("c", on_bot("b"), &["s"], true),
    ];
    store.commit(&second, &by("bo", actor().at)).await.unwrap();
    store.commit(&[Change::DeleteApp(client_id("c")), Change::DeleteBot(bot_id("b"))], &actor()).await.unwrap();

    let of_a = ["delete bot b", "delete app c", "add grant c", "add key c", "add app c", "add bot b", "add account a"];
    assert_eq!(rows(&store, AuditFilter { account: Some(account_id("a")), ..all() }).await, of_a);
    let of_c = AuditFilter { app: Some(client_id("c")), ..all() };
    assert_eq!(rows(&store, of_c.clone()).await, ["delete app c", "add grant c", "add key c", "add app c"]);
    // A bot and an app may have one name.
    assert!(rows(&store, AuditFilter { app: Some(client_id("b")), ..all() }).await.is_empty());
    assert_eq!(rows(&store, AuditFilter { actor: Some("ana".into()), ..all() }).await.len(), 4);
    let late = AuditFilter { since: Some(actor().at), ..all() };
    assert_eq!(rows(&store, late).await.len(), 6);

    let page = store.audit(&AuditFilter { limit: 3, ..of_c.clone() }).await.unwrap();
    let next = AuditFilter { before: page.last().map(|row| row.id), ..of_c };
    assert_eq!(rows(&store, next).await, ["add app c"]);
}

#[tokio::test]
async fn an_app_that_moves_is_told_of_under_its_new_account() {
    let folder = Folder::new();
    let store = folder.open().await;
    let moved = AppSettings { account: account_id("a"), ..settings("c", "default", &[]) };
    store.commit(&[put_account("a", &[]), put_app(settings("c", "default", &[]))], &actor()).await.unwrap();
    store
        .commit(&[add_key("c", None, secret("k")), change_app(moved), add_key("c", None, secret("l"))], &actor())
        .await
        .unwrap();
    let of_a = rows(&store, AuditFilter { account: Some(account_id("a")), ..all() }).await;
    assert_eq!(of_a, ["add key c", "change app c", "add account a"]);
}

#[tokio::test]
async fn a_note_is_a_row_of_its_own_and_no_version() {
    let folder = Folder::new();
    let store = folder.open().await;
    let version = store.version().await.unwrap();
    let (account, after) = (account_id("default"), json!({ "shown": true }));
    let note = Note { kind: "key", subject: "c", account: Some(&account), action: "reveal", after: &after };
    store.note(note, &actor()).await.unwrap();
    let rows = store.audit(&AuditFilter { app: Some(client_id("c")), account: Some(account), ..all() }).await.unwrap();
    let [AuditRow { action, before: None, after: Some(after), why: Some(why), .. }] = &rows[..] else {
        panic!("{rows:?}")
    };
    assert_eq!((action.as_str(), after.as_str(), why.as_str()), ("reveal", r#"{"shown":true}"#, "a test"));
    assert_eq!(store.version().await.unwrap(), version);
}

#[tokio::test]
async fn rows_of_an_earlier_release_get_their_account_where_it_is_known() {
    let folder = Folder::new();
    let store = folder.open().await;
    let mut of_then = everything();
    of_then.retain(|change| change.subject().0 != "service_account");
    store.commit(&of_then, &actor()).await.unwrap();
    store.commit(&[Change::DeleteApp(client_id("account-app"))], &actor()).await.unwrap();
    let now = store.audit(&all()).await.unwrap();
    let mut transaction = store.database.write().await.unwrap();
    for back in [
        "DROP INDEX audit_by_account",
        "DROP INDEX audit_by_subject",
        "ALTER TABLE audit DROP COLUMN account",
        "DELETE FROM _sqlx_migrations WHERE version = 4",
    ] {
        sqlx::query(back).execute(&mut *transaction).await.unwrap();
    }
    transaction.commit().await.unwrap();
    let migrated = folder.open().await.audit(&all()).await.unwrap();
    assert_eq!(migrated.len(), now.len());
    for (new, old) in now.into_iter().zip(migrated) {
        let known = (new.subject != "account-app").then(|| "acme".to_owned());
        assert_eq!(old, AuditRow { account: known, ..new });
    }
}

#[tokio::test]
async fn a_rehearsal_meets_what_a_commit_would_meet_and_leaves_nothing() {
    let folder = Folder::new();
    let store = folder.open().await;
    let before = store.load().await.unwrap();
    store.rehearse(before.0, &everything(), &actor()).await.unwrap();
    let refused = store.rehearse(before.0, &[Change::DeleteBot(bot_id("none"))], &actor()).await;
    assert!(matches!(refused, Err(StoreError::Conflict(why)) if why == "bot none does not exist"));
    assert_eq!(store.load().await.unwrap(), before);
    assert!(store.audit(&all()).await.unwrap().is_empty());
    store.commit(&everything(), &actor()).await.unwrap();
    assert!(matches!(store.rehearse(before.0, &[], &actor()).await, Err(StoreError::Outdated)));
}
