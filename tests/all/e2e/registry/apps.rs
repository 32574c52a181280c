use std::time::Duration;

use serde_json::json;

use super::{BOT, SECOND_BOT, any, changelogs, create, create_app, grant, offline, signed, start, text};
use crate::e2e::harness::{Call, Setup, Token, eventually, texts, within};

#[test]
fn f008_an_app_that_is_created_by_command_calls_the_bot_that_it_is_granted() {
    let (gateway, _upstream) = start();
    let setup = &gateway.setup;
    let app = create(setup, &["--name", "ci", "--account", "acme", "--bot", BOT]);
    let (id, secret) = (text(&app["client_id"]), text(&app["client_secret"]));
    assert_eq!((&app["level"], &app["bots"]), (&json!("bot"), &json!([BOT])));
    grant(setup, &id, &format!("bot = {BOT:?}"), "logs:change_logs", &[]);
    let call = |bot| Call::get(changelogs(bot)).auth(Token::of(&id).sign(&secret));
    eventually("the grant is in force", || (gateway.call(&call(BOT)).status == 200).then_some(()));
    assert_eq!(gateway.call(&call(SECOND_BOT)).status, 401);
}

#[test]
fn f025_the_apps_of_one_account_are_never_listed_with_those_of_another() {
    let setup = offline();
    // Whoever runs the commands administers both.
    for (name, account) in [("one", "acme"), ("two", "acme"), ("one", "globex"), ("three", "globex")] {
        create(&setup, &["--name", name, "--account", account]);
    }
    for (account, names) in [("acme", ["one", "two"]), ("globex", ["one", "three"])] {
        let apps = setup.json(&["app", "list", "--account", account, "--json"]);
        let apps = apps.as_array().unwrap();
        assert!(apps.iter().all(|app| app["account"] == account), "{apps:?}");
        let mut found: Vec<_> = apps.iter().map(|app| text(&app["name"])).collect();
        found.sort();
        assert_eq!(found, names);
        let other = if account == "acme" { "globex" } else { "acme" };
        assert!(!setup.succeed(&["app", "list", "--account", account]).contains(other));
    }
    assert!(setup.refused(&["app", "list", "--account", "none"]).contains("account none does not exist"));
}

#[test]
fn f074_an_app_needs_a_name_that_no_other_of_its_account_has() {
    let setup = offline();
    create_app(&setup, "ci");
    let empty = setup.refused(&["app", "create", "--name", "", "--account", "acme"]);
    assert_eq!(empty, "scopegate: an app needs a name\n");
    let taken = setup.refused(&["app", "create", "--name", "ci", "--account", "acme"]);
    assert!(taken.contains("account acme has an app \"ci\" already, cs-"), "{taken}");
    create(&setup, &["--name", "ci", "--account", "globex"]);
    let (other, _) = create_app(&setup, "other");
    assert!(setup.refused(&["app", "set", &other, "--name", "ci"]).contains("take another name"));
    // A file obeys the same rule, and one with the stored names changes nothing.
    let app = "[[app]]\nclient_id = \"x\"\nname = \"ci\"\naccount = \"acme\"\nlevel = \"account\"\n";
    setup.write("bad.toml", &format!("version = 1\n{app}algorithms = [\"HS256\"]\n"));
    assert!(setup.refused(&["apply", "-f", "bad.toml"]).contains("bad.toml:2: account acme has an app \"ci\" already"));
    setup.write("export.toml", &setup.succeed(&["export"]));
    assert_eq!(setup.succeed(&["apply", "-f", "export.toml"]), "nothing to change\n");
}

#[test]
fn f075_apps_are_created_where_there_are_none_and_where_there_are_some() {
    let setup = offline();
    assert!(setup.succeed(&["app", "list"]).starts_with("no apps"));
    assert_eq!(setup.json(&["app", "list", "--json"]), json!([]));
    for (count, name) in [(1, "first"), (2, "second"), (3, "third")] {
        let (id, _) = create_app(&setup, name);
        assert_eq!(setup.json(&["app", "list", "--json"]).as_array().unwrap().len(), count);
        let table = setup.succeed(&["app", "list"]);
        assert!(table.lines().any(|line| line.starts_with(&id) && line.contains(name)), "{table}");
    }
}

