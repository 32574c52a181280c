//! Rows about apps: how one is created, granted its scopes, and used.

use serde_json::Value;

use super::tokens::{other_rsa, rsa};
use super::world::{ACCOUNT, BOT, SECOND_BOT, UPLOAD, admin, changelogs, ci, world};
use super::{assert_credentials, assert_scope};
use crate::e2e::harness::{App, Call, Gateway, Recorder, Registry, Setup, Token, texts};

#[test]
fn f008_an_app_that_is_granted_a_scope_under_a_bot_calls_that_bot_alone() {
    let upstream = Recorder::start();
    let empty = Registry::new().account(ACCOUNT, &[BOT, SECOND_BOT]);
    let gateway = Gateway::start(Setup::kore(&upstream.url(), ""), &empty);
    let call = Call::get(changelogs(BOT)).auth(ci().token());
    let before = gateway.call(&call);
    assert_credentials(&before);
    assert_eq!(gateway.reason(&before), "app.unknown");

    let registry = empty.app(&ci());
    gateway.setup.write("registry.toml", registry.as_str());
    gateway.setup.succeed(&["apply", "-f", "registry.toml", "--draft"]);
    let drafted = "the app is known, and its grant is a draft";
    crate::e2e::harness::eventually(drafted, || (gateway.reason(&gateway.call(&call)) != "app.unknown").then_some(()));
    assert_scope(&gateway.call(&call));
    gateway.apply_until(&registry, "the grant is published", || gateway.call(&call).status == 200);
    assert_eq!(upstream.all().iter().filter(|s| s.target == changelogs(BOT)).count(), upstream.all().len());

    let other = gateway.call(&Call::get(changelogs(SECOND_BOT)).auth(ci().token()));
    assert_credentials(&other);
    assert_eq!(gateway.reason(&other), "app.wrong_bot");
}

#[test]
fn f009_an_app_of_the_account_calls_every_bot_of_the_account() {
    let world = world();
    for bot in [BOT, SECOND_BOT] {
        assert_eq!(world.call(&Call::get(changelogs(bot)).auth(admin().token()).mark("f009")).status, 200);
    }
    let bots: Vec<_> =
        world.upstream.marked("f009").iter().map(|s| s.header("x-scopegate-bot").map(str::to_owned)).collect();
    assert_eq!(bots, [Some(BOT.to_owned()), Some(SECOND_BOT.to_owned())]);
}

#[test]
fn f012_scopes_go_to_apps_that_sign_with_hs256_alone() {
    let world = world();
    let refused = |app: &App| {
        world.gateway.setup.write("f012.toml", Registry::new().account(ACCOUNT, &[BOT]).app(app).as_str());
        let refused = world.gateway.setup.run(&["apply", "-f", "f012.toml"]);
        let (_, err) = texts(&refused);
        assert_eq!(refused.status.code(), Some(1));
        assert!(err.contains("f012.toml:") && err.contains("only apps that sign with HS256"), "{err}");
        err
    };
    let secret = format!("secret = {:?}", ci().secret());
    let rsa = format!("public_key = '''{}'''", rsa().public);
    for (algorithm, key) in [("HS512", &secret), ("RS256", &rsa), ("RS512", &rsa)] {
        for bots in [&[BOT][..], &[]] {
            // Whatever the app may be used with: scopes are for the public APIs.
            for settings in ["", "authenticators = [\"kore-sdk\"]", "authenticators = [\"kore-channel\"]"] {
                let app = App::new("f012", ACCOUNT, bots, &["logs:change_logs"]).key(key).settings(settings);
                assert!(refused(&app.clone().algorithms(&[algorithm])).contains(algorithm));
                assert!(refused(&app.algorithms(&["HS256", algorithm])).contains(algorithm), "not beside HS256 either");
            }
        }
    }
    // An app that holds a scope can't be given another algorithm afterwards, even by a file that is silent on scopes.
    let app = App { scopes: vec![], ..ci() }.algorithms(&["HS256", "HS512"]);
    assert!(refused(&app).contains("signs with HS512"));

    let token = Token::of(&ci().client_id);
    let hs512 = token.clone().sign512(&ci().secret());
    for token in [hs512, other_rsa().sign_as("RS256", &token.claims), other_rsa().sign_as("RS512", &token.claims)] {
        let reply = world.call(&Call::get(changelogs(BOT)).auth(token).mark("f012"));
        assert_credentials(&reply);
        let line: Value = world.gateway.logged(reply.request_id());
        assert_eq!(line["reason"], "token.algorithm_not_allowed");
        assert_eq!(line["expected"], "HS256");
    }
    assert!(world.upstream.marked("f012").is_empty());
}

#[test]
fn f083_an_app_with_a_public_key_is_known_by_its_signature() {
    let rsa = rsa();
    let upstream = Recorder::start();
    let keys = [format!("public_key = '''{}'''", rsa.public), format!("jwk = {}", rsa.jwk)];
    let mut apps = Vec::new();
    for algorithm in ["RS256", "RS512"] {
        for (i, key) in keys.iter().enumerate() {
            let app = App::new(&format!("f083-{algorithm}-{i}"), ACCOUNT, &[BOT], &[]);
            apps.push(app.algorithms(&[algorithm]).key(key));
        }
    }
    let registry = Registry::new().account(ACCOUNT, &[BOT]).apps(&apps);
    let gateway = Gateway::start(Setup::kore(&upstream.url(), ""), &registry);
    for app in &apps {
        let algorithm = app.algorithms[0].as_str();
        let other_algorithm = if algorithm == "RS256" { "RS512" } else { "RS256" };
        let token = Token::of(&app.client_id);
        let upload = |token: String| gateway.call(&Call::post(UPLOAD, "file").auth(token));
        assert_eq!(upload(rsa.sign_as(algorithm, &token.claims)).status, 200);
        for (wrong, reason) in [
            (other_rsa().sign_as(algorithm, &token.claims), "token.signature_invalid"),
            (rsa.sign_as(other_algorithm, &token.claims), "token.algorithm_not_allowed"),
            // The public key is no secret.
            (token.sign(&rsa.public), "token.algorithm_not_allowed"),
        ] {
            let refused = upload(wrong);
            assert_credentials(&refused);
            assert_eq!(gateway.reason(&refused), reason, "{}", app.client_id);
        }
    }
    assert_eq!(upstream.all().len(), apps.len());
}
