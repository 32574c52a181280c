//! Service accounts.

use super::sample::{account_id, everything, password, put_account, put_service, service};
use super::{Fixture, commit, conflict, load};
use crate::model::ServiceName;
use crate::registry::{Change, Repository, ServiceKind, ServiceSettings};

pub async fn service_accounts_come_back_as_they_went_in(place: &impl Fixture) {
    let store = place.open().await;
    let version = commit(&store, &everything()).await;
    let services = load(&store).await.service_accounts;
    assert_eq!(services.len(), 2);
    let (backend, ana) = (&services["care backend"], &services["ana"]);
    assert_eq!(backend.settings(), service("care backend", "default", &["bot-api", "reports"]));
    let person = ServiceSettings { kind: ServiceKind::Person, enabled: false, ..service("ana", "acme", &[]) };
    assert_eq!(ana.settings(), person);
    assert_eq!((&backend.hash, &ana.hash), (&password('a'), &password('b')));
    assert!(backend.credential_version < ana.credential_version && ana.credential_version < version.0);
}

pub async fn a_service_account_keeps_its_password_until_it_gets_another(place: &impl Fixture) {
    let store = place.open().await;
    let sentence = conflict(&store, &[put_service(service("s", "default", &[]), None)]).await;
    assert!(sentence.contains("needs a password"), "{sentence}");
    let first = commit(&store, &[put_service(service("s", "default", &[]), Some(password('a')))]).await;
    let disabled = ServiceSettings { enabled: false, ..service("s", "default", &["r"]) };
    commit(&store, &[put_service(disabled.clone(), None)]).await;
    let stored = load(&store).await.service_accounts["s"].clone();
    assert_eq!((stored.settings(), stored.hash, stored.credential_version), (disabled, password('a'), first.0));
    let second = commit(&store, &[put_service(service("s", "default", &[]), Some(password('b')))]).await;
    let stored = load(&store).await.service_accounts["s"].clone();
    assert_eq!((stored.hash, stored.credential_version), (password('b'), second.0));
}

pub async fn a_service_account_is_followed_and_deleted(place: &impl Fixture) {
    let store = place.open().await;
    let start = commit(&store, &[put_account("a", &[])]).await;
    let sentence = conflict(&store, &[put_service(service("s", "none", &[]), Some(password('a')))]).await;
    assert_eq!(sentence, "account none does not exist");
    let added = commit(&store, &[put_service(service("s", "a", &[]), Some(password('a')))]).await;
    let delta = store.changes_since(start).await.unwrap();
    let name = ServiceName::new("s").unwrap();
    assert_eq!(delta.service_accounts, [(name.clone(), load(&store).await.service_accounts.remove("s"))]);
    assert_eq!(delta.len(), 1);
    let delete_account = Change::DeleteAccount(account_id("a"));
    let sentence = conflict(&store, std::slice::from_ref(&delete_account)).await;
    assert!(sentence.ends_with("it has service account s"), "{sentence}");
    let delete = Change::DeleteService(name.clone());
    commit(&store, &[delete.clone(), delete_account]).await;
    assert_eq!(store.changes_since(added).await.unwrap().service_accounts, [(name, None)]);
    assert_eq!(conflict(&store, &[delete]).await, "service account s does not exist");
}
