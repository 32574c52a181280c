//! The registry as a file, applied while calls are taken.

use super::{PATH, app, call, ci, registry, start};
use crate::e2e::harness::{Call, Registry, eventually, texts};

#[test]
fn a_change_acts_within_a_second() {
    let (gateway, _upstream) = start(&registry(&[]));
    // One token for all calls, so that it is remembered.
    let call = call(&ci());
    assert_eq!(gateway.call(&call).status, 401);
    let granted = registry(&[ci()]);
    gateway.apply_until(&granted, "the new app is let through", || gateway.call(&call).status == 200);
    // What was verified and remembered does not outlive the change.
    let disabled = registry(&[ci().settings("enabled = false")]);
    gateway.apply_until(&disabled, "the disabled app is refused", || gateway.call(&call).status == 401);
    let reply = gateway.call(&call);
    assert_eq!(gateway.reason(&reply), "app.disabled");
    gateway.apply_until(&granted, "the enabled app is let through", || gateway.call(&call).status == 200);
    let other = registry(&[app("ci", &["chat_history:read"])]);
    gateway.apply_until(&other, "the scope is gone", || gateway.call(&call).status == 401);
    assert_eq!(gateway.reason(&gateway.call(&call)), "scope.insufficient");
}

#[test]
fn a_dry_run_tells_what_would_change_and_changes_nothing() {
    let (gateway, _upstream) = start(&registry(&[]));
    let setup = &gateway.setup;
    let before = setup.succeed(&["export", "--secrets", "plain"]);
    setup.write("registry.toml", registry(&[ci()]).as_str());
    let dry = setup.run(&["apply", "-f", "registry.toml", "--dry-run"]);
    let (out, err) = texts(&dry);
    assert_eq!((dry.status.code(), err.as_str()), (Some(2), ""));
    for line in ["add app ci (named ci)", "add key ", "set grant to app ci", "nothing was changed (dry run)"] {
        assert!(out.contains(line), "{out}");
    }
    assert!(!out.contains(&ci().secret()), "{out}");
    assert_eq!(setup.succeed(&["export", "--secrets", "plain"]), before);
    assert_eq!(gateway.call(&call(&ci())).status, 401);

    setup.succeed(&["apply", "-f", "registry.toml"]);
    let dry = setup.run(&["apply", "-f", "registry.toml", "--dry-run"]);
    assert_eq!((dry.status.code(), texts(&dry).0.as_str()), (Some(0), "nothing to change\n"));
}

#[test]
fn only_a_pruning_apply_deletes() {
    let chat = app("chat", &["chat_history:read"]);
    let (gateway, _upstream) = start(&registry(&[ci(), chat.clone()]));
    let (setup, call) = (&gateway.setup, call(&ci()));
    setup.write("registry.toml", registry(std::slice::from_ref(&chat)).as_str());
    assert_eq!(setup.succeed(&["apply", "-f", "registry.toml"]), "nothing to change\n");
    assert_eq!(gateway.call(&call).status, 200);

    let dry = setup.run(&["apply", "-f", "registry.toml", "--prune", "--dry-run"]);
    assert_eq!(dry.status.code(), Some(2));
    assert!(texts(&dry).0.starts_with("delete app ci\n"), "{}", texts(&dry).0);
    assert_eq!(gateway.call(&call).status, 200);
    setup.succeed(&["apply", "-f", "registry.toml", "--prune"]);
    eventually("the app is gone", || (gateway.call(&call).status == 401).then_some(()));
    assert_eq!(gateway.reason(&gateway.call(&call)), "app.unknown");
    let path = PATH.replace("changelogs", "getMessages");
    assert_eq!(gateway.call(&Call::get(path).auth(chat.token())).status, 200);
}

#[test]
fn a_draft_is_not_live_before_it_is_published() {
    let (gateway, upstream) = start(&registry(&[app("ci", &[])]));
    let setup = &gateway.setup;
    let granted = registry(&[ci()]);
    setup.write("registry.toml", granted.as_str());
    let told = setup.succeed(&["apply", "-f", "registry.toml", "--draft"]);
    assert!(told.contains("drafts are not live: apply the file without --draft to publish them"), "{told}");
    let (goes_on, text) = setup.explain(&ci().token(), "GET", PATH, &[]);
    assert!(!goes_on && text.contains("it is in the draft and waits for publishing"), "{text}");
    // The gateway has followed when its log says so too.
    let found = eventually("the draft is followed", || {
        let reply = gateway.call(&call(&ci()));
        let line = gateway.logged(reply.request_id());
        assert_eq!((reply.status, &line["reason"]), (401, &"scope.insufficient".into()));
        line["found"].as_str().filter(|found| found.contains("draft")).map(str::to_owned)
    });
    assert!(found.contains("waits for publishing"), "{found}");
    assert!(upstream.all().is_empty());
    gateway.apply_until(&granted, "the grant is published", || gateway.call(&call(&ci())).status == 200);
    let (goes_on, text) = setup.explain(&ci().token(), "GET", PATH, &[]);
    assert!(goes_on && text.contains("the call goes on"), "{text}");
}

