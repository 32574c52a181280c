//! Who calls, in a token that upstreams verify with our key set.

use std::process::Command;
use std::time::Duration;

use scopegate::clock::Timestamp;
use scopegate::model::{Algorithm, Reason};
use scopegate::registry::Actor;
use scopegate::tokens::{Issued, RotationSettings, TokenService};
use serde_json::{Value, json};

use crate::e2e::harness::{App, Call, Gateway, Node, Recorder, Registry, Setup, Token, eventually, now};
use crate::e2e::interop::{library, root, run};

const JWT: &str = "[identity]\njwt = { audience = \"bots\", lifetime = \"10m\" }\n";
const HEADER: &str = "x-scopegate-identity";

const MINUTE: Duration = Duration::from_secs(60);

fn caller() -> App {
    App::new("caller", "acme", &["st-1"], &["logs"])
}

fn registry() -> Registry {
    Registry::new().account("acme", &["st-1"]).app(&caller())
}

const ROUTES: &str = "[tokens]\nrotate_every = \"2m\"\npublish_ahead = \"1m\"\n\
    [[scope]]\nid = \"logs\"\ntitle = \"Logs\"\nlevels = [\"bot\"]\n\
    [authenticator.bearer]\nkind = \"jwt\"\nalgorithms = [\"HS256\"]\n\
    [[route]]\nid = \"logs\"\nmethods = [\"GET\"]\npath = \"/bot/{botId}/logs\"\nauthenticator = \"bearer\"\n\
    scope = { bot = \"logs\" }\nbot_param = \"botId\"\n";

/// A gateway whose clock begins some minutes ago, so that what it signs later is not of the future for others.
fn node(upstream: &Recorder, top: &str, sections: &str) -> Node {
    let sections = format!("[upstream.bots]\nurls = [{:?}]\n{ROUTES}{sections}", upstream.url());
    Node::start(top, &sections, registry().as_str(), Timestamp::from_secs(now() - 480))
}

fn sign(node: &Node) -> String {
    Token::of("caller").claim("exp", node.clock_now() + 3600).claim("sub", "ana").sign(caller().secret())
}

/// What the upstream is told of a call.
#[track_caller]
fn told(node: &Node, upstream: &Recorder, mark: &str) -> String {
    let reply = node.call(&Call::get("/bot/st-1/logs").bearer(sign(node)).header(HEADER, "forged").mark(mark));
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    let seen = upstream.marked(mark).remove(0);
    assert_eq!(seen.headers.get_all(HEADER).iter().count(), 1);
    assert_eq!(seen.header("x-scopegate-app"), None, "the token stands in its place");
    seen.header(HEADER).unwrap().to_owned()
}

fn rotate(node: &Node) {
    let at = node.clock_time();
    node.with_store(move |store| async move {
        let (algorithm, longest_life) = (Algorithm::EdDsa, 90 * 24 * 60 * MINUTE);
        let rotation = RotationSettings { algorithm, every: 2 * MINUTE, lead: MINUTE, longest_life };
        let service = TokenService::new(store, Issued::default(), rotation);
        service.rotate(&Actor { name: "gateway".into(), why: None, at }).await.unwrap();
    });
}

fn verify_by_pyjwt(node: &Node, token: &str) -> Value {
    let jwks = format!("http://{}/.well-known/jwks.json", node.telemetry);
    let order = json!({ "token": token, "jwks": jwks, "issuer": "scopegate", "audience": "bots" });
    let script = root().join("tests/interop/verify_identity_pyjwt.py");
    let told = run(Command::new(library("venv/bin/python")).arg(script), &order.to_string());
    serde_json::from_str(&told).unwrap()
}

#[test]
fn pyjwt_verifies_who_calls_by_our_key_set_over_a_rotation() {
    let upstream = Recorder::start();
    let node = node(&upstream, "", JWT);
    let first = told(&node, &upstream, "first");
    let found = verify_by_pyjwt(&node, &first);
    assert_eq!(found["header"]["typ"], "identity+jwt");
    let claims = &found["claims"];
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 600);
    let (iat, exp) = (claims["iat"].clone(), claims["exp"].clone());
    let wanted = json!({ "iss": "scopegate", "aud": "bots", "sub": "ana", "client_id": "caller", "account": "acme",
                         "bot": "st-1", "scope": "logs", "iat": iat, "exp": exp });
    assert_eq!(*claims, wanted);
    assert_eq!(told(&node, &upstream, "again"), first, "signed once");

    node.clock.advance(MINUTE);
    rotate(&node);
    let set = || Call::get("/.well-known/jwks.json").to(node.telemetry).json()["keys"].as_array().unwrap().len();
    eventually("the next key is published", || (set() == 2).then_some(()));
    assert_eq!(told(&node, &upstream, "published"), first, "the next key does not sign yet");
    node.clock.advance(MINUTE);
    let second = told(&node, &upstream, "rotated");
    let kid = |told: &Value| told["header"]["kid"].as_str().unwrap().to_owned();
    let rotated = verify_by_pyjwt(&node, &second);
    assert_ne!(kid(&rotated), kid(&found), "signed anew by the new key, long before its half-life");
    assert_eq!(verify_by_pyjwt(&node, &first), found, "what the old key signed is good to its end");
}

#[test]
fn other_grants_give_another_token_at_once() {
    let upstream = Recorder::start();
    let scope = "[[scope]]\nid = \"more\"\ntitle = \"More\"\nlevels = [\"bot\"]\n";
    let node = node(&upstream, "", &format!("{JWT}{scope}"));
    let before = told(&node, &upstream, "before");
    node.apply(&registry().as_str().replace("scopes = [\"logs\"]", "scopes = [\"logs\", \"more\"]"));
    let after = told(&node, &upstream, "after");
    let scope = |token: &str| verify_by_pyjwt(&node, token)["claims"]["scope"].clone();
    assert_eq!((scope(&before), scope(&after)), (json!("logs"), json!("logs more")));
}

