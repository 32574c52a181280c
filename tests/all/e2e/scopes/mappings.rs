//! Rows about mappings: made, listed, checked, deleted.

use super::{
    BOT, CHAT, LOGS, SECOND_BOT, admin, assert_no_scope, both, chat_of, ci, ends, ids, logs_of, mappings, refused,
    registry, says, scope, setup, soon, start,
};
use crate::e2e::harness::{App, eventually};

#[test]
fn f015_a_mapping_is_edited_or_made_anew_and_its_version_goes_up() {
    let setup = setup(&[ci(&[LOGS, CHAT]), admin(&["logs:change_logs"])]);
    let before = mappings(&setup, &["--app", "ci"])[0].clone();
    assert_eq!((ids(&before, "scopes"), &before["version"]), (vec![CHAT.to_owned(), LOGS.into()], &1.into()));

    scope(&setup, &["grant", "--app", "ci", "--only", "bot_sessions:read", LOGS]);
    let drafted = mappings(&setup, &["--app", "ci"])[0].clone();
    assert_eq!(
        (ids(&drafted, "draft_adds"), ids(&drafted, "draft_removes")),
        (vec!["bot_sessions:read".into()], vec![CHAT.to_owned()])
    );
    assert_eq!((ids(&drafted, "scopes"), &drafted["version"]), (ids(&before, "scopes"), &1.into()));
    scope(&setup, &["publish", "--app", "ci"]);
    let after = mappings(&setup, &["--app", "ci"])[0].clone();
    assert_eq!(
        (ids(&after, "scopes"), &after["version"]),
        (vec!["bot_sessions:read".into(), LOGS.to_owned()], &2.into())
    );
    assert!(ids(&after, "draft_adds").is_empty() && ids(&after, "draft_removes").is_empty());

    // On an account, at once.
    scope(&setup, &["grant", "--app", "admin", "--only", CHAT]);
    let account = mappings(&setup, &["--app", "admin"])[0].clone();
    assert_eq!((ids(&account, "scopes"), &account["version"]), (vec![CHAT.to_owned()], &2.into()));
}

fn check<'a>(app: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["check", "--app", app, "--api", "get-change-logs"], more].concat()
}

#[test]
fn f016_a_check_names_what_an_app_lacks_for_an_api() {
    let setup = setup(&[ci(&[CHAT]), both(&[]), admin(&[])]);
    let grant = format!("run `scopegate scope grant {LOGS} --bot {BOT} --app ci -c scopegate.toml`");
    says(&ends(&setup, 1, &check("ci", &[])), &["missing logs:change_logs (Logs History), level bot", &grant]);

    scope(&setup, &["grant", "--app", "ci", LOGS]);
    let waits = format!("waits for publishing: run `scopegate scope publish --bot {BOT} --app ci -c scopegate.toml`");
    says(&ends(&setup, 1, &check("ci", &[])), &["in the draft", &waits]);
    scope(&setup, &["publish", "--app", "ci"]);
    says(&scope(&setup, &check("ci", &[])), &["app ci (named ci) holds what get-change-logs asks for"]);

    scope(&setup, &["grant", "--app", "both", "--bot", BOT, LOGS]);
    scope(&setup, &["publish", "--bot", BOT]);
    let said = ends(&setup, 1, &check("both", &[]));
    says(&said, &[&format!("on bot {SECOND_BOT}: missing")]);
    assert!(!said.contains(&format!("on bot {BOT}")), "{said}");
    scope(&setup, &check("both", &["--bot", BOT]));

    let said = ends(&setup, 1, &check("admin", &["--bot", BOT]));
    says(&said, &["on account acme: missing logs:change_logs (Logs > Bot Audit Logs), level account"]);
    scope(&setup, &["grant", "--app", "admin", LOGS]);
    scope(&setup, &check("admin", &["--bot", BOT]));

    let import = ["check", "--app", "ci", "--api", "import-bot-as-new"];
    says(&ends(&setup, 1, &import), &["is of level bot, and import-bot-as-new is for apps of level account"]);
    let insert = ["check", "--app", "ci", "--api", "insert-rows"];
    let said = ends(&setup, 1, &insert);
    says(&said, &["may not write on any table", "grant --table NAME --permission write --app ci"]);
    scope(&setup, &["grant", "--app", "ci", "--table", "orders", "--permission", "write"]);
    scope(&setup, &insert);
    says(&refused(&setup, &["check", "--app", "ci", "--api", "get-change-log"]), &["did you mean get-change-logs?"]);
    says(&refused(&setup, &check("ci", &["--bot", SECOND_BOT])), &["is not an app of bot"]);
    says(&refused(&setup, &check("admin", &["--bot", "st-none"])), &["bot st-none is not of account acme"]);
}

