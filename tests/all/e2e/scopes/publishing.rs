//! Rows about publishing, and what goes with it: preview, history, the way back.

use super::{
    BOT, CHAT, LOGS, SECOND_BOT, admin, assert_no_scope, both, chat_of, ci, ends, ids, logs_of, mappings, refused,
    says, scope, setup, soon, start,
};
use crate::e2e::harness::{Call, Setup, eventually};

#[test]
fn f132_a_scope_takes_effect_when_it_is_published() {
    let app = ci(&[]);
    let (gateway, upstream) = start(std::slice::from_ref(&app));
    let setup = &gateway.setup;
    let call = logs_of(&app);
    scope(setup, &["grant", "--app", "ci", LOGS]);
    // The gateway has followed, as its log tells, and still refuses.
    let found = eventually("the draft is known", || {
        let reply = gateway.call(&call);
        assert_eq!(reply.status, 401);
        gateway.logged(reply.request_id())["found"].as_str().filter(|found| found.contains("draft")).map(str::to_owned)
    });
    says(&found, &["waits for publishing"]);
    assert_no_scope(&gateway, &call);
    assert!(upstream.all().is_empty());
    scope(setup, &["publish", "--bot", BOT]);
    soon(&gateway, &call, 200);

    scope(setup, &["revoke", "--app", "ci", LOGS]);
    scope(setup, &["grant", "--app", "ci", CHAT]);
    eventually("the edited draft is known", || {
        let reply = gateway.call(&chat_of(&app));
        gateway.logged(reply.request_id())["found"].as_str().filter(|found| found.contains("draft")).map(|_| ())
    });
    assert_eq!(gateway.call(&call).status, 200, "what is revoked in the draft is still in force");
    scope(setup, &["publish", "--bot", BOT]);
    soon(&gateway, &call, 401);
    assert_no_scope(&gateway, &call);
}

#[test]
fn f133_a_publication_shows_the_scopes_and_one_of_the_bot_leaves_them_alone() {
    let (app, publisher) = (ci(&[LOGS]), admin(&["bot_publish:publish_request"]));
    let (gateway, upstream) = start(&[app.clone(), publisher.clone()]);
    let setup = &gateway.setup;
    scope(setup, &["grant", "--app", "ci", "--only", CHAT]);
    let preview = ends(setup, 2, &["publish", "--bot", BOT, "--dry-run"]);
    says(&preview, &["app ci (named ci) on bot", "level bot", "+ chat_history:read (Chat History)"]);
    says(&preview, &["- logs:change_logs (Logs History)", "nothing was changed (dry run)"]);

    let before = setup.succeed(&["export"]);
    let body = r#"{"versionComment":"new dialogs","initiateTraining":true}"#;
    let publish = Call::post(format!("/api/public/bot/{BOT}/publish"), body).auth(publisher.token());
    assert_eq!(gateway.call(&publish).status, 200);
    assert_eq!(upstream.all().len(), 1);
    assert_eq!(setup.succeed(&["export"]), before);
    assert_eq!(gateway.call(&logs_of(&app)).status, 200);
    assert_no_scope(&gateway, &chat_of(&app));
    assert_eq!(ids(&mappings(setup, &["--app", "ci"])[0], "draft_adds"), [CHAT]);
}

#[test]
fn a_comparison_tells_who_gains_and_loses_what() {
    let setup = setup(&[ci(&[LOGS]), both(&[LOGS])]);
    assert_eq!(scope(&setup, &["diff"]), "no draft differs from what is in force\n");
    scope(&setup, &["grant", "--app", "ci", "--only", CHAT]);
    scope(&setup, &["grant", "--app", "both", "--bot", SECOND_BOT, CHAT]);
    let all = ends(&setup, 2, &["diff"]);
    says(&all, &["app ci (named ci) on bot", "- logs:change_logs (Logs History)", "app both (named both) on bot"]);
    says(&all, &["not live yet: run `scopegate scope publish --all -c scopegate.toml`"]);
    let one = ends(&setup, 2, &["diff", "--bot", BOT]);
    assert!(!one.contains("app both"), "{one}");
    says(&one, &[&format!("run `scopegate scope publish --bot {BOT} --app ci -c scopegate.toml`")]);
    scope(&setup, &["grant", "--app", "ci", LOGS]);
    scope(&setup, &["grant", "--app", "both", "--bot", BOT, CHAT]);
    says(&ends(&setup, 2, &["diff", "--bot", BOT]), &[&format!("publish --bot {BOT} -c")]);
    says(&ends(&setup, 2, &["diff", "--app", "both"]), &["publish --app both -c"]);
    scope(&setup, &["revoke", "--app", "ci", LOGS]);
    let json = ends(&setup, 2, &["diff", "--app", "ci", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&json[0]["level"], ids(&json[0], "gains"), ids(&json[0], "loses")),
        (&"bot".into(), vec![CHAT.into()], vec![LOGS.into()])
    );
    assert_eq!(
        (&json[0]["gains"][0]["title"], json[0]["missed"].as_array().unwrap().len()),
        (&"Chat History".into(), 0)
    );

    says(&scope(&setup, &["publish", "--all", "--why", "spring"]), &["app ci", "app both", "published"]);
    assert_eq!(scope(&setup, &["publish", "--all"]), "nothing to publish\n");
}

