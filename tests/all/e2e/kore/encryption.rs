//! JWE: tokens that are encrypted to a key pair of their app.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use scopegate::jose::{EncryptionKey, encrypt};
use serde_json::{Value, json};

use super::world::{ACCOUNT, BOT, changelogs};
use super::{assert_credentials, assert_no_token, assert_refused};
use crate::e2e::harness::{App, Call, Gateway, Recorder, Registry, Reply, Setup, Token, eventually, now, part, texts};

const ENCRYPTIONS: [&str; 3] = ["A128CBC-HS256", "A128GCM", "A256GCM"];

/// Has to encrypt its tokens.
fn strict() -> App {
    App::new("cs-80808080-0000-5000-8000-00000000f080", ACCOUNT, &[BOT], &["logs:change_logs"])
        .settings("enforce_jwe = true")
}

/// Has to encrypt them and may use each once.
fn single() -> App {
    App::new("cs-81818181-0000-5000-8000-00000000f081", ACCOUNT, &[BOT], &["logs:change_logs"])
        .settings("enforce_jwe = true\nenforce_jti = true")
}

/// Need not encrypt.
fn lenient() -> App {
    App::new("cs-82828282-0000-5000-8000-00000000f082", ACCOUNT, &[BOT], &["logs:change_logs"])
}

fn registry() -> Registry {
    Registry::new().account(ACCOUNT, &[BOT]).apps(&[strict(), single(), lenient()])
}

fn start() -> (Gateway, Recorder) {
    let upstream = Recorder::start();
    (Gateway::start(Setup::kore(&upstream.url(), ""), &registry()), upstream)
}

/// The keys of an app as `encryption show` prints them, oldest first.
fn keys(setup: &Setup, app: &App) -> Vec<Value> {
    setup.json(&["encryption", "show", "--app", &app.client_id, "--json"]).as_array().unwrap().clone()
}

/// The public key to use now.
fn jwk(setup: &Setup, app: &App) -> Value {
    setup.json(&["encryption", "show", "--app", &app.client_id, "--jwk"])
}

fn encrypted_to(jwk: &Value, algorithm: &str, encryption: &str, inner: &str) -> String {
    let header = json!({ "alg": algorithm, "enc": encryption, "kid": jwk["kid"], "typ": "JWT", "cty": "JWT" });
    let key = EncryptionKey::from_jwk(&jwk.to_string()).unwrap();
    encrypt(header.as_object().unwrap(), inner.as_bytes(), &key).unwrap()
}

fn call(gateway: &Gateway, token: &str, mark: &str) -> Reply {
    gateway.call(&Call::get(changelogs(BOT)).auth(token).mark(mark))
}

