//! The agent as a process.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;
use std::sync::atomic::{AtomicU64, Ordering};

use http::Response;
use serde_json::json;

use super::{APP_ID, KEY, world};
use crate::e2e::harness::{Answer, Child, Recorder, Token, eventually, now, scopegate, texts};

const DAY: i64 = 86_400;

/// Gives out a token for each refresh.
fn khoros() -> Recorder {
    let count = AtomicU64::new(0);
    Recorder::answering(move |seen| {
        assert!(seen.header("authorization").unwrap().starts_with("Bearer "));
        let token = format!("token-{}", count.fetch_add(1, Ordering::SeqCst) + 1);
        let body = match seen.method.as_str() {
            "PUT" => {
                json!({ "data": { "token": token, "expiresAtMillis": (now() + 90 * DAY) * 1000 }, "requestId": "r" })
            }
            _ => json!({ "token": token, "expires_at": "2099-01-01T00:00:00Z" }),
        };
        let status = if seen.method == "PUT" { 200 } else { 201 };
        Answer::new(Response::builder().status(status).body(body.to_string()).unwrap())
    })
}

fn refusing(status: u16) -> Recorder {
    Recorder::answering(move |_| {
        let response = Response::builder().status(status).header("location", "http://127.0.0.1:1/");
        Answer::new(response.body(json!({ "message": "no" }).to_string()).unwrap())
    })
}

fn refresh(folder: &Path, url: &str, more: &[&str]) -> Output {
    let arguments = ["agent", "khoros", "--url", url, "--app-id", "bot 1", "--token-file", "token", "--once"];
    scopegate(folder, &[&arguments[..], more].concat(), &[])
}

/// A folder with a token that is good for so many days.
fn with_token(days: i64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let token = Token::of("bot 1").claim("iat", now() - (90 - days) * DAY).claim("exp", now() + days * DAY);
    fs::write(folder.path().join("token"), token.sign("a secret of this test, which is long enough")).unwrap();
    folder
}

fn token_in(folder: &Path) -> String {
    fs::read_to_string(folder.join("token")).unwrap()
}

#[test]
fn f056_a_token_that_is_due_is_replaced_in_its_file() {
    let (gateway, folder) = (khoros(), with_token(20));
    let old = token_in(folder.path());
    let output = refresh(folder.path(), &gateway.url(), &["--metrics", "agent.prom"]);
    let (out, err) = texts(&output);
    assert_eq!((output.status.code(), out.as_str()), (Some(0), ""), "{err}");
    assert!(err.contains("refreshed: the token is good until") && err.contains("others may read this token"), "{err}");
    assert!(!err.contains("token-1") && !err.contains(&old));
    let mode = fs::metadata(folder.path().join("token")).unwrap().permissions().mode();
    assert_eq!((token_in(folder.path()).as_str(), mode & 0o777), ("token-1\n", 0o600));
    let [call] = &gateway.all()[..] else { panic!("not one call") };
    assert_eq!((call.method.as_str(), call.target.as_str()), ("PUT", "/bots/v3/tokens/appId/bot%201"));
    assert_eq!(call.header("authorization"), Some(format!("Bearer {old}").as_str()));
    let metrics = fs::read_to_string(folder.path().join("agent.prom")).unwrap();
    assert!(metrics.contains("scopegate_agent_token_days_left{app=\"bot 1\"} 89.9"), "{metrics}");
}

#[test]
fn f056_a_token_that_is_not_due_is_left_alone() {
    let (gateway, folder) = (khoros(), with_token(40));
    let old = token_in(folder.path());
    assert_eq!(refresh(folder.path(), &gateway.url(), &[]).status.code(), Some(0));
    assert_eq!((token_in(folder.path()), gateway.all().len()), (old, 0));
    assert_eq!(refresh(folder.path(), &gateway.url(), &["--refresh-below", "50days"]).status.code(), Some(0));
    assert_eq!(token_in(folder.path()), "token-1\n");
}

#[test]
fn f057_a_refresh_that_fails_is_an_exit_status_when_a_week_is_left() {
    let gateway = refusing(500);
    for (days, more, code) in [(20, &[][..], 0), (6, &[], 1), (20, &["--exit-below", "25days"], 1), (-1, &[], 1)] {
        let folder = with_token(days);
        let old = token_in(folder.path());
        let output = refresh(folder.path(), &gateway.url(), more);
        let (_, err) = texts(&output);
        assert_eq!(output.status.code(), Some(code), "{days}: {err}");
        assert!(err.contains("not refreshed") && err.contains("500 Internal Server Error \"no\""), "{err}");
        assert!(err.contains("ALERT: the token ends in less than"), "{err}");
        assert_eq!(token_in(folder.path()), old);
    }
}

#[test]
fn the_agent_sends_the_token_to_nobody_else() {
    let folder = with_token(6);
    for (url, wanted) in [
        (refusing(307).url().as_str(), "redirects are not followed"),
        ("http://192.0.2.1", "would carry the token in the clear"),
        ("http://ana:hunter2@127.0.0.1", "the address holds a user name"),
        ("gateway", "is no address to call"),
        ("http://127.0.0.1:1", "no connection"),
    ] {
        let output = refresh(folder.path(), url, &[]);
        let (_, err) = texts(&output);
        assert!(output.status.code() == Some(1) && err.contains(wanted) && !err.contains("hunter2"), "{url}: {err}");
    }
    let empty = tempfile::tempdir().unwrap();
    let (_, err) = texts(&refresh(empty.path(), "http://127.0.0.1:1", &[]));
    assert!(err.contains("token holds no token: put the app's first one there"), "{err}");
}

#[test]
fn the_agent_goes_on_until_it_is_told_to_stop() {
    let (gateway, folder) = (khoros(), with_token(20));
    fs::write(folder.path().join("app.key"), KEY).unwrap();
    let arguments =
        ["agent", "icr", "--url", &gateway.url(), "--app-id", APP_ID, "--installation", "7", "--key-file", "app.key"];
    let mut agent = Child::spawn(folder.path(), &[&arguments[..], &["--token-file", "new"]].concat(), &[]);
    eventually("the token is there", || {
        fs::read_to_string(folder.path().join("new")).ok().filter(|t| t == "token-1\n")
    });
    assert!(agent.is_running());
    agent.signal("TERM");
    assert_eq!(agent.wait().code(), Some(0));
    let [call] = &gateway.all()[..] else { panic!("not one call") };
    assert_eq!((call.method.as_str(), call.target.as_str()), ("POST", "/app/installations/7/access_tokens"));
    let token = call.header("authorization").unwrap().strip_prefix("Bearer ").unwrap();
    assert_eq!(world().call(token).status, 200, "a gateway takes what the agent signs");
}