#[test]
fn f076_the_algorithm_is_chosen_at_creation_and_changes_with_the_key_alone() {
    let (gateway, _upstream) = start();
    let setup = &gateway.setup;
    let rsa = crate::e2e::kore::rsa();
    setup.write("rsa.pem", &rsa.public);
    for algorithm in ["HS256", "HS512", "RS256", "RS512"] {
        let key: &[&str] = if algorithm.starts_with("RS") { &["--public-key", "rsa.pem"] } else { &["--generate"] };
        let app = create(setup, &[&["--name", algorithm, "--alg", algorithm, "--authenticator", "kore"], key].concat());
        assert_eq!(app["algorithms"], json!([algorithm]));
    }
    for algorithm in ["HS384", "PS256", "ES256", "EdDSA"] {
        let key: &[&str] = if algorithm == "HS384" { &[] } else { &["--public-key", "rsa.pem"] };
        let why = setup.refused(&[&["app", "create", "--name", "x", "--alg", algorithm], key].concat());
        assert!(why.contains(&format!("{algorithm} is taken by no authenticator")), "{why}");
        assert!(why.contains("HS256, HS512, RS256, RS512"), "{why}");
    }
    let no_key = setup.refused(&["app", "create", "--name", "x", "--alg", "RS256"]);
    assert!(no_key.contains("needs its public key: --public-key or --jwk FILE"), "{no_key}");

    // Not by a setting, nor by a file: with a key.
    let (id, secret) = create_app(setup, "changing");
    assert!(setup.refused(&["app", "set", &id, "--alg", "HS512"]).contains("key rotate"));
    let export = setup.succeed(&["export"]);
    let (before, after) = export.split_once("name = \"changing\"").unwrap();
    let after = after.replacen("algorithms = [\"HS256\"]", "algorithms = [\"HS512\"]", 1);
    setup.write("changed.toml", &format!("{before}name = \"changing\"{after}"));
    assert!(setup.refused(&["apply", "-f", "changed.toml"]).contains("change only with its keys"));
    let rotated = setup.json(&["key", "rotate", &id, "--alg", "HS512", "--overlap", "0s", "--json"]);
    let next = text(&rotated["client_secret"]);
    let call = any(&Token::of(&id).sign512(&next));
    eventually("the new algorithm is in force", || (gateway.call(&call).status == 200).then_some(()));
    assert_eq!(gateway.reason(&gateway.call(&signed(&id, &secret))), "token.algorithm_not_allowed");
    let mut rs256 = vec!["key", "rotate", &id, "--alg", "RS256"];
    assert!(setup.refused(&rs256).contains("give its public half"));
    rs256.extend(["--public-key", "rsa.pem"]);
    setup.succeed(&rs256);
    let call = any(&rsa.sign(&id));
    eventually("both algorithms are in force", || (gateway.call(&call).status == 200).then_some(()));
    assert_eq!(gateway.call(&any(&Token::of(&id).sign512(&next))).status, 200);
}

#[test]
fn f088_an_app_of_the_account_is_created_and_granted_by_whoever_can_read_the_master_key() {
    let (gateway, _upstream) = start();
    let setup = &gateway.setup;
    let (id, secret) = create_app(setup, "console");
    grant(setup, &id, "account = \"acme\"", "logs:change_logs", &[]);
    for bot in [BOT, SECOND_BOT] {
        let call = Call::get(changelogs(bot)).auth(Token::of(&id).sign(&secret));
        eventually("the grant is in force at once", || (gateway.call(&call).status == 200).then_some(()));
    }
    let (key, moved) = (setup.path().join("master.key"), setup.path().join("elsewhere.key"));
    std::fs::rename(&key, &moved).unwrap();
    for command in [&["app", "create", "--name", "other"][..], &["app", "list"], &["key", "rotate", &id], &["audit"]] {
        let why = setup.refused(command);
        assert!(why.contains("the master key master.key is missing"), "{command:?}: {why}");
    }
    std::fs::rename(moved, key).unwrap();
    assert_eq!(setup.json(&["app", "list", "--json"]).as_array().unwrap().len(), 1);
}

