//! Keys: their rotation, and how they are kept.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::{BOT, PATH, call, ci, registry, start};
use crate::e2e::harness::{App, Call, Recorder, Setup, Token, eventually, texts};

const NEXT: &str = "the secret after the first, which is long enough";

/// The app with keys of these names and secrets.
fn with_keys(keys: &[(&str, &str)]) -> App {
    let key = |(kid, secret): &(&str, &str)| format!("kid = {kid:?}\nsecret = {secret:?}");
    let keys: Vec<_> = keys.iter().map(key).collect();
    ci().key(keys.join("\n[[key]]\napp = \"ci\"\n"))
}

#[test]
fn two_keys_live_side_by_side_until_the_old_one_goes() {
    let first = ci().secret();
    let (gateway, _upstream) = start(&registry(&[with_keys(&[("a", &first)])]));
    let signed = |secret: &str| Call::get(PATH).auth(Token::of("ci").sign(secret));
    let named = |kid: &str, secret: &str| {
        let mut token = Token::of("ci");
        token.header["kid"] = kid.into();
        Call::get(PATH).auth(token.sign(secret))
    };
    let status = |call: &Call| gateway.call(call).status;
    let (old, new) = (signed(&first), signed(NEXT));
    assert_eq!((status(&old), status(&new)), (200, 401));

    let both = registry(&[with_keys(&[("a", &first), ("b", NEXT)])]);
    gateway.apply_until(&both, "the new key is known", || status(&new) == 200);
    assert_eq!(status(&old), 200, "the old key still is");
    assert_eq!((status(&named("a", &first)), status(&named("b", NEXT))), (200, 200));
    // A kid binds.
    let crossed = gateway.call(&named("a", NEXT));
    assert_eq!((crossed.status, gateway.reason(&crossed).as_str()), (401, "token.signature_invalid"));
    let unknown = gateway.call(&named("c", NEXT));
    assert_eq!((unknown.status, gateway.reason(&unknown).as_str()), (401, "key.unknown"));

    gateway.setup.write("registry.toml", registry(&[with_keys(&[("b", NEXT)])]).as_str());
    gateway.setup.succeed(&["apply", "-f", "registry.toml", "--prune"]);
    eventually("the old key is gone", || (status(&old) == 401).then_some(()));
    assert_eq!(status(&new), 200);
}

#[test]
fn a_secret_that_is_replaced_under_its_name_takes_its_tokens_along() {
    let first = ci().secret();
    let (gateway, _upstream) = start(&registry(&[with_keys(&[("a", &first)])]));
    let [old, new] = [&*first, NEXT].map(|secret| Call::get(PATH).auth(Token::of("ci").sign(secret)));
    let statuses = || (gateway.call(&old).status, gateway.call(&new).status);
    assert_eq!(statuses(), (200, 401));
    let replaced = registry(&[with_keys(&[("a", NEXT)])]);
    gateway.apply_until(&replaced, "the new secret is in force", || gateway.call(&new).status == 200);
    // A token that was good a moment ago, and is remembered as such, is not good now.
    assert_eq!(statuses(), (401, 200));
    assert_eq!(gateway.reason(&gateway.call(&old)), "token.signature_invalid");
}

#[test]
fn secrets_come_from_files_and_the_environment_too() {
    let upstream = Recorder::start();
    let setup = Setup::kore(&upstream.url(), "");
    let (file, variable) =
        (ci().key("secret_file = \"secrets/ci.txt\""), App::new("env", "acme", &[BOT], &["logs:change_logs"]));
    let registry = registry(&[file.clone(), variable.clone().key("secret_env = \"ENV_SECRET\"")]);
    setup.write("registry.toml", registry.as_str());
    fs::create_dir(setup.path().join("secrets")).unwrap();
    // An editor ends a file with a line break, which is no part of the secret.
    setup.write("secrets/ci.txt", &format!("{}\n", ci().secret()));
    let missing = texts(&setup.run(&["apply", "-f", "registry.toml"])).1;
    assert!(missing.contains("registry.toml:") && missing.contains("ENV_SECRET"), "{missing}");
    let applied = setup.run_with(&["apply", "-f", "registry.toml"], &[("ENV_SECRET", &variable.secret())]);
    assert!(applied.status.success(), "{}", texts(&applied).1);
    let gateway = crate::e2e::harness::Gateway::serve(setup, &[]);
    assert_eq!(gateway.call(&call(&ci())).status, 200);
    assert_eq!(gateway.call(&call(&variable)).status, 200);
}

#[test]
fn secrets_are_sealed_under_a_key_file_that_is_its_owners_alone() {
    let setup = Setup::kore("http://127.0.0.1:9", "");
    setup.edit("url = \"sqlite://scopegate.db\"", "url = \"sqlite://scopegate.db\"\nkey_file = \"keys/master.key\"");
    setup.apply(&registry(&[ci()]));
    let key = setup.path().join("keys/master.key");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o7777, 0o600);
    let secret = ci().secret();
    for entry in fs::read_dir(setup.path()).unwrap().map(Result::unwrap).filter(|e| e.path().is_file()) {
        let bytes = fs::read(entry.path()).unwrap();
        let holds_it = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert_eq!(holds_it, entry.file_name() == "registry.toml", "{:?}", entry.path());
    }

    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let refused = setup.run(&["serve"]);
    let (_, err) = texts(&refused);
    assert_eq!(refused.status.code(), Some(1));
    assert!(err.contains("chmod 600 keys/master.key"), "{err}");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();

    // Another key opens nothing, and nothing is overwritten.
    let kept = fs::read(&key).unwrap();
    fs::remove_file(&key).unwrap();
    let refused = setup.run(&["export", "--secrets", "plain"]);
    assert_eq!(refused.status.code(), Some(1), "{:?}", texts(&refused));
    fs::write(&key, kept).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(setup.succeed(&["export", "--secrets", "plain"]).contains(&secret));
}
