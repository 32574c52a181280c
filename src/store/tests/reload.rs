use super::Folder;
use crate::clock::Timestamp;
use crate::registry::StoreError;
use crate::registry::conformance::Fixture as _;
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