#[test]
fn f080_with_the_toggle_on_a_nested_token_passes_and_a_plain_one_does_not() {
    let (gateway, upstream) = start();
    let (app, jwk) = (strict(), jwk(&gateway.setup, &strict()));
    for encryption in ENCRYPTIONS {
        let token = encrypted_to(&jwk, "RSA-OAEP", encryption, &app.token());
        for times in 1..=2 {
            assert_eq!(call(&gateway, &token, encryption).status, 200, "{encryption}");
            assert_eq!(upstream.marked(encryption).len(), times);
        }
        assert_eq!(upstream.marked(encryption)[0].header("x-scopegate-app"), Some(app.client_id.as_str()));
    }
    let refused = |token: &str, reason: &str| {
        let reply = call(&gateway, token, "refused");
        assert_credentials(&reply);
        assert_eq!(gateway.reason(&reply), reason, "{token}");
    };
    let plain = app.token();
    refused(&plain, "token.jwe_required");
    let to = |inner: &str| encrypted_to(&jwk, "RSA-OAEP", "A256GCM", inner);
    refused(
        &to(&Token::of(&app.client_id).sign("another secret, of nobody in this registry")),
        "token.signature_invalid",
    );
    refused(&to(&json!({ "appId": app.client_id, "exp": now() + 60 }).to_string()), "token.jwe_invalid");
    refused(&to(&to(&plain)), "token.jwe_invalid");
    refused(&to(&lenient().token()), "token.jwe_invalid");
    refused(&encrypted_to(&self::jwk(&gateway.setup, &single()), "RSA-OAEP", "A256GCM", &plain), "token.jwe_invalid");
    refused(&to(&Token::of(&app.client_id).claim("exp", now() - 1).sign(app.secret())), "token.expired");
    let good = to(&plain);
    let parts: Vec<_> = good.split('.').collect();
    for index in 0..5 {
        let mut changed = parts.clone();
        // A letter in the middle, so that no bit of it is beyond the end.
        let middle = changed[index].len() / 2;
        let letter = if changed[index].as_bytes()[middle] == b'A' { "B" } else { "A" };
        let part = format!("{}{letter}{}", &changed[index][..middle], &changed[index][middle + 1..]);
        changed[index] = &part;
        let reply = call(&gateway, &changed.join("."), "refused");
        assert_eq!(reply.status, 401, "part {index}");
    }
    let header = |alg: &str| part(json!({ "alg": alg, "enc": "A256GCM", "kid": jwk["kid"] }).to_string());
    for algorithm in ["RSA1_5", "dir", "A256KW", "none"] {
        refused(&format!("{}.{}", header(algorithm), parts[1..].join(".")), "token.jwe_invalid");
    }
    assert_no_token(&call(&gateway, &parts[..4].join("."), "refused"));
    assert_no_token(&call(&gateway, &format!("{good}.{}", parts[4]), "refused"));
    assert!(upstream.marked("refused").is_empty());
    // With the toggle off both are good.
    assert_eq!(call(&gateway, &lenient().token(), "lenient").status, 200);
    rotate(&gateway.setup, &lenient(), &["--kind", "p256"]);
    let jwk = self::jwk(&gateway.setup, &lenient());
    let token = encrypted_to(&jwk, "ECDH-ES", "A128GCM", &lenient().token());
    eventually("its key is known", || (call(&gateway, &token, "lenient").status == 200).then_some(()));
}

fn rotate(setup: &Setup, app: &App, more: &[&str]) -> String {
    setup.succeed(&[&["encryption", "rotate", "--app", &app.client_id][..], more].concat())
}

#[test]
fn f081_with_both_toggles_a_nested_token_is_good_once() {
    let (gateway, upstream) = start();
    let (app, jwk) = (single(), jwk(&gateway.setup, &single()));
    let to = |inner: &str| encrypted_to(&jwk, "RSA-OAEP-256", "A256GCM", inner);
    let signed = Token::of(&app.client_id).claim("jti", "f081").sign(app.secret());
    let token = to(&signed);
    assert_eq!(call(&gateway, &token, "f081").status, 200);
    for again in [&token, &to(&signed)] {
        let reply = call(&gateway, again, "f081");
        assert_refused(&reply, 401, "error verifying the jwt: possibly a replay", 401);
    }
    let reply = call(&gateway, &to(&app.token()), "f081");
    assert_eq!((reply.status, gateway.reason(&reply).as_str()), (401, "token.jti_required"));
    let plain = Token::of(&app.client_id).claim("jti", "plain").sign(app.secret());
    let reply = call(&gateway, &plain, "f081");
    assert_eq!((reply.status, gateway.reason(&reply).as_str()), (401, "token.jwe_required"));
    assert_eq!(upstream.marked("f081").len(), 1);
}

