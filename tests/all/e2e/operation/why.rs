//! `why`: the story of one past call.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{BOT, PATH, app, call, ci, registry};
use crate::e2e::harness::{Call, Gateway, Recorder, Setup, Token, eventually, scopegate, scopegate_reading, texts};

/// A gateway whose log is a file.
fn start(registry: &crate::e2e::harness::Registry) -> (Gateway, Recorder) {
    let upstream = Recorder::start();
    let setup = Setup::kore(&upstream.url(), "");
    setup.edit("[telemetry]", "[telemetry]\naccess_log = \"access.log\"");
    (Gateway::start(setup, registry), upstream)
}

/// Makes a call; its id, once it is in the file.
fn made(gateway: &Gateway, call: &Call) -> String {
    let id = gateway.call(call).request_id().to_owned();
    eventually("it is in the file", || gateway.setup.read("access.log").contains(&id).then_some(()));
    id
}

/// What the command says on standard error when it fails.
fn failure(setup: &Setup, arguments: &[&str]) -> String {
    let output = setup.run(&[&["why"], arguments].concat());
    let (out, err) = texts(&output);
    assert!(!output.status.success() && out.is_empty(), "{out}");
    assert!(!err.contains("panicked"), "{err}");
    err
}

const UNKNOWN: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn a_good_call_is_told_as_a_good_call() {
    let (gateway, _upstream) = start(&registry(&[ci()]));
    let id = made(&gateway, &call(&ci()));
    let text = gateway.setup.succeed(&["why", &id]);
    assert!(text.starts_with("A good call: answered 200 by upstream bots in "), "{text}");
    for wanted in
        [&id, "GET gateway.test/api/public/bot/", "named ci", "account acme", "logs:change_logs", BOT, "HS256"]
    {
        assert!(text.contains(wanted), "{wanted:?} is not in {text}");
    }
    assert!(!text.contains("what to do") && !text.contains("told "), "{text}");
    // Ways to write the id, and a part of it.
    for given in [&id[..8], &format!("x-request-id: {id}"), &format!("\"request_id\":\"{id}\""), &id.to_uppercase()] {
        assert_eq!(gateway.setup.succeed(&["why", given]), text, "{given}");
    }
    let told = gateway.setup.json(&["why", &id, "--json"]);
    assert_eq!((&told["call"]["request_id"], &told["call"]["status"]), (&json!(id), &json!(200)));
    assert_eq!(told["advice"], json!([]));
}

#[test]
fn a_refusal_is_told_with_what_changed_since() {
    let without = registry(&[app("ci", &[])]);
    let (gateway, _upstream) = start(&without);
    let refused = made(&gateway, &call(&ci()));
    let unknown =
        made(&gateway, &Call::get(PATH).auth(Token::of("later").sign("the secret of later, which is long enough")));
    let text = gateway.setup.succeed(&["why", &refused]);
    for wanted in [
        "Refused: scope.insufficient.",
        "told       Permission denied. Scope is incorrect!",
        "true       scope.insufficient: The app does not hold the scope that the route needs.",
        "expected   logs:change_logs at level bot",
        "found      none",
        "The route needs logs:change_logs (Logs History) at level bot",
        "It is still so: none.",
    ] {
        assert!(text.contains(wanted), "{wanted:?} is not in {text}");
    }
    let (_, grant) = text.split_once("Grant it: scopegate ").unwrap();
    let grant: Vec<&str> = grant.lines().next().unwrap().split(' ').chain(["--dry-run"]).collect();
    let pasted = gateway.setup.run(&grant);
    assert_eq!(pasted.status.code(), Some(2), "what it says can be done: {:?}", texts(&pasted));
    assert!(gateway.setup.succeed(&["why", &unknown]).contains("Refused: app.unknown."));

    let granted = registry(&[ci(), app("later", &[])]);
    gateway.apply_until(&granted, "the scope is granted", || gateway.call(&call(&ci())).status == 200);
    let text = gateway.setup.succeed(&["why", &refused]);
    assert!(text.contains("The app has what it lacked: such a call would be let through."), "{text}");
    let text = gateway.setup.succeed(&["why", &unknown]);
    assert!(text.contains("App later (named later) is there"), "{text}");

    let good = made(&gateway, &call(&ci()));
    gateway.setup.write("empty.toml", super::registry(&[]).as_str());
    gateway.setup.succeed(&["apply", "-f", "empty.toml", "--prune"]);
    let text = gateway.setup.succeed(&["why", &good]);
    assert!(text.starts_with("A good call") && text.contains("App ci is not there any more."), "{text}");
}

