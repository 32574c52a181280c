//! What is explained of an access token.

use http::{HeaderMap, Method};
use scopegate::config;
use scopegate::jose::IssuingMaterial;
use scopegate::model::{Algorithm, KeyId, Reason};
use scopegate::policy::{Attempt, State, explain};
use scopegate::registry::{Snapshot, Version};
use scopegate::tokens::{Issued, SigningKeyRecord};
use serde_json::json;

use crate::support::registry::{ACCOUNT, registry};
use crate::support::{NOW, now};

const CONFIGURATION: &str = r#"
profiles = ["oauth"]
[oauth]
issuer = "https://id.example.com"
[upstream.bots]
urls = ["http://127.0.0.1:9"]
[[scope]]
id = "users"
title = "Users"
levels = ["account"]
[[route]]
id = "users"
methods = ["GET"]
path = "/users"
authenticator = "oauth"
scope = "users"
"#;

#[test]
fn a_scope_that_the_app_holds_and_the_token_lacks_is_explained_as_that() {
    let config = config::parse("c.toml", CONFIGURATION).unwrap();
    let issued = Issued::default();
    let material = IssuingMaterial::generate(Algorithm::EdDsa).unwrap();
    let kid = KeyId::new("k").unwrap();
    let key = SigningKeyRecord { number: 1, kid, material, created_at: now(), signs_from: now() };
    issued.ring.follow(&[key], &config.rotation).unwrap();
    let state = State { routes: config.routes, scopes: config.scopes, registry: Snapshot::new(Version(1), registry()) };
    let number = state.registry.app(ACCOUNT).unwrap().number.0;
    let story_of = |scope: &str, number: i64| {
        let claims = json!({
            "iss": "https://id.example.com", "aud": "https://id.example.com", "appId": ACCOUNT, "sub": ACCOUNT,
            "appNumber": number, "scope": scope, "jti": "j", "iat": NOW, "exp": NOW + 60,
        });
        let token = issued.ring.sign("at+jwt", &claims.to_string(), now()).unwrap();
        let headers = HeaderMap::from_iter([(http::header::AUTHORIZATION, format!("Bearer {token}").parse().unwrap())]);
        let attempt =
            Attempt { method: &Method::GET, host: "a.example", path: "/users", headers: &headers, from: None };
        explain(attempt, &state, &issued, now())
    };
    let story = |scope: &str| story_of(scope, number);
    assert!(story("users").is_allowed());
    let of_another = story_of("users", number + 1);
    assert_eq!(of_another.reason, Some(Reason::TokenRevoked), "an app that had the client id before is another");
    let lacking = story("logs");
    assert_eq!(lacking.reason, Some(Reason::ScopeInsufficient));
    assert!(lacking.failure().unwrap().detail.contains("a token for logs"), "{lacking:?}");
    assert!(lacking.hints.iter().any(|hint| hint.contains("ask for a token with it")), "{:?}", lacking.hints);
}
