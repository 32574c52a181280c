use super::Folder;
use crate::clock::Timestamp;
use crate::model::{AppNumber, TokenId};
use crate::registry::conformance::{Fixture as _, actor, client_id, put_app, settings};
use crate::registry::{Change, Repository as _};
use crate::store::{AuditFilter, Store};
use crate::tokens::conformance::{Fixture, token_conformance_tests};
use crate::tokens::{IssuedToken, TokenRepository as _, TokenVersion};

/// A folder in which every store has the same two apps.
struct Apps(Folder);

impl Fixture for Apps {
    type Store = Store;

    async fn open(&self) -> (Store, AppNumber, AppNumber) {
        let store = self.0.open().await;
        let names = ["a", "b"];
        if store.load().await.unwrap().1.apps.is_empty() {
            store.commit(&names.map(|id| put_app(settings(id, "default", &[]))), &actor()).await.unwrap();
        }
        let apps = store.load().await.unwrap().1.apps;
        let [a, b] = names.map(|id| apps[&client_id(id)].number);
        (store, a, b)
    }
}

token_conformance_tests!(Apps(Folder::new()));

#[tokio::test]
async fn each_step_is_audited_and_goes_with_its_app() {
    let apps = Apps(Folder::new());
    let (store, app, _) = apps.open().await;
    let noon = Timestamp::from_secs(1_795_348_800);
    let id = |jti| TokenId::new(jti).unwrap();
    let token = |jti| IssuedToken { jti: id(jti), issued_at: noon, expires_at: Timestamp::MAX };
    store.issue(app, token("first"), &actor()).await.unwrap();
    store.refresh(app, &id("first"), token("second"), Timestamp::MAX, &actor()).await.unwrap();
    store.invalidate(app, &actor()).await.unwrap();
    let rows = store.audit(&AuditFilter::latest(3)).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.action.as_str()).collect::<Vec<_>>(), ["invalidate", "refresh", "issue"]);
    assert!(rows.iter().all(|row| row.kind == "token"
        && row.subject == "a"
        && row.account.as_deref() == Some("default")
        && row.why.as_deref() == Some("a test")));
    assert!(rows[0].after.as_ref().unwrap().contains(r#"["second","first"]"#), "{rows:?}");
    store.issue(app, token("third"), &actor()).await.unwrap();
    store.commit(&[Change::DeleteApp(client_id("a"))], &actor()).await.unwrap();
    let delta = store.token_changes_since(TokenVersion::default()).await.unwrap();
    assert_eq!(delta.apps.iter().map(|(_, states)| states.issued.current.clone()).collect::<Vec<_>>(), [None]);
}
