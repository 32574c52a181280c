//! What is written down about a call: nothing of a secret, nothing that moves a terminal, ids that tell nothing.

use serde_json::json;

use super::{app, gateway, good, registry};
use crate::e2e::harness::{Call, Recorder, Setup, Token};

#[test]
fn what_stands_where_a_scheme_should_is_never_written_down() {
    const SECRET: &str = "MyS3cretPassw0rd";
    let upstream = Recorder::start();
    let mut gateway = gateway(&upstream.url(), "");
    for value in [format!("{SECRET} x"), SECRET.to_owned(), format!("Bearer {SECRET} x"), format!("Basic {SECRET}")] {
        let reply = gateway.call(&Call::get("/any/thing").header("Authorization", value.as_str()));
        assert_eq!(reply.status, 401, "{value}");
        assert!(!String::from_utf8_lossy(&reply.body).contains(SECRET));
        assert!(!reply.headers.iter().any(|(_, value)| value.contains(SECRET)), "{reply:?}");
        gateway.logged(reply.request_id());
    }
    gateway.signal("TERM");
    let (_, out, err) = gateway.wait();
    assert_eq!(out.lines().count(), 4);
    assert!(!out.contains(SECRET) && !err.contains(SECRET), "{out}\n{err}");
}

#[test]
fn no_control_character_of_a_token_reaches_the_terminal() {
    const MOVES: &str = "\u{1b}[2J\u{7}\u{9b}\r";
    let setup = Setup::bearer("http://127.0.0.1:9", "");
    setup.edit("kind = \"jwt\"", "kind = \"jwt\"\naudiences = [\"api\"]\nissuers = [\"ci\"]");
    setup.apply(&registry());
    let token = |header: &serde_json::Value, claim: &str, value: &str| {
        let good = Token::of("protocol").claim("aud", "api").claim("iss", "ci");
        Token { header: header.clone(), ..good }.claim(claim, value).sign(app().secret())
    };
    let plain = json!({ "alg": "HS256", "typ": "JWT" });
    for (name, token) in [
        ("alg", token(&json!({ "alg": MOVES, "typ": "JWT" }), "sub", "a")),
        ("typ", token(&json!({ "alg": "HS256", "typ": MOVES }), "sub", "a")),
        ("kid", token(&json!({ "alg": "HS256", "typ": "JWT", "kid": MOVES }), "sub", "a")),
        ("crit", token(&json!({ "alg": "HS256", "crit": [MOVES] }), "sub", "a")),
        ("aud", token(&plain, "aud", MOVES)),
        ("iss", token(&plain, "iss", MOVES)),
        ("appId", token(&plain, "appId", MOVES)),
        ("a claim's name", token(&plain, MOVES, "a")),
    ] {
        for more in [&[][..], &["--json"]] {
            let (_, out) = setup.explain(&token, "GET", "/any/thing", more);
            let stray = |c: char| c.is_control() && c != '\n';
            assert!(!out.contains(stray), "{name}: {out:?}");
        }
    }
}

#[test]
fn request_ids_do_not_tell_one_call_from_the_next() {
    let upstream = Recorder::start();
    let gateway = gateway(&upstream.url(), "");
    let ids: Vec<_> = (0..8).map(|_| gateway.call(&good("GET")).request_id().to_owned()).collect();
    for half in [0..16, 16..32] {
        let mut halves: Vec<_> = ids.iter().map(|id| &id[half.clone()]).collect();
        halves.sort_unstable();
        halves.dedup();
        assert_eq!(halves.len(), ids.len(), "{ids:?}");
    }
}