#[test]
fn the_token_calls_nobody_here() {
    let upstream = Recorder::start();
    let profiles = "profiles = [\"oauth\", \"khoros\", \"icr\"]";
    let more = "[oauth]\nissuer = \"https://id.example.test\"\n\
        [[route]]\nid = \"access\"\nmethods = [\"GET\"]\npath = \"/access\"\nauthenticator = \"oauth\"\nscope = \"any\"\n\
        [[route]]\nid = \"held\"\nmethods = [\"GET\"]\npath = \"/held\"\nauthenticator = \"khoros\"\nscope = \"any\"\n\
        [[route]]\nid = \"installed\"\nmethods = [\"GET\"]\npath = \"/installed\"\nauthenticator = \"icr-installation\"\n\
        scope = \"any\"\n";
    let node = node(&upstream, profiles, &format!("{JWT}{more}"));
    let token = told(&node, &upstream, "told");
    for (path, prefix) in [("/bot/st-1/logs", ""), ("/access", ""), ("/held", ""), ("/installed", "ghs_"), ("/app", "")]
    {
        let reply = node.call(&Call::get(path).header("authorization", format!("Bearer {prefix}{token}")));
        // Of two platforms one says 404 to whoever is none of its apps.
        assert!(matches!(reply.status, 401 | 404), "{path}: {}", String::from_utf8_lossy(&reply.body));
        let reason = node.logged(&reply).reason.unwrap();
        assert!(matches!(reason, Reason::AppUnknown | Reason::TokenAudienceMismatch), "{path}: {reason}");
    }
    assert_eq!(upstream.all().len(), 1);
}

#[test]
fn no_authenticator_can_be_told_to_take_its_type() {
    let setup = Setup::bearer("http://127.0.0.1:9", "");
    setup.edit("kind = \"jwt\"\n", "kind = \"jwt\"\ntoken_types = [\"JWT\", \"Identity+JWT\"]\n");
    let why = setup.refused(&["check"]);
    assert!(why.contains("authenticator.bearer.token_types: \"Identity+JWT\""), "{why}");
}

#[test]
fn a_reload_that_turns_it_on_finds_a_key() {
    let upstream = Recorder::start();
    let gateway = Gateway::start(
        Setup::bearer(&upstream.url(), ""),
        &Registry::new().app(&App::new("caller", "default", &[], &[])),
    );
    let keys = || Call::get("/.well-known/jwks.json").to(gateway.telemetry).json()["keys"].as_array().unwrap().len();
    assert_eq!(keys(), 0, "nothing is signed yet");
    gateway.setup.edit("[upstream.bots]", "[identity]\njwt = { audience = \"bots\", plain = true }\n[upstream.bots]");
    gateway.setup.succeed(&["reload"]);
    let call = Call::get("/any/x").bearer(caller().token()).mark("on");
    assert_eq!(gateway.call(&call).status, 200);
    let seen = &upstream.marked("on")[0];
    assert!(seen.header(HEADER).is_some() && seen.header("x-scopegate-app") == Some("caller"), "{seen:?}");
    assert_eq!(keys(), 1);
    let line = gateway.logged(gateway.call(&call).request_id()).to_string();
    let token = upstream.marked("on")[1].header(HEADER).unwrap().to_owned();
    assert!(!line.contains(&token), "{line}");
}

/// The claim of a token that was caught.
fn audience(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    let payload = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, payload).unwrap();
    serde_json::from_slice::<Value>(&payload).unwrap()["aud"].take()
}

#[test]
fn a_token_for_one_upstream_is_for_no_other() {
    for (jwt, own, first, second) in [
        ("{}", "", "bots", "other"),
        ("{ audience = \"https://{upstream}.internal\" }", "", "https://bots.internal", "https://other.internal"),
        ("{ audience = \"api\" }", "identity_audience = \"b\"\n", "api", "b"),
    ] {
        let (bots, other) = (Recorder::start(), Recorder::start());
        let sections = format!(
            "[identity]\njwt = {jwt}\n[upstream.other]\nurls = [{:?}]\n{own}[[route]]\nid = \"other\"\nmethods = [\"GET\"]\n\
             path = \"/other\"\nupstream = \"other\"\nscope = \"any\"\nauthenticator = \"bearer\"\n",
            other.url()
        );
        let setup = Setup::bearer(&bots.url(), &sections);
        setup.edit(
            "authenticator = \"bearer\"\nscope = \"any\"",
            "authenticator = \"bearer\"\nscope = \"any\"\nupstream = \"bots\"",
        );
        let app = App::new("caller", "default", &[], &[]);
        let gateway = Gateway::start(setup, &Registry::new().app(&app));
        let token = Token::of("caller").sign(app.secret());
        for (path, upstream, wanted) in [("/any/x", &bots, first), ("/other", &other, second)] {
            assert_eq!(gateway.call(&Call::get(path).bearer(&token).mark("aud")).status, 200);
            assert_eq!(audience(upstream.marked("aud")[0].header(HEADER).unwrap()), wanted, "{jwt}");
        }
    }
    let two = "[upstream.other]\nurls = [\"http://127.0.0.1:9\"]\n[identity]\njwt = { audience = \"api\" }\n";
    let setup = Setup::bearer("http://127.0.0.1:9", two);
    let why = setup.refused(&["check"]);
    assert!(why.contains("identity.jwt.audience: upstreams bots and other would have the same audience"), "{why}");
}
