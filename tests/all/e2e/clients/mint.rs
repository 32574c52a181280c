//! Tokens of ICR apps from the command line: what is asked, what is taken from variables, and whose clock counts.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use super::{APP_ID, KEY, claims, world};
use crate::e2e::harness::{binary, now, scopegate_reading, texts};

const MINT: [&str; 4] = ["jwt", "mint", "--profile", "icr"];

#[test]
fn f161_what_is_missing_is_named_with_its_flag_and_its_variable() {
    let fails = |arguments: &[&str], environment: &[(&str, &str)], wanted: &[&str]| {
        let output = world().run(arguments, environment);
        let (out, err) = texts(&output);
        assert_eq!((output.status.code(), out.as_str()), (Some(1), ""), "{err}");
        for wanted in wanted {
            assert!(err.contains(wanted), "{wanted:?} is not in {err}");
        }
    };
    let private = ["there is no private key", "--key-file", "SCOPEGATE_PRIVATE_KEY ", "SCOPEGATE_PRIVATE_KEY_FILE"];
    fails(&MINT, &[], &private);
    fails(&MINT, &[("SCOPEGATE_APP_ID", APP_ID)], &private);
    let app_id = ["there is no app id", "--app-id", "SCOPEGATE_APP_ID"];
    fails(&MINT, &[("SCOPEGATE_PRIVATE_KEY_FILE", "app.key")], &app_id);
    fails(&[&MINT[..], &["--key-file", "app.key"]].concat(), &[], &app_id);
    let shared = ["there is no shared secret", "--secret-file", "SCOPEGATE_SECRET ", "SCOPEGATE_SECRET_FILE"];
    fails(&MINT[..2], &[("SCOPEGATE_APP_ID", APP_ID)], &shared);
    // An empty variable is a mistake of its own.
    let empty = [("SCOPEGATE_APP_ID", ""), ("SCOPEGATE_PRIVATE_KEY_FILE", "app.key")];
    fails(&MINT, &empty, &["SCOPEGATE_APP_ID: the app id is empty; is the variable set"]);
    fails(
        &MINT,
        &[("SCOPEGATE_PRIVATE_KEY", ""), ("SCOPEGATE_APP_ID", "1")],
        &["SCOPEGATE_PRIVATE_KEY: the private key is empty"],
    );
    fails(&MINT, &[("SCOPEGATE_PRIVATE_KEY_FILE", "none.key"), ("SCOPEGATE_APP_ID", "1")], &["none.key: No such file"]);
}

#[test]
fn f165_two_answers_on_standard_input_make_a_token() {
    let folder = world().gateway.setup.path();
    let output = scopegate_reading(folder, &MINT, format!("app.key\n{APP_ID}\n").as_bytes());
    let (out, err) = texts(&output);
    assert_eq!(output.status.code(), Some(0), "{err}");
    assert_eq!((out.lines().count(), world().call(&out).status), (1, 200));
    assert!(err.contains("Path of the file with the private key: ") && err.contains("The app's id: "), "{err}");
    // What is known is not asked.
    let output = scopegate_reading(folder, &[&MINT[..], &["--key-file", "app.key"]].concat(), APP_ID.as_bytes());
    let (out, err) = texts(&output);
    assert!(world().call(&out).status == 200 && !err.contains("Path of"), "{err}");
    // A secret that was pasted where a path belongs is not repeated.
    for answer in ["Vb1vQ0m7m0l5x3Yw8s0uN2kQ9rT4eZ6hJ1pL5cX7dA8=", "SHA256:Vb1vQ0m7m0l5x3Yw8s0uN2k", KEY] {
        let output = scopegate_reading(folder, &MINT, answer.as_bytes());
        let (out, err) = texts(&output);
        assert_eq!((output.status.code(), out.as_str()), (Some(1), ""));
        assert!(!err.contains("Vb1v") && !err.contains(&KEY[..27]) && err.contains("name the"), "{err}");
    }
}

