use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::{ProptestConfig, Strategy, any, proptest};
use proptest::sample::subsequence;
use proptest::{prop_assert, prop_assert_eq};

use super::{
    Difference, Edit, GrantVersion, Mapping, Proposal, Selection, faults, roll_back, waiting, with_differences,
};
use crate::clock::Timestamp;
use crate::model::{Algorithm, AlgorithmSet, AppNumber, AuthenticatorName, Level, ScopeId};
use crate::registry::conformance::{account_id, bot_id, client_id, on_bot, scopes, settings};
use crate::registry::{
    AppRecord, AppSettings, Change, Grant, GrantError, GrantRules, GrantTarget, Registry, ScopeCatalogue,
    ScopeDefinition, ScopeUse,
};

const NOW: Timestamp = Timestamp::from_secs(1_795_348_800);

/// Scopes `logs:read`, `logs:write` and `chat:read` at level bot, `import` at level account, for apps with HS256.
fn rules() -> GrantRules {
    let definition = |(id, level): (&str, Level)| ScopeDefinition {
        id: ScopeId::new(id).unwrap(),
        level,
        title: id.to_uppercase(),
        group: None,
        description: None,
        addition: false,
    };
    let of_bots = ["logs:read", "logs:write", "chat:read"].map(|id| (id, Level::Bot));
    let catalogue =
        ScopeCatalogue::new(of_bots.into_iter().chain([("import", Level::Account)]).map(definition).collect());
    let hs256: AlgorithmSet = [Algorithm::Hs256].into_iter().collect();
    GrantRules {
        catalogue,
        grantable: BTreeMap::from([(AuthenticatorName::new("kore").unwrap(), hs256)]),
        ..GrantRules::default()
    }
}

fn grant(target: GrantTarget, draft: &[&str], published: &[&str]) -> Grant {
    Grant { draft: scopes(draft), published: scopes(published), ..Grant::new(target) }
}

fn record(settings: AppSettings, grants: Vec<Grant>) -> AppRecord {
    let (keys, table_grants) = (Vec::new(), Vec::new());
    AppRecord {
        number: AppNumber(1),
        settings,
        keys,
        encryption_keys: Vec::new(),
        grants,
        table_grants,
        installations: Vec::new(),
        credential_version: 1,
    }
}

fn app(draft: &[&str], published: &[&str]) -> AppRecord {
    record(settings("c", "default", &["b"]), vec![grant(on_bot("b"), draft, published)])
}

fn edit(app: &AppRecord, edit: &Edit) -> Result<Option<Proposal>, GrantError> {
    edit.of(app, on_bot("b"), &rules())
}

#[test]
fn an_edit_comes_to_what_the_draft_lacks_or_holds() {
    let app = app(&["logs:read"], &[]);
    let by = |wanted: &Edit| edit(&app, wanted).unwrap().map(|proposal| proposal.by.to_string());
    assert_eq!(by(&Edit::Add(scopes(&["logs:read", "chat:read"]))).unwrap(), "+chat:read");
    assert_eq!(by(&Edit::Add(scopes(&["logs:read"]))), None);
    assert_eq!(by(&Edit::Remove(scopes(&["logs:read", "chat:read"]))).unwrap(), "-logs:read");
    assert_eq!(by(&Edit::Remove(scopes(&["chat:read"]))), None);
    assert_eq!(by(&Edit::Only(scopes(&["chat:read", "logs:write"]))).unwrap(), "+chat:read +logs:write -logs:read");
    assert_eq!(by(&Edit::Only(scopes(&[]))).unwrap(), "-logs:read");
    assert_eq!(by(&Edit::Only(scopes(&["logs:read"]))), None);
}

#[test]
fn only_what_replaces_a_draft_has_to_have_seen_it() {
    let app = app(&["logs:read"], &[]);
    let seen = |wanted: &Edit| match edit(&app, wanted).unwrap().unwrap().change {
        Change::AlterGrant { seen, .. } => seen,
        other => panic!("{other:?}"),
    };
    assert_eq!(seen(&Edit::Add(scopes(&["chat:read"]))), None);
    assert_eq!(seen(&Edit::Remove(scopes(&["logs:read"]))), None);
    assert_eq!(seen(&Edit::Only(scopes(&["chat:read"]))), Some(scopes(&["logs:read"])));
}

