//! The platform's list of errors, a test a line; those of `exp`, `iat` and signatures stand with their rows.

use scopegate::model::Reason;
use serde_json::json;

use super::{ACME, FROZEN, HOUR, KEYLESS, OCTO, RIVALS, START, World, sign};
use crate::e2e::harness::Call;

fn of(iss: &serde_json::Value) -> String {
    sign(&json!({ "iss": iss, "iat": START, "exp": START + 60 }))
}

#[test]
fn a_token_without_an_issuer_is_told_so() {
    let world = World::new();
    let missing = "Missing 'issuer' claim ('iss') in assertion";
    for claims in [json!({ "iat": START, "exp": START + 60 }), json!({ "iss": "", "iat": START, "exp": START + 60 })] {
        world.check(&world.app(&sign(&claims)), 401, missing, Reason::AppUnknown);
    }
    let reply = world.app(&of(&json!("")));
    assert!(world.node.logged(&reply).found.unwrap().contains("a variable that is not set"));
    let near = world.app(&sign(&json!({ "ISS": OCTO, "iat": START, "exp": START + 60 })));
    assert!(world.node.logged(&near).found.unwrap().contains("\"ISS\""));
}

#[test]
fn an_issuer_of_another_kind_is_told_so() {
    let world = World::new();
    let reply = world.app(&of(&json!({ "id": 1 })));
    world.check(&reply, 401, "'Issuer' claim ('iss') must be an Integer", Reason::TokenClaimInvalid);
}

#[test]
fn an_app_without_a_key_is_told_to_make_one() {
    let world = World::new();
    world.check(&world.app(&of(&json!(KEYLESS))), 401, "Integration must generate a public key", Reason::AppNoKey);
}

#[test]
fn an_unknown_app_is_not_found() {
    let world = World::new();
    world.check(&world.app(&of(&json!("Iv1.unknown"))), 404, "Integration not found", Reason::AppUnknown);
}

#[test]
fn an_installation_that_is_not_the_app_s_is_not_found_and_the_log_says_whose_it_is() {
    let world = World::new();
    let number = world.app(&world.jwt()).json()["id"].as_i64().unwrap();
    for (id, found) in [
        ("777".to_owned(), "777".to_owned()),
        (RIVALS.to_string(), format!("{RIVALS}, which is an installation of app Iv1.rival")),
        (number.to_string(), format!("{number}, which is the id of app {OCTO}, not of an installation")),
        ("acme".to_owned(), "\"acme\", which is no number".to_owned()),
        ("-1".to_owned(), "-1".to_owned()),
    ] {
        for call in [
            Call::get(format!("/app/installations/{id}")),
            Call::post(format!("/app/installations/{id}/access_tokens"), ""),
        ] {
            let reply = world.call(&call.bearer(world.jwt()));
            let logged = world.node.logged(&reply);
            assert_eq!((logged.reason, logged.found), (Some(Reason::InstallationUnknown), Some(found.clone())));
            assert!(logged.expected.unwrap().contains("4001 on acme"));
            assert_eq!((reply.status, &reply.json()["message"]), (404, &json!("Not Found")));
        }
    }
}

#[test]
fn a_suspended_installation_gets_no_token() {
    let world = World::new();
    let suspended = "This installation has been suspended";
    world.check(&world.ask(FROZEN, ""), 403, suspended, Reason::InstallationSuspended);
}

#[test]
fn permissions_that_are_not_granted_are_told_and_the_log_names_each() {
    let world = World::new();
    let body = r#"{"permissions":{"contents":"admin","isues":"read","pull-requests":"write","issues":"read"}}"#;
    let reply = world.ask(ACME, body);
    let message = "The permissions requested are not granted to this installation.";
    world.check(&reply, 422, message, Reason::PermissionsNotGranted);
    let found = world.node.logged(&world.ask(ACME, body)).found.unwrap();
    let wanted = "contents is granted for write, not for admin; \"isues\" is not granted; did you mean issues?; \
                  \"pull-requests\" is not granted";
    assert_eq!(found, wanted);
}

#[test]
fn too_many_repositories_are_told_with_how_many_there_may_be() {
    let world = World::new();
    let ids: Vec<_> = (1..=501).collect();
    let reply = world.ask(ACME, &json!({ "repository_ids": ids }).to_string());
    world.check(&reply, 422, "More than 500 repositories are asked for.", Reason::RepositoriesTooMany);
}

#[test]
fn an_installation_s_token_that_has_ended_or_is_none_is_a_bad_credential() {
    let world = World::new();
    let token = world.token(ACME, "");
    let any = |token: &str| world.call(&Call::get("/any").bearer(token));
    let (signed, signature) = (token.rsplit_once('.').unwrap().0, world.token(ACME, ""));
    let forged = format!("{signed}.{}", signature.rsplit_once('.').unwrap().1);
    world.check(&any(&forged), 401, "Bad credentials", Reason::TokenSignatureInvalid);
    world.check(&any("ghs_garbage"), 401, "Bad credentials", Reason::TokenMalformed);
    world.check(&any("ghs_"), 401, "Bad credentials", Reason::CredentialMalformed);
    world.check(&world.call(&Call::get("/any")), 401, "Requires authentication", Reason::CredentialMissing);
    world.node.clock.advance(HOUR);
    world.check(&any(&token), 401, "Bad credentials", Reason::TokenExpired);
}
