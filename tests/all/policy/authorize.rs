//! Authorization against a truth table: level, bot, what the route asks for, what the app holds.

use std::collections::BTreeSet;
use std::sync::Arc;

use http::Method;
use proptest::prelude::*;
use scopegate::model::{AccountId, InstallationId, Level, Reason};
use scopegate::policy::{Bearer, Found, Requirement, RouteTable, authorize, judge};
use scopegate::registry::{
    App, AppRecord, GrantTarget, Installation, InstallationTarget, Permission, PermissionSet, Permissions, Registry,
    Repositories, Resource, ResourceKind, Snapshot, TableGrant, Version,
};
use scopegate::verify::{GrantedRepositories, InstallationGrant, Reach};

use crate::support::now;
use crate::support::registry::{account, app, bot, grant, registry};
use crate::support::routes::{anonymous, route, scopes};

/// The bot in the path, as seen from an app of `acme` that is for `st-1`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Bot {
    /// The route names none.
    None,
    Own,
    OfTheAccount,
    OfAnotherAccount,
    Unknown,
}

const BOTS: [Bot; 5] = [Bot::None, Bot::Own, Bot::OfTheAccount, Bot::OfAnotherAccount, Bot::Unknown];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Need {
    AnyApp,
    Held,
    NotHeld,
    InTheDraft,
    /// A scope that is held on another bot, or at the other level.
    HeldElsewhere,
    /// The route has no scope for the app's level.
    Closed,
    TableHeld,
    TableNotHeld,
    ViewOfTheTablesName,
    /// Any permission on any table or view.
    AnyTable,
}

const NEEDS: [Need; 10] = [
    Need::AnyApp,
    Need::Held,
    Need::NotHeld,
    Need::InTheDraft,
    Need::HeldElsewhere,
    Need::Closed,
    Need::TableHeld,
    Need::TableNotHeld,
    Need::ViewOfTheTablesName,
    Need::AnyTable,
];

/// What has to come out.
fn wanted(level: Level, bot: Bot, need: Need) -> Option<Reason> {
    let binding = match (level, bot) {
        (_, Bot::None | Bot::Own) | (Level::Account, Bot::OfTheAccount) => None,
        (_, Bot::OfAnotherAccount) => Some(Reason::AppWrongAccount),
        (Level::Bot, Bot::OfTheAccount | Bot::Unknown) => Some(Reason::AppWrongBot),
        (Level::Account, Bot::Unknown) => Some(Reason::BotUnknown),
    };
    let is_scope = matches!(need, Need::Held | Need::NotHeld | Need::InTheDraft | Need::HeldElsewhere);
    let permission = match need {
        Need::Closed => Some(Reason::AppWrongLevel),
        _ if is_scope && level == Level::Bot && bot == Bot::None => Some(Reason::AppWrongLevel),
        Need::AnyApp | Need::Held | Need::TableHeld | Need::AnyTable => None,
        Need::NotHeld | Need::InTheDraft | Need::HeldElsewhere => Some(Reason::ScopeInsufficient),
        Need::TableNotHeld | Need::ViewOfTheTablesName => Some(Reason::TableForbidden),
    };
    binding.or(permission)
}

/// An app of `acme`, for `st-1`, that holds `held` and waits for `draft`; `elsewhere` is granted where it does not count.
fn caller(level: Level) -> App {
    let mut record: AppRecord = app(1, "cs-1", "acme", level);
    record.settings.bots = BTreeSet::from([bot("st-1")]);
    let (here, there) = match level {
        Level::Bot => (GrantTarget::Bot(bot("st-1")), GrantTarget::Account(account("acme"))),
        Level::Account => (GrantTarget::Account(account("acme")), GrantTarget::Bot(bot("st-1"))),
    };
    record.grants = vec![
        grant(here, &["held", "draft"], &["held"]),
        grant(there, &["elsewhere"], &["elsewhere"]),
        grant(GrantTarget::Bot(bot("st-2")), &["elsewhere"], &["elsewhere"]),
    ];
    let orders = Resource { kind: ResourceKind::Table, name: "orders".to_owned() };
    let permissions = [Permission::Read, Permission::Write].into_iter().collect();
    record.table_grants = vec![TableGrant { resource: orders, permissions }];
    App::compile(&record)
}

