use super::Folder;
use crate::clock::instant;
use crate::registry::conformance::{
    Fixture as _, actor, add_key, on_bot, put_app, put_bot, put_grant, secret, settings,
};
use crate::registry::{Change, Repository as _};

const APPS: usize = 100_000;

/// An app with a secret and a grant.
fn app(i: usize) -> [Change; 3] {
    let id = format!("cs-{i:08}");
    [
        put_app(settings(&id, "default", &["b"])),
        add_key(&id, None, secret(&id)),
        put_grant(&id, on_bot("b"), &["logs:change_logs"], true),
    ]
}

#[tokio::test]
#[ignore = "prints how long 100,000 apps take"]
async fn a_hundred_thousand_apps() {
    let folder = Folder::new();
    let store = folder.open().await;
    store.commit(&[put_bot("b", "default")], &actor()).await.unwrap();
    let changes: Vec<_> = (0..APPS).flat_map(app).collect();
    let apps: Vec<_> = changes.iter().filter(|c| matches!(c, Change::PutApp { .. })).cloned().collect();
    let rest: Vec<_> = changes.iter().filter(|c| !matches!(c, Change::PutApp { .. })).cloned().collect();
    let start = instant();
    let version = store.commit(&apps, &actor()).await.unwrap();
    println!("commit of {APPS} apps: {:?}", instant() - start);
    let start = instant();
    store.commit(&rest, &actor()).await.unwrap();
    println!("commit of {APPS} secrets and as many grants: {:?}", instant() - start);
    let start = instant();
    let (_, registry) = store.load().await.unwrap();
    println!("load: {:?}", instant() - start);
    assert_eq!(registry.apps.len(), APPS);
    let start = instant();
    assert_eq!(store.changes_since(version).await.unwrap().apps.len(), APPS);
    println!("changes_since, all touched: {:?}", instant() - start);
    let version = store.version().await.unwrap();
    let start = instant();
    store.commit(&[add_key("cs-00004711", None, secret("second"))], &actor()).await.unwrap();
    println!("commit of one key: {:?}", instant() - start);
    let start = instant();
    assert_eq!(store.changes_since(version).await.unwrap().apps.len(), 1);
    println!("changes_since, one touched: {:?}", instant() - start);
    let start = instant();
    store.version().await.unwrap();
    println!("version: {:?}", instant() - start);
}
