use serde_json::{Value, json};

use super::offline;
use crate::e2e::harness::{Setup, texts};

const PASSWORD: &str = "correct horse battery";

fn create(setup: &Setup, arguments: &[&str]) -> String {
    let input = format!("{PASSWORD}\n");
    let done = setup.feed(&[&["service", "create", "--password-stdin"][..], arguments].concat(), &input);
    assert!(done.status.success(), "{done:?}");
    texts(&done).0
}

#[test]
fn a_service_account_is_made_shown_switched_and_deleted() {
    let setup = offline();
    let made = create(&setup, &["care backend", "--account", "acme", "--role", "bot-api", "--json"]);
    let shown = json!({
        "name": "care backend", "account": "acme", "kind": "service", "roles": ["bot-api"], "enabled": true, "warning": null,
    });
    assert_eq!(serde_json::from_str::<Value>(&made).unwrap(), shown);
    assert_eq!(setup.json(&["service", "show", "care backend", "--json"]), shown);
    assert_eq!(setup.json(&["service", "list", "--account", "acme", "--json"]), json!([shown]));
    assert_eq!(setup.json(&["service", "list", "--account", "globex", "--json"]), json!([]));
    assert!(setup.succeed(&["service", "list"]).contains("care backend  acme     service  bot-api  enabled"));
    let dry = setup.run(&["service", "disable", "care backend", "--dry-run"]);
    assert!(dry.status.code() == Some(2) && texts(&dry).0.contains(": disabled"), "{dry:?}");
    setup.succeed(&["service", "disable", "care backend", "--why", "a leak"]);
    assert!(setup.succeed(&["service", "show", "care backend"]).contains("disabled: it can't sign in"));
    setup.succeed(&["service", "enable", "care backend"]);

    setup.write("same.password", &format!("{PASSWORD}\n"));
    let passwd = |file: &str| setup.succeed(&["service", "passwd", "care backend", "--password-file", file]);
    assert_eq!(passwd("same.password"), "nothing to change\n");
    setup.write("other.password", "another long password");
    assert!(passwd("other.password").contains("with a new password"));
    let audit = setup.succeed(&["audit", "--account", "acme"]);
    assert!(audit.contains("change service_account care backend") && audit.contains("why: a leak"), "{audit}");
    assert!(!audit.contains("argon2id") && !audit.contains("horse"), "{audit}");

    setup.succeed(&["service", "delete", "care backend"]);
    assert_eq!(
        setup.refused(&["service", "show", "care backend"]).trim(),
        "scopegate: service account care backend does not exist"
    );
    assert!(setup.succeed(&["service", "list"]).contains("no service accounts"));
}

#[test]
fn a_password_comes_by_file_environment_or_standard_input_and_is_long_enough() {
    let setup = offline();
    setup.write("short.password", "hunter2\n");
    let create = ["service", "create", "s"];
    let why = setup.refused(&[&create[..], &["--password-file", "short.password"]].concat());
    assert!(why.contains("at least 12 characters") && !why.contains("hunter2"), "{why}");
    assert_eq!(setup.run(&create).status.code(), Some(64), "none is given");
    assert_eq!(setup.run(&["service", "create", "a:b", "--password-stdin"]).status.code(), Some(64));
    let by_variable = [&create[..], &["--password-env", "SERVICE_PASSWORD"]].concat();
    assert!(setup.refused(&by_variable).contains("the environment has no SERVICE_PASSWORD"));
    let done = setup.run_with(&by_variable, &[("SERVICE_PASSWORD", PASSWORD)]);
    assert!(done.status.success() && texts(&done).0.contains("it has no roles"), "{done:?}");
    let again = setup.run_with(&by_variable, &[("SERVICE_PASSWORD", PASSWORD)]);
    assert!(texts(&again).1.contains("s exists already, in account default"), "{again:?}");
}

#[test]
fn f041_a_person_who_may_make_tokens_is_pointed_out_wherever_the_registry_is_looked_at() {
    let setup = offline();
    let warned = |arguments: &[&str]| {
        let done = setup.run(arguments);
        assert!(done.status.success(), "{done:?}");
        texts(&done).1.contains("warning: service account ana belongs to a person and has the role bot-api")
    };
    assert!(!warned(&["check"]));
    let file = "version = 1\n[[service_account]]\nname = \"ana\"\nkind = \"person\"\nroles = [\"bot-api\"]\n";
    setup.write("registry.toml", &format!("{file}password = \"{PASSWORD}\""));
    assert!(warned(&["apply", "-f", "registry.toml"]));
    for command in
        [&["check"][..], &["service", "list"], &["service", "show", "ana"], &["apply", "-f", "registry.toml"]]
    {
        assert!(warned(command), "{command:?}");
    }
    let entry = &setup.json(&["service", "list", "--json"])[0];
    assert!(entry["warning"].as_str().unwrap().contains("kind service"), "{entry}");
    setup.write("registry.toml", &file.replace("person", "service"));
    assert!(!warned(&["apply", "-f", "registry.toml"]) && !warned(&["check"]));
}
