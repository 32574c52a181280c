use serde_json::{Value, json};

use super::{create, create_app, offline, text};
use crate::e2e::harness::now;

#[test]
fn the_audit_tells_who_changed_what_from_what_to_what_and_why() {
    let setup = offline();
    let (id, secret) = create_app(&setup, "ci");
    setup.succeed(&["app", "set", &id, "--name", "build", "--enforce-jti", "on", "--why", "a new team"]);
    let told = setup.succeed(&["audit", "--app", &id]);
    let lines: Vec<_> = told.lines().map(str::trim).collect();
    assert!(lines[0].contains("cli:tester@") && lines[0].contains(&format!("change app {id}")), "{told}");
    assert_eq!(lines[1..4], ["enforce_jti: false -> true", "name: \"ci\" -> \"build\"", "why: a new team"]);
    assert!(told.contains("add key") && told.contains("add app") && !told.contains(&secret), "{told}");
    // Newest first, and none twice on the next page.
    let pages = |more: &[&str]| setup.json(&[&["audit", "--app", &id, "--limit", "2", "--json"], more].concat());
    let first = pages(&[]);
    let next = pages(&["--before", &first[1]["id"].to_string()]);
    let actions: Vec<_> = [&first, &next].iter().flat_map(|page| page.as_array().unwrap()).map(kind).collect();
    assert_eq!(actions, ["change app", "add key", "add app"]);
    assert!(setup.succeed(&["audit", "--app", &id, "--limit", "2"]).contains("older rows: --before "));
}

fn kind(row: &Value) -> String {
    format!("{} {}", text(&row["action"]), text(&row["kind"]))
}

#[test]
fn the_audit_is_read_by_account_actor_and_time() {
    let setup = offline();
    let (mine, _) = create_app(&setup, "ci");
    let other = text(&create(&setup, &["--name", "ci", "--account", "globex"])["client_id"]);
    let rows = |arguments: &[&str]| setup.json(&[&["audit", "--json"], arguments].concat()).as_array().unwrap().clone();
    let of_acme = rows(&["--account", "acme"]);
    assert!(of_acme.iter().all(|row| row["account"] == "acme"), "{of_acme:?}");
    assert!(of_acme.iter().any(|row| row["subject"] == json!(mine)));
    assert!(of_acme.iter().all(|row| row["subject"] != json!(other)));
    let actor = text(&of_acme[0]["actor"]);
    assert_eq!(rows(&["--actor", &actor]).len(), rows(&[]).len());
    assert!(rows(&["--actor", "cli:nobody@nowhere"]).is_empty());
    assert_eq!(rows(&["--since", &(now() - 3600).to_string()]).len(), rows(&[]).len());
    assert!(rows(&["--since", "2999-01-01T00:00:00Z"]).is_empty());
    assert!(setup.succeed(&["audit", "--since", "2999-01-01T00:00:00Z"]).contains("nothing was changed"));
}

#[test]
fn no_terminal_obeys_what_stands_in_the_audit() {
    let setup = offline();
    setup.succeed(&["account", "add", "x", "--why", "\u{1b}[2Jgone"]);
    let told = setup.succeed(&["audit", "--limit", "1"]);
    assert!(!told.contains('\u{1b}') && told.contains("gone"), "{told:?}");
}