fn requirement(level: Level, need: Need) -> Requirement {
    // The other level's scope is one that the app holds: it may not count.
    let scope = |id| match level {
        Level::Bot => scopes(Some(id), Some("held")),
        Level::Account => scopes(Some("held"), Some(id)),
    };
    let table = |kind, needed: &[Permission]| Requirement::Resource {
        kind,
        param: "table".to_owned(),
        permissions: needed.iter().copied().collect(),
    };
    match need {
        Need::AnyApp => Requirement::AnyApp,
        Need::Held => scope("held"),
        Need::NotHeld => scope("hel"),
        Need::InTheDraft => scope("draft"),
        Need::HeldElsewhere => scope("elsewhere"),
        Need::Closed if level == Level::Bot => scopes(None, Some("held")),
        Need::Closed => scopes(Some("held"), None),
        Need::TableHeld => table(ResourceKind::Table, &[Permission::Read, Permission::Write]),
        Need::TableNotHeld => table(ResourceKind::Table, &[Permission::Write, Permission::Delete]),
        Need::AnyTable => Requirement::AnyResource,
        Need::ViewOfTheTablesName => table(ResourceKind::View, &[Permission::Read]),
    }
}

fn verdict(app: &App, bot: Bot, needed: Requirement, host: Option<&AccountId>) -> Option<Reason> {
    let (pattern, path) = match bot {
        Bot::None => ("/t/{table}", "/t/orders"),
        Bot::Own => ("/{botId}/t/{table}", "/st-1/t/orders"),
        Bot::OfTheAccount => ("/{botId}/t/{table}", "/st-2/t/orders"),
        Bot::OfAnotherAccount => ("/{botId}/t/{table}", "/st-9/t/orders"),
        Bot::Unknown => ("/{botId}/t/{table}", "/st-nobody/t/orders"),
    };
    let table = RouteTable::new(vec![Arc::new(route("r", &[Method::GET], pattern, &anonymous(), needed))]).unwrap();
    let Found::Route { route, pattern, params } = table.find("", &Method::GET, path) else { panic!("no route") };
    let snapshot = Snapshot::new(Version(1), Registry { apps: std::collections::BTreeMap::new(), ..registry() });
    let verdict = authorize(app, route, &route.patterns[pattern], &params, path, host, &snapshot);
    if let Ok(authorization) = &verdict {
        let named = (bot != Bot::None).then(|| path[1..5].to_owned());
        assert_eq!(authorization.bot.as_ref().map(ToString::to_string), named);
    }
    verdict.err().map(|refusal| refusal.reason)
}

#[test]
fn authorization_is_as_the_truth_table_says() {
    let mut allowed = 0;
    for level in [Level::Bot, Level::Account] {
        let app = caller(level);
        for bot in BOTS {
            for need in NEEDS {
                let found = verdict(&app, bot, requirement(level, need), None);
                assert_eq!(found, wanted(level, bot, need), "level {level}, bot {bot:?}, {need:?}");
                allowed += usize::from(found.is_none());
            }
        }
    }
    assert_eq!(allowed, 7 + 12, "of 100 cells");
}

#[test]
fn the_account_of_the_host_goes_before_everything() {
    for level in [Level::Bot, Level::Account] {
        let app = caller(level);
        for bot in BOTS {
            for need in NEEDS {
                let (ours, theirs) = (account("acme"), account("other"));
                let refused = verdict(&app, bot, requirement(level, need), Some(&theirs));
                assert_eq!(refused, Some(Reason::AppWrongAccount), "level {level}, bot {bot:?}, {need:?}");
                let judged = verdict(&app, bot, requirement(level, need), Some(&ours));
                assert_eq!(judged, wanted(level, bot, need), "level {level}, bot {bot:?}, {need:?}");
            }
        }
    }
}