#[test]
fn f089_an_app_of_the_account_has_a_name_and_its_switches() {
    let (gateway, _upstream) = start();
    let setup = &gateway.setup;
    let app = create(setup, &["--level", "admin", "--name", "console", "--account", "acme", "--enforce-jti"]);
    let (id, secret) = (text(&app["client_id"]), text(&app["client_secret"]));
    let expected = (&json!("account"), &json!("console"), &json!(true), &json!([]));
    assert_eq!((&app["level"], &app["name"], &app["enforce_jti"], &app["bots"]), expected);
    let call = |token: Token| gateway.call(&any(&token.sign(&secret)));
    let with_jti = || Token::of(&id).claim("jti", "once");
    eventually("the app is known", || (call(with_jti()).status == 200).then_some(()));
    assert_eq!(gateway.reason(&call(Token::of(&id))), "token.jti_required");
    assert_eq!(gateway.reason(&call(with_jti())), "token.replayed");

    let bots = setup.refused(&["app", "create", "--level", "account", "--name", "x", "--bot", BOT]);
    assert!(bots.contains("leave --bot out"), "{bots}");
    assert!(setup.refused(&["app", "create", "--level", "bot", "--name", "x"]).contains("--bot ID"));
}

#[test]
fn f090_an_app_signs_with_hs256_where_nothing_else_is_said() {
    let setup = offline();
    for arguments in [&["--name", "of the account"][..], &["--name", "of a bot", "--account", "acme", "--bot", BOT]] {
        assert_eq!(create(&setup, arguments)["algorithms"], json!(["HS256"]));
    }
}

#[test]
fn f091_a_dry_run_of_any_command_changes_nothing() {
    let setup = offline();
    let (id, _) = create_app(&setup, "ci");
    let bot_app = text(&create(&setup, &["--name", "bot", "--account", "acme", "--bot", BOT])["client_id"]);
    let before = (setup.succeed(&["export"]), setup.json(&["audit", "--json"]));
    let version = setup.json(&["key", "list", &id, "--json"])[0]["number"].to_string();
    for (command, told) in [
        (&["account", "add", "new"][..], "set account new"),
        (&["account", "host", "add", "acme", "acme.example"], "set account acme"),
        (&["bot", "add", "new"], "set bot new (account default)"),
        (&["bot", "delete", SECOND_BOT], "delete bot"),
        (&["app", "create", "--name", "new", "--client-id", "new"], "add app new (new)"),
        (&["app", "create", "--name", "out", "--secret-out", "secret.txt"], "add key"),
        (&["app", "set", &id, "--enforce-jti", "on"], "change app"),
        (&["app", "set", &bot_app, "--add-bot", SECOND_BOT], "change app"),
        (&["app", "disable", &id], "change app"),
        (&["app", "delete", &id], "delete app"),
        (&["key", "add", &id, "--generate"], "add key"),
        (&["key", "rotate", &id], "retiring, good until"),
        (&["key", "retire", &id, &version, "--force"], "retiring, good until"),
        (&["key", "revoke", &id, &version, "--force"], "retired"),
        (&["key", "delete", &id, &version, "--force"], "delete key"),
    ] {
        let dry = setup.run(&[command, &["--dry-run", "--why", "to see"]].concat());
        let (out, err) = texts(&dry);
        assert_eq!((dry.status.code(), err.as_str()), (Some(2), ""), "{command:?}: {out}");
        assert!(out.contains(told) && out.contains("nothing was changed (dry run)"), "{command:?}: {out}");
        // A secret that is made for nobody is not shown.
        assert!(!out.contains("secret  "), "{out}");
    }
    assert_eq!((setup.succeed(&["export"]), setup.json(&["audit", "--json"])), before);
    assert!(!setup.path().join("secret.txt").exists());
    // What the store would refuse, a dry run meets, too.
    assert!(setup.refused(&["account", "delete", "acme", "--dry-run"]).contains("it has app"));
    assert!(setup.refused(&["app", "delete", "none", "--dry-run"]).contains("app none does not exist"));
    let json = setup.run(&["app", "create", "--name", "new", "--dry-run", "--json"]);
    let told: serde_json::Value = serde_json::from_str(&texts(&json).0).unwrap();
    assert_eq!((json.status.code(), &told["dry_run"]), (Some(2), &json!(true)));
}

