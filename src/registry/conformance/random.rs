//! Random changes: a reader who follows them knows what one who loads everything knows.

use std::cell::Cell;
use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::any;
use proptest::test_runner::{Config, TestRunner};

use super::deltas::refresh;
use super::sample::{
    account_id, actor, add_encryption_key, add_key, alter_grant, bot_id, client_id, installation, installation_id,
    on_bot, password, put_account, put_app, put_bot, put_grant, put_installation, put_service, put_table_grant, scopes,
    secret, service, settings, view,
};
use super::{Fixture, commit, load};
use crate::clock::Timestamp;
use crate::model::{AppNumber, KeyId, ScopeId, ServiceName};
use crate::registry::{
    Change, GrantTarget, InstallationSettings, KeyNumber, KeyState, Permission, Registry, Repository, Snapshot,
    StoreError, Version,
};

/// Numbers that become a change of the registry as it then is.
type Dice = [u8; 4];

/// Commits random lists of changes, of which some are refused, and refreshes after every other one.
pub fn refreshing_is_loading<F: Fixture>(place: impl Fn() -> F) {
    let lists = vec(vec(any::<Dice>(), 1..4), 8..32);
    let committed = Cell::new(0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut runner = TestRunner::new(Config { cases: 24, failure_persistence: None, ..Config::default() });
    let checked = runner.run(&lists, |lists| {
        let place = place();
        let followed = runtime.block_on(async { follow(&place.open().await, &lists).await });
        committed.set(committed.get() + followed);
        Ok(())
    });
    checked.unwrap();
    assert!(committed.get() > 100, "only {} lists of changes could be carried out", committed.get());
}

/// How many lists were committed.
async fn follow(store: &impl Repository, lists: &[Vec<Dice>]) -> usize {
    let mut committed = 0;
    commit(store, &start()).await;
    let (mut version, mut followed) = (Version(0), Registry::default());
    let mut snapshot = Snapshot::default();
    for (i, list) in lists.iter().enumerate() {
        let (version_before, before) = store.load().await.unwrap();
        let changes: Vec<_> = list.iter().map(|dice| change(*dice, &before)).collect();
        match store.commit(&changes, &actor()).await {
            Ok(version) => {
                committed += 1;
                assert!(version > version_before);
            }
            Err(StoreError::Conflict(_)) => assert_eq!(store.load().await.unwrap(), (version_before, before)),
            Err(error) => panic!("{error}: {changes:?}"),
        }
        if i % 2 == 0 {
            continue;
        }
        let delta = store.changes_since(version).await.unwrap();
        version = delta.version;
        snapshot = snapshot.with(delta.clone());
        refresh(&mut followed, delta);
        assert_eq!(followed, load(store).await, "{changes:?}");
        assert_eq!(shown(&snapshot), shown(&Snapshot::new(version, followed.clone())));
    }
    committed
}

/// So much that most of what the dice name is there.
fn start() -> Vec<Change> {
    let mut changes = vec![put_account("a", &["h1"]), put_account("b", &["h2"])];
    changes.extend([put_bot("b1", "a"), put_bot("b2", "b"), put_bot("b3", "default")]);
    for app in ["c1", "c2", "c3"] {
        changes.push(put_app(settings(app, "a", &["b1"])));
        changes.push(add_key(app, Some("first"), secret(app)));
        changes.push(put_grant(app, on_bot("b1"), &["s1"], true));
        changes.push(add_encryption_key(app, &app.replace('c', "k"), 1));
    }
    changes
}

fn change([kind, which, other, bits]: Dice, now: &Registry) -> Change {
    let account = ["default", "a", "b"][usize::from(other % 3)];
    let bot = ["b1", "b2", "b3"][usize::from(other / 3 % 3)];
    let (bots, hosts) = ([bot], [["h1", "h2", "h3"][usize::from(bits % 3)]]);
    let app = ["c1", "c2", "c3"][usize::from(which % 3)];
    let key = now.apps.get(app).and_then(|a| a.keys.first()).map_or(KeyNumber(0), |k| k.number);
    let kid = ["k1", "k2", "k3"][usize::from(other % 3)];
    let (flag, id) = (bits % 2 == 0, client_id(app));
    let target = if flag { GrantTarget::Bot(bot_id(bot)) } else { GrantTarget::Account(account_id(account)) };
    let scopes = &["s1", "s2", "s3"][..usize::from(bits % 4)];
    match kind % 20 {
        0 | 1 => put_account(account, if flag { &[] } else { &hosts }),
        2 => Change::DeleteAccount(account_id(account)),
        3 | 4 => put_bot(bot, account),
        5 => Change::DeleteBot(bot_id(bot)),
        6..=8 => {
            let mut settings = settings(app, account, if flag { &bots } else { &[] });
            settings.enabled = bits % 3 == 0;
            settings.networks = ["10.0.0.0/8", "2001:db8::/32"][..usize::from(bits / 3 % 3)]
                .iter()
                .map(|network| network.parse().unwrap())
                .collect();
            Change::PutApp { settings, is_new: !now.apps.contains_key(app) }
        }
        9 => Change::DeleteApp(id),
        10 | 11 => add_key(app, flag.then_some("k"), secret(account)),
        12 => match bits % 3 {
            0 => Change::ReplaceKey { app: id, key, kid: None, material: secret(bot) },
            1 => {
                Change::SetKeyState { app: id, key, state: KeyState::Retiring(Timestamp::from_millis(i64::from(bits))) }
            }
            _ => Change::DeleteKey { app: id, key, kid: None },
        },
        13 => match bits / 4 % 5 {
            0 => put_grant(app, target, scopes, true),
            1 => put_grant(app, target, scopes, false),
            2 => alter_grant(app, target, scopes, &["s1", "s2"][..usize::from(which % 3)]),
            3 => Change::PublishGrant { app: id, draft: draft(now, app, &target), target },
            _ => Change::RestoreGrant { app: id, target, version: 1, scopes: self::scopes(scopes) },
        },
        16 => match bits % 8 {
            0 | 2 => add_encryption_key(app, kid, usize::from(bits / 8 % 3)),
            4 => Change::DeleteEncryptionKey { app: id, kid: KeyId::new(kid).unwrap() },
            _ => {
                let state = [KeyState::Active, KeyState::Retired][usize::from(bits / 8 % 2)];
                Change::SetEncryptionKeyState { app: id, kid: KeyId::new(kid).unwrap(), state }
            }
        },
        17 | 18 => match bits % 4 {
            0 => Change::DeleteInstallation { app: id, id: installation_id(i64::from(other % 4) + 1) },
            fixed => {
                let number = (fixed == 1).then_some(i64::from(other % 4) + 1);
                let wanted = InstallationSettings { suspended: fixed == 2, ..installation(number, account) };
                put_installation(app, wanted)
            }
        },
        19 => match bits % 4 {
            0 => Change::DeleteService(ServiceName::new(kid).unwrap()),
            1 => put_service(service(kid, account, &["r"]), None),
            _ => put_service(service(kid, account, &[]), Some(password('a'))),
        },
        14 if flag => Change::DeleteGrant { app: id, target },
        14 => Change::DeleteTableGrant { app: id, resource: view(account) },
        _ => put_table_grant(app, view(account), &[Permission::Read, Permission::Write][..usize::from(bits % 3)]),
    }
}

fn draft(now: &Registry, app: &str, target: &GrantTarget) -> BTreeSet<ScopeId> {
    let grant = now.apps.get(app).and_then(|a| a.grants.iter().find(|g| g.target == *target));
    grant.map(|g| g.draft.clone()).unwrap_or_default()
}

/// All that requests can see of a snapshot.
fn shown(snapshot: &Snapshot) -> (Version, (usize, usize, usize), Vec<String>) {
    let mut parts: Vec<_> = snapshot.apps().map(|app| format!("{app:?}")).collect();
    parts.sort();
    parts.extend(["h1", "h2", "h3"].map(|host| format!("{host}: {:?}", snapshot.account_of_host(host))));
    parts.extend(["b1", "b2", "b3"].map(|bot| format!("{bot}: {:?}", snapshot.account_of_bot(bot))));
    parts.extend(["k1", "k2", "k3"].map(|kid| {
        let owner = snapshot.encryption_key(kid).map(|(app, key)| (&app.client_id, key.number));
        format!("{kid}: {owner:?}")
    }));
    parts.extend(["k1", "k2", "k3"].map(|name| format!("{name}: {:?}", snapshot.service_account(name))));
    parts.push(snapshot.service_accounts().count().to_string());
    parts.extend((0..16).map(|id| format!("{id}: {:?}", snapshot.installation(id))));
    for app in snapshot.apps() {
        assert_eq!(snapshot.app_by_number(app.number).map(|found| &found.client_id), Some(&app.client_id));
        assert!(snapshot.installations_of(app.number).iter().all(|i| snapshot.installation(i.id.get()) == Some(i)));
    }
    let found = (0..64).filter_map(|number| snapshot.app_by_number(AppNumber(number))).count();
    assert_eq!(found, snapshot.apps().count(), "the number of an app that is gone names none");
    (snapshot.version(), snapshot.counts(), parts)
}
