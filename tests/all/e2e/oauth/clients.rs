//! Clients that others wrote, unmodified, against the gateway on loopback.

use std::fs;
use std::net::TcpListener;
use std::process::Command;

use scopegate::clock::Timestamp;
use serde_json::{Value, json};

use super::{SECRET, World, parts};
use crate::e2e::harness::now;
use crate::e2e::interop::{library, root, run};

/// A gateway whose issuer is its own address, with the clock that clients have; and the key of the app `keyed`.
fn world(oauth: &str) -> (World, String) {
    // Free a moment ago: the system gives each port once before it begins anew.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let issuer = format!("http://{address}");
    let world = World::with(oauth, &address, &issuer, Timestamp::from_secs(now()));
    let folder = tempfile::tempdir().unwrap();
    let openssl = |arguments: &[&str]| {
        assert!(Command::new("openssl").args(arguments).current_dir(folder.path()).status().unwrap().success());
    };
    openssl(&["genpkey", "-quiet", "-out", "key.pem", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    openssl(&["pkey", "-in", "key.pem", "-pubout", "-out", "pub.pem"]);
    let public = fs::read_to_string(folder.path().join("pub.pem")).unwrap();
    world.node.apply(&format!(
        "version = 1\n[[app]]\nclient_id = \"keyed\"\nname = \"keyed\"\naccount = \"acme\"\nlevel = \"account\"\n\
         algorithms = [\"ES256\"]\n[[key]]\napp = \"keyed\"\npublic_key = {public:?}\n\
         [[grant]]\napp = \"keyed\"\naccount = \"acme\"\nscopes = [\"logs\", \"users\"]\n"
    ));
    (world, fs::read_to_string(folder.path().join("key.pem")).unwrap())
}

/// What a script tells of discovery, token, introspection, revocation and introspection again.
fn check(world: &World, told: &Value, client: &str) {
    let token = told["token"]["access_token"].as_str().unwrap();
    assert_eq!((&told["token"]["expires_in"], &told["token"]["scope"]), (&json!(3600), &json!("logs")), "{told}");
    assert_eq!(parts(token)[1]["client_id"], client);
    assert_eq!((&told["before"]["active"], &told["before"]["client_id"]), (&json!(true), &json!(client)), "{told}");
    assert_eq!(told["after"], json!({ "active": false }), "{told}");
    assert_eq!(told["refused"], "invalid_scope", "{told}");
    assert_eq!(world.get("/any", token).status, 401, "it is revoked");
}

fn node_client(script: &str, module: &str, oauth: &str, audience: Option<&str>) {
    let (world, key) = world(oauth);
    library(&format!("node_modules/{module}"));
    let call = |order: &Value| {
        let script = root().join("tests/interop").join(script);
        let told = run(
            Command::new("node").arg("--no-warnings").arg("--experimental-global-webcrypto").arg(script),
            &order.to_string(),
        );
        serde_json::from_str::<Value>(&told).unwrap()
    };
    let audience = audience.map(|_| world.node.url());
    let order =
        json!({ "issuer": world.node.url(), "client": "keyed", "key": key, "scope": "logs", "audience": audience });
    check(&world, &call(&order), "keyed");
    let order =
        json!({ "issuer": world.node.url(), "client": "svc", "secret": SECRET, "scope": "logs", "audience": audience });
    check(&world, &call(&order), "svc");
}

#[test]
fn openid_client_discovers_gets_introspects_and_revokes() {
    node_client("oauth_openid_client.mjs", "openid-client", "", Some("the issuer"));
}

/// It names the issuer and the endpoint in a list where nothing else is said.
#[test]
fn openid_client_unmodified_is_taken_where_the_setting_for_older_clients_says_so() {
    node_client("oauth_openid_client.mjs", "openid-client", "assertion_audiences = \"endpoints\"\n", None);
}

#[test]
fn oauth4webapi_discovers_gets_introspects_and_revokes() {
    node_client("oauth_oauth4webapi.mjs", "oauth4webapi", "", None);
}

#[test]
fn oauth4webapi_names_the_issuer_alone_which_is_taken_with_either_setting() {
    node_client("oauth_oauth4webapi.mjs", "oauth4webapi", "assertion_audiences = \"endpoints\"\n", None);
}

#[test]
fn pyjwt_verifies_access_tokens_by_the_published_keys() {
    let (world, _) = world("");
    let issuer = world.node.url();
    let assertion = world.assertion("svc").claim("aud", issuer.clone()).sign(SECRET);
    let form = [("grant_type", super::JWT_BEARER), ("assertion", &assertion)];
    let token = world.post("/oauth2/token", &form).json()["access_token"].as_str().unwrap().to_owned();
    let order = json!({ "token": token, "issuer": issuer });
    let script = root().join("tests/interop/verify_pyjwt.py");
    let told = run(Command::new(library("venv/bin/python")).arg(script), &order.to_string());
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&told["typ"], &told["claims"]), (&json!("at+jwt"), &parts(&token)[1]));
}
