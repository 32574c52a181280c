//! Rows about apps: how one is created, granted its scopes, and used.

use serde_json::Value;

use super::world::{ACCOUNT, BOT, SECOND_BOT, UPLOAD, admin, changelogs, ci, world};
use super::{assert_credentials, assert_scope};
use crate::e2e::harness::{App, Call, Gateway, Recorder, Registry, Setup, texts};

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
    for algorithm in ["HS512", "RS256"] {
        let key =
            if algorithm == "RS256" { format!("public_key = '''{}'''", super::tokens::rsa().public) } else { ci().key };
        let app = App::new("f012", ACCOUNT, &[BOT], &["logs:change_logs"]).algorithms(&[algorithm]).key(key);
        let registry = Registry::new().account(ACCOUNT, &[BOT]).app(&app);
        world.gateway.setup.write("f012.toml", registry.as_str());
        let refused = world.gateway.setup.run(&["apply", "-f", "f012.toml"]);
        let (_, err) = texts(&refused);
        assert_eq!(refused.status.code(), Some(1));
        assert!(err.contains(algorithm) && err.contains("HS256") && err.contains("f012.toml:"), "{err}");
    }
    let hs512 = crate::e2e::harness::Token::of(&ci().client_id).sign512(&ci().secret());
    let rs256 = super::tokens::rsa().sign(&ci().client_id);
    for token in [hs512, rs256] {
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
    let rsa = super::tokens::rsa();
    let upstream = Recorder::start();
    let pem = App::new("f083-pem", ACCOUNT, &[BOT], &[])
        .algorithms(&["RS256"])
        .key(format!("public_key = '''{}'''", rsa.public));
    let jwk = App::new("f083-jwk", ACCOUNT, &[BOT], &[]).algorithms(&["RS256"]).key(format!("jwk = {}", rsa.jwk));
    let registry = Registry::new().account(ACCOUNT, &[BOT]).apps(&[pem.clone(), jwk.clone()]);
    let gateway = Gateway::start(Setup::kore(&upstream.url(), ""), &registry);
    for app in [pem, jwk] {
        let upload = |token: String| gateway.call(&Call::post(UPLOAD, "file").auth(token));
        assert_eq!(upload(rsa.sign(&app.client_id)).status, 200);
        let other = upload(super::tokens::other_rsa().sign(&app.client_id));
        assert_credentials(&other);
        assert_eq!(gateway.reason(&other), "token.signature_invalid");
    }
    assert_eq!(upstream.all().len(), 2);
}