#[test]
fn a_dry_run_makes_no_store() {
    let setup = crate::e2e::harness::Setup::kore("http://127.0.0.1:9", "");
    assert!(setup.refused(&["account", "add", "acme", "--dry-run"]).contains("there is no store"));
    assert!(!setup.path().join("scopegate.db").exists());
    setup.succeed(&["account", "add", "acme"]);
}

#[test]
fn f106_a_deleted_app_is_refused_on_the_next_call_and_its_grants_are_gone() {
    let (gateway, _upstream) = start();
    let setup = &gateway.setup;
    let (id, secret) = create_app(setup, "ci");
    grant(setup, &id, "account = \"acme\"", "logs:change_logs", &[]);
    let call = Call::get(changelogs(BOT)).auth(Token::of(&id).sign(&secret));
    eventually("the grant is in force", || (gateway.call(&call).status == 200).then_some(()));
    setup.succeed(&["app", "delete", &id, "--why", "no longer used"]);
    within(Duration::from_secs(1), "the token is refused", || (gateway.call(&call).status == 401).then_some(()));
    assert_eq!(gateway.reason(&gateway.call(&call)), "app.unknown");
    assert!(!setup.succeed(&["export"]).contains(&id));
    let audit = setup.json(&["audit", "--app", &id, "--limit", "1", "--json"]);
    let row = (&audit[0]["action"], &audit[0]["kind"], &audit[0]["why"], &audit[0]["before"]["name"]);
    assert_eq!(row, (&json!("delete"), &json!("app"), &json!("no longer used"), &json!("ci")));
    // An app of the same name comes without what that one was granted.
    create(setup, &["--name", "ci", "--account", "acme", "--client-id", &id]);
    assert_eq!(setup.json(&["app", "show", &id, "--json"])["grants"], json!([]));
}

#[test]
fn settings_change_one_by_one_and_act_within_a_second() {
    let (gateway, _upstream) = start();
    let setup = &gateway.setup;
    let app = create(setup, &["--name", "ci", "--account", "acme", "--bot", BOT]);
    let (id, secret) = (text(&app["client_id"]), text(&app["client_secret"]));
    let endless = any(&Token::of(&id).without("exp").sign(&secret));
    eventually("the app is known", || (gateway.call(&endless).status == 200).then_some(()));
    let listed = setup.succeed(&["app", "list"]);
    assert!(listed.contains("may lack") && listed.contains("1 of them may use tokens that never expire"), "{listed}");
    assert_eq!(setup.json(&["app", "list", "--bot", BOT, "--json"])[0]["may_lack_exp"], true);

    setup.succeed(&["app", "set", &id, "--require-exp", "on", "--max-lifetime", "1h", "--authenticator", "kore"]);
    let refused = || gateway.call(&endless).status == 401;
    within(Duration::from_secs(1), "exp is required", || refused().then_some(()));
    assert_eq!(gateway.reason(&gateway.call(&endless)), "token.exp_required");
    let shown = setup.json(&["app", "show", &id, "--json"]);
    let settings = (&shown["require_exp"], &shown["max_lifetime"], &shown["authenticators"], &shown["may_lack_exp"]);
    assert_eq!(settings, (&json!(true), &json!("1h"), &json!(["kore"]), &json!(false)));
    assert!(setup.succeed(&["app", "list"]).contains("needed"));

    setup.succeed(&["app", "disable", &id]);
    let call = signed(&id, &secret);
    within(Duration::from_secs(1), "it is disabled", || (gateway.call(&call).status == 401).then_some(()));
    assert_eq!(gateway.reason(&gateway.call(&call)), "app.disabled");
    assert_eq!(setup.succeed(&["app", "disable", &id]), "nothing to change\n");
    setup.succeed(&["app", "enable", &id]);
    within(Duration::from_secs(1), "it is enabled", || (gateway.call(&call).status == 200).then_some(()));

    setup.succeed(&["app", "set", &id, "--max-lifetime", "none", "--authenticator", "any", "--require-exp", "off"]);
    setup.succeed(&["app", "set", &id, "--add-bot", SECOND_BOT, "--remove-bot", BOT, "--name", "other"]);
    let shown = setup.json(&["app", "show", &id, "--json"]);
    let settings = (&shown["max_lifetime"], &shown["authenticators"], &shown["bots"], &shown["name"]);
    assert_eq!(settings, (&json!(null), &json!([]), &json!([SECOND_BOT]), &json!("other")));
    assert_eq!(setup.run(&["app", "set", &id]).status.code(), Some(64));
}

