//! Faults under a running gateway: files that hang, that are emptied, moved away or full; told by readiness and the log.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::{app, call, ci, registry};
use crate::e2e::harness::{App, Authority, Call, Gateway, Recorder, Setup, Token, eventually, scopegate, within};

fn fifo(path: &Path) {
    _ = fs::remove_file(path);
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

fn readiness(gateway: &Gateway) -> (u16, String) {
    let reply = Call::get("/readyz").to(gateway.telemetry);
    (reply.status, String::from_utf8(reply.body).unwrap())
}

/// Waits until readiness tells what is wrong.
fn await_fault(gateway: &Gateway, told: &str) {
    eventually(told, || {
        let (status, body) = readiness(gateway);
        (status == 503 && body.starts_with("not ready\n") && body.contains(told)).then_some(())
    });
}

fn await_ready(gateway: &Gateway) {
    eventually("readiness comes back", || (readiness(gateway) == (200, "ready\n".to_owned())).then_some(()));
}

#[test]
fn a_configuration_that_is_no_regular_file_is_refused_and_holds_nothing_up() {
    let upstream = Recorder::start();
    let mut gateway = Gateway::start(Setup::kore(&upstream.url(), ""), &registry(&[ci()]));
    let path = gateway.setup.path().join("scopegate.toml");
    let configuration = fs::read_to_string(&path).unwrap();
    // A command of its own, since the file itself is no configuration any more.
    gateway.setup.write("other.toml", &configuration);
    fifo(&path);
    gateway.signal("HUP");
    let event = gateway.await_event("configuration not reloaded");
    assert!(event.contains("is a FIFO; only a regular file is read here"), "{event}");
    let disabled = scopegate(gateway.setup.path(), &["app", "disable", "ci", "-c", "other.toml"], &[]);
    assert!(disabled.status.success());
    within(Duration::from_secs(1), "the app is refused", || (gateway.call(&call(&ci())).status != 200).then_some(()));
    gateway.signal("TERM");
    assert!(gateway.wait().0.success());
}

#[test]
fn whatever_file_a_configuration_names_has_to_be_a_regular_one() {
    let setup = Setup::kore("https://127.0.0.1:9", "");
    let authority = Authority::new(&setup.path().join("made"));
    authority.issue("server", "DNS:localhost");
    let (good, fifos) = (setup.read("scopegate.toml"), setup.path().join("fifo"));
    fifo(&fifos);
    let tls = |cert: &str, key: &str, more: &str| {
        good.replace("workers = 1", &format!("workers = 1\ntls = {{ cert = \"{cert}\", key = \"{key}\"{more} }}"))
    };
    let upstream = |keys: &str| good.replace("[upstream.bots]\n", &format!("[upstream.bots]\n{keys}\n"));
    let (pem, key) = ("made/server.pem", "made/server.key");
    for (what, text) in [
        ("an included file", format!("include = [\"fifo\"]\n{good}")),
        ("an included file by a pattern", format!("include = [\"fif*\"]\n{good}")),
        ("a certificate", tls("fifo", key, "")),
        ("its key", tls(pem, "fifo", "")),
        ("whose certificates are asked for", tls(pem, key, ", client_ca = \"fifo\"")),
        ("a secret of an upstream", upstream("headers = { x-key = { file = \"fifo\" } }")),
        ("the certificates that an upstream is trusted by", upstream("tls = { ca = \"fifo\" }")),
    ] {
        setup.write("scopegate.toml", &text);
        let why = setup.refused(&["check"]);
        assert!(why.contains("is a FIFO"), "{what}: {why}");
    }
    setup.write("scopegate.toml", &good);
    for entry in ["secret_file = \"fifo\"", "public_key_file = \"fifo\""] {
        let app = "[[app]]\nclient_id = \"a\"\nname = \"a\"\naccount = \"default\"\nlevel = \"account\"\nalgorithms = [\"HS256\"]\n";
        setup.write("registry.toml", &format!("version = 1\n{app}[[key]]\napp = \"a\"\n{entry}\n"));
        let why = setup.refused(&["apply", "-f", "registry.toml"]);
        assert!(why.contains("is a FIFO"), "{entry}: {why}");
    }
    assert!(setup.refused(&["apply", "-f", "fifo"]).contains("is a FIFO"));
}

#[test]
fn a_configuration_that_was_emptied_is_refused_and_the_next_one_taken() {
    let upstream = Recorder::start();
    let setup = Setup::kore(&upstream.url(), "");
    setup.edit("profiles =", "watch = true\nprofiles =");
    let mut gateway = Gateway::start(setup, &registry(&[ci()]));
    let good = gateway.setup.read("scopegate.toml");
    gateway.setup.write("scopegate.toml", "");
    let event = gateway.await_event("configuration not reloaded");
    assert!(event.contains("it has no routes"), "{event}");
    assert_eq!(gateway.call(&call(&ci())).status, 200);
    let added = "[authenticator.open]\nkind = \"anonymous\"\n[[route]]\nid = \"open\"\nmethods = [\"GET\"]\npath = \"/open\"\nauthenticator = \"open\"\n";
    // Watching goes on, whatever the file says of it.
    gateway.setup.write("scopegate.toml", &format!("{}{added}", good.replace("watch = true", "watch = false")));
    let event = gateway.await_event("configuration reloaded");
    assert!(event.contains("waiting for a restart: watch"), "{event}");
    assert_eq!(gateway.call(&Call::get("/open")).status, 200);
    gateway.setup.write("scopegate.toml", &good);
    eventually("the file is followed still", || (gateway.call(&Call::get("/open")).status == 404).then_some(()));
}

#[test]
fn a_store_that_is_moved_away_is_told_and_refused_until_it_is_back() {
    let (mut gateway, _upstream) = super::start(&registry(&[ci()]));
    await_ready(&gateway);
    let (path, aside) = (gateway.setup.path().join("scopegate.db"), gateway.setup.path().join("aside"));
    fs::rename(&path, &aside).unwrap();
    await_fault(&gateway, "scopegate.db of the store was deleted while the gateway had it open");
    let event = gateway.await_event("was deleted while the gateway had it open");
    assert!(event.contains("put the former file back, or restart the gateway"), "{event}");
    fs::copy(&aside, &path).unwrap();
    await_fault(&gateway, "scopegate.db of the store was replaced by another file");
    let listening = format!("[telemetry]\nlisten = \"{}\"", gateway.telemetry);
    let configuration = gateway.setup.read("scopegate.toml");
    gateway.setup.write("live.toml", &configuration.replace("[telemetry]\nlisten = \"127.0.0.1:0\"", &listening));
    let output = scopegate(gateway.setup.path(), &["check", "--live", "-c", "live.toml"], &[]);
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(!output.status.success() && out.starts_with("not ready\n") && out.contains("replaced"), "{out}");
    // What was read last stays in force.
    assert_eq!(gateway.call(&call(&ci())).status, 200);
    fs::rename(&aside, &path).unwrap();
    await_ready(&gateway);
    gateway.setup.succeed(&["app", "disable", "ci"]);
    eventually("changes are seen again", || (gateway.call(&call(&ci())).status != 200).then_some(()));
}

#[test]
fn a_replay_journal_that_is_moved_away_is_told_and_takes_no_token_until_it_is_back() {
    let (gateway, upstream) = super::start(&registry(&[once()]));
    let single = |jti: &str| {
        let token = Token::of("once").claim("jti", jti).sign(once().secret());
        gateway.call(&Call::get(super::PATH).auth(token).mark(jti))
    };
    assert_eq!(single("before").status, 200);
    let (path, aside) = (gateway.setup.path().join("replay.db"), gateway.setup.path().join("aside"));
    fs::rename(&path, &aside).unwrap();
    await_fault(&gateway, "replay.db of the replay journal was deleted while the gateway had it open");
    let refused = single("meanwhile");
    assert_eq!((refused.status, gateway.reason(&refused).as_str()), (503, "replay.unavailable"));
    assert!(upstream.marked("meanwhile").is_empty());
    fs::rename(&aside, &path).unwrap();
    await_ready(&gateway);
    assert_eq!((single("meanwhile").status, single("before").status), (200, 401));
}

fn once() -> App {
    app("once", &["logs:change_logs"])
}