#[test]
fn a_preview_names_the_apps_that_would_miss_a_scope_they_use() {
    let (used, idle, account) = (ci(&[LOGS, CHAT]), both(&[LOGS]), admin(&[LOGS]));
    let (gateway, _upstream) = start(&[used.clone(), idle, account.clone()]);
    let setup = &gateway.setup;
    assert_eq!(gateway.call(&logs_of(&used)).status, 200);
    assert_eq!(gateway.call(&logs_of(&account)).status, 200);
    scope(setup, &["revoke", "--app", "ci", "--all"]);
    scope(setup, &["revoke", "--app", "both", "--bot", BOT, "--all"]);
    let line = format!("app ci (named ci) on bot {BOT}: logs:change_logs (Logs History), last at 20");
    let preview = eventually("the use is written down", || {
        let preview = ends(setup, 2, &["publish", "--bot", BOT, "--dry-run"]);
        preview.contains("used in the last 24 hours").then_some(preview)
    });
    says(&preview, &["used in the last 24 hours, and lost:", &line]);
    assert_eq!(preview.matches("last at").count(), 1, "{preview}");
    says(&ends(setup, 2, &["diff"]), &[&line]);
    let json: serde_json::Value = serde_json::from_str(&ends(setup, 2, &["diff", "--app", "ci", "--json"])).unwrap();
    assert_eq!(ids(&json[0], "missed"), [LOGS]);

    // What acts at once warns as well.
    let revoke = ["revoke", "--app", "admin", LOGS, "--dry-run"];
    let line = "app admin (named admin) on account acme: logs:change_logs (Logs > Bot Audit Logs), last at 20";
    eventually("the use is written down", || ends(setup, 2, &revoke).contains(line).then_some(()));
}

#[test]
fn the_history_tells_what_changed_and_an_earlier_version_comes_back() {
    let app = ci(&[LOGS]);
    let (gateway, _upstream) = start(&[app.clone(), admin(&[LOGS])]);
    let setup = &gateway.setup;
    scope(setup, &["grant", "--app", "ci", "--only", CHAT]);
    scope(setup, &["publish", "--app", "ci", "--why", "chat instead of logs"]);
    soon(&gateway, &logs_of(&app), 401);
    scope(setup, &["grant", "--app", "ci", "bot_sessions:read"]);
    let back = ["rollback", "--app", "ci", "--to", "1"];
    says(&ends(setup, 2, &[&back[..], &["--dry-run"]].concat()), &["+ logs:change_logs", "- chat_history:read"]);
    let said = scope(setup, &[&back[..], &["--why", "logs are needed"]].concat());
    says(&said, &["in force: the scopes of version 1", "the draft keeps its edits"]);
    soon(&gateway, &logs_of(&app), 200);
    assert_no_scope(&gateway, &chat_of(&app));
    let mapping = mappings(setup, &["--app", "ci"])[0].clone();
    assert_eq!(
        (ids(&mapping, "scopes"), ids(&mapping, "draft_adds")),
        (vec![LOGS.into()], vec!["bot_sessions:read".into()])
    );
    assert!(ids(&mapping, "draft_removes").is_empty());
    says(&scope(setup, &back), &["nothing to change: the scopes of version 1 are in force"]);
    says(&refused(setup, &["rollback", "--app", "ci", "--to", "4"]), &["has no version 4: there are 1 to 3"]);

    let history = setup.json(&["scope", "history", "--app", "ci", "--json"]);
    let told: Vec<_> =
        history.as_array().unwrap().iter().map(|v| (v["version"].as_i64().unwrap(), v["why"].as_str())).collect();
    assert_eq!(told, [(3, Some("logs are needed")), (2, Some("chat instead of logs")), (1, None)]);
    assert_eq!((ids(&history[0], "gained"), ids(&history[0], "lost")), (vec![LOGS.into()], vec![CHAT.into()]));
    assert!(history[0]["by"].as_str().unwrap().starts_with("cli:tester@"), "{history}");
    let text = scope(setup, &["history", "--bot", BOT]);
    says(&text, &["+logs:change_logs -chat_history:read", "logs are needed"]);
    assert!(!text.contains("admin"), "{text}");
    says(&scope(setup, &["history"]), &["account acme"]);
}

#[test]
fn a_draft_that_breaks_a_rule_by_now_is_not_published() {
    let own = "[[scope]]\nid = \"own:read\"\ntitle = \"Our own\"\nlevels = [\"bot\"]\n";
    let setup = Setup::kore("http://127.0.0.1:9", own);
    setup.apply(&super::registry(&[ci(&[]), both(&[])]));
    scope(&setup, &["grant", "--app", "ci", "own:read"]);
    scope(&setup, &["grant", "--app", "both", "--bot", BOT, LOGS]);
    // Nobody declares the scope any more.
    setup.edit("own:read", "own:other");
    let undeclared = "no scope own:read is declared at level bot";
    says(&ends(&setup, 2, &["diff"]), &["can't be published", undeclared]);
    says(&refused(&setup, &["publish", "--all"]), &["nothing was published", undeclared]);
    assert!(mappings(&setup, &[]).iter().all(|mapping| ids(mapping, "scopes").is_empty()));
    scope(&setup, &["publish", "--app", "both"]);
}
