use super::Folder;
use crate::clock::Timestamp;
use crate::registry::Repository as _;
use crate::registry::StoreError;
use crate::registry::conformance::{Fixture as _, actor, put_app, settings};
use crate::store::ReloadOutcome;

const NOW: Timestamp = Timestamp::from_secs(1_795_348_800);

#[tokio::test]
async fn a_reload_request_reaches_other_stores_and_their_answers_come_back() {
    let folder = Folder::new();
    let (cli, server) = (folder.open().await, folder.open().await);
    assert_eq!(server.latest_reload_request().await.unwrap(), 0);
    let first = cli.request_reload("cli:ana@host", NOW).await.unwrap();
    let second = cli.request_reload("cli:ana@host", NOW).await.unwrap();
    assert_eq!(server.reload_requests_since(0).await.unwrap(), [first, second]);
    assert_eq!(server.reload_requests_since(first).await.unwrap(), [second]);
    assert_eq!(server.latest_reload_request().await.unwrap(), second);
    server.report_reload(second, "node-b", true, "reloaded", NOW).await.unwrap();
    server.report_reload(second, "node-a", true, "reloaded", NOW).await.unwrap();
    server.report_reload(second, "node-a", false, "line 3: unknown key", NOW).await.unwrap();
    let outcome = |node: &str, ok, message: &str| ReloadOutcome { node: node.into(), ok, message: message.into() };
    let expected = [outcome("node-a", false, "line 3: unknown key"), outcome("node-b", true, "reloaded")];
    assert_eq!(cli.reload_outcomes(second).await.unwrap(), expected);
    assert_eq!(cli.reload_outcomes(first).await.unwrap(), []);
}

#[tokio::test]
async fn an_answer_to_no_request_is_a_conflict() {
    let store = Folder::new();
    let store = (store.open().await, store);
    let reported = store.0.report_reload(7, "node", true, "", NOW).await;
    assert!(matches!(reported, Err(StoreError::Conflict(why)) if why == "reload request 7 does not exist"));
}

#[tokio::test]
async fn the_audit_tells_who_did_what_and_what_was_before() {
    let folder = Folder::new();
    let store = folder.open().await;
    let mut app = settings("c", "default", &[]);
    store.commit(&[put_app(app.clone())], &actor()).await.unwrap();
    app.name = "renamed".into();
    store.commit(&[crate::registry::conformance::change_app(app)], &actor()).await.unwrap();
    let rows = store.audit(10).await.unwrap();
    assert_eq!(rows.iter().map(|r| r.action.as_str()).collect::<Vec<_>>(), ["change", "add"]);
    let row = &rows[0];
    assert_eq!((row.actor.as_str(), row.kind.as_str(), row.subject.as_str()), ("cli:ana@host", "app", "c"));
    assert_eq!((row.at, row.why.as_deref()), (actor().at, Some("a test")));
    assert!(row.before.as_ref().unwrap().contains("the app c") && row.after.as_ref().unwrap().contains("renamed"));
    assert_eq!(store.audit(1).await.unwrap(), rows[..1]);
}