#[test]
fn f100_a_mapping_is_made_and_listed() {
    let setup = setup(&[ci(&[]), both(&[])]);
    assert!(mappings(&setup, &[]).is_empty());
    let said = scope(&setup, &["grant", "--app", "ci", LOGS, CHAT]);
    says(
        &said,
        &[
            "draft of app ci (named ci) on bot",
            "+ logs:change_logs (Logs History)",
            "+ chat_history:read (Chat History)",
        ],
    );
    says(&said, &[&format!("not live yet: run `scopegate scope publish --bot {BOT} --app ci -c scopegate.toml`")]);
    let mapping = mappings(&setup, &[])[0].clone();
    assert_eq!((&mapping["client_id"], &mapping["bot"], &mapping["version"]), (&"ci".into(), &BOT.into(), &0.into()));
    assert_eq!(ids(&mapping, "draft_adds"), [CHAT, LOGS]);
    says(&scope(&setup, &["grant", "--app", "ci", LOGS]), &["nothing to change: the app holds them already"]);
}

#[test]
fn f101_an_app_that_is_not_known_gets_no_mapping() {
    let setup = setup(&[ci(&[]), both(&[])]);
    says(&refused(&setup, &["grant", "--app", "bot", LOGS]), &["app bot does not exist; did you mean both?"]);
    let by_name = refused(&setup, &["grant", "--app", "named ci", LOGS]);
    says(&by_name, &["named ci is the name of ci"]);
    let unclear = refused(&setup, &["grant", "--app", "both", LOGS]);
    says(&unclear, &["acts on several bots", BOT, SECOND_BOT, "--bot"]);
    says(&refused(&setup, &["list", "--bot", "st-nothing-like-it"]), &["bot st-nothing-like-it does not exist"]);
    assert!(mappings(&setup, &[]).is_empty());
    scope(&setup, &["grant", "--app", "ci", LOGS]);
    scope(&setup, &["grant", "--app", "both", "--bot", SECOND_BOT, LOGS]);
    assert_eq!(mappings(&setup, &["--bot", SECOND_BOT]).len(), 1);
}

#[test]
fn f102_whoever_makes_a_mapping_is_shown_the_client_id_and_no_secret() {
    let app = ci(&[]);
    let setup = setup(std::slice::from_ref(&app));
    let said = scope(&setup, &["grant", "--app", "ci", LOGS]);
    says(&said, &["app ci (named ci)"]);
    assert!(!said.contains(&app.secret()), "{said}");
}

#[test]
fn f103_scopes_have_groups_and_mappings_are_listed_by_them() {
    let setup = setup(&[ci(&[LOGS]), admin(&["bot_definition:bot_import"])]);
    let of = |group: &str| mappings(&setup, &["--group", group]);
    let automation = of("Automation");
    assert_eq!((automation.len(), ids(&automation[0], "scopes")), (1, vec![LOGS.to_owned()]));
    assert_eq!(automation[0]["scopes"][0]["group"], "Automation");
    let every = setup.json(&["catalog", "scopes", "--json"]);
    let groups = every.as_array().unwrap().iter().map(|scope| scope["group"].as_str().unwrap());
    for group in groups.collect::<std::collections::BTreeSet<_>>() {
        for mapping in of(group) {
            for scope in mapping["scopes"].as_array().unwrap() {
                assert_eq!(scope["group"], group);
            }
        }
    }
    says(&refused(&setup, &["list", "--group", "Automatic"]), &["did you mean Automation?"]);
}

