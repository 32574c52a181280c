//! Drafts in the registry file.

use super::{BOT, CHAT, LOGS, SECOND_BOT, admin, both, ci, ends, ids, mappings, registry, says, scope, setup};
use crate::e2e::harness::{Setup, texts};

#[test]
fn an_export_holds_drafts_and_applied_again_changes_nothing() {
    let setup = setup(&[ci(&[LOGS]), both(&[]), admin(&[LOGS])]);
    scope(&setup, &["grant", "--app", "ci", "--only", CHAT]);
    scope(&setup, &["grant", "--app", "both", "--bot", SECOND_BOT, LOGS]);
    let export = setup.run(&["export", "--secrets", "plain"]);
    let (text, complaints) = texts(&export);
    assert_eq!(complaints, "");
    assert_eq!(text.matches("\ndraft = ").count(), 2, "{text}");
    says(
        &text,
        &[
            "scopes = [\"logs:change_logs\"]\ndraft = [\"chat_history:read\"]",
            "scopes = []\ndraft = [\"logs:change_logs\"]",
        ],
    );
    setup.write("export.toml", &text);
    assert_eq!(setup.succeed(&["apply", "-f", "export.toml", "--prune"]), "nothing to change\n");

    let other = Setup::kore("http://127.0.0.1:9", "");
    other.write("export.toml", &text);
    says(
        &other.succeed(&["apply", "-f", "export.toml"]),
        &["drafts are not live: run `scopegate scope publish` to publish them"],
    );
    assert_eq!(other.succeed(&["export", "--secrets", "plain"]), text);
    let (here, there) = (ends(&setup, 2, &["diff", "--json"]), ends(&other, 2, &["diff", "--json"]));
    assert_eq!(here, there);
}

#[test]
fn a_draft_in_a_file_waits_beside_what_is_in_force() {
    let setup = setup(&[ci(&[])]);
    let apply = |lines: &str, more: &[&str]| {
        let grant = format!("[[grant]]\napp = \"ci\"\nbot = {BOT:?}\n{lines}");
        setup.write("draft.toml", registry(&[ci(&[])]).lines(&grant).as_str());
        setup.run(&[&["apply", "-f", "draft.toml"], more].concat())
    };
    let sets = || {
        let mapping = mappings(&setup, &[])[0].clone();
        (
            ids(&mapping, "scopes"),
            ids(&mapping, "draft_adds"),
            ids(&mapping, "draft_removes"),
            mapping["version"].clone(),
        )
    };
    let (logs, chat, none) = (vec![LOGS.to_owned()], vec![CHAT.to_owned()], Vec::<String>::new());
    assert!(apply("scopes = [\"logs:change_logs\"]\ndraft = [\"chat_history:read\"]", &[]).status.success());
    assert_eq!(sets(), (logs.clone(), chat.clone(), logs.clone(), 1.into()));
    // What is in force changes under a draft that stays.
    assert!(apply("scopes = []\ndraft = [\"chat_history:read\"]", &[]).status.success());
    assert_eq!(sets(), (none.clone(), chat.clone(), none.clone(), 2.into()));
    // With --draft, what is in force stays.
    assert!(apply("scopes = [\"logs:change_logs\"]\ndraft = [\"logs:change_logs\"]", &["--draft"]).status.success());
    assert_eq!(sets(), (none.clone(), logs.clone(), none.clone(), 2.into()));
    // Without a draft there is none.
    assert!(apply("scopes = []", &[]).status.success());
    assert_eq!(sets(), (none.clone(), none.clone(), none, 2.into()));
    let unknown = apply("scopes = []\ndraft = [\"logs:change_log\"]", &[]);
    says(
        &texts(&unknown).1,
        &["draft.toml:", "no scope logs:change_log is declared", "did you mean logs:change_logs?"],
    );
}

#[test]
fn a_grant_on_an_account_has_no_draft() {
    let setup = setup(&[admin(&[])]);
    let grant = "[[grant]]\napp = \"admin\"\naccount = \"acme\"\nscopes = []\ndraft = [\"logs:change_logs\"]";
    setup.write("draft.toml", registry(&[admin(&[])]).lines(grant).as_str());
    let refused = setup.run(&["apply", "-f", "draft.toml"]);
    assert_eq!(refused.status.code(), Some(1));
    says(&texts(&refused).1, &["draft.toml:", "a grant on account acme is in force at once: it has no draft"]);
}
