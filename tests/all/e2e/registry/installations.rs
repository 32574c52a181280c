use serde_json::{Value, json};

use super::{create, offline, text};
use crate::e2e::harness::texts;

#[test]
fn an_installation_is_made_shown_suspended_and_deleted() {
    let setup = offline();
    let made = create(&setup, &["--name", "merge", "--no-key", "--alg", "RS256"]);
    let (app, number) = (text(&made["client_id"]), made["number"].as_i64().unwrap());
    let install = ["installation", "create", "--app", &app, "--account", "acme"];
    let more = ["--permission", "contents=read", "--permission", "pull_requests=write", "--repository", "1=hello"];
    let dry = setup.run(&[&install[..], &more, &["--dry-run"]].concat());
    assert!(dry.status.code() == Some(2) && texts(&dry).0.contains("on account acme"), "{dry:?}");
    let installed = setup.json(&[&install[..], &more, &["--id", "42", "--json"]].concat());
    let shown = setup.json(&["installation", "show", "42", "--json"]);
    assert_eq!(installed, shown);
    assert_eq!(shown["permissions"], json!({ "contents": "read", "pull_requests": "write" }));
    assert_eq!(shown["repositories"], json!([{ "id": 1, "name": "hello" }]));
    assert_eq!((&shown["target"], &shown["suspended_at"]), (&json!("organization"), &Value::Null));
    assert!(setup.refused(&install).contains("is installed on account acme already, as installation 42"));
    let next = setup.succeed(&["installation", "create", "--app", &app, "--account", "globex", "--target", "user"]);
    assert!(next.contains("installation 43 of app") && next.contains("/app/installations/43/access_tokens"), "{next}");

    let ids = |arguments: &[&str]| {
        let list = setup.json(&[&["installation", "list", "--json"][..], arguments].concat());
        list.as_array().unwrap().iter().map(|entry| entry["id"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&["--app", &app]), [42, 43]);
    assert_eq!(ids(&["--account", "globex"]), [43]);
    setup.succeed(&["installation", "suspend", "42"]);
    assert_eq!(setup.succeed(&["installation", "suspend", "42"]), "nothing to change\n");
    assert!(setup.succeed(&["installation", "list"]).contains("suspended since "));
    setup.succeed(&["installation", "resume", "42"]);
    assert_eq!(setup.json(&["installation", "show", "42", "--json"])["suspended_at"], Value::Null);

    setup.succeed(&["installation", "delete", "42"]);
    assert!(setup.refused(&["installation", "show", "42"]).contains("installation 42 does not exist"));
    let swapped = setup.refused(&["installation", "suspend", &number.to_string()]);
    assert!(swapped.contains(&format!("{number} is the number of app {app}")), "{swapped}");
    setup.succeed(&["app", "delete", &app]);
    assert!(ids(&[]).is_empty(), "they go with their app");
}

#[test]
fn what_is_wrong_with_an_installation_is_told() {
    let setup = offline();
    let app = text(&create(&setup, &["--name", "merge", "--no-key"])["client_id"]);
    let install = ["installation", "create", "--app", &app];
    for (wrong, why) in [
        (["--permission", "pull-requests=read"], "lower-case words with underscores"),
        (["--permission", "contents=owner"], "a level is read, write or admin"),
        (["--permission", "contents"], "such as contents=read"),
        (["--repository", "hello"], "such as 1=hello"),
        (["--id", "0"], "from 1 to 9007199254740991"),
    ] {
        let done = setup.run(&[&install[..], &wrong].concat());
        assert!(done.status.code() == Some(64) && texts(&done).1.contains(why), "{done:?}");
    }
    assert!(setup.refused(&[&install[..], &["--repository", "1=acme/hello"]].concat()).contains("no owner before it"));
    assert!(setup.refused(&[&install[..], &["--account", "none"]].concat()).contains("account none does not exist"));
    assert!(setup.refused(&["installation", "create", "--app", "none"]).contains("app none does not exist"));
}