#[test]
fn f082_the_public_key_is_shown_and_rotation_keeps_the_old_one_for_the_overlap() {
    let (gateway, _upstream) = start();
    let (setup, app) = (&gateway.setup, strict());
    let first = jwk(setup, &app);
    let names: Vec<_> = first.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["alg", "e", "kid", "kty", "n", "use"]);
    let kid = first["kid"].as_str().unwrap();
    assert!(kid.starts_with("k-") && kid.len() == 38, "{kid}");
    let old = encrypted_to(&first, "RSA-OAEP", "A256GCM", &app.token());
    assert_eq!(call(&gateway, &old, "").status, 200);

    rotate(setup, &app, &["--overlap", "1h"]);
    let second = jwk(setup, &app);
    assert_ne!(second["kid"], first["kid"]);
    let new = encrypted_to(&second, "RSA-OAEP", "A256GCM", &app.token());
    eventually("the new key is known", || (call(&gateway, &new, "").status == 200).then_some(()));
    assert_eq!(call(&gateway, &old, "").status, 200, "the old one is good for an hour");
    let states: Vec<_> = keys(setup, &app).iter().map(|k| k["state"].as_str().unwrap().to_owned()).collect();
    assert_eq!(states, ["retiring", "active"]);

    rotate(setup, &app, &["--overlap", "0s", "--kind", "p256"]);
    let third = jwk(setup, &app);
    assert_eq!((&third["kty"], &third["crv"], &third["alg"]), (&json!("EC"), &json!("P-256"), &json!("ECDH-ES")));
    let newest = encrypted_to(&third, "ECDH-ES+A256KW", "A256CBC-HS512", &app.token());
    eventually("the newest key is known", || (call(&gateway, &newest, "").status == 200).then_some(()));
    // What was remembered a moment ago is not good now.
    let reply = call(&gateway, &new, "");
    assert_eq!((reply.status, gateway.reason(&reply).as_str()), (401, "token.jwe_invalid"));
    assert_eq!(call(&gateway, &old, "").status, 200, "the first one still has its hour");
    let text = setup.succeed(&["encryption", "show", "--app", &app.client_id]);
    for shown in ["retiring", "retired", "active", third["kid"].as_str().unwrap(), "\"crv\": \"P-256\""] {
        assert!(text.contains(shown), "{shown}: {text}");
    }
    let shown = setup.json(&["app", "show", &app.client_id, "--json"]);
    assert_eq!(shown["encryption_keys"][2]["jwk"], third);
    assert_eq!(shown["encryption_keys"][0]["kid"], first["kid"]);
    no_private_half_leaves(setup, &app);
}

/// Neither in what is printed, nor in what lies about.
#[track_caller]
fn no_private_half_leaves(setup: &Setup, app: &App) {
    let plain = setup.succeed(&["export", "--secrets", "plain"]);
    let blocks = plain.split("-----BEGIN PRIVATE KEY-----\n").skip(1);
    let private: Vec<_> = blocks.map(|block| private_part(&block.lines().collect::<Vec<_>>())).collect();
    assert!(private.len() >= 3, "{plain}");
    let id = &app.client_id;
    let printed = [
        setup.succeed(&["export"]),
        setup.succeed(&["encryption", "show", "--app", id]),
        setup.succeed(&["encryption", "show", "--app", id, "--json"]),
        setup.succeed(&["app", "show", id]),
        setup.succeed(&["app", "show", id, "--json"]),
        setup.succeed(&["audit", "--json"]),
        rotate(setup, app, &["--overlap", "1h"]),
    ];
    for text in printed {
        assert!(!text.contains("\"d\"") && !text.contains("PRIVATE"), "{text}");
        assert!(private.iter().all(|(line, _)| !text.contains(line)), "{text}");
    }
    let files = std::fs::read_dir(setup.path()).unwrap().map(|file| file.unwrap().path());
    for path in files.filter(|path| path.is_file()) {
        let bytes = std::fs::read(&path).unwrap();
        let holds = |(_, part): &(String, Vec<u8>)| bytes.windows(part.len()).any(|w| w == part);
        assert!(!private.iter().any(holds), "{}", path.display());
    }
}

/// A line of a PEM block, and the bytes of it that nobody may see: of RSA one from the middle of the factors, of P-256 the
/// first, whose end is the beginning of the number.
fn private_part(lines: &[&str]) -> (String, Vec<u8>) {
    let end = lines.iter().position(|line| line.starts_with("-----END")).unwrap();
    let (line, from) = if end > 15 { (lines[15], 0) } else { (lines[0], 36) };
    (line.to_owned(), STANDARD.decode(line).unwrap()[from..].to_vec())
}

