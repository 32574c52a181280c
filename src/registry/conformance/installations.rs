//! Installations.

use super::sample::{
    account_id, actor, client_id, everything, installation, installation_id, put_account, put_app, put_installation,
    settings, unusual_installation,
};
use super::{Fixture, commit, conflict, load};
use crate::clock::Timestamp;
use crate::registry::{Actor, Change, Installation, InstallationSettings, Repository};

pub async fn installations_come_back_as_they_went_in(place: &impl Fixture) {
    let store = place.open().await;
    commit(&store, &everything()).await;
    let registry = load(&store).await;
    let [first, second] = &registry.apps["bot-app"].installations[..] else { panic!("{registry:?}") };
    assert_eq!(first.settings(), unusual_installation(42, "acme"));
    assert_eq!(second.settings(), installation(Some(43), "default"));
    let now = actor().at;
    assert_eq!((first.suspended_at, first.created_at, first.updated_at), (Some(now), now, now));
    assert_eq!((&first.app, second.suspended_at), (&client_id("bot-app"), None));
}

pub async fn an_app_is_on_an_account_once_and_an_installation_stays_there(place: &impl Fixture) {
    let store = place.open().await;
    commit(&store, &[put_account("a", &[]), put_app(settings("c", "a", &[])), put_app(settings("d", "a", &[]))]).await;
    commit(&store, &[put_installation("c", installation(Some(7), "a"))]).await;
    for (app, wanted, why) in [
        ("c", installation(Some(8), "a"), "is installed on account a already, as installation 7"),
        ("c", installation(Some(7), "default"), "there is an installation 7 already"),
        ("d", installation(Some(7), "a"), "there is an installation 7 already"),
        ("c", installation(None, "none"), "account none does not exist"),
        ("none", installation(None, "a"), "app none does not exist"),
    ] {
        let sentence = conflict(&store, &[put_installation(app, wanted)]).await;
        assert!(sentence.contains(why), "{sentence}");
    }
    let of_another = Change::DeleteInstallation { app: client_id("d"), id: installation_id(7) };
    assert_eq!(conflict(&store, &[of_another]).await, "app d has no installation 7");
    commit(&store, &[put_installation("c", InstallationSettings { id: None, ..unusual_installation(7, "a") })]).await;
    let changed: Vec<_> = load(&store).await.apps["c"].installations.iter().map(Installation::settings).collect();
    assert_eq!(changed, [unusual_installation(7, "a")]);
}

pub async fn a_suspension_keeps_its_time_until_it_ends(place: &impl Fixture) {
    let store = place.open().await;
    commit(&store, &[put_app(settings("c", "default", &[]))]).await;
    let mut times = Vec::new();
    for (second, suspended) in [(1, false), (2, true), (3, true), (4, false), (5, true)] {
        let wanted = InstallationSettings { suspended, ..installation(None, "default") };
        let at = Actor { at: Timestamp::from_secs(second), ..actor() };
        store.commit(&[put_installation("c", wanted)], &at).await.unwrap();
        let stored = load(&store).await.apps["c"].installations[0].clone();
        assert_eq!((stored.created_at, stored.updated_at), (Timestamp::from_secs(1), Timestamp::from_secs(second)));
        times.push(stored.suspended_at);
    }
    let at = |second| Some(Timestamp::from_secs(second));
    assert_eq!(times, [None, at(2), at(2), None, at(5)]);
}

pub async fn installations_go_with_their_app_and_hold_their_account(place: &impl Fixture) {
    let store = place.open().await;
    let start = [put_account("a", &[]), put_app(settings("c", "default", &[]))];
    let before = commit(&store, &start).await;
    commit(&store, &[put_installation("c", installation(Some(7), "a"))]).await;
    let touched = store.changes_since(before).await.unwrap().apps;
    assert_eq!(touched[0].1.as_ref().map(|app| app.installations.len()), Some(1), "it is a part of its app");
    let delete_account = Change::DeleteAccount(account_id("a"));
    let sentence = conflict(&store, std::slice::from_ref(&delete_account)).await;
    assert!(sentence.ends_with("it has an installation of app c"), "{sentence}");
    commit(&store, &[Change::DeleteApp(client_id("c")), delete_account]).await;
    commit(&store, &start).await;
    assert!(load(&store).await.apps["c"].installations.is_empty());
    commit(&store, &[put_installation("c", installation(Some(7), "a"))]).await;
}

pub async fn numbers_of_installations_are_given_or_assigned_and_never_used_again(place: &impl Fixture) {
    let store = place.open().await;
    commit(&store, &[put_account("a", &[]), put_app(settings("c", "default", &[]))]).await;
    let (on_default, on_a) = (installation(None, "default"), installation(None, "a"));
    commit(&store, &[put_installation("c", installation(Some(70), "default"))]).await;
    commit(&store, &[Change::DeleteInstallation { app: client_id("c"), id: installation_id(70) }]).await;
    commit(&store, &[put_installation("c", on_default), put_installation("c", on_a)]).await;
    let ids: Vec<_> = load(&store).await.apps["c"].installations.iter().map(|i| i.id.get()).collect();
    assert_eq!(ids, [71, 72]);
}