#[test]
fn what_is_gained_obeys_the_rules_and_what_is_lost_need_not() {
    let rules = rules();
    let mut app = app(&["gone", "logs:read"], &["gone"]);
    let add = |app: &AppRecord, id: &str| {
        Edit::Add(scopes(&[id])).of(app, on_bot("b"), &rules).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(
        add(&app, "log:read"),
        Err("no scope log:read is declared at level bot; did you mean logs:read?".into())
    );
    assert_eq!(add(&app, "import"), Err("no scope import is declared at level bot; it exists at level account".into()));
    assert_eq!(add(&app, "0123456789"), Err("no scope 0123456789 is declared at level bot".into()));
    assert_eq!(edit(&app, &Edit::Remove(scopes(&["gone"]))).unwrap().unwrap().by.to_string(), "-gone");
    assert!(matches!(edit(&app, &Edit::Remove(scopes(&["log:read"]))), Err(GrantError::UnknownScope { .. })));
    assert_eq!(edit(&app, &Edit::Only(scopes(&["gone"]))).unwrap().unwrap().by.to_string(), "-logs:read");

    app.settings.algorithms.insert(Algorithm::Hs512);
    let refused = add(&app, "chat:read").unwrap_err();
    assert!(refused.contains("signs with HS512") && refused.contains("only apps that sign with HS256"), "{refused}");
    assert!(edit(&app, &Edit::Only(scopes(&[]))).is_ok());
    app.settings.bots = [bot_id("other")].into();
    assert_eq!(add(&app, "chat:read"), Err("app c is not an app of bot b".into()));
    assert!(edit(&app, &Edit::Remove(scopes(&["gone"]))).unwrap().is_some());
}

#[test]
fn a_grant_is_on_the_account_or_on_the_bot_that_can_be_meant() {
    let target = |settings: &AppSettings, bot: Option<&str>| {
        settings.target(bot.map(bot_id).as_ref()).map(|t| t.to_string()).map_err(|error| error.to_string())
    };
    let of_account = settings("c", "acme", &[]);
    assert_eq!(target(&of_account, None).unwrap(), "account acme");
    assert!(target(&of_account, Some("b")).unwrap_err().contains("of level account"));
    let of_one = settings("c", "acme", &["b"]);
    assert_eq!(target(&of_one, None).unwrap(), "bot b");
    assert_eq!(target(&of_one, Some("x")).unwrap_err(), "app c is not an app of bot x");
    let of_two = settings("c", "acme", &["b1", "b2"]);
    assert_eq!(target(&of_two, Some("b2")).unwrap(), "bot b2");
    assert_eq!(target(&of_two, None).unwrap_err(), "app c acts on several bots: name one of b1, b2 with --bot");
    // What an app was granted on a bot that it has lost can still be taken back.
    let stale = record(of_one, vec![grant(on_bot("x"), &["logs:read"], &["logs:read"])]);
    assert_eq!(stale.target(Some(&bot_id("x"))).unwrap(), on_bot("x"));
    assert!(!Mapping { app: &stale, grant: &stale.grants[0] }.has_effect());
}

fn registry(apps: Vec<AppRecord>) -> Registry {
    let apps = apps.into_iter().map(|app| (app.settings.client_id.clone(), app)).collect();
    Registry { apps, ..Registry::default() }
}

#[test]
fn publishing_takes_the_drafts_that_differ_and_checks_what_they_add() {
    let b = || grant(on_bot("b"), &["logs:read"], &["chat:read"]);
    let same = grant(on_bot("b2"), &["chat:read"], &["chat:read"]);
    let lost = grant(on_bot("lost"), &["logs:read"], &[]);
    let one = record(settings("one", "default", &["b", "b2"]), vec![b(), same, lost]);
    let two = record(settings("two", "default", &["b"]), vec![b()]);
    let mut registry = registry(vec![one, two]);
    let proposed = |registry: &Registry, selection: Selection| -> Vec<String> {
        let proposals = waiting(selection.of(registry));
        assert!(proposals.iter().all(|p| p.in_force));
        proposals.iter().map(|p| format!("{} {}: {}", p.app, p.target, p.by)).collect()
    };
    let all = ["one bot b: +logs:read -chat:read", "two bot b: +logs:read -chat:read"];
    assert_eq!(proposed(&registry, Selection::default()), all);
    let of_bot = |bot| Selection { bot: Some(bot_id(bot)), ..Selection::default() };
    assert_eq!(proposed(&registry, of_bot("b")), all);
    assert!(proposed(&registry, of_bot("b2")).is_empty());
    let of_app = Selection { app: Some(client_id("two")), ..Selection::default() };
    assert_eq!(proposed(&registry, of_app), all[1..]);
    let of_account = Selection { account: Some(account_id("other")), ..Selection::default() };
    assert!(proposed(&registry, of_account).is_empty());

    let good = waiting(Selection::default().of(&registry));
    assert!(faults(&good, &registry, &rules()).is_empty());
    for app in registry.apps.values_mut() {
        app.grants[0].draft = scopes(&["undeclared"]);
    }
    let all = waiting(Selection::default().of(&registry));
    assert_eq!(faults(&all, &registry, &rules()).len(), 2);
    assert!(faults(&all, &registry, &rules())[0].to_string().contains("no scope undeclared"));
}

fn version(version: i64, set: &[&str]) -> GrantVersion {
    let (app, actor) = (client_id("c"), "ana".into());
    GrantVersion { app, target: on_bot("b"), version, at: NOW, actor, why: None, scopes: scopes(set) }
}

#[test]
fn a_version_tells_what_it_changed() {
    let other = GrantVersion { target: on_bot("other"), ..version(1, &["x"]) };
    let history = [version(1, &["a"]), version(2, &["b"]), version(3, &[]), other];
    let told: Vec<_> = with_differences(&history).iter().map(|(_, by)| by.to_string()).collect();
    assert_eq!(told, ["+a", "+b -a", "-b", "+x"]);
}

#[test]
fn an_earlier_version_is_put_in_force_again_unless_it_breaks_a_rule() {
    let app = app(&["logs:read"], &["logs:read"]);
    let history = [version(1, &["chat:read"]), version(2, &["gone"]), version(3, &["logs:read"])];
    let back = |to| roll_back(&app, on_bot("b"), &history, to, &rules());
    let proposal = back(1).unwrap().unwrap();
    assert_eq!(proposal.by.to_string(), "+chat:read -logs:read");
    assert!(proposal.in_force);
    assert!(matches!(back(2), Err(GrantError::UnknownScope { .. })));
    assert_eq!(back(3), Ok(None));
    assert_eq!(back(4).unwrap_err().to_string(), "app c on bot b has no version 4: there are 1 to 3");
    let never = roll_back(&app, on_bot("other"), &history, 1, &rules());
    assert_eq!(never.unwrap_err().to_string(), "nothing was ever published for app c on bot other");
}

#[test]
fn an_app_misses_what_it_used_there_and_loses_now() {
    let used = |app: &str, bot: &str, scope: &str| {
        let (app, target, scope) = (client_id(app), on_bot(bot), ScopeId::new(scope).unwrap());
        ScopeUse { app, target, scope, at: NOW }
    };
    let uses = [
        used("c", "b", "logs:read"),
        used("c", "b", "chat:read"),
        used("c", "other", "logs:read"),
        used("d", "b", "logs:read"),
    ];
    let app = app(&["chat:read"], &["chat:read", "logs:read"]);
    let mapping = Mapping { app: &app, grant: &app.grants[0] };
    let [published] = &waiting(std::iter::once(mapping))[..] else { panic!("not one") };
    assert_eq!(published.missed(&uses).collect::<Vec<_>>(), [&uses[0]]);
    // The draft alone deprives nobody.
    let edited = edit(&app, &Edit::Only(scopes(&[]))).unwrap().unwrap();
    assert_eq!(edited.missed(&uses).count(), 0);
}

fn some() -> impl Strategy<Value = BTreeSet<ScopeId>> {
    subsequence(vec!["a", "b", "c", "d", "e"], 0..=5).prop_map(|ids| scopes(&ids))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_difference_leads_from_one_set_to_the_other(before in some(), after in some()) {
        let by = Difference::between(&before, &after);
        prop_assert_eq!(by.applied_to(&before), after.clone());
        prop_assert_eq!(by.is_empty(), before == after);
        prop_assert!(by.gained.is_disjoint(&before) && by.lost.is_subset(&before));
        let back = Difference { gained: by.lost.clone(), lost: by.gained.clone() };
        prop_assert_eq!(back, Difference::between(&after, &before));
    }

    /// In either order both are heeded, unless they contradict each other.
    #[test]
    fn edits_of_different_scopes_commute(draft in some(), one in some(), other in some(), adds in any::<[bool; 2]>()) {
        let apart = &other - &one;
        let by = |set: &BTreeSet<ScopeId>, adds| {
            let (before, after) = if adds { (BTreeSet::new(), set.clone()) } else { (set.clone(), BTreeSet::new()) };
            Difference::between(&before, &after)
        };
        let (one, other) = (by(&one, adds[0]), by(&apart, adds[1]));
        let start = Grant { draft, ..Grant::new(on_bot("b")) };
        let end = start.clone().altered(&one).altered(&other);
        prop_assert_eq!(&end, &start.altered(&other).altered(&one));
        for by in [one, other] {
            prop_assert!(by.gained.is_subset(&end.draft) && by.lost.is_disjoint(&end.draft));
        }
    }

    #[test]
    fn a_step_back_leaves_the_edits_of_the_draft(draft in some(), published in some(), earlier in some()) {
        let grant = Grant { draft: draft.clone(), published: published.clone(), ..Grant::new(on_bot("b")) };
        let back = grant.clone().restored(&earlier);
        prop_assert_eq!(&back.published, &earlier);
        prop_assert!((&draft - &published).is_subset(&back.draft) && (&published - &draft).is_disjoint(&back.draft));
        prop_assert_eq!(back.clone().restored(&earlier), back.clone());
        if draft == published {
            prop_assert!(back.waiting().is_empty());
        }
    }
}