#[test]
fn an_exported_key_pair_opens_the_same_tokens_elsewhere() {
    let (gateway, upstream) = start();
    let (setup, app) = (&gateway.setup, strict());
    let token = encrypted_to(&jwk(setup, &app), "RSA-OAEP", "A256GCM", &app.token());
    rotate(setup, &app, &["--overlap", "1h"]);
    let plain = setup.succeed(&["export", "--secrets", "plain"]);
    let omitted = setup.succeed(&["export", "--secrets", "omit"]);
    assert!(plain.contains("[[encryption_key]]") && !omitted.contains("encryption_key"));
    // Applied again, neither changes anything, and what is not named is not deleted.
    for export in [&plain, &omitted] {
        setup.write("export.toml", export);
        assert_eq!(setup.succeed(&["apply", "-f", "export.toml", "--prune"]), "nothing to change\n");
    }
    let other = Setup::kore(&upstream.url(), "");
    other.write("registry.toml", &plain);
    other.succeed(&["apply", "-f", "registry.toml"]);
    assert_eq!(other.succeed(&["export", "--secrets", "plain"]), plain);
    let other = Gateway::serve(other, &[]);
    assert_eq!(call(&other, &token, "elsewhere").status, 200);

    let foreign =
        plain.replace(keys(setup, &app)[0]["kid"].as_str().unwrap(), keys(setup, &app)[1]["kid"].as_str().unwrap());
    other.setup.write("bad.toml", &foreign);
    let (_, err) = texts(&other.setup.run(&["apply", "-f", "bad.toml"]));
    assert!(
        err.contains("bad.toml:") && (err.contains("stands twice") || err.contains("another key is stored")),
        "{err}"
    );
}

#[test]
fn an_app_that_can_not_send_encrypted_tokens_anywhere_is_refused_with_what_would_be_right() {
    let upstream = Recorder::start();
    let setup = Setup::bearer(&upstream.url(), "");
    let registry = Registry::new().app(&App::new("c", "default", &[], &[]).settings("enforce_jwe = true"));
    setup.write("registry.toml", registry.as_str());
    let (out, err) = texts(&setup.run(&["apply", "-f", "registry.toml"]));
    assert_eq!(out, "");
    assert!(err.contains("registry.toml:2: ") && err.contains("encrypted = \"allowed\""), "{err}");
    setup.edit("kind = \"jwt\"", "kind = \"jwt\"\nencrypted = \"allowed\"");
    let dry = setup.run(&["apply", "-f", "registry.toml", "--dry-run"]);
    assert!(dry.status.code() == Some(2) && texts(&dry).0.contains("add encryption key k-"), "{dry:?}");
    setup.succeed(&["apply", "-f", "registry.toml"]);
    assert_eq!(setup.succeed(&["apply", "-f", "registry.toml"]), "nothing to change\n");
    // By command, too, an app gets its key with the switch, and once.
    setup.succeed(&["app", "create", "--name", "later", "--client-id", "later"]);
    for added in [true, false] {
        let printed = setup.succeed(&["app", "set", "later", "--enforce-jwe", if added { "on" } else { "off" }]);
        assert_eq!(printed.contains("add encryption key k-"), added, "{printed}");
    }
    let printed = setup.succeed(&["app", "set", "later", "--enforce-jwe", "on"]);
    assert!(!printed.contains("add encryption key"), "it has one: {printed}");
    for (arguments, wanted) in [
        (&["encryption", "show", "--app", "nobody"][..], "app nobody does not exist"),
        (&["encryption", "rotate", "--app", "nobody"], "app nobody does not exist"),
        (&["encryption", "rotate", "--app", "c", "--overlap", "soon"], "--overlap"),
    ] {
        let output = setup.run(arguments);
        assert!(!output.status.success() && texts(&output).1.contains(wanted), "{output:?}");
    }
}

