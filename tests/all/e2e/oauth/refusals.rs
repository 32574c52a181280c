//! What the endpoints refuse, in OAuth's words; the log has the true reason.

use scopegate::model::Reason;
use serde_json::json;

use super::{CLIENT_ASSERTION, FORM, JWT_BEARER, SECRET, START, World, encode};
use crate::e2e::harness::{Call, Reply, Token};

const TOKEN: &str = "/oauth2/token";
const CREDENTIALS: (&str, &str) = ("grant_type", "client_credentials");
const TYPE: (&str, &str) = ("client_assertion_type", CLIENT_ASSERTION);

#[track_caller]
fn refused(world: &World, reply: &Reply, (status, error): (u16, &str), reason: Reason) {
    let (body, logged) = (reply.json(), world.node.logged(reply));
    assert_eq!((reply.status, &body["error"], logged.reason), (status, &json!(error), Some(reason)), "{body}");
    assert_eq!(body.as_object().unwrap().len(), 2, "{body}");
    let description = body["error_description"].as_str().unwrap();
    // RFC 6749 section 5.2.
    assert!(description.bytes().all(|b| matches!(b, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e)), "{description}");
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(reply.header("content-type"), Some("application/json"));
}

fn by(world: &World, token: &Token) -> Reply {
    world.post(TOKEN, &[CREDENTIALS, TYPE, ("client_assertion", &token.sign(SECRET))])
}

fn handed_in(world: &World, token: &Token) -> Reply {
    world.post(TOKEN, &[("grant_type", JWT_BEARER), ("assertion", &token.sign(SECRET))])
}

#[test]
fn a_form_that_is_none_is_an_invalid_request() {
    let world = World::new();
    let invalid = |reply: &Reply| refused(&world, reply, (400, "invalid_request"), Reason::OauthRequestInvalid);
    let form = encode(&[CREDENTIALS]);
    invalid(&world.call(&Call::post(TOKEN, form.clone())));
    invalid(&world.call(&Call::post(TOKEN, "{}").header("Content-Type", "application/json")));
    invalid(
        &world.call(&Call::post(format!("{TOKEN}?grant_type=client_credentials"), "").header("Content-Type", FORM)),
    );
    invalid(&world.post(TOKEN, &[]));
    invalid(&world.post(TOKEN, &[CREDENTIALS, CREDENTIALS]));
    invalid(&world.post(TOKEN, &[("grant_type", "")]));
    invalid(&world.post(TOKEN, &[("grant_type", JWT_BEARER)]));
    invalid(&world.post(TOKEN, &[CREDENTIALS, ("client_assertion", "a.b.c")]));
    invalid(&world.post_as("svc", "/oauth2/introspect", &[]));
    invalid(&world.post_as("svc", "/oauth2/revoke", &[]));
    for (path, reason) in [(TOKEN, Reason::MethodNotAllowed), ("/oauth2/revoke", Reason::MethodNotAllowed)] {
        refused(&world, &world.call(&Call::get(path)), (405, "invalid_request"), reason);
    }
    let long = world.post(TOKEN, &[("grant_type", &"x".repeat(70_000))]);
    refused(&world, &long, (413, "invalid_request"), Reason::RequestBodyTooLarge);
}

#[test]
fn there_is_no_other_grant() {
    let world = World::new();
    for grant in ["authorization_code", "password", "refresh_token", "Client_Credentials", "\u{1b}[2J\"\\"] {
        let reply = world.post_as("svc", TOKEN, &[("grant_type", grant)]);
        refused(&world, &reply, (400, "unsupported_grant_type"), Reason::OauthGrantUnsupported);
    }
}

#[test]
fn who_does_not_authenticate_is_no_client_anywhere() {
    let world = World::new();
    for path in [TOKEN, "/oauth2/introspect", "/oauth2/revoke"] {
        let invalid = |form: &[(&str, &str)]| {
            let reply = world.post(path, &[&[CREDENTIALS, ("token", "x")], form].concat());
            refused(&world, &reply, (401, "invalid_client"), Reason::OauthClientUnproved);
        };
        invalid(&[]);
        invalid(&[("client_id", "svc"), ("client_secret", SECRET)]);
        invalid(&[
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"),
            ("client_assertion", "x"),
        ]);
    }
}

#[test]
fn whoever_cannot_sign_as_the_app_is_told_one_thing_and_the_log_another() {
    let world = World::new();
    let mut told = Vec::new();
    for (token, secret, reason) in [
        (world.assertion("nobody"), SECRET, Reason::AppUnknown),
        (world.assertion("svc"), "another secret, which is long enough", Reason::TokenSignatureInvalid),
        (world.assertion("elsewhere"), SECRET, Reason::AppWrongAuthenticator),
    ] {
        let reply = world.post(TOKEN, &[CREDENTIALS, TYPE, ("client_assertion", &token.sign(secret))]);
        refused(&world, &reply, (401, "invalid_client"), reason);
        told.push(reply.json());
        let reply = world.post(TOKEN, &[("grant_type", JWT_BEARER), ("assertion", &token.sign(secret))]);
        refused(&world, &reply, (400, "invalid_grant"), reason);
    }
    assert!(told.iter().all(|body| *body == told[0]), "{told:?}");
}

