//! Many additions in one commit leave what they leave one by one.

use super::Folder;
use crate::registry::conformance::{
    Fixture as _, account_id, actor, add_key, alter_grant, client_id, materials, on_bot, put_account, put_app, put_bot,
    put_grant, secret, settings, unusual_settings,
};
use crate::registry::{Change, GrantTarget, Repository as _, StoreError, Version};
use crate::store::{AuditFilter, Store, commit};

/// Apps of every kind, and changes between them that are not additions.
fn changes() -> Vec<Change> {
    let on_account = || GrantTarget::Account(account_id("a"));
    let mut changes = vec![put_account("a", &[]), put_bot("b", "a"), put_bot("d", "default")];
    changes.extend((0..300).map(|i| put_app(settings(&format!("cs-{i}"), "a", &["b"]))));
    changes.push(put_app(unusual_settings("odd", "default", &["d"])));
    changes.push(put_app(settings("none", "a", &[])));
    for i in 0..300 {
        let id = format!("cs-{i}");
        changes.push(add_key(&id, None, secret(&id)));
        changes.push(put_grant(&id, on_bot("b"), &["logs:change_logs"], i % 2 == 0));
    }
    for (i, material) in materials().into_iter().enumerate() {
        changes.push(add_key("odd", Some(&format!("k{i}")), material));
    }
    changes.push(put_grant("cs-7", on_account(), &["a:b"], true));
    changes.push(put_grant("cs-8", on_account(), &[], true));
    changes.push(alter_grant("cs-7", on_bot("b"), &["c:d"], &[]));
    changes.push(put_grant("cs-7", on_bot("b"), &["e:f"], true));
    changes.push(put_grant("cs-9", on_bot("b"), &["e:f"], true));
    changes.push(add_key("cs-9", None, secret("second")));
    changes.push(Change::DeleteApp(client_id("cs-10")));
    changes.push(put_app(settings("cs-10", "default", &[])));
    changes.push(add_key("cs-10", None, secret("again")));
    changes.push(put_app(settings("cs-301", "default", &["d", "b"])));
    changes.push(put_app(settings("cs-301", "default", &["d", "b"])));
    changes.push(add_key("cs-301", Some("k"), secret("k")));
    changes
}

async fn commit_each(store: &Store, changes: &[Change]) {
    for change in changes {
        store.commit(std::slice::from_ref(change), &actor()).await.unwrap();
    }
}

#[tokio::test]
async fn many_changes_in_one_commit_leave_what_they_leave_in_a_commit_each() {
    let (together, apart) = (Folder::new(), Folder::new());
    let (together, apart) = (together.open().await, apart.open().await);
    together.commit(&changes(), &actor()).await.unwrap();
    commit_each(&apart, &changes()).await;
    let (version, registry) = together.load().await.unwrap();
    assert_eq!((version, &registry), (apart.load().await.unwrap().0, &apart.load().await.unwrap().1));
    assert_eq!(together.grant_history(None).await.unwrap(), apart.grant_history(None).await.unwrap());
    let all = AuditFilter::latest(10_000);
    assert_eq!(together.audit(&all).await.unwrap(), apart.audit(&all).await.unwrap());
    for since in [1, 4, 300, 700] {
        let [one, other] = [&together, &apart].map(|store| store.changes_since(Version(since)));
        assert_eq!(format!("{:?}", one.await.unwrap()), format!("{:?}", other.await.unwrap()));
    }
}

#[tokio::test]
async fn new_apps_with_their_keys_and_grants_are_added_hundreds_at_a_time() {
    let folder = Folder::new();
    let store = folder.open().await;
    store.commit(&[put_bot("b", "default")], &actor()).await.unwrap();
    let apps = (0..1000).map(|i| put_app(settings(&format!("cs-{i}"), "default", &["b"])));
    let keys = (0..1000).map(|i| add_key(&format!("cs-{i}"), None, secret("s")));
    let grants = (0..1000).map(|i| put_grant(&format!("cs-{i}"), on_bot("b"), &["a:b"], true));
    let changes: Vec<_> = apps.chain(keys).chain(grants).collect();
    let mut transaction = store.database.write().await.unwrap();
    let steps = commit::steps(&mut transaction, &store.sealer, &changes, &actor()).await.unwrap();
    assert_eq!(steps, 3000_usize.div_ceil(256));
}

#[tokio::test]
async fn what_is_refused_alone_is_refused_among_many_with_the_same_words() {
    let refused = [
        put_app(settings("x", "nowhere", &[])),
        put_app(settings("x", "default", &["unknown"])),
        put_app(settings("cs-1", "default", &[])),
        add_key("cs-1", Some("k"), secret("other")),
        add_key("unknown", None, secret("s")),
        put_grant("cs-1", on_bot("unknown"), &["a:b"], true),
        put_grant("cs-1", GrantTarget::Account(account_id("nowhere")), &["a:b"], true),
        put_grant("unknown", on_bot("b"), &["a:b"], true),
    ];
    let before = [
        put_bot("b", "default"),
        put_app(settings("cs-0", "default", &["b"])),
        put_app(settings("cs-1", "default", &["b"])),
        add_key("cs-1", Some("k"), secret("s")),
    ];
    let (together, apart) = (Folder::new(), Folder::new());
    let (together, apart) = (together.open().await, apart.open().await);
    apart.commit(&before, &actor()).await.unwrap();
    for change in refused {
        let changes: Vec<_> = before.iter().cloned().chain([change.clone()]).collect();
        let sentence = |result| match result {
            Err(StoreError::Conflict(sentence)) => sentence,
            other => panic!("{change:?}: {other:?}"),
        };
        let among = sentence(together.commit(&changes, &actor()).await);
        assert_eq!(among, sentence(apart.commit(std::slice::from_ref(&change), &actor()).await));
    }
}
