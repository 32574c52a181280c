//! What it writes: one line a call with the true reason, and never a secret.

use serde_json::Value;

use super::{BOT, PATH, app, call, ci, registry};
use crate::e2e::harness::{Call, Gateway, Recorder, Setup, Token};

/// Every field that a line may have.
const FIELDS: [&str; 29] = [
    "time",
    "request_id",
    "peer",
    "client",
    "method",
    "override_from",
    "host",
    "path",
    "route",
    "app",
    "service",
    "account",
    "verified",
    "key",
    "alg",
    "jti",
    "bot",
    "scope",
    "upstream",
    "upstream_address",
    "retries",
    "status",
    "reason",
    "expected",
    "found",
    "outcome",
    "duration_ms",
    "bytes_in",
    "bytes_out",
];

fn fields(line: &Value) -> Vec<&str> {
    line.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn a_good_call_is_one_line_with_all_that_is_known() {
    let (gateway, _upstream) = super::start(&registry(&[ci()]));
    let upload = Call::post("/api/public/uploadfile?secret=in-the-query", "12345").auth(ci().token());
    let reply = gateway.call(&upload);
    assert_eq!(reply.status, 200);
    let line = gateway.logged(reply.request_id());
    assert!(fields(&line).iter().all(|field| FIELDS.contains(field)), "{line}");
    for (field, value) in [
        ("method", Value::from("POST")),
        ("host", "gateway.test".into()),
        ("path", "/api/public/uploadfile".into()),
        ("route", "upload-file".into()),
        ("app", "ci".into()),
        ("account", "acme".into()),
        ("verified", true.into()),
        ("alg", "HS256".into()),
        ("upstream", "bots".into()),
        ("status", 200.into()),
        ("outcome", "complete".into()),
        ("bytes_in", 5.into()),
        ("bytes_out", reply.body.len().into()),
    ] {
        assert_eq!(line[field], value, "{line}");
    }
    assert!(["reason", "expected", "found"].iter().all(|field| line.get(field).is_none()), "{line}");
    assert!(line["time"].as_str().unwrap().ends_with('Z'), "{line}");
    assert!(line["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{line}");
    assert!(line["duration_ms"].as_f64().unwrap() > 0.0, "{line}");
    assert!(!line.to_string().contains("in-the-query"));
}

#[test]
fn a_refused_call_is_one_line_with_the_true_reason() {
    let (gateway, _upstream) = super::start(&registry(&[ci()]));
    let signed = |token: Token, secret: &str| Call::get(PATH).auth(token.sign(secret));
    let secret = ci().secret();
    for (call, reason, verified, has_app) in [
        (Call::get(PATH), "credential.missing", false, false),
        (Call::get(PATH).auth("nonsense"), "token.malformed", false, false),
        (signed(Token::of("nobody"), &secret), "app.unknown", false, false),
        (signed(Token::of("ci"), "another secret, which is long enough"), "token.signature_invalid", false, true),
        (signed(Token::of("ci").claim("exp", 1_000_000_000), &secret), "token.expired", false, true),
        (signed(Token::of("ci").claim("exp", "soon"), &secret), "token.claim_invalid", false, true),
        (Call::get(PATH.replace("changelogs", "getMessages")).auth(ci().token()), "scope.insufficient", true, true),
        (Call::get("/nowhere").auth(ci().token()), "route.unknown", false, false),
    ] {
        let reply = gateway.call(&call);
        let line = gateway.logged(reply.request_id());
        assert!(fields(&line).iter().all(|field| FIELDS.contains(field)), "{line}");
        assert_eq!(line["reason"], reason);
        assert_eq!(line["status"], reply.status);
        assert_eq!(line["verified"], verified, "{line}");
        assert_eq!(line.get("app").is_some(), has_app, "{line}");
    }
    let metrics = String::from_utf8(Call::get("/metrics").to(gateway.telemetry).body).unwrap();
    assert!(metrics.contains("scopegate_refusals_total{reason=\"token.expired\"} 1"), "{metrics}");
    assert!(metrics.contains("scopegate_refusals_total{reason=\"scope.insufficient\"} 1"), "{metrics}");
}

#[test]
fn a_line_says_which_key_signed_and_what_the_call_was_about() {
    let named = ci().key(format!("kid = \"k1\"\nsecret = {:?}", ci().secret()));
    let once = app("once", &[]).settings("enforce_jti = true");
    let (gateway, _upstream) = super::start(&registry(&[named, once.clone(), app("bare", &["chat_history:read"])]));
    let logged = |call: &Call| gateway.logged(gateway.call(call).request_id());
    let line = logged(&call(&ci()));
    for (field, value) in [("key", "k1"), ("bot", BOT), ("scope", "logs:change_logs"), ("upstream", "bots")] {
        assert_eq!(line[field], value, "{line}");
    }
    assert_eq!(line.get("jti"), None, "a token without one");

    let refused = logged(&call(&app("bare", &[])));
    for (field, value) in [("reason", "scope.insufficient"), ("bot", BOT), ("scope", "logs:change_logs")] {
        assert_eq!(refused[field], value, "{refused}");
    }
    assert!(refused["key"].as_str().unwrap().bytes().all(|b| b.is_ascii_digit()), "its number: {refused}");
    assert_eq!(refused.get("upstream"), None, "it was sent nowhere");

    let token = Token::of("once").claim("jti", "one \"call\"").sign(once.secret());
    let upload = Call::post("/api/public/uploadfile", "1").auth(token);
    for (reason, upstream) in [(None, true), (Some("token.replayed"), false)] {
        let line = logged(&upload);
        assert_eq!((line["jti"].as_str(), line["reason"].as_str()), (Some("one \"call\""), reason), "{line}");
        assert_eq!(line.get("upstream").is_some(), upstream, "{line}");
    }
    let forged = Token::of("once").claim("jti", "forged").sign("another secret, which is long enough");
    let line = logged(&Call::post("/api/public/uploadfile", "1").auth(forged));
    assert!(["key", "alg", "jti"].iter().all(|field| line.get(field).is_none()), "nothing is proved: {line}");
}

#[test]
fn it_goes_into_a_file_that_may_be_moved_away() {
    use std::os::unix::fs::PermissionsExt as _;
    let upstream = Recorder::start();
    let setup = Setup::kore(&upstream.url(), "");
    setup.edit("[telemetry]", "[telemetry]\naccess_log = \"access.log\"");
    let mut gateway = Gateway::start(setup, &registry(&[ci()]));
    let path = |name: &str| gateway.setup.path().join(name);
    let (log, moved) = (path("access.log"), path("access.log.1"));
    let lines = |path: &std::path::Path| std::fs::read_to_string(path).unwrap_or_default();
    let has = |path: &std::path::Path, id: &str| {
        crate::e2e::harness::eventually("the line is in the file", || lines(path).contains(id).then_some(()));
    };
    let first = gateway.call(&call(&ci()));
    has(&log, first.request_id());
    let mode = std::fs::metadata(&log).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode & !0o640, 0, "{mode:o}");
    std::fs::rename(&log, &moved).unwrap();
    let second = gateway.call(&call(&ci()));
    has(&log, second.request_id());
    gateway.signal("HUP");
    gateway.await_event("configuration reloaded");
    let third = gateway.call(&call(&ci()));
    has(&log, third.request_id());
    assert_eq!((lines(&moved).lines().count(), lines(&log).lines().count()), (1, 2));
    gateway.setup.edit("access_log = \"access.log\"", "access_log = \"other.log\"");
    gateway.signal("HUP");
    gateway.await_event("waiting for a restart: telemetry");
    let last = gateway.call(&call(&ci()));
    gateway.signal("TERM");
    let (status, out, _) = gateway.wait();
    assert!(status.success() && out.is_empty(), "{out}");
    assert!(lines(&log).contains(last.request_id()), "nothing is lost at the end");
}

#[test]
fn a_file_that_cannot_be_written_is_an_error_at_the_start() {
    let setup = Setup::kore("http://127.0.0.1:9", "");
    for (target, wanted) in [
        ("\"missing/access.log\"", "telemetry.access_log: missing/access.log can't be written to: No such file"),
        ("\"\"", "the path of a file"),
        ("7", "true for standard output, false for none, or the path of a file"),
    ] {
        let line = format!("access_log = {target}");
        setup.edit("[telemetry]", &format!("[telemetry]\n{line}"));
        let (_, err) = crate::e2e::harness::texts(&setup.run(&["serve"]));
        assert!(err.contains(wanted), "{err}");
        setup.edit(&format!("\n{line}"), "");
    }
}

#[test]
fn no_token_and_no_secret_is_ever_written() {
    let upstream = Recorder::start();
    let setup = Setup::kore(&upstream.url(), "");
    let told = setup.apply(&registry(&[ci()]));
    let mut gateway = Gateway::serve(setup, &[("SCOPEGATE_LOG", "trace")]);
    let secret = ci().secret();
    let good = ci().token();
    let other_key = Token::of("ci").sign("another secret, which is long enough");
    let expired = Token::of("ci").claim("exp", 1).sign(&secret);
    let unknown = Token::of("nobody").sign(&secret);
    let of_bot = Token::of(BOT).sign(&secret);
    let mut signatures = Vec::new();
    for token in [&good, &other_key, &expired, &unknown, &of_bot] {
        gateway.call(&Call::get(PATH).auth(token));
        gateway.call(&Call::get(PATH).bearer(token));
        gateway.call(&Call::get(PATH).auth(format!("Bearer {token}")));
        gateway.call(&Call::get(PATH).auth(format!("{token}.x")));
        gateway.call(&Call::get(format!("/nowhere?token={token}")).auth(token));
        let (_, text) = gateway.setup.explain(token, "GET", PATH, &[]);
        let signature = token.rsplit('.').next().unwrap();
        assert!(!text.contains(signature) && !text.contains(&secret), "{text}");
        signatures.push(signature.to_owned());
    }
    assert_eq!(gateway.call(&call(&ci())).status, 200);
    let changed = registry(&[ci().key("secret = \"the next secret, which is long enough\"")]);
    gateway.apply_until(&changed, "the key is replaced", || gateway.call(&call(&ci())).status == 200);
    gateway.signal("HUP");
    gateway.await_event("configuration reloaded");
    gateway.signal("TERM");
    let (_, out, err) = gateway.wait();
    assert!(out.lines().count() > 25, "{out}");
    for text in [&told, &out, &err] {
        for secret in signatures.iter().chain([&secret, &"the next secret, which is long enough".to_owned()]) {
            if let Some(line) = text.lines().find(|line| line.contains(secret.as_str())) {
                panic!("{secret} stands in {line}");
            }
        }
    }
}
