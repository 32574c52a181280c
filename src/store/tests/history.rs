//! What was put in force and when, and the making of it out of an older store.

use sqlx::SqlitePool;
use sqlx::sqlite::SqliteConnectOptions;

use super::Folder;
use crate::clock::Timestamp;
use crate::registry::conformance::{
    Fixture as _, account_id, actor, alter_grant, client_id, on_bot, put_app, put_bot, put_grant, scopes, settings,
};
use crate::registry::{Actor, Change, GrantTarget, GrantVersion, Repository as _};
use crate::store::{AuditFilter, migrations};

const NOON: Timestamp = Timestamp::from_secs(1_795_348_800);

fn version(version: i64, at: Timestamp, set: &[&str]) -> GrantVersion {
    let (app, target) = (client_id("c"), on_bot("b"));
    GrantVersion { app, target, version, at, actor: actor().name, why: actor().why, scopes: scopes(set) }
}

#[tokio::test]
async fn each_set_that_is_put_in_force_stands_in_the_history_with_who_when_and_why() {
    let folder = Folder::new();
    let store = folder.open().await;
    let app = client_id("c");
    let later = Actor { at: NOON.after(std::time::Duration::from_secs(60)), why: None, name: "cli:bo@host".into() };
    store.commit(&[put_bot("b", "default"), put_app(settings("c", "default", &["b"]))], &actor()).await.unwrap();
    store.commit(&[put_grant("c", on_bot("b"), &["a"], true)], &actor()).await.unwrap();
    store.commit(&[alter_grant("c", on_bot("b"), &["b"], &[])], &actor()).await.unwrap();
    let first = version(1, actor().at, &["a"]);
    assert_eq!(store.grant_history(Some(&app)).await.unwrap(), std::slice::from_ref(&first));
    let publish = Change::PublishGrant { app: app.clone(), target: on_bot("b"), draft: scopes(&["a", "b"]) };
    store.commit(&[publish], &later).await.unwrap();
    let second = GrantVersion { actor: later.name.clone(), why: None, ..version(2, later.at, &["a", "b"]) };
    store.commit(&[Change::DeleteGrant { app: app.clone(), target: on_bot("b") }], &actor()).await.unwrap();
    let expected = [first, second, version(3, actor().at, &[])];
    assert_eq!(store.grant_history(Some(&app)).await.unwrap(), expected);
    assert_eq!(store.grant_history(None).await.unwrap(), expected);
    assert_eq!(store.grant_history(Some(&client_id("other"))).await.unwrap(), []);
}

#[tokio::test]
async fn an_app_that_is_deleted_takes_its_history_along_and_leaves_the_audit() {
    let folder = Folder::new();
    let store = folder.open().await;
    let account = GrantTarget::Account(account_id("default"));
    let made = [put_app(settings("c", "default", &[])), put_grant("c", account.clone(), &["a"], true)];
    store.commit(&made, &actor()).await.unwrap();
    store.commit(&[Change::DeleteApp(client_id("c"))], &actor()).await.unwrap();
    assert_eq!(store.grant_history(None).await.unwrap(), []);
    assert!(
        store
            .audit(&AuditFilter::latest(10))
            .await
            .unwrap()
            .iter()
            .any(|row| row.kind == "grant" && row.subject == "c")
    );
    store.commit(&made, &actor()).await.unwrap();
    let anew = store.grant_history(None).await.unwrap();
    assert_eq!(anew.iter().map(|v| (v.version, &v.target)).collect::<Vec<_>>(), [(1, &account)]);
}

/// What the release before the history wrote, with an earlier app of the same name.
const OLDER: &str = r#"
INSERT INTO bot (id, account) VALUES ('b', 'default');
INSERT INTO app (number, client_id, name, account, level, authenticators, algorithms, enforce_jti, enforce_jwe,
    require_exp, max_lifetime, enabled, credential_version)
    VALUES (7, 'c', 'c', 'default', 'bot', '[]', '["HS256"]', FALSE, FALSE, FALSE, NULL, TRUE, 1);
INSERT INTO app_bot (app, bot) VALUES (7, 'b');
INSERT INTO app_grant (app, target_kind, target_id, draft, published, version)
    VALUES (7, 'bot', 'b', '["a","c"]', '["a"]', 44), (7, 'account', 'default', '["x"]', '[]', 0);
INSERT INTO audit (at, actor, kind, subject, action, before, after, why) VALUES
    (10, 'old', 'app', 'c', 'add', NULL, '{}', NULL),
    (11, 'old', 'grant', 'c', 'add', NULL, '{"bot":"b","draft":["z"],"published":["z"]}', NULL),
    (12, 'old', 'app', 'c', 'delete', '{}', NULL, NULL),
    (20, 'new', 'app', 'c', 'add', NULL, '{}', NULL),
    (21, 'new', 'grant', 'c', 'add', NULL, '{"bot":"b","draft":["a"],"published":["a"]}', 'first'),
    (22, 'new', 'grant', 'c', 'change', '{"bot":"b","draft":["a"],"published":["a"]}',
        '{"bot":"b","draft":["a","b"],"published":["a"]}', NULL),
    (23, 'new', 'grant', 'c', 'delete', '{"bot":"b","draft":["a","b"],"published":["a"]}', NULL, 'over'),
    (24, 'new', 'grant', 'c', 'add', NULL, '{"bot":"b","draft":["a"],"published":["a"]}', NULL),
    (25, 'new', 'grant', 'c', 'change', '{"bot":"b","draft":["a"],"published":["a"]}',
        '{"bot":"b","draft":["a","c"],"published":["a"]}', NULL),
    (26, 'new', 'grant', 'c', 'add', NULL, '{"account":"default","draft":["x"],"published":[]}', NULL);
"#;

#[tokio::test]
async fn an_older_store_gets_its_history_from_the_audit() {
    let folder = Folder::new();
    let path = folder.path("scopegate.db");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let pool = SqlitePool::connect_with(options).await.unwrap();
    migrations::sqlite_up_to(2).run(&pool).await.unwrap();
    sqlx::raw_sql(OLDER).execute(&pool).await.unwrap();
    pool.close().await;

    let store = folder.open().await;
    let history = store.grant_history(None).await.unwrap();
    let told: Vec<_> = history.iter().map(|v| (v.version, v.at.millis(), v.why.as_deref(), v.scopes.clone())).collect();
    let (some, none) = (scopes(&["a"]), scopes(&[]));
    assert_eq!(told, [(1, 21, Some("first"), some.clone()), (2, 23, Some("over"), none), (3, 24, None, some)]);
    assert!(history.iter().all(|v| v.actor == "new" && v.target == on_bot("b")));
    let grants = store.load().await.unwrap().1.apps["c"].grants.clone();
    let of: Vec<_> = grants.iter().map(|g| (g.target.to_string(), g.version, g.updated_at.millis())).collect();
    assert_eq!(of, [("account default".to_owned(), 0, 26), ("bot b".to_owned(), 3, 25)]);
}
