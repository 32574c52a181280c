use std::time::Duration;

use serde_json::{Value, json};

use super::{BOT, any, changelogs, create, create_app, grant, offline, signed, start, text};
use crate::e2e::harness::{Call, Setup, Token, eventually, within};

const SECOND: Duration = Duration::from_secs(1);

fn keys(setup: &Setup, id: &str) -> Vec<Value> {
    setup.json(&["key", "list", id, "--json"]).as_array().unwrap().clone()
}

fn states(setup: &Setup, id: &str) -> Vec<String> {
    keys(setup, id).iter().map(|key| text(&key["state"])).collect()
}

#[test]
fn f020_old_and_new_secret_are_good_during_the_overlap_and_the_new_one_alone_after_it() {
    let (gateway, _upstream) = start();
    let setup = &gateway.setup;
    let (id, first) = create_app(setup, "ci");
    let status = |secret: &str| gateway.call(&signed(&id, secret)).status;
    eventually("the app is known", || (status(&first) == 200).then_some(()));
    let rotated = setup.json(&["key", "rotate", &id, "--overlap", "1h", "--json"]);
    let second = text(&rotated["client_secret"]);
    within(SECOND, "the new secret is good", || (status(&second) == 200).then_some(()));
    assert_eq!(status(&first), 200, "the old one still is");
    assert_eq!(states(setup, &id), ["retiring", "active"]);
    assert!(setup.succeed(&["key", "list", &id]).contains("retiring"));

    let third = text(&setup.json(&["key", "rotate", &id, "--overlap", "0s", "--json"])["client_secret"]);
    within(SECOND, "the newest secret is good", || (status(&third) == 200).then_some(()));
    assert_eq!((status(&first), status(&second)), (401, 401));
    assert_eq!(gateway.reason(&gateway.call(&signed(&id, &second))), "key.retired");
    assert_eq!(states(setup, &id), ["retired", "retired", "active"]);
}

#[test]
fn f134_a_secret_is_reset_at_once_and_needs_no_publishing() {
    let (gateway, _upstream) = start();
    let setup = &gateway.setup;
    let app = create(setup, &["--name", "ci", "--account", "acme", "--bot", BOT]);
    let (id, secret) = (text(&app["client_id"]), text(&app["client_secret"]));
    let target = format!("bot = {BOT:?}");
    grant(setup, &id, &target, "logs:change_logs", &[]);
    let call = |secret: &str| gateway.call(&Call::get(changelogs(BOT)).auth(Token::of(&id).sign(secret))).status;
    eventually("the grant is in force", || (call(&secret) == 200).then_some(()));
    // A draft is waiting, and goes on waiting.
    grant(setup, &id, &target, "chat_history:read", &["--draft"]);
    let next = text(&setup.json(&["key", "rotate", &id, "--overlap", "0s", "--json"])["client_secret"]);
    within(SECOND, "the old secret is refused", || (call(&secret) == 401).then_some(()));
    assert_eq!(call(&next), 200);
    let grant = &setup.json(&["app", "show", &id, "--json"])["grants"][0];
    let sets = (&grant["scopes"], &grant["draft"]);
    assert_eq!(sets, (&json!(["logs:change_logs"]), &json!(["chat_history:read"])));
}

#[test]
fn a_revoked_key_is_refused_by_its_name_and_stays_listed_until_it_is_deleted() {
    let (gateway, _upstream) = start();
    let setup = &gateway.setup;
    let app = create(setup, &["--name", "ci", "--kid", "a"]);
    let (id, first) = (text(&app["client_id"]), text(&app["client_secret"]));
    let second = text(&setup.json(&["key", "add", &id, "--generate", "--kid", "b", "--json"])["client_secret"]);
    let named = |kid: &str, secret: &str| {
        let mut token = Token::of(&id);
        token.header["kid"] = kid.into();
        gateway.call(&any(&token.sign(secret)))
    };
    eventually("both keys are known", || (named("b", &second).status == 200).then_some(()));
    assert_eq!(named("a", &first).status, 200);
    setup.succeed(&["key", "revoke", &id, "a", "--why", "it leaked"]);
    within(SECOND, "the key is refused", || (named("a", &first).status == 401).then_some(()));
    assert_eq!(gateway.reason(&named("a", &first)), "key.retired");
    assert_eq!(states(setup, &id), ["retired", "active"]);
    assert_eq!(setup.succeed(&["key", "revoke", &id, "a"]), "nothing to change\n");
    assert!(setup.refused(&["key", "retire", &id, "a"]).contains("no key comes back"));
    setup.succeed(&["key", "delete", &id, "a"]);
    eventually("the key is unknown", || (gateway.reason(&named("a", &first)) == "key.unknown").then_some(()));
    assert_eq!(named("b", &second).status, 200);
    let unknown = setup.refused(&["key", "revoke", &id, "a"]);
    assert!(unknown.contains("has no key a; it has key b"), "{unknown}");
}