#[test]
fn f165_a_terminal_is_asked_and_standard_output_holds_the_token_alone() {
    let line = format!("{} jwt mint --profile icr >of_terminal.txt", binary());
    let mut terminal = world().program("script", &[("SHELL", "/bin/sh")]);
    let terminal = terminal.args(["-qec", &line, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut terminal = terminal.spawn().unwrap();
    let mut keyboard = terminal.stdin.take().unwrap();
    write!(keyboard, "app.key\n{APP_ID}\n").unwrap();
    let output = terminal.wait_with_output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("Path of the file") && shown.contains("The app's id: "), "{shown}");
    let token = fs::read_to_string(world().gateway.setup.path().join("of_terminal.txt")).unwrap();
    assert_eq!((token.lines().count(), world().call(&token).status), (1, 200), "{shown}");
}

#[test]
fn f166_nothing_is_asked_where_the_environment_says_it() {
    let in_one_line = KEY.replace('\n', "\\n");
    for (key, warns) in [
        (("SCOPEGATE_PRIVATE_KEY_FILE", "app.key"), false),
        (("SCOPEGATE_PRIVATE_KEY", KEY), false),
        (("SCOPEGATE_PRIVATE_KEY", &in_one_line), true),
    ] {
        for id in ["SCOPEGATE_APP_ID", "SCOPEGATE_CLIENT_ID"] {
            let (out, err) = texts(&world().run(&MINT, &[key, (id, APP_ID)]));
            assert_eq!(world().call(&out).status, 200, "{err}");
            let warning = "SCOPEGATE_PRIVATE_KEY: the private key has line breaks written as \\n; mended for this once";
            assert_eq!(err.contains(warning), warns, "{err}");
            assert!(warns || err.is_empty(), "{err}");
        }
    }
    let secret = "a secret of this test, which is long enough";
    let kore = ["jwt", "mint"];
    let (out, err) = texts(&world().run(&kore, &[("SCOPEGATE_SECRET", secret), ("SCOPEGATE_APP_ID", "cs-1")]));
    assert_eq!((claims(&out)["appId"].as_str(), err.as_str()), (Some("cs-1"), ""));
}

#[test]
fn f168_claims_besides_are_ignored_and_a_text_is_no_time() {
    let (token, err) = world().mint(&["--claim", "alg_of_mine=RS256", "--claim", r#"x={"y":[1]}"#]);
    assert_eq!((world().call(&token).status, err.as_str()), (200, ""));
    let (token, _) = world().mint(&["--claim", &format!("exp=\"{}\"", now() + 60)]);
    assert_eq!(world().call(&token).status, 401);
    let (token, err) = world().mint(&["--claim", "alg=RS256"]);
    assert!(token.is_empty() && err.contains("alg stands in a token's header"), "{err}");
}

#[test]
fn f170_a_token_ends_nine_minutes_ahead_and_ten_are_warned_of() {
    let before = now();
    let (token, err) = world().mint(&[]);
    let claims = claims(&token);
    let (issued, expires) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
    assert!(expires - before <= 540 + (now() - before) && expires - issued == 600, "{claims}");
    assert!((before - 60..=now() - 60).contains(&issued) && claims["iss"] == APP_ID && claims.get("alg").is_none());
    assert_eq!((err.as_str(), world().call(&token).status), ("", 200));
    assert_eq!(world().mint(&["--lifetime", "590s"]).1, "");
    assert!(world().mint(&["--lifetime", "591s"]).1.contains("a little fast"));
    assert!(world().mint(&["--lifetime", "10m"]).1.contains("a little fast"));
    assert!(world().mint(&["--lifetime", "601s"]).1.contains("more than 10 minutes are refused"));
    assert_eq!(world().mint(&["--lifetime", "601s", "--quiet"]).1, "");
    assert!(world().mint(&["--alg", "RS512"]).1.contains("takes RS256 and no RS512"));
}

#[test]
fn f159_the_clock_command_tells_the_difference_from_the_gateways() {
    let output = world().run(&["jwt", "clock", &world().url], &[]);
    let (out, err) = texts(&output);
    assert_eq!((output.status.code(), err.as_str()), (Some(0), ""));
    assert!(out.contains("this machine's clock: no difference to be seen, within "), "{out}");
    let json: serde_json::Value =
        serde_json::from_slice(&world().run(&["jwt", "clock", &world().url, "--json"], &[]).stdout).unwrap();
    assert_eq!(json, serde_json::json!({ "skew_seconds": 0, "good": true }));
    // A refusal has the exact time too.
    let date = world().call("no token").header("date").map(str::to_owned);
    let date = httpdate::parse_http_date(&date.unwrap()).unwrap();
    let secs = date.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!(now().unsigned_abs().abs_diff(secs) <= 1);
    for (url, wanted) in [
        ("gateway", "is no address"),
        ("http://192.0.2.1", "--allow-plain-http"),
        ("http://127.0.0.1:1", "no connection"),
    ] {
        let output = world().run(&["jwt", "clock", url], &[]);
        let (out, err) = texts(&output);
        assert!(output.status.code() == Some(1) && out.is_empty() && err.contains(wanted), "{url}: {err}");
    }
}

#[test]
fn f159_a_clock_that_is_off_is_an_exit_status() {
    let late = crate::e2e::harness::Recorder::answering(|_| {
        let date = std::time::UNIX_EPOCH + std::time::Duration::from_secs((now() - 120).unsigned_abs());
        let response = http::Response::builder().header("date", httpdate::fmt_http_date(date));
        crate::e2e::harness::Answer::new(response.body("").unwrap())
    });
    let run = |more: &[&str]| world().run(&[&["jwt", "clock", &late.url()][..], more].concat(), &[]);
    let output = run(&[]);
    let (out, err) = texts(&output);
    let is_fast = ["119 s fast", "120 s fast", "121 s fast"].iter().any(|fast| out.contains(fast));
    assert!(output.status.code() == Some(1) && is_fast && err.contains("more than 30s"), "{out}{err}");
    assert_eq!(run(&["--max", "5m"]).status.code(), Some(0));
}

#[test]
fn f160_a_clock_that_is_two_minutes_off_mints_by_the_gateways() {
    for off in [-120, 120, -700, 700] {
        let at = (now() + off).to_string();
        let (token, _) = world().mint(&["--at", &at]);
        // Two minutes behind is what the lifetime has room for.
        assert_eq!(world().call(&token).status, if off == -120 { 200 } else { 401 }, "{off}");
        let (token, err) = world().mint(&["--at", &at, "--clock-from", &world().url]);
        assert_eq!(world().call(&token).status, 200, "{off}: {err}");
        let word = if off > 0 { "fast" } else { "slow" };
        assert!(err.contains(word) && err.contains("the token is corrected for it"), "{err}");
    }
}

#[test]
fn a_token_that_was_made_wrong_is_told_why() {
    let decode = |token: &str| texts(&world().run(&["jwt", "decode", token.trim_end()], &[])).0;
    let at = now();
    for (more, wanted) in [
        (&["--claim", &format!("exp={}", (at + 60) * 1000)][..], "divide by 1000"),
        (&["--claim", "exp=540"], "looks like a duration"),
        (&["--lifetime", "10m"], "Use 9 minutes"),
        (&["--at", &(at + 300).to_string()], "ahead of this machine's clock"),
        (&["--at", &(at - 3600).to_string()], "the signer's clock is slow"),
        (&["--claim", "iss="], "iss is empty"),
        (&["--claim", "iss=12\u{200b}3"], r"12\u{200b}3"),
    ] {
        let text = decode(&world().mint(more).0);
        assert!(text.contains(wanted), "{wanted:?} is not in {text}");
    }
    assert!(!decode(&world().mint(&[]).0).contains("mistake"));
}