#[test]
fn an_app_that_was_disabled_is_told_with_the_way_back() {
    let (gateway, _upstream) = start(&registry(&[ci().settings("enabled = false")]));
    let id = made(&gateway, &call(&ci()));
    let text = gateway.setup.succeed(&["why", &id]);
    for wanted in ["Refused: app.disabled.", "told       Invalid SDK credentials", "App ci is disabled: as it was set."]
    {
        assert!(text.contains(wanted), "{wanted:?} is not in {text}");
    }
    let (goes_on, explained) = gateway.setup.explain(&ci().token(), "GET", PATH, &[]);
    assert!(!goes_on && explained.contains("Enable it: scopegate app enable ci"), "{explained}");
    let (_, enable) = text.split_once("Enable it: scopegate ").unwrap();
    gateway.setup.succeed(&enable.lines().next().unwrap().split(' ').collect::<Vec<_>>());
    let text = gateway.setup.succeed(&["why", &id]);
    assert!(text.contains("App ci is enabled: such a call would not be refused for this any more."), "{text}");
}

#[test]
fn an_upstream_that_is_down_is_told_as_such() {
    let setup = Setup::kore("http://127.0.0.1:9", "");
    setup.edit("[telemetry]", "[telemetry]\naccess_log = \"access.log\"");
    let gateway = Gateway::start(setup, &registry(&[ci()]));
    let id = made(&gateway, &call(&ci()));
    let text = gateway.setup.succeed(&["why", &id]);
    assert!(text.starts_with("A good call that its upstream (bots) did not answer as it should."), "{text}");
    assert!(text.contains("told       The upstream can't be reached."), "{text}");
}

#[test]
fn what_cannot_be_told_is_said_clearly() {
    let setup = Setup::kore("http://127.0.0.1:9", "");
    setup.apply(&registry(&[]));
    assert!(
        failure(&setup, &[UNKNOWN]).contains("the access log goes to standard output: say where it is kept with --log")
    );
    for malformed in ["1234567", "not an id", &"0".repeat(65), ""] {
        assert!(failure(&setup, &[malformed]).contains("a request id has 32 hexadecimal digits"), "{malformed}");
    }
    let err = failure(&setup, &[UNKNOWN, "--log", "missing.log"]);
    assert!(err.contains("missing.log: No such file"), "{err}");
    assert!(failure(&setup, &[UNKNOWN, "--log", "."]).contains("is a folder"));
    std::fs::write(setup.path().join("a.log.gz"), [0x1f, 0x8b, 8, 0]).unwrap();
    assert!(failure(&setup, &[UNKNOWN, "--log", "a.log.gz"]).contains("is compressed; pipe it in"));

    setup.edit("[telemetry]", "[telemetry]\naccess_log = false");
    assert!(failure(&setup, &[UNKNOWN]).contains("the access log is turned off (telemetry.access_log = false)"));
    setup.edit("access_log = false", "access_log = \"access.log\"");
    assert!(failure(&setup, &[UNKNOWN]).contains("access.log: No such file"));
    setup.write("access.log", "");
    setup.write("access.log.1", &line(UNKNOWN, 5));
    let err = failure(&setup, &[UNKNOWN]);
    assert!(
        err.contains("no call 0123456789abcdef0123456789abcdef in access.log; there is also access.log.1"),
        "{err}"
    );
    let text = setup.succeed(&["why", UNKNOWN, "--log", "access.log", "--log", "access.log.1"]);
    assert!(text.contains(UNKNOWN), "{text}");
}

/// A line of a log, of so many milliseconds.
fn line(id: &str, ms: usize) -> String {
    let line = json!({
        "time": "2026-11-22T12:00:00.000Z", "request_id": id, "method": "GET", "path": PATH, "verified": false,
        "status": 401, "outcome": "complete", "duration_ms": ms, "bytes_in": 0, "bytes_out": 0,
        "reason": "token.signature_invalid", "found": "signed with an empty secret", "added_later": {},
    });
    format!("{line}\n")
}

