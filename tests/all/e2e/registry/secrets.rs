//! Where secrets come from, and where they are seen.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{create_app, offline, setup, signed, start, text};
use crate::e2e::harness::{eventually, texts};

const SECRET: &str = "a secret that was there before, and is long enough";

#[test]
fn f084_a_client_id_and_a_secret_are_made_with_the_app() {
    let (gateway, _upstream) = start();
    let setup = &gateway.setup;
    let app = super::create(setup, &["--name", "ci", "--account", "acme"]);
    let (id, secret) = (text(&app["client_id"]), text(&app["client_secret"]));
    let parts: Vec<_> = id.strip_prefix("cs-").unwrap().split('-').collect();
    assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12], "{id}");
    assert!(parts.concat().bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')), "{id}");
    let decoded = STANDARD.decode(&secret).unwrap();
    assert_eq!((secret.len(), decoded.len(), &app["name"]), (44, 32, &json!("ci")));
    // The text is the secret, not what it decodes to.
    eventually("the app is known", || (gateway.call(&signed(&id, &secret)).status == 200).then_some(()));
    let wrong = super::any(&crate::e2e::harness::Token::of(&id).sign(decoded));
    assert_eq!(gateway.reason(&gateway.call(&wrong)), "token.signature_invalid");

    let told = setup.succeed(&["app", "create", "--name", "told", "--account", "acme"]);
    let value = |name| told.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    let (id, secret) = (value("client id"), value("client secret"));
    eventually("it is known, too", || (gateway.call(&signed(&id, &secret)).status == 200).then_some(()));
    // What is granted on an account is in force at once; on a bot it has to be published.
    assert!(told.contains("scopegate scope grant --app cs-") && !told.contains("publish"), "{told}");
    let told = setup.succeed(&["app", "create", "--name", "bot", "--account", "acme", "--bot", super::BOT]);
    assert!(told.contains("scopegate scope publish --app cs-") && told.contains("not live before"), "{told}");
}

#[test]
fn a_secret_that_is_made_goes_into_a_file_of_its_owner_alone() {
    let (gateway, _upstream) = start();
    let setup = &gateway.setup;
    let path = setup.path().join("ci.secret");
    let app = super::create(setup, &["--name", "ci", "--secret-out", "ci.secret"]);
    assert_eq!(app["client_secret"], Value::Null);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    let (id, secret) = (text(&app["client_id"]), setup.read("ci.secret").trim().to_owned());
    eventually("the app is known", || (gateway.call(&signed(&id, &secret)).status == 200).then_some(()));
    // A file that is there is not written over, and then there is no app either.
    let there = setup.refused(&["app", "create", "--name", "second", "--secret-out", "ci.secret"]);
    assert!(there.contains("ci.secret"), "{there}");
    assert_eq!(setup.read("ci.secret").trim(), secret);
    assert_eq!(setup.json(&["app", "list", "--json"]).as_array().unwrap().len(), 1);
    // No app, no file.
    setup.refused(&["app", "create", "--name", "ci", "--secret-out", "other.secret"]);
    assert!(!setup.path().join("other.secret").exists());
}

#[test]
fn a_secret_that_is_there_comes_by_file_environment_or_standard_input() {
    let (gateway, _upstream) = start();
    let setup = &gateway.setup;
    setup.write("ci.secret", &format!("{SECRET}\n"));
    setup.succeed(&["app", "create", "--name", "file", "--client-id", "file", "--secret-file", "ci.secret"]);
    let by_env = ["app", "create", "--name", "env", "--client-id", "env", "--secret-env", "CI_SECRET"];
    assert!(setup.refused(&by_env).contains("the environment has no CI_SECRET"));
    let done = setup.run_with(&by_env, &[("CI_SECRET", SECRET)]);
    assert!(done.status.success(), "{}", texts(&done).1);
    assert!(!texts(&done).0.contains(SECRET));
    let by_stdin = ["app", "create", "--name", "stdin", "--client-id", "stdin", "--secret-stdin"];
    let short = setup.feed(&by_stdin, "short\n");
    assert!(texts(&short).1.contains("at least 32"), "{}", texts(&short).1);
    let done = setup.feed(&by_stdin, &format!("{SECRET}\n"));
    assert!(done.status.success() && !texts(&done).0.contains(SECRET), "{}", texts(&done).1);
    for id in ["file", "env", "stdin"] {
        eventually("the app is known", || (gateway.call(&signed(id, SECRET)).status == 200).then_some(()));
    }
    let both = ["app", "create", "--name", "x", "--secret-stdin", "--generate"];
    assert_eq!(setup.run(&both).status.code(), Some(64));
}

/// The newest rows of the audit that tell of a secret that was asked for.
fn reveals(setup: &crate::e2e::harness::Setup, id: &str) -> Vec<Value> {
    let rows = setup.json(&["audit", "--app", id, "--json"]);
    rows.as_array().unwrap().iter().filter(|row| row["action"] == "reveal").cloned().collect()
}

#[test]
fn f085_a_secret_is_shown_once_and_the_refusal_to_show_it_again_is_audited() {
    let setup = offline();
    let (id, secret) = create_app(&setup, "ci");
    let why = setup.refused(&["app", "show", &id, "--reveal-secret", "--why", "lost it"]);
    assert!(why.contains("shown once") && why.contains(&format!("scopegate key rotate {id}")), "{why}");
    let rows = reveals(&setup, &id);
    let row = (&rows[0]["kind"], &rows[0]["account"], &rows[0]["after"], &rows[0]["why"]);
    assert_eq!(row, (&json!("key"), &json!("acme"), &json!({ "shown": false }), &json!("lost it")));
    assert_eq!(rows.len(), 1);
    for command in [&["app", "show", &id][..], &["app", "list"], &["key", "list", &id], &["audit"], &["export"]] {
        assert!(!setup.succeed(command).contains(&secret), "{command:?}");
    }
}

#[test]
fn f085_a_viewable_secret_is_shown_to_whoever_asks_and_that_is_audited() {
    let setup = setup("http://127.0.0.1:9", "[registry]\nsecrets = \"viewable\"");
    let (id, secret) = create_app(&setup, "ci");
    assert!(!setup.succeed(&["app", "show", &id]).contains(&secret), "only who asks is shown");
    assert!(reveals(&setup, &id).is_empty());
    let told = setup.succeed(&["app", "show", &id, "--reveal-secret", "--why", "a new machine"]);
    assert!(told.contains(&secret), "{told}");
    let shown = setup.json(&["app", "show", &id, "--reveal-secret", "--json"]);
    assert_eq!(shown["keys"][0]["secret"], json!(secret));
    let rows = reveals(&setup, &id);
    assert_eq!(rows.len(), 2);
    assert_eq!((&rows[1]["after"], &rows[1]["why"]), (&json!({ "shown": true }), &json!("a new machine")));
    assert!(text(&rows[1]["actor"]).starts_with("cli:tester@"));
    assert!(!setup.succeed(&["audit"]).contains(&secret));
}

#[test]
fn who_exports_secrets_in_the_clear_stands_in_the_audit() {
    let setup = offline();
    create_app(&setup, "ci");
    setup.succeed(&["export"]);
    let newest = |setup: &crate::e2e::harness::Setup| setup.json(&["audit", "--limit", "1", "--json"])[0].clone();
    assert_ne!(newest(&setup)["action"], "reveal");
    setup.succeed(&["export", "--secrets", "plain"]);
    let row = newest(&setup);
    assert_eq!((&row["action"], &row["kind"], &row["subject"]), (&json!("reveal"), &json!("registry"), &json!("all")));
}
