//! Keys of an app, and its number.

use std::fs;
use std::process::Command;

use serde_json::json;

use super::{OCTO, START, World, sign, sign_other};
use crate::e2e::harness::{Setup, eventually};
use crate::support::tokens::{OTHER_RSA_PUBLIC, RSA, RSA_PUBLIC};

#[test]
fn f162_two_keys_are_good_at_once_and_a_deleted_one_no_more() {
    let world = World::new();
    let claims = json!({ "iss": OCTO, "iat": START, "exp": START + 60 });
    let both = || [sign(&claims), sign_other(&claims)].map(|token| world.app(&token).status);
    assert_eq!(both(), [200, 401]);
    let key = |pem: &str| format!("[[key]]\napp = {OCTO:?}\npublic_key = '''{pem}'''\n");
    world.node.apply(&format!("version = 1\n{}{}", key(RSA_PUBLIC), key(OTHER_RSA_PUBLIC)));
    eventually("both keys are good", || (both() == [200, 200]).then_some(()));
    world.node.with_store(|store| async move {
        use scopegate::registry::{Actor, Change, Repository as _};
        let client_id = scopegate::model::ClientId::new(OCTO).unwrap();
        let app = store.load().await.unwrap().1.apps.remove(&client_id).unwrap();
        let first = app.keys[0].number;
        let actor = Actor { name: "test".into(), why: None, at: scopegate::clock::Timestamp::from_secs(START) };
        store.commit(&[Change::DeleteKey { app: client_id, key: first, kid: None }], &actor).await.unwrap();
    });
    eventually("the first key is gone", || (both() == [401, 200]).then_some(()));
}

fn setup() -> Setup {
    let setup = Setup::new("profiles = [\"icr\"]", "[upstream.repos]\nurls = [\"http://127.0.0.1:9\"]");
    setup.write("key.pem", RSA);
    setup.write("key.pub.pem", RSA_PUBLIC);
    let registry = super::registry().replace("[[installation]]", "\n[[installation]]");
    setup.write("registry.toml", &registry);
    setup.succeed(&["apply", "-f", "registry.toml"]);
    setup
}

#[test]
fn f162_the_last_key_stays_and_a_fingerprint_is_what_openssl_makes_of_the_key() {
    let setup = setup();
    let keys: serde_json::Value = serde_json::from_str(&setup.succeed(&["key", "list", OCTO, "--json"])).unwrap();
    let script = "openssl rsa -in key.pem -pubout -outform DER 2>/dev/null | openssl sha256 -binary | openssl base64";
    let made = Command::new("sh").args(["-c", script]).current_dir(setup.path()).output().unwrap();
    let fingerprint = format!("SHA256:{}", String::from_utf8_lossy(&made.stdout).trim());
    assert_eq!(keys[0]["fingerprint"], fingerprint);
    let refused = setup.refused(&["key", "delete", OCTO, &keys[0]["number"].to_string()]);
    assert!(refused.contains("last"), "{refused}");
}

#[test]
fn f163_number_and_client_id_of_an_app_are_shown() {
    let setup = setup();
    let shown = setup.succeed(&["app", "show", OCTO]);
    let app: serde_json::Value = serde_json::from_str(&setup.succeed(&["app", "show", OCTO, "--json"])).unwrap();
    assert!(app["number"].as_i64().unwrap() > 0, "{app}");
    assert!(shown.contains(OCTO) && shown.contains(&app["number"].to_string()), "{shown}");
    assert!(fs::exists(setup.path().join("scopegate.db")).unwrap());
}

#[test]
fn f154_the_catalogue_says_which_kind_of_token_a_call_takes() {
    let setup = setup();
    let apis: serde_json::Value = serde_json::from_str(&setup.succeed(&["catalog", "list", "--json"])).unwrap();
    let auth = |id: &str| apis.as_array().unwrap().iter().find(|api| api["id"] == id).unwrap()["auth"].clone();
    assert_eq!((auth("icr-app"), auth("icr-access-tokens")), (json!("app-jwt"), json!("app-jwt")));
    assert_eq!((auth("icr-repositories"), auth("icr-revocation")), (json!("installation"), json!("installation")));
    let text = setup.succeed(&["catalog", "list"]);
    assert!(text.contains("AUTH") && text.contains("app-jwt") && text.contains("installation"), "{text}");
}

#[test]
fn an_app_that_is_bound_to_authenticators_needs_both() {
    let start = scopegate::clock::Timestamp::from_secs(START);
    for (bound, status) in [(r#"["icr", "icr-installation"]"#, 200), (r#"["icr"]"#, 401)] {
        let named = r#"authenticators = ["icr", "icr-installation"]"#;
        let registry = super::registry().replacen(named, &format!("authenticators = {bound}"), 1);
        let world = World::at(start, "", &registry);
        let token = world.token(super::ACME, "");
        assert_eq!(world.status("GET", "/any", &token), status, "{bound}");
    }
}