#[test]
fn the_last_key_of_an_app_goes_by_force_alone() {
    let setup = offline();
    let (id, _) = create_app(&setup, "ci");
    let number = keys(&setup, &id)[0]["number"].to_string();
    for command in ["revoke", "retire", "delete"] {
        let why = setup.refused(&["key", command, &id, &number]);
        assert!(why.contains("is the last key") && why.contains("--force"), "{command}: {why}");
    }
    assert_eq!(states(&setup, &id), ["active"]);
    setup.succeed(&["key", "retire", &id, &number, "--in", "2h", "--force"]);
    assert_eq!(states(&setup, &id), ["retiring"]);
    setup.succeed(&["key", "revoke", &id, &number, "--force"]);
    assert_eq!(states(&setup, &id), ["retired"]);
}

#[test]
fn a_key_retires_at_a_time_that_is_told() {
    let setup = offline();
    let (id, _) = create_app(&setup, "ci");
    setup.succeed(&["key", "add", &id, "--generate"]);
    let number = keys(&setup, &id)[0]["number"].to_string();
    setup.succeed(&["key", "retire", &id, &number, "--at", "2999-01-01T00:00:00Z"]);
    assert_eq!(keys(&setup, &id)[0]["retire_at"], "2999-01-01T00:00:00.000Z");
    let past = setup.refused(&["key", "retire", &id, &number, "--at", "2020-01-01T00:00:00Z"]);
    assert!(past.contains("is past; `scopegate key revoke`"), "{past}");
    assert_eq!(setup.run(&["key", "retire", &id, &number, "--at", "soon"]).status.code(), Some(64));
}

/// A key pair by the real openssl: its private and its public half in PEM.
fn openssl_pair(setup: &Setup, name: &str) -> String {
    let folder = setup.path();
    let recipe = format!(
        "openssl genrsa -out {name}.pem 2048 2>/dev/null && openssl rsa -in {name}.pem -pubout -out {name}.pub 2>/dev/null && \
         openssl rsa -in {name}.pem -pubout -outform DER 2>/dev/null | openssl sha256 -binary | openssl base64"
    );
    let done = std::process::Command::new("sh").args(["-c", &recipe]).current_dir(folder).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    format!("SHA256:{}", String::from_utf8(done.stdout).unwrap().trim())
}

#[test]
fn f162_keys_are_known_by_openssls_fingerprint_and_the_last_public_one_stays() {
    let setup = offline();
    let (first, second) = (openssl_pair(&setup, "first"), openssl_pair(&setup, "second"));
    let app = create(&setup, &["--name", "merge", "--alg", "RS256", "--public-key", "first.pub"]);
    let id = text(&app["client_id"]);
    setup.succeed(&["key", "add", &id, "--public-key", "second.pub"]);
    let prints: Vec<_> = keys(&setup, &id).iter().map(|key| text(&key["fingerprint"])).collect();
    assert_eq!(prints, [first.clone(), second]);
    assert!(setup.succeed(&["key", "list", &id]).contains(&first));
    let numbers: Vec<_> = keys(&setup, &id).iter().map(|key| key["number"].to_string()).collect();
    setup.succeed(&["key", "delete", &id, &numbers[0]]);
    for command in ["delete", "revoke", "retire"] {
        for force in [&[][..], &["--force"]] {
            let why = setup.refused(&[&["key", command, &id, &numbers[1]][..], force].concat());
            assert!(why.contains("keeps one") && why.contains("--disable-app"), "{command}: {why}");
        }
    }
    let ended = setup.succeed(&["key", "revoke", &id, &numbers[1], "--disable-app", "--why", "it leaked"]);
    assert!(ended.contains("2 changes applied"), "{ended}");
    assert_eq!(
        (states(&setup, &id), setup.json(&["app", "show", &id, "--json"])["enabled"].clone()),
        (vec!["retired".into()], json!(false))
    );
}

