//! Tokens of single use: the first use is the last check.

use std::time::Duration;

use scopegate::config;
use scopegate::model::Reason;
use scopegate::policy::AuthenticatorKind;
use scopegate::registry::{Snapshot, Version};
use scopegate::verify::{TokenRules, Verifier};

use crate::support::registry::{ACCOUNT, SINGLE, registry};
use crate::support::routes::token_settings;
use crate::support::{Format, Gateway, Script, Token, now};

fn token(jti: &str) -> String {
    Token::of(SINGLE).claim("jti", jti).make()
}

#[tokio::test]
async fn the_second_call_with_a_token_of_single_use_is_refused() {
    let gateway = Gateway::new();
    let call = || gateway.call(Format::Problem.request("GET", "/any", &token("a")).body(Script::empty()).unwrap());
    assert_eq!(call().await.status, 200);
    let again = call().await;
    assert_eq!((again.status, again.log.reason), (401, Some(Reason::TokenReplayed)));
    gateway.leaf.take_one();
}

#[tokio::test]
async fn the_same_jti_in_another_token_is_a_replay_too() {
    let gateway = Gateway::new();
    let tokens = [token("a"), Token::of(SINGLE).claim("jti", "a").claim("sub", "somebody else").make()];
    let mut statuses = Vec::new();
    for token in tokens {
        let request = Format::Kore.request("GET", "/any", &token).body(Script::empty()).unwrap();
        statuses.push(gateway.call(request).await.status);
    }
    assert_eq!(statuses, [200, 401]);
}

#[tokio::test]
async fn a_call_that_is_refused_for_another_reason_burns_no_jti() {
    let gateway = Gateway::new();
    let token = token("a");
    let refused = [
        ("GET", "/users", Reason::ScopeInsufficient),
        ("GET", "/bot/st-9/logs", Reason::AppWrongAccount),
        ("DELETE", "/any", Reason::MethodNotAllowed),
        ("GET", "/tables/orders", Reason::TableForbidden),
    ];
    for (method, path, reason) in refused {
        let request = Format::Problem.request(method, path, &token).body(Script::empty()).unwrap();
        assert_eq!(gateway.call(request).await.log.reason, Some(reason));
        assert!(gateway.gate.replay.is_empty());
    }
    let request = Format::Problem.request("GET", "/any", &token).body(Script::empty()).unwrap();
    assert_eq!(gateway.call(request).await.status, 200);
    assert_eq!(gateway.gate.replay.len(), 1);
}

#[tokio::test]
async fn a_jti_is_no_single_use_where_nobody_asks_for_it() {
    let gateway = Gateway::new();
    let token = Token::of(ACCOUNT).claim("jti", "a").make();
    for _ in 0..2 {
        let request = Format::Problem.request("GET", "/any", &token).body(Script::empty()).unwrap();
        assert_eq!(gateway.call(request).await.status, 200);
    }
}

#[test]
fn a_use_is_remembered_until_the_token_is_good_nowhere() {
    let config = config::parse(
        "scopegate.toml",
        "[upstream.bots]\nurls = [\"http://127.0.0.1:9\"]\n\
         [authenticator.strict]\nkind = \"jwt\"\nalgorithms = [\"HS256\"]\nleeway = \"0s\"\n\
         [authenticator.lenient]\nkind = \"jwt\"\nalgorithms = [\"HS256\"]\nleeway = { exp = \"90s\" }\n\
         [[route]]\nid = \"a\"\nmethods = [\"GET\"]\npath = \"/a\"\nauthenticator = \"strict\"\nscope = \"any\"\n\
         [[route]]\nid = \"b\"\nmethods = [\"GET\"]\npath = \"/b\"\nauthenticator = \"lenient\"\nscope = \"any\"\n",
    );
    let config = config.unwrap();
    let (snapshot, token) = (Snapshot::new(Version(1), registry()), token("a"));
    for route in config.routes.routes() {
        let AuthenticatorKind::Jwt(jwt) = &route.authenticator.kind else { panic!("{}", route.id) };
        let verified = Verifier::new(0).verify(token.as_bytes(), &jwt.rules, &snapshot, now()).unwrap();
        assert_eq!(verified.single_use().unwrap().until, now().after(Duration::from_secs(300 + 90)), "{}", route.id);
    }
}

/// The cache counts what it holds only now and then, so there have to be many.
#[test]
fn tokens_of_single_use_are_not_remembered() {
    let (rules, snapshot) = (TokenRules::new(token_settings("x")), Snapshot::new(Version(1), registry()));
    for (app, remembers) in [(SINGLE, false), (ACCOUNT, true)] {
        let verifier = Verifier::new(1 << 20);
        for n in 0..1000 {
            let token = Token::of(app).claim("jti", n.to_string()).make();
            assert!(verifier.verify(token.as_bytes(), &rules, &snapshot, now()).is_ok());
        }
        assert_eq!(verifier.remembered() > 0, remembers, "{app}");
    }
}
