//! Tokens of single use: jti enforced or only present, and how far ahead their end may be.

use scopegate::clock::Clock;
use serde_json::json;

use super::world::{BOT, changelogs, ci, enforcing, world};
use super::{assert_credentials, assert_refused};
use crate::e2e::harness::{App, Call, Connection, Gateway, Recorder, Registry, Reply, Setup, Token};

fn call(token: &str, mark: &str) -> Reply {
    world().call(&Call::get(changelogs(BOT)).auth(token).mark(mark))
}

fn with_jti(app: &App, jti: &str) -> String {
    Token::of(&app.client_id).claim("jti", jti).sign(app.secret())
}

#[track_caller]
fn assert_replay(reply: &Reply) {
    assert_refused(reply, 401, "error verifying the jwt: possibly a replay", 401);
    assert_eq!(world().gateway.reason(reply), "token.replayed");
}

#[test]
fn f077_where_jti_is_enforced_a_token_without_one_is_refused() {
    let reply = call(&enforcing().token(), "f077-on");
    assert_credentials(&reply);
    assert_eq!(world().gateway.reason(&reply), "token.jti_required");
    let text = world().explain(&enforcing().token());
    assert!(text.contains("Add a jti that is new for every call."), "{text}");
    for empty in [json!(""), json!(null), json!(7)] {
        let token = Token::of(&enforcing().client_id).claim("jti", empty.clone()).sign(enforcing().secret());
        assert_eq!(call(&token, "f077-on").status, 401, "{empty}");
    }
    assert!(world().upstream.marked("f077-on").is_empty());

    let token = ci().token();
    assert_eq!([call(&token, "f077-off").status, call(&token, "f077-off").status], [200, 200]);
}

#[test]
fn f078_a_jti_is_accepted_once_also_where_it_is_not_enforced() {
    for app in [enforcing(), ci()] {
        let token = with_jti(&app, "f078");
        assert_eq!(call(&token, &app.client_id).status, 200);
        assert_replay(&call(&token, &app.client_id));
        // In another token, and by the alias.
        let again = Token::of(&app.client_id).claim("jti", "f078").claim("sub", "another").sign(app.secret());
        assert_replay(&call(&again, &app.client_id));
        assert_eq!(call(&with_jti(&app, "f078, the next"), &app.client_id).status, 200);
        assert_eq!(world().upstream.marked(&app.client_id).len(), 2);
    }
}

#[test]
fn f079_a_token_with_jti_ends_within_the_hour() {
    // Times may have fractions, so that no second passes between making a token and using it.
    let ending_in = |seconds: i64, jti: &str| {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are far from 2^53")]
        let exp = (Clock::System.now().millis() + 1000 * seconds) as f64 / 1000.0;
        Token::of(&ci().client_id).claim("jti", jti).claim("exp", exp).sign(ci().secret())
    };
    let reply = call(&ending_in(3601, "f079-a"), "f079-late");
    assert_refused(&reply, 401, "error verifying the jwt: if \"jti\" claim \"exp\" must be <= 1 hour(s)", 401);
    assert_eq!(world().gateway.reason(&reply), "token.lifetime_too_long");
    assert!(world().upstream.marked("f079-late").is_empty());
    assert_eq!(call(&ending_in(3600, "f079-b"), "f079").status, 200);

    // Without a jti nothing of the kind holds; with one, there has to be an end.
    let long = Token::of(&ci().client_id).claim("exp", Clock::System.now().secs() + 86_400).sign(ci().secret());
    assert_eq!(call(&long, "f079").status, 200);
    let endless = Token::of(&ci().client_id).claim("jti", "f079-c").without("exp").sign(ci().secret());
    assert_eq!(call(&endless, "f079-late").status, 401);
}

/// On all workers at once: 250 connections, of which each has four copies in a row.
#[test]
fn of_a_thousand_copies_at_once_one_reaches_the_upstream() {
    let upstream = Recorder::start();
    let setup = Setup::kore(&upstream.url(), "");
    setup.edit("workers = 1", "workers = 4");
    let app = App::new("ci", "acme", &[BOT], &["logs:change_logs"]);
    let gateway = Gateway::start(setup, &Registry::new().account("acme", &[BOT]).app(&app));
    let copy = Call::get(changelogs(BOT)).auth(with_jti(&app, "once")).bytes();
    let (last, first) = copy.split_last().unwrap();
    let mut connections: Vec<_> = (0..250).map(|_| Connection::open(gateway.proxy)).collect();
    for connection in &mut connections {
        connection.send(first);
    }
    for connection in &mut connections {
        connection.send(&[&[*last], &copy[..], &copy[..], &copy[..]].concat());
    }
    let replies = connections.iter_mut().flat_map(|c| [(); 4].map(|()| c.read(false).unwrap().status));
    let mut statuses: Vec<_> = replies.collect();
    statuses.sort_unstable();
    assert_eq!((statuses[0], statuses[1], statuses[999], statuses.len()), (200, 401, 401, 1000));
    assert_eq!(upstream.all().len(), 1);
}
