use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{EditError, Editor, LastKey, NewKey, safe_to_retire};
use crate::clock::Timestamp;
use crate::jose::KeyMaterial;
use crate::model::{Algorithm, AlgorithmSet, AppNumber, AuthenticatorName, KeyId, Level, ServiceName};
use crate::password::NewPassword;
use crate::registry::conformance::{
    account_id, bot_id, client_id, installation, installation_id, materials, on_bot, scopes, secret, service, settings,
};
use crate::registry::{
    Account, AppRecord, AppSettings, Bot, Change, Desired, DesiredApp, Grant, GrantRules, KeyNumber, KeyRecord,
    KeyState, Plan, PlanOptions, Registry, ServiceAccount, ServiceSettings, TakenTokens,
};

const NOW: Timestamp = Timestamp::from_secs(1_795_348_800);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Accounts `default` and `acme` with bots `b1` and `b2`; app `c` of `acme` on both, granted scope `s` on each, with an
/// active key number 1 and kid `one`.
fn registry() -> Registry {
    let mut registry = Registry::default();
    for id in ["default", "acme"] {
        let account = Account { id: account_id(id), hosts: BTreeSet::from([format!("{id}.example")]) };
        registry.accounts.insert(account_id(id), account);
    }
    for id in ["b1", "b2"] {
        registry.bots.insert(bot_id(id), Bot { id: bot_id(id), account: account_id("acme") });
    }
    put(
        &mut registry,
        settings("c", "acme", &["b1", "b2"]),
        vec![key(1, Some("one"), secret("one"), KeyState::Active)],
    );
    let grant = |bot| Grant {
        target: on_bot(bot),
        draft: scopes(&["s"]),
        published: scopes(&["s"]),
        version: 1,
        updated_at: NOW,
    };
    registry.apps.get_mut("c").unwrap().grants = vec![grant("b1"), grant("b2")];
    registry
}

fn put(registry: &mut Registry, settings: AppSettings, keys: Vec<KeyRecord>) {
    let (number, id) = (AppNumber(7), settings.client_id.clone());
    let record = AppRecord {
        number,
        settings,
        keys,
        encryption_keys: vec![],
        grants: vec![],
        table_grants: vec![],
        installations: Vec::new(),
        credential_version: 1,
    };
    registry.apps.insert(id, record);
}

fn key(number: i64, kid: Option<&str>, material: KeyMaterial, state: KeyState) -> KeyRecord {
    KeyRecord { number: KeyNumber(number), kid: kid.map(|kid| KeyId::new(kid).unwrap()), material, state }
}

/// As the kore profile has them, and an authenticator `bearer` that takes more.
fn rules() -> GrantRules {
    let name = |name| AuthenticatorName::new(name).unwrap();
    let kore = [Algorithm::Hs256, Algorithm::Hs512, Algorithm::Rs256, Algorithm::Rs512];
    let taken = |algorithms, without_exp| TakenTokens {
        algorithms: AlgorithmSet::of(algorithms),
        without_exp,
        encrypted: true,
    };
    GrantRules {
        grantable: BTreeMap::from([(name("kore"), AlgorithmSet::of(&[Algorithm::Hs256]))]),
        authenticators: BTreeMap::from([
            (name("kore"), taken(&kore, true)),
            (name("bearer"), taken(&[Algorithm::Hs256, Algorithm::EdDsa], false)),
        ]),
        ..GrantRules::default()
    }
}

fn only(name: &str) -> BTreeSet<AuthenticatorName> {
    BTreeSet::from([AuthenticatorName::new(name).unwrap()])
}

