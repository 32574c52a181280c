//! What an assertion may be for, and that it is for nothing else.

use std::process::Command;

use scopegate::clock::Timestamp;
use scopegate::model::Reason;
use serde_json::{Value, json};

use super::{CLIENT_ASSERTION, ISSUER, JWT_BEARER, SECRET, START, World};
use crate::e2e::harness::Reply;

const ENDPOINTS: [&str; 3] = ["/oauth2/token", "/oauth2/introspect", "/oauth2/revoke"];

type Sending = fn(&World, &Value) -> Reply;

fn client_credentials(world: &World, audience: &Value) -> Reply {
    let assertion = world.assertion("svc").claim("aud", audience.clone()).sign(SECRET);
    let form = [
        ("grant_type", "client_credentials"),
        ("client_assertion_type", CLIENT_ASSERTION),
        ("client_assertion", &assertion),
    ];
    world.post("/oauth2/token", &form)
}

fn hand_in(world: &World, audience: &Value) -> Reply {
    let assertion = world.assertion("svc").claim("aud", audience.clone()).sign(SECRET);
    world.post("/oauth2/token", &[("grant_type", JWT_BEARER), ("assertion", &assertion)])
}

fn older() -> World {
    World::with("assertion_audiences = \"endpoints\"\n", "127.0.0.1:0", ISSUER, Timestamp::from_secs(START))
}

fn audiences() -> (Vec<Value>, Vec<Value>) {
    let urls: Vec<_> = ENDPOINTS.iter().map(|path| format!("{ISSUER}{path}")).collect();
    let of_older =
        urls.iter().flat_map(|url| [json!(url), json!([url]), json!([ISSUER, url])]).chain([json!([ISSUER])]);
    let of_none = ["https://else.test", "", "https://id.example.test/"].map(|aud| json!(aud));
    (of_older.collect(), of_none.into_iter().chain([json!([]), json!(["https://else.test"])]).collect())
}

#[test]
fn an_assertion_names_the_issuer_and_nothing_else() {
    let world = World::new();
    let (of_older, of_none) = audiences();
    for audience in of_older.iter().chain(&of_none) {
        for (send, error) in [(client_credentials as Sending, "invalid_client"), (hand_in, "invalid_grant")] {
            let reply = send(&world, audience);
            assert_eq!(reply.json()["error"], error, "{audience}");
            assert_eq!(world.node.logged(&reply).reason, Some(Reason::TokenAudienceMismatch), "{audience}");
        }
    }
    assert_eq!(client_credentials(&world, &json!(ISSUER)).status, 200);
    assert_eq!(hand_in(&world, &json!(ISSUER)).status, 200);
}

#[test]
fn endpoints_and_lists_are_taken_where_a_setting_says_so() {
    let world = older();
    let (of_older, of_none) = audiences();
    for audience in of_older.iter().chain(&[json!(ISSUER)]) {
        assert_eq!(client_credentials(&world, audience).status, 200, "{audience}");
        assert_eq!(hand_in(&world, audience).status, 200, "{audience}");
    }
    for audience in &of_none {
        assert_eq!(client_credentials(&world, audience).status, 401, "{audience}");
    }
}

#[test]
fn an_assertion_is_no_api_token_where_no_audience_is_configured() {
    for world in [World::new(), older()] {
        let urls = ENDPOINTS.map(|path| format!("{ISSUER}{path}"));
        let others = ["https://ID.example.test:443/", "https://id.example.test/.well-known/jwks.json"];
        let ours = urls.iter().map(String::as_str).chain(others).chain([ISSUER]);
        for audience in ours.flat_map(|url| [json!(url), json!([url]), json!(["https://else.test", url])]) {
            let reply = world.get("/own", &world.assertion("elsewhere").claim("aud", audience.clone()).sign(SECRET));
            let line = world.node.logged(&reply);
            assert_eq!((reply.status, line.reason), (401, Some(Reason::TokenAudienceMismatch)), "{audience}");
        }
        assert_eq!(world.upstream.all().len(), 0);
        for audience in [json!("https://else.test"), json!("https://id.example.test/api"), json!([])] {
            let token = world.assertion("elsewhere").claim("aud", audience.clone()).sign(SECRET);
            assert_eq!(world.get("/own", &token).status, 200, "{audience}");
        }
        assert_eq!(world.get("/own", &world.assertion("elsewhere").without("aud").sign(SECRET)).status, 200);
    }
}

#[test]
fn check_warns_of_authenticators_without_audiences_where_tokens_are_issued() {
    let check = |top: &str, more: &str| {
        let sections = format!(
            "{more}[authenticator.own]\nkind = \"jwt\"\nalgorithms = [\"HS256\"]\n[authenticator.named]\nkind = \"jwt\"\n\
             algorithms = [\"HS256\"]\naudiences = [\"bots\"]\n[authenticator.idle]\nkind = \"jwt\"\nalgorithms = [\"HS256\"]\n\
             [upstream.a]\nurls = [\"http://127.0.0.1:9\"]\n\
             [[route]]\nid = \"o\"\nmethods = [\"GET\"]\npath = \"/o\"\nauthenticator = \"own\"\nscope = \"any\"\n\
             [[route]]\nid = \"n\"\nmethods = [\"GET\"]\npath = \"/n\"\nauthenticator = \"named\"\nscope = \"any\"\n"
        );
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scopegate.toml");
        let store = folder.path().join("scopegate.db");
        std::fs::write(&path, format!("{top}\n[store]\nurl = \"sqlite://{}\"\n{sections}", store.display())).unwrap();
        let done = Command::new(env!("CARGO_BIN_EXE_scopegate")).arg("check").arg("-c").arg(&path).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stderr).unwrap()
    };
    let warned = check("profiles = [\"oauth\"]", "[oauth]\nissuer = \"https://id.example.com\"\n");
    assert!(warned.contains("authenticator own has no audiences"), "{warned}");
    for quiet in ["authenticator named", "authenticator idle", "authenticator oauth"] {
        assert!(!warned.contains(quiet), "{warned}");
    }
    assert!(!check("", "").contains("has no audiences"));
}