#[test]
fn an_export_applied_again_changes_nothing() {
    let strange = app("a \"quoted\" id = [x] # \\ with ~ everything", &["logs:change_logs"]);
    let second = "\n[[key]]\napp = \"ci\"\nkid = \"next\"\nsecret = \"another secret, which is also long enough\"";
    let ci = ci().settings("max_lifetime = \"1h\"\nrequire_exp = true");
    let ci = ci.clone().key(format!("kid = \"first\"\n{}{second}", ci.key));
    let tables = "[[table_grant]]\napp = \"ci\"\ntable = \"orders\"\npermissions = [\"read\", \"delete\"]";
    let hosts = "[[account]]\nid = \"globex\"\nhosts = [\"bots.globex.example\"]";
    let wanted = registry(&[ci, app("no-scopes", &[]), strange]).lines(tables).lines(hosts);
    let (gateway, _upstream) = start(&wanted);
    let setup = &gateway.setup;
    for secrets in ["omit", "plain"] {
        let export = setup.succeed(&["export", "--secrets", secrets]);
        assert_eq!(export.contains(&super::ci().secret()), secrets == "plain", "{export}");
        setup.write("export.toml", &export);
        let again = setup.succeed(&["apply", "-f", "export.toml", "--prune"]);
        assert_eq!(again, "nothing to change\n", "{export}");
    }
    // A plain one makes a registry anew.
    let other = crate::e2e::harness::Setup::kore("http://127.0.0.1:9", "");
    other.write("registry.toml", &setup.succeed(&["export", "--secrets", "plain"]));
    other.succeed(&["apply", "-f", "registry.toml"]);
    assert_eq!(other.succeed(&["export", "--secrets", "plain"]), setup.succeed(&["export", "--secrets", "plain"]));
}

#[test]
fn what_is_wrong_with_a_registry_file_is_told_with_its_line() {
    let (gateway, _upstream) = start(&registry(&[ci()]));
    let setup = &gateway.setup;
    let before = setup.succeed(&["export"]);
    let head = registry(&[]).as_str().lines().count();
    let app =
        "[[app]]\nclient_id = \"x\"\nname = \"x\"\naccount = \"acme\"\nlevel = \"account\"\nalgorithms = [\"HS256\"]\n";
    for (lines, line, message) in [
        ("[[bot]]\nid = \"st-x\"\naccount = \"nobody\"", 1, "account nobody does not exist"),
        ("[[app]]\nclient_id = \"x\"\nnme = \"x\"", 3, "did you mean \"name\"?"),
        (&format!("{app}[[key]]\napp = \"x\"\nsecret = \"short\""), 9, "the secret has 5 bytes; it needs at least 32"),
        (&format!("{app}[[key]]\napp = \"x\"\nsecret_file = \"none.txt\""), 9, "none.txt"),
        (
            &format!("{app}[[grant]]\napp = \"x\"\naccount = \"acme\"\nscopes = [\"logs:change_log\"]"),
            7,
            "logs:change_log",
        ),
        ("[[grant]]\napp = \"nobody\"\naccount = \"acme\"\nscopes = []", 1, "app nobody does not exist"),
        ("[[grant]]\napp = \"ci\"\nbot = \"st-other\"\nscopes = []", 1, "app ci is not an app of bot st-other"),
        ("[[table_grant]]\napp = \"ci\"\npermissions = [\"read\"]", 1, "a table grant is on a table or on a view"),
        (
            "[[table_grant]]\napp = \"ci\"\ntable = \"a/b\"\npermissions = [\"read\"]",
            3,
            "no call can name a table \"a/b\"",
        ),
        ("[[table_grant]]\napp = \"ci\"\nview = \"\"\npermissions = [\"read\"]", 3, "the name of the view is empty"),
        ("version = ", 1, ""),
    ] {
        setup.write("bad.toml", Registry::lines(registry(&[]), lines).as_str());
        let failed = setup.run(&["apply", "-f", "bad.toml"]);
        let (out, err) = texts(&failed);
        assert_eq!((failed.status.code(), out.as_str()), (Some(1), ""), "{lines}");
        assert!(err.contains(&format!("bad.toml:{}: ", head + line)), "{lines}: {err}");
        assert!(err.contains(message), "{lines}: {err}");
    }
    assert_eq!(setup.succeed(&["export"]), before);
}