fn edit<T>(registry: &Registry, edit: impl FnOnce(&Editor<'_>) -> Result<T, EditError>) -> Result<T, String> {
    edit(&Editor { registry, rules: &rules(), now: NOW }).map_err(|EditError(why)| why)
}

fn new_key(text: &str) -> NewKey {
    NewKey { kid: None, material: secret(text) }
}

/// The changes as lines.
fn lines(changes: &[Change]) -> Vec<String> {
    changes.iter().map(ToString::to_string).collect()
}

fn create(registry: &Registry, settings: AppSettings) -> Result<Vec<Change>, String> {
    let family = settings.algorithms.first().unwrap().family();
    let material = materials().into_iter().find(|m| m.family() == family).unwrap();
    edit(registry, |editor| editor.create_app(settings, Some(NewKey { kid: None, material })))
}

#[test]
fn an_account_or_a_bot_that_is_there_is_not_added_again() {
    let registry = registry();
    let account = |id: &str| Account { id: account_id(id), hosts: BTreeSet::new() };
    assert!(edit(&registry, |e| e.add_account(account("acme"))).unwrap_err().contains("exists already"));
    assert_eq!(lines(&edit(&registry, |e| e.add_account(account("new"))).unwrap()), ["set account new"]);
    let bot = |id: &str, account: &str| Bot { id: bot_id(id), account: account_id(account) };
    let why = edit(&registry, |e| e.add_bot(bot("b1", "default"))).unwrap_err();
    assert_eq!(why, "bot b1 exists already, in account acme");
    assert_eq!(edit(&registry, |e| e.add_bot(bot("b3", "none"))).unwrap_err(), "account none does not exist");
}

#[test]
fn hosts_come_and_go_one_by_one() {
    let registry = registry();
    let hosts = |names: &[&str]| names.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    let acme = account_id("acme");
    let put = |names| vec![Change::PutAccount(Account { id: acme.clone(), hosts: hosts(names) })];
    let more = edit(&registry, |e| e.add_hosts(&acme, &hosts(&["bots.example"]))).unwrap();
    assert_eq!(more, put(&["acme.example", "bots.example"]));
    assert_eq!(edit(&registry, |e| e.remove_hosts(&acme, &hosts(&["acme.example"]))).unwrap(), put(&[]));
    assert_eq!(edit(&registry, |e| e.add_hosts(&acme, &hosts(&["acme.example"]))).unwrap(), []);
    let strange = edit(&registry, |e| e.remove_hosts(&acme, &hosts(&["default.example"]))).unwrap_err();
    assert_eq!(strange, "account acme has no host default.example");
}

#[test]
fn f074_a_name_is_an_apps_own_within_its_account() {
    let registry = registry();
    let named = |name: &str, account| AppSettings { name: name.into(), ..settings("new", account, &[]) };
    let taken = create(&registry, named("the app c", "acme")).unwrap_err();
    assert_eq!(taken, "account acme has an app \"the app c\" already, c: take another name");
    assert!(create(&registry, named("the app c", "default")).is_ok());
    for (name, why) in [
        ("", "an app needs a name"),
        ("  ", "an app needs a name"),
        (" c", "no spaces at its ends"),
        ("\u{1b}[2J", "no control characters"),
        (&"x".repeat(257), "257 bytes"),
    ] {
        let refused = create(&registry, named(name, "acme")).unwrap_err();
        assert!(refused.contains(why), "{name:?}: {refused}");
    }
    // What a former release let in may stay, and change in other ways.
    let mut former = registry;
    put(&mut former, AppSettings { name: "the app c".into(), ..settings("d", "acme", &[]) }, vec![]);
    assert!(edit(&former, |e| e.change_app(&client_id("d"), |app| app.enabled = false)).is_ok());
    assert!(edit(&former, |e| e.change_app(&client_id("d"), |app| app.name = "other".into())).is_ok());
}

#[test]
fn f076_an_app_signs_with_what_an_authenticator_of_it_takes() {
    let registry = registry();
    let app = |algorithm, authenticator: &str| AppSettings {
        algorithms: BTreeSet::from([algorithm]),
        authenticators: if authenticator.is_empty() { BTreeSet::new() } else { only(authenticator) },
        ..settings("new", "acme", &[])
    };
    for algorithm in [Algorithm::Hs256, Algorithm::Hs512, Algorithm::Rs256, Algorithm::Rs512] {
        assert!(create(&registry, app(algorithm, "kore")).is_ok(), "{algorithm}");
    }
    for algorithm in [Algorithm::Hs384, Algorithm::Ps256, Algorithm::Es256, Algorithm::EdDsa] {
        let why = create(&registry, app(algorithm, "kore")).unwrap_err();
        assert!(why.contains(algorithm.as_str()) && why.contains("HS256, HS512, RS256, RS512"), "{why}");
    }
    assert!(create(&registry, app(Algorithm::EdDsa, "")).is_ok());
    let unknown = create(&registry, app(Algorithm::Hs256, "kroe")).unwrap_err();
    assert_eq!(unknown, "no authenticator kroe takes tokens; known are bearer, kore");
}

#[test]
fn f076_algorithms_change_with_the_keys_alone() {
    let registry = registry();
    let (c, both) = (client_id("c"), BTreeSet::from([Algorithm::Hs256, Algorithm::Hs512]));
    let free = |app: &mut AppSettings| app.algorithms.clone_from(&both);
    let refused = edit(&registry, |e| e.change_app(&c, free)).unwrap_err();
    assert!(refused.contains("only apps that sign with HS256 can be granted"), "{refused}");

    let mut ungranted = registry;
    ungranted.apps.get_mut("c").unwrap().grants.clear();
    let refused = edit(&ungranted, |e| e.change_app(&c, free)).unwrap_err();
    assert!(refused.contains("`scopegate key rotate c --alg HS512`"), "{refused}");
    let rotated = edit(&ungranted, |e| e.rotate(&c, new_key("two"), Some(Algorithm::Hs512), DAY)).unwrap();
    let Change::PutApp { settings, is_new: false } = &rotated[0] else { panic!("{rotated:?}") };
    assert_eq!(settings.algorithms, both);
    let at_once = edit(&ungranted, |e| e.rotate(&c, new_key("two"), Some(Algorithm::Hs512), Duration::ZERO)).unwrap();
    let Change::PutApp { settings, .. } = &at_once[0] else { panic!("{at_once:?}") };
    assert_eq!(settings.algorithms, BTreeSet::from([Algorithm::Hs512]));
    let wrong = edit(&ungranted, |e| e.rotate(&c, new_key("two"), Some(Algorithm::Rs256), DAY)).unwrap_err();
    assert_eq!(wrong, "a shared secret can't be used with RS256");

    // Letting one go needs no key, as long as some key fits what is left.
    ungranted.apps.get_mut("c").unwrap().settings.algorithms = BTreeSet::from([Algorithm::Hs256, Algorithm::Rs256]);
    let keep = |algorithm| move |app: &mut AppSettings| app.algorithms = BTreeSet::from([algorithm]);
    assert_eq!(edit(&ungranted, |e| e.change_app(&c, keep(Algorithm::Hs256))).unwrap().len(), 1);
    let locked_out = edit(&ungranted, |e| e.change_app(&c, keep(Algorithm::Rs256))).unwrap_err();
    assert!(locked_out.contains("add one first"), "{locked_out}");
}

#[test]
fn an_app_that_holds_scopes_keeps_an_algorithm_that_may_hold_them() {
    let registry = registry();
    let rotate = |e: &Editor<'_>| e.rotate(&client_id("c"), new_key("two"), Some(Algorithm::Hs512), DAY);
    assert!(edit(&registry, rotate).unwrap_err().contains("only apps that sign with HS256"));
}

#[test]
fn what_was_granted_on_a_bot_goes_when_the_app_leaves_it() {
    let registry = registry();
    let leave = |app: &mut AppSettings| app.bots = BTreeSet::from([bot_id("b2")]);
    let changes = edit(&registry, |e| e.change_app(&client_id("c"), leave)).unwrap();
    assert_eq!(lines(&changes), ["change app c (the app c)", "delete grant to app c on bot b1"]);
    let none = edit(&registry, |e| e.change_app(&client_id("c"), |app| app.bots.clear())).unwrap_err();
    assert!(none.contains("level bot needs bots"), "{none}");
}

#[test]
fn a_rotation_ends_the_former_keys_after_the_overlap_and_none_later_than_it_would() {
    let mut registry = registry();
    let at = |hours: u64| NOW.after(Duration::from_secs(hours * 3600));
    let keys = &mut registry.apps.get_mut("c").unwrap().keys;
    keys.push(key(2, None, secret("sooner"), KeyState::Retiring(at(1))));
    keys.push(key(3, None, secret("later"), KeyState::Retiring(at(48))));
    keys.push(key(4, None, secret("retired"), KeyState::Retired));
    let states = |overlap| {
        let changes = edit(&registry, |e| e.rotate(&client_id("c"), new_key("new"), None, overlap)).unwrap();
        assert!(matches!(&changes[0], Change::AddKey { state: KeyState::Active, .. }), "{changes:?}");
        let state = |change: &Change| match change {
            Change::SetKeyState { key, state, .. } => (key.0, *state),
            other => panic!("{other:?}"),
        };
        changes[1..].iter().map(state).collect::<Vec<_>>()
    };
    assert_eq!(states(DAY), [(1, KeyState::Retiring(at(24))), (3, KeyState::Retiring(at(24)))]);
    assert_eq!(states(Duration::ZERO), [1, 2, 3].map(|key| (key, KeyState::Retired)));
}

#[test]
fn a_key_that_is_there_is_not_added_again() {
    let registry = registry();
    let again = edit(&registry, |e| e.add_key(&client_id("c"), new_key("one"))).unwrap_err();
    assert_eq!(again, "app c has this key already: it is key one (number 1) and active");
    let kid = NewKey { kid: Some(KeyId::new("one").unwrap()), ..new_key("two") };
    assert!(edit(&registry, |e| e.rotate(&client_id("c"), kid, None, DAY)).unwrap_err().contains("take another kid"));
    let public = NewKey { kid: None, material: materials().pop().unwrap() };
    let unfit = edit(&registry, |e| e.add_key(&client_id("c"), public)).unwrap_err();
    assert_eq!(unfit, "an RSA key can't be used with the app's algorithms HS256");
}

#[test]
fn the_last_key_goes_only_by_force() {
    let mut registry = registry();
    let c = client_id("c");
    let later = NOW.after(DAY);
    for (last, force) in [(LastKey::Stays, false), (LastKey::Ends, true)] {
        let outcomes = [
            edit(&registry, |e| e.revoke_key(&c, "one", last)),
            edit(&registry, |e| e.retire_key(&c, "one", later, last)),
            edit(&registry, |e| e.delete_key(&c, "one", last)),
        ];
        for outcome in outcomes {
            assert_eq!(outcome.is_ok(), force, "{outcome:?}");
            assert!(outcome.is_ok_and(|changes| changes.len() == 1) || !force);
        }
    }
    let told = edit(&registry, |e| e.retire_key(&c, "one", later, LastKey::Stays)).unwrap_err();
    assert!(told.contains("from 2026-11-23T12:00:00.000Z on") && told.contains("key rotate c"), "{told}");

    // A second key that ends, or that fits no algorithm, is no comfort; one that stays is.
    let record = |registry: &mut Registry, extra| {
        registry.apps.get_mut("c").unwrap().keys.truncate(1);
        registry.apps.get_mut("c").unwrap().keys.push(extra);
    };
    record(&mut registry, key(2, None, secret("two"), KeyState::Retiring(later)));
    assert!(edit(&registry, |e| e.revoke_key(&c, "one", LastKey::Stays)).is_err());
    assert!(edit(&registry, |e| e.revoke_key(&c, "#2", LastKey::Stays)).is_ok());
    record(&mut registry, key(2, None, materials().pop().unwrap(), KeyState::Active));
    assert!(edit(&registry, |e| e.revoke_key(&c, "one", LastKey::Stays)).is_err());
    record(&mut registry, key(2, None, secret("two"), KeyState::Active));
    assert!(edit(&registry, |e| e.revoke_key(&c, "one", LastKey::Stays)).is_ok());

    // Nobody is locked out who was not let in.
    registry.apps.get_mut("c").unwrap().keys.truncate(1);
    registry.apps.get_mut("c").unwrap().settings.enabled = false;
    assert!(edit(&registry, |e| e.revoke_key(&c, "one", LastKey::Stays)).is_ok());
}

#[test]
fn no_key_ends_in_the_past_or_comes_back() {
    let mut registry = registry();
    registry.apps.get_mut("c").unwrap().keys.push(key(2, None, secret("two"), KeyState::Retired));
    let c = client_id("c");
    assert!(
        edit(&registry, |e| e.retire_key(&c, "one", NOW, LastKey::Ends))
            .unwrap_err()
            .contains("`scopegate key revoke`")
    );
    let back = edit(&registry, |e| e.retire_key(&c, "2", NOW.after(DAY), LastKey::Ends)).unwrap_err();
    assert!(back.contains("no key comes back"), "{back}");
    assert_eq!(edit(&registry, |e| e.revoke_key(&c, "2", LastKey::Stays)).unwrap(), []);
}

#[test]
fn a_key_is_named_by_kid_or_number_and_never_by_either_at_once() {
    let mut registry = registry();
    let c = client_id("c");
    registry.apps.get_mut("c").unwrap().keys.push(key(12, Some("1"), secret("two"), KeyState::Active));
    let revoked =
        |name| match edit(&registry, |e| e.revoke_key(&c, name, LastKey::Ends)).map(|changes| changes[0].clone()) {
            Ok(Change::SetKeyState { key, .. }) => Ok(key.0),
            Ok(other) => panic!("{other:?}"),
            Err(why) => Err(why),
        };
    assert_eq!((revoked("one"), revoked("12"), revoked("#1"), revoked("#12")), (Ok(1), Ok(12), Ok(1), Ok(12)));
    assert!(revoked("1").unwrap_err().contains("write #12 or #1"));
    let unknown = revoked("two").unwrap_err();
    assert_eq!(unknown, "app c has no key two; it has key one (number 1), key 1 (number 12)");
}

#[test]
fn tokens_may_lack_exp_where_app_and_authenticator_allow_it() {
    let may = |change: &dyn Fn(&mut AppSettings)| {
        let mut app = settings("c", "acme", &[]);
        change(&mut app);
        rules().may_lack_exp(&app)
    };
    assert!(may(&|_| {}) && may(&|app| app.authenticators = only("kore")));
    assert!(!may(&|app| app.authenticators = only("bearer")));
    assert!(!may(&|app| app.require_exp = true) && !may(&|app| app.max_lifetime = Some(DAY)));
    assert!(!may(&|app| app.enforce_jti = true));
}

#[test]
fn a_key_is_safe_to_retire_when_it_lies_idle_and_a_newer_one_does_not() {
    let keys = |states: [KeyState; 2]| {
        let key = |(number, state)| key(number, None, secret(&number.to_string()), state);
        [1, 2].into_iter().zip(states).map(key).collect::<Vec<_>>()
    };
    let ago = |hours: u64| Some(NOW.before(Duration::from_secs(hours * 3600)));
    let safe = |states, uses: [Option<Timestamp>; 2]| {
        let uses = [1, 2].into_iter().zip(uses).filter_map(|(number, at)| Some((KeyNumber(number), at?))).collect();
        safe_to_retire(&keys(states), &uses, NOW).into_iter().map(|number| number.0).collect::<Vec<_>>()
    };
    let active = [KeyState::Active; 2];
    assert_eq!(safe(active, [ago(25), ago(1)]), [1]);
    assert_eq!(safe(active, [None, ago(1)]), [1]);
    assert_eq!(safe([KeyState::Retiring(NOW.after(DAY)), KeyState::Active], [ago(25), ago(1)]), [1]);
    for (states, uses) in [
        (active, [ago(1), ago(1)]),
        (active, [ago(25), ago(25)]),
        (active, [ago(25), None]),
        (active, [ago(1), ago(25)]),
        ([KeyState::Retired, KeyState::Active], [ago(25), ago(1)]),
        ([KeyState::Active, KeyState::Retiring(NOW.after(DAY))], [ago(25), ago(1)]),
    ] {
        assert!(safe(states, uses).is_empty(), "{states:?} {uses:?}");
    }
}

#[test]
fn what_is_not_there_is_named() {
    let registry = registry();
    let none = client_id("none");
    for refused in [
        edit(&registry, |e| e.change_app(&none, |_| {})),
        edit(&registry, |e| e.add_key(&none, new_key("x"))),
        edit(&registry, |e| e.rotate(&none, new_key("x"), None, DAY)),
        edit(&registry, |e| e.revoke_key(&none, "x", LastKey::Ends)),
    ] {
        assert_eq!(refused.unwrap_err(), "app none does not exist");
    }
    assert!(
        edit(&registry, |e| e.create_app(settings("c", "acme", &[]), Some(new_key("x"))))
            .unwrap_err()
            .contains("exists")
    );
    assert_eq!(settings("c", "acme", &[]).level, Level::Account);
}

/// App `c` signs with RS256 and has these public keys.
fn with_public_keys(states: &[KeyState]) -> Registry {
    let mut registry = registry();
    let record = registry.apps.get_mut("c").unwrap();
    record.settings.algorithms = BTreeSet::from([Algorithm::Rs256]);
    record.grants.clear();
    record.keys = (1..).zip(states).map(|(number, state)| key(number, None, rsa(number), *state)).collect();
    registry
}

/// A public key for each number.
fn rsa(number: i64) -> KeyMaterial {
    let KeyMaterial::Public { family, mut spki, only, certificate } = materials().pop().unwrap() else {
        panic!("no public key")
    };
    let at = spki.len() - 6;
    spki[at] = u8::try_from(number).unwrap();
    KeyMaterial::Public { family, spki, only, certificate }
}

#[test]
fn f162_the_last_public_key_stays_until_another_is_there() {
    let (registry, c) = (with_public_keys(&[KeyState::Active, KeyState::Retired]), client_id("c"));
    for last in [LastKey::Stays, LastKey::Ends] {
        for refused in [
            edit(&registry, |e| e.delete_key(&c, "1", last)),
            edit(&registry, |e| e.revoke_key(&c, "1", last)),
            edit(&registry, |e| e.retire_key(&c, "1", NOW.after(DAY), last)),
        ] {
            let why = refused.unwrap_err();
            assert!(why.contains("an app with public keys keeps one") && why.contains("--disable-app"), "{why}");
        }
    }
    let ended = edit(&registry, |e| e.revoke_key(&c, "1", LastKey::EndsWithTheApp)).unwrap();
    let [Change::PutApp { settings, is_new: false }, Change::SetKeyState { state: KeyState::Retired, .. }] = &ended[..]
    else {
        panic!("{ended:?}")
    };
    assert!(!settings.enabled);
    let two = with_public_keys(&[KeyState::Active, KeyState::Active]);
    for last in [LastKey::Stays, LastKey::EndsWithTheApp] {
        assert_eq!(
            edit(&two, |e| e.delete_key(&c, "1", last)).unwrap().len(),
            1,
            "the app has another, and stays enabled"
        );
    }
}

#[test]
fn f162_a_file_leaves_an_app_its_last_public_key_too() {
    let registry = with_public_keys(&[KeyState::Active]);
    let accounts = registry.accounts.values().cloned().collect();
    let bots = registry.bots.values().cloned().collect();
    let settings = registry.apps["c"].settings.clone();
    let desired = Desired { accounts, bots, apps: vec![DesiredApp(settings)], ..Desired::default() };
    let plan = |desired: &Desired| {
        let plan = Plan::new(&registry, desired, &rules(), PlanOptions { prune: true, draft: false });
        plan.map(|plan| lines(&plan.0)).map_err(|errors| errors[0].to_string())
    };
    let why = plan(&desired).unwrap_err();
    assert!(why.starts_with("[[app]] number 1: app c would be left without a key that lasts"), "{why}");
    let new = NewKey { kid: None, material: rsa(9) }.desired(&client_id("c"));
    let replaced = plan(&Desired { keys: vec![new], ..desired.clone() }).unwrap();
    assert!(replaced.len() == 2 && replaced[1] == "delete key number 1 of app c", "{replaced:?}");
    let mut disabled = desired;
    disabled.apps[0].0.enabled = false;
    assert_eq!(plan(&disabled).unwrap().len(), 2);
}

#[test]
fn f162_an_app_has_25_active_keys_at_most() {
    let (full, c) = (with_public_keys(&[KeyState::Active; 25]), client_id("c"));
    let new = || NewKey { kid: None, material: rsa(99) };
    let why = edit(&full, |e| e.add_key(&c, new())).unwrap_err();
    assert!(why.contains("26 active keys, and at most 25 are tried"), "{why}");
    assert!(edit(&with_public_keys(&[KeyState::Active; 24]), |e| e.add_key(&c, new())).is_ok());
    let rotated = edit(&full, |e| e.rotate(&c, new(), None, DAY)).unwrap();
    assert_eq!(rotated.len(), 26, "the others end");
    let mut ended = [KeyState::Active; 30];
    ended[..6].fill(KeyState::Retiring(NOW));
    assert!(edit(&with_public_keys(&ended[1..]), |e| e.add_key(&c, new())).is_ok(), "one that ends makes room");
    assert_eq!(edit(&full, |e| e.change_app(&c, |app| app.name = "other".into())).unwrap().len(), 1);
}

#[test]
fn an_app_without_keys_needs_no_algorithm() {
    let registry = registry();
    let bare = || AppSettings { algorithms: BTreeSet::new(), ..settings("khoros", "acme", &[]) };
    assert_eq!(edit(&registry, |e| e.create_app(bare(), None)).unwrap().len(), 1);
    let why = edit(&registry, |e| e.create_app(bare(), Some(new_key("x")))).unwrap_err();
    assert!(why.contains("an app with keys needs at least one algorithm"), "{why}");
    // It gets a key once it has an algorithm.
    let mut registry = registry;
    put(&mut registry, bare(), vec![]);
    let id = client_id("khoros");
    let hs256 = |app: &mut AppSettings| app.algorithms = BTreeSet::from([Algorithm::Hs256]);
    assert_eq!(edit(&registry, |e| e.change_app(&id, hs256)).unwrap().len(), 1);
    assert_eq!(edit(&registry, |e| e.change_app(&id, |app| app.enabled = false)).unwrap().len(), 1);
}

#[test]
fn service_accounts_and_installations_that_are_there_are_not_made_again() {
    let mut registry = registry();
    let password = NewPassword::new("a long password").unwrap();
    let made = edit(&registry, |e| e.create_service(service("s", "acme", &["bot-api"]), &password)).unwrap();
    let line = "set service account s (service of account acme, bot-api), with a new password";
    assert_eq!(lines(&made), [line]);
    let [Change::PutService { service: settings, password: Some(hash) }] = &made[..] else { panic!("{made:?}") };
    let ServiceSettings { name, account, kind, roles, enabled } = settings.clone();
    let stored = ServiceAccount { name, account, kind, roles, enabled, hash: hash.clone(), credential_version: 1 };
    registry.service_accounts.insert(stored.name.clone(), stored.clone());
    let again = edit(&registry, |e| e.create_service(settings.clone(), &password)).unwrap_err();
    assert!(again.contains("exists already, in account acme; `scopegate service passwd`"), "{again}");
    assert_eq!(edit(&registry, |e| e.set_password(&stored.name, &password)).unwrap(), []);
    assert_eq!(edit(&registry, |e| e.change_service(&stored.name, |s| s.enabled = false)).unwrap().len(), 1);
    let nobody = ServiceName::new("nobody").unwrap();
    for refused in [
        edit(&registry, |e| e.set_password(&nobody, &password)),
        edit(&registry, |e| e.change_service(&nobody, |_| {})),
        edit(&registry, |e| e.delete_service(&nobody)),
    ] {
        assert_eq!(refused.unwrap_err(), "service account nobody does not exist");
    }

    let c = client_id("c");
    let installed = edit(&registry, |e| e.install(&c, installation(Some(70), "default"))).unwrap();
    assert_eq!(installed.len(), 1);
    let swapped = edit(&registry, |e| e.suspend(installation_id(7), true)).unwrap_err();
    assert_eq!(swapped, "installation 7 does not exist; 7 is the number of app c");
    assert_eq!(edit(&registry, |e| e.uninstall(installation_id(8))).unwrap_err(), "installation 8 does not exist");
}

#[test]
fn a_key_whose_certificate_has_ended_stands_in_for_no_other() {
    let mut registry = registry();
    let certified = materials().into_iter().find(|material| material.certificate().is_some()).unwrap();
    let bare = materials().into_iter().find(|material| material.family() == certified.family()).unwrap();
    let record = registry.apps.get_mut("c").unwrap();
    record.settings.algorithms = BTreeSet::from([Algorithm::EdDsa]);
    record.grants.clear();
    record.keys = vec![key(1, None, certified.clone(), KeyState::Active), key(2, None, bare, KeyState::Active)];
    let (c, end) = (client_id("c"), certified.certificate().unwrap().not_after());
    let revoke = |now| {
        let editor = Editor { registry: &registry, rules: &rules(), now };
        editor.revoke_key(&c, "2", LastKey::Stays).map_err(|EditError(why)| why)
    };
    assert!(revoke(end).is_ok(), "the other one is good to its last second");
    let refused = revoke(end.after(DAY)).unwrap_err();
    assert!(refused.contains("keeps one"), "{refused}");
    // Nor is such a key added any more.
    let editor = Editor { registry: &registry, rules: &rules(), now: end.after(DAY) };
    let other = certified.restricted_to(Algorithm::EdDsa).unwrap();
    let EditError(why) = editor.add_key(&c, NewKey { kid: None, material: other }).unwrap_err();
    assert!(why.contains("the certificate ended at"), "{why}");
}