#[test]
fn an_assertion_is_judged_as_any_token_and_its_fault_is_the_clients_or_the_grants() {
    let world = World::new();
    let good = || world.assertion("svc");
    for (token, reason) in [
        (good().claim("exp", START - 60), Reason::TokenExpired),
        (good().claim("exp", START + 631), Reason::TokenLifetimeTooLong),
        (good().without("exp"), Reason::TokenExpRequired),
        (good().claim("nbf", START + 60), Reason::TokenNotYetValid),
        (good().claim("iat", START + 60), Reason::TokenIssuedInFuture),
        (good().claim("aud", "https://id.example.test/"), Reason::TokenAudienceMismatch),
        (good().without("aud"), Reason::TokenAudienceMismatch),
        (good().claim("jti", ""), Reason::TokenClaimInvalid),
    ] {
        refused(&world, &by(&world, &token), (401, "invalid_client"), reason);
        refused(&world, &handed_in(&world, &token), (400, "invalid_grant"), reason);
    }
    let mut typed = good();
    typed.header["typ"] = json!("at+jwt");
    refused(&world, &by(&world, &typed), (401, "invalid_client"), Reason::TokenTypeNotAllowed);
    refused(&world, &by(&world, &good().claim("sub", "ana")), (401, "invalid_client"), Reason::OauthClientMismatch);
    refused(&world, &by(&world, &good().without("sub")), (401, "invalid_client"), Reason::OauthClientMismatch);
    refused(&world, &handed_in(&world, &good().without("sub")), (400, "invalid_grant"), Reason::TokenClaimInvalid);
    for not_a_token in ["x", "a.b.c", "..", "a.b.c.d.e"] {
        let reply = world.post(TOKEN, &[CREDENTIALS, TYPE, ("client_assertion", not_a_token)]);
        assert_eq!((reply.status, &reply.json()["error"]), (401, &json!("invalid_client")), "{not_a_token}");
    }
}

#[test]
fn on_the_host_of_an_account_only_its_apps_are_clients() {
    let world = World::new();
    let ask = |app: &str, host: &str| {
        let assertion = world.assertion(app).sign(SECRET);
        let form = encode(&[CREDENTIALS, TYPE, ("client_assertion", &assertion)]);
        world.call(&Call::post(TOKEN, form).header("Content-Type", FORM).host(host))
    };
    assert_eq!(ask("rival", "rival.test").status, 200);
    refused(&world, &ask("svc", "rival.test"), (401, "invalid_client"), Reason::OauthClientMismatch);
}

#[test]
fn one_of_our_own_tokens_is_no_assertion() {
    let world = World::new();
    let token = world.token("svc", "");
    let reply = world.post(TOKEN, &[("grant_type", JWT_BEARER), ("assertion", &token)]);
    assert_eq!((reply.status, &reply.json()["error"]), (400, &json!("invalid_grant")));
}

#[test]
fn an_assertion_is_good_once_wherever_it_is_used() {
    let world = World::new();
    let replayed = |reply: &Reply, answer| refused(&world, reply, answer, Reason::TokenReplayed);
    let token = world.assertion("svc");
    assert_eq!(by(&world, &token).status, 200);
    replayed(&by(&world, &token), (401, "invalid_client"));
    replayed(&handed_in(&world, &token), (400, "invalid_grant"));
    for path in ["/oauth2/introspect", "/oauth2/revoke"] {
        let reply = world.post(path, &[TYPE, ("client_assertion", &token.sign(SECRET)), ("token", "x")]);
        replayed(&reply, (401, "invalid_client"));
    }
    // Without a jti there is nothing to remember it by.
    let many = world.assertion("svc").without("jti");
    assert_eq!([by(&world, &many).status, by(&world, &many).status], [200, 200]);
}

#[test]
fn what_was_used_at_the_gate_is_used_up_here() {
    let world = World::new();
    let token = world.assertion("single");
    assert_eq!(world.get("/gate", &token.sign(SECRET)).status, 200);
    refused(&world, &by(&world, &token), (401, "invalid_client"), Reason::TokenReplayed);
    let token = world.assertion("single");
    assert_eq!(by(&world, &token).status, 200);
    let reply = world.get("/gate", &token.sign(SECRET));
    assert_eq!((reply.status, reply.code().as_str()), (401, "token.replayed"));
}

#[test]
fn a_scope_that_is_not_held_is_refused_and_burns_no_assertion() {
    let world = World::new();
    let (token, rest) = (world.assertion("svc").sign(SECRET), [CREDENTIALS, TYPE]);
    for scope in ["train", "logs train", "LOGS", "logs,users", "\"", "zwölf"] {
        let reply = world.post(TOKEN, &[&rest[..], &[("client_assertion", &token), ("scope", scope)]].concat());
        refused(&world, &reply, (400, "invalid_scope"), Reason::OauthScopeInvalid);
    }
    assert_eq!(
        world.post(TOKEN, &[&rest[..], &[("client_assertion", &token), ("scope", "logs")]].concat()).status,
        200
    );
}

#[test]
fn neither_assertions_nor_tokens_reach_the_log_or_an_error() {
    let world = World::new();
    let token = world.assertion("svc").claim("aud", "elsewhere").sign(SECRET);
    let signature = token.rsplit('.').next().unwrap();
    for form in [
        vec![CREDENTIALS, TYPE, ("client_assertion", &*token)],
        vec![("grant_type", JWT_BEARER), ("assertion", &token), ("assertion", &token)],
        vec![("grant_type", JWT_BEARER), ("assertion", &token), ("client_secret", SECRET)],
    ] {
        let reply = world.post(TOKEN, &form);
        let told = format!("{}{:?}", String::from_utf8_lossy(&reply.body), world.node.logged(&reply));
        assert!(!told.contains(signature) && !told.contains(SECRET), "{told}");
    }
}