#[test]
fn explain_opens_an_encrypted_token_and_tells_what_a_plain_one_lacks() {
    let (gateway, _upstream) = start();
    let (setup, app) = (&gateway.setup, strict());
    let jwk = jwk(setup, &app);
    let explain = |token: &str| setup.explain(token, "GET", &changelogs(BOT), &[]);
    let good = encrypted_to(&jwk, "RSA-OAEP", "A256GCM", &app.token());
    let (goes_on, text) = explain(&good);
    assert!(goes_on && text.contains("five parts") && text.contains("ok      encryption"), "{text}");
    assert!(text.contains(&format!("opened with key {}", jwk["kid"].as_str().unwrap())), "{text}");
    let (_, text) = explain(&lenient().token());
    assert!(!text.contains("encryption"), "it does not matter: {text}");

    let (_, text) = explain(&app.token());
    for wanted in ["token.jwe_required", "Expected: five parts. Found: three parts.", "`scopegate encryption show`"] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    let mut unknown = jwk.clone();
    unknown["kid"] = "k-of-nobody".into();
    let (_, text) = explain(&encrypted_to(&unknown, "RSA-OAEP", "A256GCM", &app.token()));
    assert!(text.contains("token.jwe_invalid") && text.contains("kid \"k-of-nobody\", which no app has"), "{text}");
    assert!(text.contains("the caller is told Invalid SDK credentials"), "{text}");
    // The vendor's own sample signs with the name of a content encryption.
    let mut sample = Token::of(&app.client_id);
    sample.header = json!({ "typ": "JWT", "alg": "A256GCM", "kid": jwk["kid"] });
    let (_, text) = explain(&sample.sign(app.secret()));
    assert!(
        text.contains("token.algorithm_not_allowed") && text.contains("A256GCM encrypts and signs nothing"),
        "{text}"
    );
    let (_, text) = explain(&encrypted_to(&jwk, "RSA-OAEP", "A256GCM", "{\"appId\":\"x\"}"));
    assert!(text.contains("bare claims inside, which nobody signed"), "{text}");
}

#[test]
fn mint_encrypts_and_decode_shows_what_everybody_can_read() {
    let (gateway, _upstream) = start();
    let (setup, app) = (&gateway.setup, strict());
    setup.write("app.jwk", &jwk(setup, &app).to_string());
    setup.write("app.secret", &app.secret());
    let run = |arguments: &[&str]| crate::e2e::harness::scopegate(setup.path(), arguments, &[]);
    let mint = |more: &[&str]| {
        let arguments = ["jwt", "mint", "--client-id", &app.client_id, "--secret-file", "app.secret"];
        run(&[&arguments[..], &["--encrypt-to", "app.jwk"], more].concat())
    };
    let minted = |more: &[&str]| {
        let (out, err) = texts(&mint(more));
        assert_eq!(err, "");
        out.trim_end().to_owned()
    };
    for more in [&[][..], &["--encrypt-alg", "RSA-OAEP", "--encrypt-enc", "A128CBC-HS256"]] {
        let token = minted(more);
        assert_eq!(call(&gateway, &token, "minted").status, 200, "{more:?}");
        let (shown, _) = texts(&run(&["jwt", "decode", &token]));
        assert!(shown.contains("\"cty\": \"JWT\"") && shown.contains("the rest is encrypted"), "{shown}");
        assert!(!shown.contains(&app.client_id), "{shown}");
    }
    for (more, wanted) in [
        (&["--encrypt-alg", "RSA1_5"][..], "one of RSA-OAEP, RSA-OAEP-256, ECDH-ES, ECDH-ES+A256KW"),
        (&["--encrypt-alg", "ECDH-ES"], "another kind"),
        (&["--encrypt-enc", "A192GCM"], "one of A128GCM"),
    ] {
        let (out, err) = texts(&mint(more));
        assert!(out.is_empty() && err.contains(wanted), "{err}");
    }
    for (text, wanted) in [("{}", "app.jwk: "), ("hello", "not a JSON object")] {
        std::fs::write(Path::new(setup.path()).join("app.jwk"), text).unwrap();
        let (out, err) = texts(&mint(&[]));
        assert!(out.is_empty() && err.contains(wanted), "{err}");
    }
}
