//! Edits: of drafts, of accounts, of tables, and of several people at once.

use super::{
    BOT, CHAT, LOGS, SECOND_BOT, admin, assert_no_scope, both, ci, ends, ids, logs_of, mappings, refused, says, scope,
    setup, soon, start,
};
use crate::e2e::harness::{App, Call};

#[test]
fn what_is_granted_on_an_account_is_in_force_at_once() {
    let app = admin(&[]);
    let (gateway, _upstream) = start(std::slice::from_ref(&app));
    let setup = &gateway.setup;
    assert_no_scope(&gateway, &logs_of(&app));
    let said = scope(setup, &["grant", "--app", "admin", LOGS]);
    says(&said, &["in force at once: app admin (named admin) is of level account"]);
    soon(&gateway, &logs_of(&app), 200);
    assert_eq!(scope(setup, &["diff"]), "no draft differs from what is in force\n");
    says(&refused(setup, &["grant", "--app", "admin", "--bot", BOT, LOGS]), &["holds for every bot there"]);
    says(&scope(setup, &["revoke", "--app", "admin", LOGS]), &["in force at once"]);
    soon(&gateway, &logs_of(&app), 401);
}

#[test]
fn a_dry_run_prints_the_edit_and_makes_none() {
    let setup = setup(&[ci(&[LOGS]), admin(&[])]);
    let before = setup.succeed(&["export"]);
    for arguments in [
        &["grant", "--app", "ci", CHAT][..],
        &["grant", "--app", "admin", LOGS],
        &["grant", "--app", "ci", "--table", "orders", "--permission", "read"],
        &["revoke", "--app", "ci", "--all"],
    ] {
        let said = ends(&setup, 2, &[arguments, &["--dry-run"]].concat());
        says(&said, &["nothing was changed (dry run)"]);
        assert!(!said.contains("not live yet"), "{said}");
    }
    assert_eq!(setup.succeed(&["export"]), before);
    let nothing = scope(&setup, &["grant", "--app", "ci", LOGS, "--dry-run"]);
    says(&nothing, &["nothing to change"]);
}

#[test]
fn an_edit_obeys_the_rules_of_grants() {
    let sdk = App::new("sdk", "acme", &[BOT], &[]).algorithms(&["HS512"]);
    let setup = setup(&[ci(&[]), admin(&[]), sdk]);
    let grant = |app: &str, id: &str| refused(&setup, &["grant", "--app", app, id]);
    says(
        &grant("ci", "logs:change_log"),
        &["no scope logs:change_log is declared at level bot; did you mean logs:change_logs?"],
    );
    says(&grant("ci", "bot_definition:bot_import"), &["it exists at level account"]);
    says(&grant("sdk", LOGS), &["app sdk signs with HS512", "only apps that sign with HS256"]);
    says(&refused(&setup, &["grant", "--app", "ci", "--bot", SECOND_BOT, LOGS]), &["is not an app of bot"]);
    says(&refused(&setup, &["revoke", "--app", "ci", "logs:change_log"]), &["did you mean logs:change_logs?"]);
    assert!(mappings(&setup, &[]).is_empty());
    for wrong in [
        &["grant", "--app", "ci"][..],
        &["grant", "--app", "ci", "two words"],
        &["grant", LOGS],
        &["grant", "--app", "ci", "--table", "t", LOGS],
        &["grant", "--app", "ci", "--table", "t", "--permission", "all"],
        &["revoke", "--app", "ci"],
        &["revoke", "--app", "ci", "--all", LOGS],
        &["publish"],
        &["publish", "--all", "--app", "ci"],
        &["rollback", "--app", "ci"],
    ] {
        ends(&setup, 64, wrong);
    }
}

#[test]
fn an_edit_that_is_taken_back_leaves_nothing_to_publish() {
    let setup = setup(&[both(&[LOGS])]);
    says(&scope(&setup, &["revoke", "--app", "both", "--bot", BOT, "--all"]), &["- logs:change_logs", "not live yet"]);
    says(&scope(&setup, &["grant", "--app", "both", "--bot", BOT, LOGS]), &["there is nothing to publish"]);
    scope(&setup, &["diff"]);
    says(
        &scope(&setup, &["revoke", "--app", "both", "--bot", BOT, CHAT]),
        &["nothing to change: the app holds none of them"],
    );
}

#[test]
fn permissions_on_tables_and_views_are_a_model_of_their_own() {
    let app = ci(&[]);
    let (gateway, _upstream) = start(std::slice::from_ref(&app));
    let setup = &gateway.setup;
    let query = Call::post("/api/public/tables/orders/query", "{}").auth(app.token());
    let insert = Call::post("/api/public/tables/orders", "{}").auth(app.token());
    let view = Call::post("/api/public/views/open/query", "{}").auth(app.token());
    assert_eq!(gateway.call(&query).status, 401);
    let said = scope(setup, &["grant", "--app", "ci", "--table", "orders", "--permission", "read"]);
    says(&said, &["app ci (named ci) on table orders: read (before: none)", "in force at once"]);
    soon(&gateway, &query, 200);
    assert_eq!(gateway.call(&insert).status, 401);
    scope(setup, &["grant", "--app", "ci", "--table", "orders", "--permission", "write"]);
    soon(&gateway, &insert, 200);
    assert_eq!(gateway.call(&query).status, 200, "what was granted before stays");
    scope(setup, &["grant", "--app", "ci", "--table", "orders", "--permission", "write", "--only"]);
    soon(&gateway, &query, 401);
    scope(setup, &["grant", "--app", "ci", "--view", "open"]);
    soon(&gateway, &view, 200);
    assert!(mappings(setup, &[]).is_empty());
    scope(setup, &["revoke", "--app", "ci", "--table", "orders"]);
    soon(&gateway, &insert, 401);
    assert_eq!(gateway.call(&view).status, 200);
    says(&scope(setup, &["revoke", "--app", "ci", "--table", "orders"]), &["nothing to change"]);
    says(&refused(setup, &["grant", "--app", "ci", "--table", "orders"]), &["--permission read,write,delete"]);
}

#[test]
fn scopes_that_two_people_grant_at_once_are_both_held() {
    let setup = setup(&[ci(&[]), admin(&[])]);
    let every = setup.json(&["catalog", "scopes", "--level", "bot", "--json"]);
    let every: Vec<_> =
        every.as_array().unwrap().iter().map(|s| s["id"].as_str().unwrap().to_owned()).take(6).collect();
    std::thread::scope(|threads| {
        for id in &every {
            let setup = &setup;
            threads.spawn(move || scope(setup, &["grant", "--app", "ci", id]));
        }
        for permission in ["read", "write", "delete"] {
            let setup = &setup;
            let grant = ["grant", "--app", "admin", "--table", "orders", "--permission", permission];
            threads.spawn(move || scope(setup, &grant));
        }
    });
    let mut wanted = every.clone();
    wanted.sort();
    assert_eq!(ids(&mappings(&setup, &[])[0], "draft_adds"), wanted);
    let tables = setup.json(&["scope", "list", "--json", "--app", "admin"])["tables"].clone();
    assert_eq!(tables[0]["permissions"], serde_json::json!(["read", "write", "delete"]));
}