#[test]
fn an_app_without_any_permission_is_no_app_for_tables() {
    for permissions in [None, Some(Permissions::NONE)] {
        let mut record: AppRecord = app(1, "cs-1", "acme", Level::Account);
        let orders = Resource { kind: ResourceKind::Table, name: "orders".to_owned() };
        record.table_grants =
            permissions.map(|permissions| TableGrant { resource: orders, permissions }).into_iter().collect();
        let found = verdict(&App::compile(&record), Bot::None, Requirement::AnyResource, None);
        assert_eq!(found, Some(Reason::TableForbidden));
    }
}

/// Names that a careless comparison might take for each other.
fn near(name: &str, how: u8) -> String {
    match how % 8 {
        0 => name.to_uppercase(),
        1 => name.to_lowercase(),
        2 => format!("{name} "),
        3 => name.trim().to_owned(),
        4 => encoded(name),
        5 => name.replace('+', " "),
        6 => name.chars().rev().collect(),
        _ => name.to_owned(),
    }
}

/// As it stands in a path: only unreserved characters are left as they are.
fn encoded(name: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    name.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

proptest! {
    #[test]
    fn a_table_is_granted_by_its_exact_name_and_by_no_other(granted in "[^/\\\\;\\p{Cc}]{1,12}", how in 0u8..8) {
        let asked = near(&granted, how);
        prop_assume!(!asked.is_empty() && ![".", ".."].contains(&asked.as_str()));
        let mut record: AppRecord = app(1, "cs-1", "acme", Level::Account);
        let resource = Resource { kind: ResourceKind::Table, name: granted.clone() };
        let permissions = [Permission::Read].into_iter().collect();
        record.table_grants = vec![TableGrant { resource, permissions }];
        let needed = Requirement::Resource { kind: ResourceKind::Table, param: "table".to_owned(), permissions };
        let route = route("r", &[Method::GET], "/t/{table}/q", &anonymous(), needed);
        let table = RouteTable::new(vec![Arc::new(route)]).unwrap();
        let sent = format!("/t/{}/q", encoded(&asked));
        let path = judge(&sent).unwrap();
        let Found::Route { route, pattern, params } = table.find("", &Method::GET, &path) else { panic!("no route") };
        let snapshot = Snapshot::new(Version(1), registry());
        let verdict = authorize(&App::compile(&record), route, &route.patterns[pattern], &params, &path, None, &snapshot);
        prop_assert_eq!(verdict.is_ok(), asked == granted, "{} for {}", asked, granted);
    }
}

#[test]
fn the_log_says_that_a_scope_waits_for_publishing() {
    let app = caller(Level::Account);
    let table =
        RouteTable::new(vec![Arc::new(route("r", &[Method::GET], "/x", &anonymous(), scopes(None, Some("draft"))))]);
    let table = table.unwrap();
    let Found::Route { route, pattern, params } = table.find("", &Method::GET, "/x") else { panic!("no route") };
    let snapshot = Snapshot::new(Version(1), registry());
    let refusal = authorize(&app, route, &route.patterns[pattern], &params, "/x", None, &snapshot).unwrap_err();
    assert_eq!(refusal.expected.as_deref(), Some("draft at level account"));
    assert_eq!(refusal.found.as_deref(), Some("held; it is in the draft and waits for publishing"));
}

#[test]
fn a_token_for_an_installation_holds_no_scopes_and_tables_of_its_app() {
    let mut record = app(1, "cs-a", "acme", Level::Account);
    record.grants = vec![grant(GrantTarget::Account(account("acme")), &["held"], &["held"])];
    record.installations = vec![Installation {
        id: InstallationId::new(7).unwrap(),
        app: record.settings.client_id.clone(),
        account: account("acme"),
        target: InstallationTarget::Organization,
        permissions: PermissionSet::default(),
        repositories: Repositories::All,
        suspended_at: None,
        created_at: now(),
        updated_at: now(),
    }];
    let app = App::compile(&record);
    let mut whole = registry();
    whole.apps.insert(app.client_id.clone(), record);
    let snapshot = Snapshot::new(Version(1), whole);
    let grant = InstallationGrant {
        installation: InstallationId::new(7).unwrap(),
        permissions: PermissionSet::default(),
        repositories: GrantedRepositories::All,
    };
    let reach = Reach::of(&grant, &app, &snapshot).unwrap();
    for (needed, as_app, as_installation) in [
        (Requirement::AnyApp, None, None),
        (scopes(None, Some("held")), None, Some(Reason::PermissionsInsufficient)),
        (Requirement::AnyResource, Some(Reason::TableForbidden), Some(Reason::PermissionsInsufficient)),
    ] {
        let table = RouteTable::new(vec![Arc::new(route("r", &[Method::GET], "/x", &anonymous(), needed))]).unwrap();
        let Found::Route { route, pattern, params } = table.find("", &Method::GET, "/x") else { panic!("no route") };
        let judge = |bearer| authorize(bearer, route, &route.patterns[pattern], &params, "/x", None, &snapshot);
        let reason = |verdict: Result<_, scopegate::model::Refusal>| verdict.err().map(|refusal| refusal.reason);
        assert_eq!(reason(judge(Bearer::from(&app))), as_app, "{:?}", route.requirement);
        assert_eq!(
            reason(judge(Bearer { reach: Some(reach), ..Bearer::from(&app) })),
            as_installation,
            "{:?}",
            route.requirement
        );
    }
}

proptest! {
    #[test]
    fn a_token_can_leave_less_than_the_app_holds_and_never_more(
        left in prop::option::of(prop::collection::vec("(held|more|draft|elsewhere|hel|HELD|heldmore)", 0..5)),
        level in prop::sample::select(vec![Level::Bot, Level::Account]),
        asked in prop::sample::select(vec!["held", "more", "draft", "elsewhere"]),
    ) {
        let mut record: AppRecord = app(1, "cs-1", "acme", level);
        record.settings.bots = BTreeSet::from([bot("st-1")]);
        let target = match level {
            Level::Bot => GrantTarget::Bot(bot("st-1")),
            Level::Account => GrantTarget::Account(account("acme")),
        };
        record.grants = vec![grant(target, &["held", "more", "draft"], &["held", "more"])];
        let (app, left) = (App::compile(&record), left.map(|left| left.join(" ")));
        let bearer = Bearer { left: left.as_deref(), ..Bearer::from(&app) };
        let is_left = |scope: &str| left.as_ref().is_none_or(|left| left.split(' ').any(|one| one == scope));
        let wanted: Vec<_> = ["held", "more"].into_iter().filter(|scope| is_left(scope)).collect();
        prop_assert_eq!(bearer.scopes_on(Some("st-1")), wanted.join(" "));

        let needed = scopes(Some(asked), Some(asked));
        let table = RouteTable::new(vec![Arc::new(route("r", &[Method::GET], "/{botId}/x", &anonymous(), needed))]);
        let table = table.unwrap();
        let Found::Route { route, pattern, params } = table.find("", &Method::GET, "/st-1/x") else { panic!("no route") };
        let (pattern, snapshot) = (&route.patterns[pattern], Snapshot::new(Version(1), registry()));
        let verdict = authorize(bearer, route, pattern, &params, "/st-1/x", None, &snapshot);
        let reason = verdict.err().map(|refusal| refusal.reason);
        prop_assert_eq!(reason, (!wanted.contains(&asked)).then_some(Reason::ScopeInsufficient));
    }
}
