use serde_json::json;

use super::{BOT, SECOND_BOT, create, create_app, offline, text};

#[test]
fn accounts_are_added_listed_shown_and_deleted_once_they_are_empty() {
    let setup = offline();
    let added = setup.json(&["account", "add", "new", "--host", "new.example", "--json"]);
    assert_eq!(added, json!({ "id": "new", "hosts": ["new.example"] }));
    assert!(setup.refused(&["account", "add", "new"]).contains("account new exists already; `account host add`"));
    let listed = setup.json(&["account", "list", "--json"]);
    let acme = listed.as_array().unwrap().iter().find(|account| account["id"] == "acme").unwrap();
    assert_eq!((&acme["bots"], &acme["apps"]), (&json!(2), &json!(0)));
    assert!(setup.succeed(&["account", "list"]).contains("new.example"));

    let (id, _) = create_app(&setup, "ci");
    let shown = setup.json(&["account", "show", "acme", "--json"]);
    assert_eq!((&shown["apps"][0]["client_id"], &shown["bots"]), (&json!(id), &json!([BOT, SECOND_BOT])));
    assert!(setup.succeed(&["account", "show", "acme"]).contains(&format!("{id} (ci)")));
    let held = setup.refused(&["account", "delete", "acme"]);
    assert!(held.contains(&format!("it has app {id}")) && held.contains(&format!("bot {BOT}")), "{held}");
    assert!(setup.refused(&["account", "delete", "default"]).contains("always exists"));
    setup.succeed(&["account", "delete", "new"]);
    assert!(setup.refused(&["account", "show", "new"]).contains("account new does not exist"));
}

#[test]
fn a_host_is_given_to_one_account_and_taken_from_it() {
    let setup = offline();
    setup.succeed(&["account", "host", "add", "acme", "bots.example", "acme.example"]);
    let taken = setup.refused(&["account", "host", "add", "globex", "bots.example"]);
    assert!(taken.contains("host bots.example can't belong to both account acme and account globex"), "{taken}");
    assert_eq!(setup.succeed(&["account", "host", "add", "acme", "bots.example"]), "nothing to change\n");
    setup.succeed(&["account", "host", "remove", "acme", "bots.example"]);
    assert_eq!(setup.json(&["account", "show", "acme", "--json"])["hosts"], json!(["acme.example"]));
    assert!(setup.refused(&["account", "host", "remove", "acme", "bots.example"]).contains("has no host bots.example"));
    let port = setup.run(&["account", "host", "add", "acme", "bots.example:443"]);
    assert_eq!(port.status.code(), Some(64));
    assert!(crate::e2e::harness::texts(&port).1.contains("without port"));
}

#[test]
fn bots_are_added_listed_and_deleted_once_no_app_names_them() {
    let setup = offline();
    let added = setup.json(&["bot", "add", "st-new", "--account", "globex", "--json"]);
    assert_eq!(added, json!({ "id": "st-new", "account": "globex" }));
    let there = setup.refused(&["bot", "add", "st-new", "--account", "acme"]);
    assert!(there.contains("bot st-new exists already, in account globex"), "{there}");
    assert!(setup.refused(&["bot", "add", "st-x", "--account", "none"]).contains("account none does not exist"));
    let listed = setup.json(&["bot", "list", "--account", "acme", "--json"]);
    assert_eq!(listed, json!([{ "id": BOT, "account": "acme" }, { "id": SECOND_BOT, "account": "acme" }]));
    assert!(!setup.succeed(&["bot", "list", "--account", "acme"]).contains("globex"));
    assert!(setup.refused(&["bot", "list", "--account", "none"]).contains("account none does not exist"));

    let id = text(&create(&setup, &["--name", "ci", "--account", "acme", "--bot", BOT])["client_id"]);
    let held = setup.refused(&["bot", "delete", BOT]);
    assert!(held.contains(&format!("it is named by app {id}")), "{held}");
    setup.succeed(&["app", "delete", &id]);
    setup.succeed(&["bot", "delete", BOT]);
    assert!(setup.refused(&["bot", "delete", BOT]).contains("does not exist"));
}
