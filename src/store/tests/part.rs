//! Parts of the registry: what they name and what belongs to it, and nothing else is read.

use super::Folder;
use crate::registry::conformance::{
    Fixture as _, account_id, actor, bot_id, client_id, everything, installation_id, put_account, put_app, put_bot,
    settings,
};
use crate::registry::{AppSettings, Part, Registry, Repository as _};
use crate::store::Store;

async fn filled(folder: &Folder) -> Store {
    let store = folder.open().await;
    let mut changes = everything();
    changes.extend([put_account("strange", &["strange.example.com"]), put_bot("strange-bot", "strange")]);
    let named = AppSettings { name: "taken".into(), ..settings("strange-app", "strange", &["strange-bot"]) };
    changes.extend([put_app(named), put_app(settings("other-app", "strange", &["strange-bot"]))]);
    store.commit(&changes, &actor()).await.unwrap();
    store
}

fn ids(registry: &Registry) -> (Vec<&str>, Vec<&str>, Vec<&str>, Vec<&str>) {
    (
        registry.accounts.keys().map(|id| id.as_str()).collect(),
        registry.bots.keys().map(|id| id.as_str()).collect(),
        registry.apps.keys().map(|id| id.as_str()).collect(),
        registry.service_accounts.keys().map(|name| name.as_str()).collect(),
    )
}

#[tokio::test]
async fn a_part_has_what_it_names_whole_and_nothing_else() {
    let folder = Folder::new();
    let store = filled(&folder).await;
    let (version, all) = store.load().await.unwrap();
    for (id, record) in &all.apps {
        let (read, part) = store.load_part(&Part::app(id)).await.unwrap();
        assert_eq!(read, version);
        assert_eq!(part.apps.iter().collect::<Vec<_>>(), [(id, record)]);
        let account = &record.settings.account;
        assert_eq!(part.accounts.get(account), all.accounts.get(account));
        assert!(record.settings.bots.iter().all(|bot| part.bots.get(bot) == all.bots.get(bot)));
        assert_eq!(part.bots.len(), record.settings.bots.len());
        assert!(part.service_accounts.is_empty());
        for installed in &record.installations {
            let (_, part) = store.load_part(&Part::installation(installed.id)).await.unwrap();
            assert_eq!(part.apps.get(id), Some(record));
            assert!(part.accounts.contains_key(&installed.account), "which may be another one's");
        }
    }
    for (name, service) in &all.service_accounts {
        let (_, part) = store.load_part(&Part::service_account(name)).await.unwrap();
        assert_eq!(part.service_accounts.iter().collect::<Vec<_>>(), [(name, service)]);
        assert!(part.accounts.contains_key(&service.account) && part.apps.is_empty());
    }
    let (_, part) = store.load_part(&Part::bot(&bot_id("strange-bot"))).await.unwrap();
    assert_eq!(ids(&part), (vec!["strange"], vec!["strange-bot"], vec![], vec![]));
    let (_, part) = store.load_part(&Part::account(&account_id("strange"))).await.unwrap();
    assert_eq!(ids(&part), (vec!["strange"], vec![], vec![], vec![]));
    assert_eq!(part.accounts, [("strange", &all)].map(|(id, all)| (account_id(id), all.accounts[id].clone())).into());
}

#[tokio::test]
async fn what_is_not_there_is_in_no_part() {
    let folder = Folder::new();
    let store = filled(&folder).await;
    let nothing = Part::app(&client_id("nowhere")).and(Part::bot(&bot_id("nowhere")));
    let nothing = nothing.and(Part::account(&account_id("nowhere"))).and(Part::installation(installation_id(999)));
    for part in [nothing, Part::default()] {
        assert_eq!(store.load_part(&part).await.unwrap().1, Registry::default());
    }
}

#[tokio::test]
async fn a_name_brings_the_app_that_has_it_in_the_same_account_alone() {
    let folder = Folder::new();
    let store = filled(&folder).await;
    let part = Part { app_names: ["taken".into()].into(), ..Part::app(&client_id("other-app")) };
    let (_, there) = store.load_part(&part).await.unwrap();
    assert_eq!(ids(&there).2, ["other-app", "strange-app"]);
    let part = Part { app_names: ["taken".into()].into(), ..Part::account(&account_id("default")) };
    assert!(store.load_part(&part).await.unwrap().1.apps.is_empty());
}