#[test]
fn an_app_is_shown_with_all_that_is_its_own() {
    let setup = offline();
    let (id, secret) = create_app(&setup, "ci");
    grant(&setup, &id, "account = \"acme\"", "logs:change_logs", &[]);
    let tables = format!("version = 1\n[[table_grant]]\napp = {id:?}\ntable = \"orders\"\npermissions = [\"read\"]");
    setup.write("tables.toml", &tables);
    setup.succeed(&["apply", "-f", "tables.toml"]);
    let shown = setup.json(&["app", "show", &id, "--json"]);
    assert_eq!(shown["grants"][0]["account"], "acme");
    assert_eq!(shown["grants"][0]["scopes"], json!(["logs:change_logs"]));
    assert_eq!(shown["table_grants"], json!([{ "table": "orders", "permissions": ["read"] }]));
    let key = &shown["keys"][0];
    assert_eq!((&key["kind"], &key["state"], &key["fingerprint"]), (&json!("secret"), &json!("active"), &json!(null)));
    let told = setup.succeed(&["app", "show", &id]);
    for part in [&*id, "ci", "acme", "HS256", "on account acme: logs:change_logs", "on table orders: read", "active"] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    assert!(!told.contains(&secret) && !shown.to_string().contains(&secret));
    assert!(setup.refused(&["app", "show", "none"]).contains("app none does not exist"));
}

#[test]
fn an_app_is_given_to_another_account_by_command_and_audited() {
    let setup = offline();
    let (id, _) = create_app(&setup, "squatter");
    assert!(setup.refused(&["app", "move", &id, "--account", "none"]).contains("none"));
    setup.succeed(&["app", "move", &id, "--account", "globex", "--why", "its id is needed there"]);
    let apps = setup.json(&["app", "list", "--account", "globex", "--json"]);
    assert_eq!(apps.as_array().unwrap().iter().filter(|app| app["client_id"] == *id).count(), 1);
    assert!(setup.succeed(&["audit"]).contains("its id is needed there"));
    let rest = setup.json(&["app", "list", "--account", "acme", "--json"]);
    assert!(rest.as_array().unwrap().iter().all(|app| app["client_id"] != *id));
}

#[test]
fn an_app_signs_by_either_name_of_eddsa_and_is_shown_the_one_that_was_written() {
    let setup = Setup::bearer("http://127.0.0.1:9", "");
    setup.write("app.key", crate::support::tokens::ED25519);
    setup.write("app.pub", crate::support::tokens::ED25519_PUBLIC);
    setup.write(
        "registry.toml",
        "version = 1\n[[app]]\nclient_id = \"ed\"\nname = \"ed\"\naccount = \"default\"\nlevel = \"account\"\n\
         algorithms = [\"Ed25519\"]\n[[key]]\napp = \"ed\"\nalgorithm = \"Ed25519\"\npublic_key_file = \"app.pub\"\n",
    );
    setup.succeed(&["apply", "-f", "registry.toml"]);
    assert_eq!(setup.succeed(&["apply", "-f", "registry.toml"]), "nothing to change\n");
    assert_eq!(setup.json(&["app", "show", "ed", "--json"])["algorithms"], json!(["Ed25519"]));
    for alg in ["Ed25519", "EdDSA"] {
        let mint = ["jwt", "mint", "--client-id", "ed", "--alg", alg, "--key-file", "app.key", "--quiet"];
        let token = setup.succeed(&mint);
        let told = setup.succeed(&["jwt", "explain", token.trim(), "--method", "GET", "--path", "/any/x"]);
        assert!(told.contains(alg), "{told}");
    }
}