#[test]
fn f105_mappings_are_listed_with_names_titles_level_and_time() {
    let setup = setup(&[ci(&[LOGS]), admin(&[LOGS])]);
    scope(&setup, &["grant", "--app", "ci", "--table", "orders", "--permission", "read,write"]);
    let mapping = mappings(&setup, &["--account", "acme", "--bot", BOT])[0].clone();
    assert_eq!((&mapping["app"], &mapping["client_id"]), (&"named ci".into(), &"ci".into()));
    assert_eq!((&mapping["level"], &mapping["scopes"][0]["title"]), (&"bot".into(), &"Logs History".into()));
    let at = mapping["updated_at"].as_str().unwrap().to_owned();
    assert!(at.starts_with("20") && at.ends_with('Z'), "{at}");
    scope(&setup, &["grant", "--app", "ci", CHAT]);
    assert!(mappings(&setup, &["--bot", BOT])[0]["updated_at"].as_str().unwrap() > at.as_str());

    let text = scope(&setup, &["list"]);
    says(&text, &["named admin", "account acme", "logs:change_logs (Logs > Bot Audit Logs)"]);
    says(
        &text,
        &["named ci", BOT, "+chat_history:read", "logs:change_logs (Logs History)", "table orders  read write"],
    );
    let listing = setup.json(&["scope", "list", "--json", "--app", "ci"]);
    assert_eq!(listing["tables"][0]["permissions"], serde_json::json!(["read", "write"]));
    assert_eq!(listing["mappings"].as_array().unwrap().len(), 1);
}

#[test]
fn f106_an_app_that_is_deleted_takes_its_mappings_along() {
    let app = ci(&[LOGS]);
    let (gateway, _upstream) = start(&[app.clone(), both(&[LOGS])]);
    let setup = &gateway.setup;
    assert_eq!(gateway.call(&logs_of(&app)).status, 200);
    setup.write("registry.toml", registry(&[both(&[LOGS])]).as_str());
    setup.succeed(&["apply", "-f", "registry.toml", "--prune", "--why", "gone for good"]);
    eventually("the app is gone", || (gateway.call(&logs_of(&app)).status == 401).then_some(()));
    assert_eq!(gateway.reason(&gateway.call(&logs_of(&app))), "app.unknown");
    assert!(mappings(setup, &[]).iter().all(|mapping| mapping["client_id"] == "both"));
    let history = setup.json(&["scope", "history", "--json"]);
    assert!(history.as_array().unwrap().iter().all(|version| version["client_id"] == "both"));
    says(&refused(setup, &["history", "--app", "ci"]), &["app ci does not exist"]);
    // The same name is another app.
    setup.apply(&registry(&[ci(&[])]));
    assert_no_scope_soon(&gateway, &app);
}

fn assert_no_scope_soon(gateway: &crate::e2e::harness::Gateway, app: &App) {
    let known = || (gateway.reason(&gateway.call(&logs_of(app))) == "scope.insufficient").then_some(());
    eventually("the app is known again", known);
    assert_no_scope(gateway, &logs_of(app));
}

#[test]
fn f107_several_apps_hold_one_scope_and_each_set_is_its_own() {
    let other = App::new("other", "acme", &[BOT], &[CHAT]);
    let app = ci(&[CHAT]);
    let (gateway, _upstream) = start(&[app.clone(), other.clone()]);
    let setup = &gateway.setup;
    for app in [&app, &other] {
        assert_eq!(gateway.call(&chat_of(app)).status, 200);
    }
    scope(setup, &["grant", "--app", "ci", "--only", LOGS]);
    scope(setup, &["publish", "--app", "ci"]);
    soon(&gateway, &chat_of(&app), 401);
    assert_no_scope(&gateway, &chat_of(&app));
    assert_eq!(gateway.call(&logs_of(&app)).status, 200);
    assert_eq!(gateway.call(&chat_of(&other)).status, 200);
    assert_no_scope(&gateway, &logs_of(&other));
}