#[test]
fn a_log_from_elsewhere_is_read_without_a_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let log = line(UNKNOWN, 1) + "no line of ours\n" + &line("ffff456789abcdef0123456789abcdef", 2);
    let ask = |id: &str| scopegate_reading(folder.path(), &["why", id, "--log", "-"], log.as_bytes());
    let (out, err) = texts(&ask(UNKNOWN));
    assert!(out.contains("signed with an empty secret") && err.is_empty(), "{out}{err}");
    assert!(out.contains("The registry was not asked: the configuration can't be used"), "{out}");
    assert!(texts(&ask("ffff4567")).0.contains("ffff456789abcdef0123456789abcdef"));
    assert!(texts(&ask("eeee4567")).1.contains("no call eeee4567 in -"));
}

#[test]
fn a_beginning_that_several_calls_have_is_not_enough() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = ("aaaaaaaa00000000aaaaaaaa00000001", "aaaaaaaa00000000aaaaaaaa00000002");
    std::fs::write(folder.path().join("log"), line(one, 1) + &line(other, 2)).unwrap();
    let ask = |id: &str| texts(&scopegate(folder.path(), &["why", id, "--log", "log"], &[]));
    let (_, err) = ask("aaaaaaaa");
    assert!(err.contains("several calls begin with aaaaaaaa") && err.contains(one) && err.contains(other), "{err}");
    assert!(ask(one).0.contains(one) && ask(other).0.contains(other));
}

#[test]
fn a_large_log_is_read_from_its_end_and_whole_where_it_must_be() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = String::new();
    for n in 0..60_000u32 {
        _ = write!(
            log,
            "{}",
            line(&format!("{n:08x}00000000000000000000{n:04x}"), 1).replace('\n', &format!("{:>99}\n", ""))
        );
    }
    std::fs::write(folder.path().join("log"), &log).unwrap();
    for id in ["0000000000000000000000000000000", "0000ea5f"] {
        let id = if id.len() > 8 { format!("{id}0") } else { id.to_owned() };
        let (out, err) = texts(&scopegate(folder.path(), &["why", &id, "--log", "log", "--json"], &[]));
        let told: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{err}"));
        assert!(told["call"]["request_id"].as_str().unwrap().starts_with(&id), "{told}");
    }
}

#[test]
fn nothing_that_was_sent_moves_the_cursor_or_turns_the_text_of_a_terminal() {
    let hidden = ["\u{9b}", "\u{202e}", "\u{200b}", "\u{2028}", "\u{feff}"];
    let is_clean = |text: &str| hidden.iter().all(|c| !text.contains(c)) && !text.contains('\u{1b}');
    let (gateway, _upstream) = start(&registry(&[ci()]));
    let path = format!("/nowhere/{}x", hidden.concat());
    let id = made(&gateway, &Call::get(&path));
    let line = gateway.setup.read("access.log");
    assert!(is_clean(&line) && line.contains("\\u009b\\u202e\\u200b\\u2028\\ufeffx"), "{line}");
    let parsed: Value = serde_json::from_str(line.lines().last().unwrap()).unwrap();
    assert_eq!(parsed["path"], path, "it is the same text");
    for more in [&["why", &*id][..], &["why", &id, "--json"]] {
        let told = gateway.setup.succeed(more);
        assert!(is_clean(&told) && told.contains("202e"), "{told}");
    }
    let odd = format!("a\u{1b}[2J{}", hidden.concat());
    let token = Token::of("ci").claim("sub", odd.clone()).claim(&odd, odd.clone()).sign(ci().secret());
    for more in [&["decode", &*token][..], &["explain", &token, "--path", PATH], &["explain", &token, "--path", &path]]
    {
        let (out, err) = texts(&gateway.setup.run(&[&["jwt"], more].concat()));
        assert!(is_clean(&out) && is_clean(&err), "{more:?}: {out}{err}");
    }
    let error = failure(&gateway.setup, &[&id, "--log", &odd]);
    assert!(is_clean(&error), "{error}");
    for wrong in [&["app", &*odd][..], &["check", &format!("--{odd}")], &["jwt", "mint", "--alg", &odd]] {
        let (out, err) = texts(&gateway.setup.run(wrong));
        assert!(out.is_empty() && is_clean(&err) && err.contains("u{202e}"), "{wrong:?}: {err}");
    }
}