#[test]
fn f163_an_app_is_shown_with_its_number_and_its_client_id() {
    let setup = offline();
    let app = create(&setup, &["--name", "merge", "--no-key"]);
    let (id, number) = (text(&app["client_id"]), app["number"].to_string());
    let told = setup.succeed(&["app", "show", &id]);
    let line = |name: &str, value: &str| {
        told.lines().any(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") == format!("{name} {value}"))
    };
    assert!(line("number", &number) && line("client id", &id), "{told}");
    let shown = setup.json(&["app", "show", &id, "--json"]);
    assert_eq!((shown["number"].to_string(), text(&shown["client_id"])), (number, id.clone()));
    // It has neither key nor algorithm, and nothing minds.
    assert_eq!((&shown["algorithms"], &shown["keys"]), (&json!([]), &json!([])));
    assert!(told.contains("none, so no token of its own is taken"), "{told}");
    setup.succeed(&["app", "list"]);
    setup.write("export.toml", &setup.succeed(&["export"]));
    assert_eq!(setup.succeed(&["apply", "-f", "export.toml", "--prune"]), "nothing to change\n");
    setup.succeed(&["app", "set", &id, "--alg", "HS256"]);
    setup.succeed(&["key", "add", &id, "--generate"]);
}

#[test]
fn public_keys_come_as_pem_and_as_jwk_and_are_known_by_their_fingerprint() {
    let (gateway, _upstream) = start();
    let setup = &gateway.setup;
    let rsa = crate::e2e::kore::rsa();
    setup.write("rsa.pem", &rsa.public);
    let app = create(setup, &["--name", "sdk", "--alg", "RS256", "--public-key", "rsa.pem"]);
    let id = text(&app["client_id"]);
    assert_eq!(app["client_secret"], Value::Null);
    eventually("the app is known", || (gateway.call(&any(&rsa.sign(&id))).status == 200).then_some(()));
    let key = &keys(setup, &id)[0];
    assert_eq!(key["kind"], "rsa");
    assert!(text(&key["fingerprint"]).starts_with("SHA256:"));
    // The same key in another dress.
    let jwk = rsa.jwk.replace(" = ", ":").replace("kty", "\"kty\"").replace(" n:", "\"n\":").replace(" e:", "\"e\":");
    setup.write("rsa.jwk", &jwk);
    let again = setup.refused(&["key", "add", &id, "--jwk", "rsa.jwk"]);
    assert!(again.contains("has this key already"), "{again}");
    let private = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----\n";
    setup.write("private.pem", private);
    let why = setup.refused(&["key", "add", &id, "--public-key", "private.pem"]);
    assert!(why.contains("private.pem: ") && why.contains("private"), "{why}");
    assert!(setup.refused(&["key", "add", &id]).contains("give the key"));
    assert!(setup.refused(&["key", "add", &id, "--generate"]).contains("give its public half"));
}

#[test]
fn the_last_use_of_a_key_is_told() {
    let (gateway, _upstream) = start();
    let setup = &gateway.setup;
    let (id, secret) = create_app(setup, "ci");
    assert!(setup.succeed(&["key", "list", &id]).contains("never"));
    eventually("the app is known", || (gateway.call(&signed(&id, &secret)).status == 200).then_some(()));
    eventually("the use is written down", || keys(setup, &id)[0]["last_used_at"].as_str().map(|_| ()));
    assert_eq!(keys(setup, &id)[0]["safe_to_retire"], false, "it is the only one");
    assert!(!setup.succeed(&["key", "list", &id]).contains("never"));
}

#[test]
fn an_export_keeps_the_state_of_every_key() {
    let setup = offline();
    let (id, _) = create_app(&setup, "ci");
    setup.succeed(&["key", "rotate", &id, "--overlap", "0s"]);
    setup.succeed(&["key", "rotate", &id, "--overlap", "48h", "--kid", "third"]);
    let before = states(&setup, &id);
    assert_eq!(before, ["retired", "retiring", "active"]);
    for secrets in ["omit", "plain"] {
        setup.write("export.toml", &setup.succeed(&["export", "--secrets", secrets]));
        assert_eq!(setup.succeed(&["apply", "-f", "export.toml", "--prune"]), "nothing to change\n");
    }
    let other = Setup::kore("http://127.0.0.1:9", "");
    other.write("registry.toml", &setup.read("export.toml"));
    other.succeed(&["apply", "-f", "registry.toml"]);
    assert_eq!(states(&other, &id), before);
    assert_eq!(keys(&other, &id)[1]["retire_at"], keys(&setup, &id)[1]["retire_at"]);

    // A file that says nothing of a state leaves it, and does not bring a key back.
    let without: Vec<_> =
        setup.read("export.toml").lines().filter(|l| !l.starts_with("state")).map(String::from).collect();
    let without = without.join("\n").replace("retire_at", "# retire_at");
    setup.write("without.toml", &without);
    assert_eq!(setup.succeed(&["apply", "-f", "without.toml"]), "nothing to change\n");
    setup.write("back.toml", &setup.read("export.toml").replace("state = \"retired\"", "state = \"active\""));
    assert!(setup.succeed(&["apply", "-f", "back.toml"]).contains(": active\n"));
    assert_eq!(states(&setup, &id), ["active", "retiring", "active"]);

    let bad = setup.read("export.toml").replace("state = \"retiring\"", "state = \"active\"");
    setup.write("bad.toml", &bad);
    assert!(setup.refused(&["apply", "-f", "bad.toml"]).contains("retire_at goes with state = \"retiring\""));
    setup.write("bad.toml", &bad.replace("state = \"active\"\nretire_at = ", "state = \"retiring\"\n# "));
    assert!(setup.refused(&["apply", "-f", "bad.toml"]).contains("needs retire_at"));
}
