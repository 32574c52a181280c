//! `check --connect`: everything that a configuration needs, tried one by one.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::init::free;
use crate::e2e::harness::{Gateway, Recorder, Registry, Setup, texts};

const ROUTE: &str = "[authenticator.bearer]\nkind = \"jwt\"\nalgorithms = [\"HS256\"]\n[[route]]\nid = \"any\"\nmethods = [\"GET\"]\n\
                     path = \"/any\"\nauthenticator = \"bearer\"\nscope = \"any\"\n";

fn setup(upstream: &str) -> Setup {
    let (proxy, telemetry) = (free(), free());
    Setup::whole(&format!(
        "[proxy]\nlisten = \"{proxy}\"\nworkers = 1\n[telemetry]\nlisten = \"{telemetry}\"\n[store]\nurl = \"sqlite://scopegate.db\"\n\
         [replay]\nurl = \"sqlite://replay.db\"\n[upstream.bots]\n{upstream}\n{ROUTE}"
    ))
}

fn at(url: &str) -> String {
    format!("urls = [{url:?}]")
}

/// What was tried: whether all of it is good, and each by what it is for and which one.
struct Tried {
    is_good: bool,
    trials: Vec<Value>,
}

impl Tried {
    fn of(setup: &Setup) -> Self {
        let output = setup.run(&["check", "--connect", "--json"]);
        let (out, err) = texts(&output);
        let trials: Vec<Value> = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}"));
        assert!(trials.iter().all(|trial| trial["milliseconds"].is_f64()), "{out}");
        Self { is_good: output.status.success(), trials }
    }

    /// How the one stands, and why.
    #[track_caller]
    fn get(&self, check: &str, target: &str) -> (&str, &str) {
        let is_it = |trial: &&Value| trial["check"] == check && trial["target"].as_str().unwrap().contains(target);
        let trial = self.trials.iter().find(is_it).unwrap_or_else(|| panic!("no {check} {target}: {:?}", self.trials));
        (trial["outcome"].as_str().unwrap(), trial["detail"].as_str().unwrap())
    }

    #[track_caller]
    fn assert(&self, check: &str, target: &str, outcome: &str, detail: &str) {
        let found = self.get(check, target);
        assert!(found.0 == outcome && found.1.contains(detail), "{check} {target}: {found:?}");
        assert!(!self.is_good || outcome != "failed", "{:?}", self.trials);
    }
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn files(setup: &Setup) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(setup.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn before_the_first_start_everything_is_found_good_and_nothing_is_made() {
    let upstream = Recorder::start();
    let setup = setup(&format!("{}\nhealth = {{ path = \"/healthz\" }}", at(&upstream.url())));
    let before = files(&setup);
    let tried = Tried::of(&setup);
    assert!(tried.is_good, "{:?}", tried.trials);
    tried.assert("store", "scopegate.db", "ok", "the first start makes it");
    tried.assert("replay memory", "replay.db", "ok", "the first start makes it");
    tried.assert("clock", "", "ok", "");
    tried.assert("listener", "proxy", "ok", "free");
    tried.assert("listener", "telemetry", "ok", "free");
    tried.assert("configuration", "scopegate.toml", "ok", "readable");
    tried.assert("upstream bots", "127.0.0.1:", "ok", "GET /healthz is answered as it should be");
    assert_eq!(files(&setup), before);
    let text = setup.succeed(&["check", "--connect"]);
    assert!(text.contains("scopegate.toml is good: 1 routes") && text.contains("\nok      upstream bots "), "{text}");
    assert!(text.lines().filter(|line| line.starts_with("ok ")).all(|line| line.contains(" ms  ")), "{text}");
}

#[test]
fn beside_a_gateway_that_runs_its_store_is_read_and_its_ports_are_known_as_its_own() {
    let upstream = Recorder::start();
    let gateway = Gateway::start(
        setup(&at(&upstream.url())),
        &Registry::new()
            .account("acme", &[])
            .apps(&[super::app("ci", &[])].map(|app| crate::e2e::harness::App { bots: Vec::new(), ..app })),
    );
    let tried = Tried::of(&gateway.setup);
    assert!(tried.is_good, "{:?}", tried.trials);
    tried.assert("store", "", "ok", "1 app; the master key opens it");
    tried.assert("replay memory", "", "ok", "in use, as by a gateway that runs");
    tried.assert("listener", "proxy", "ok", "taken by the gateway that runs");
    tried.assert("listener", "telemetry", "ok", "taken by the gateway that runs");
    assert_eq!(upstream.all().len(), 0, "without a health check nothing is sent");
    let setup = gateway.kill();
    let tried = Tried::of(&setup);
    tried.assert("replay memory", "", "ok", "a journal that nobody has open");
}

#[test]
fn a_store_that_can_not_be_used_is_told_with_the_reason() {
    let setup = setup(&at("http://127.0.0.1:9"));
    setup.apply(&Registry::new().account("acme", &[]).apps(&[super::ci()].map(|app| crate::e2e::harness::App {
        bots: Vec::new(),
        scopes: Vec::new(),
        ..app
    })));
    let (database, key) = (setup.path().join("scopegate.db"), setup.path().join("master.key"));
    let store = |outcome: &str, detail: &str| Tried::of(&setup).assert("store", "", outcome, detail);
    store("ok", "1 app; the master key opens it");
    mode(&key, 0o644);
    store("failed", "master.key");
    mode(&key, 0o600);
    let kept = fs::read(&key).unwrap();
    fs::write(&key, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n").unwrap();
    store("failed", "another");
    fs::remove_file(&key).unwrap();
    store("failed", "master.key");
    fs::write(&key, kept).unwrap();
    mode(&key, 0o600);
    store("ok", "the master key opens it");
    fs::write(&database, "no database at all, but a text of some length").unwrap();
    store("failed", "scopegate.db");
    fs::remove_file(&database).unwrap();
    fs::write(setup.path().join("replay.db"), "neither").unwrap();
    Tried::of(&setup).assert("replay memory", "", "failed", "replay.db");
}

#[test]
fn every_address_of_every_upstream_is_tried() {
    let (good, bad) = (Recorder::start(), free());
    let socket = tempfile::tempdir().unwrap();
    let path = socket.path().join("bots.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let urls = format!("urls = [{:?}, \"http://{bad}\", \"unix:{}\"]", good.url(), path.display());
    let more =
        "[upstream.named]\nurls = [\"http://nowhere.invalid:9000\"]\n[upstream.local]\nurls = [\"http://localhost:9\"]";
    let setup = setup(&format!("{urls}\n{more}"));
    setup.edit("scope = \"any\"", "scope = \"any\"\nupstream = \"bots\"");
    let tried = Tried::of(&setup);
    tried.assert("upstream bots", &good.url()["http://".len()..], "ok", "it takes connections");
    tried.assert("upstream bots", &bad.to_string(), "failed", "refused");
    tried.assert("upstream bots", "unix:", "ok", "it takes connections");
    tried.assert("upstream named", "names", "failed", "nowhere.invalid");
    tried.assert("upstream local", "names", "ok", "127.0.0.1:9");
    tried.assert("upstream local", "127.0.0.1:9 (localhost:9)", "failed", "refused");
    assert!(!tried.is_good);
}

#[test]
fn a_health_check_that_fails_fails() {
    let upstream = Recorder::start();
    let url = upstream.url();
    let setup = setup(&format!("{}\nhealth = {{ path = \"/\", status = \"204\" }}", at(&url)));
    let tried = Tried::of(&setup);
    tried.assert("upstream bots", "", "failed", "GET /: it answers 200 OK");
}

#[test]
fn a_port_that_a_stranger_has_is_told() {
    let setup = setup(&at("http://127.0.0.1:9"));
    let text = setup.read("scopegate.toml");
    let address = text.lines().nth(1).unwrap().split('"').nth(1).unwrap().to_owned();
    let _taken = TcpListener::bind(&address).unwrap();
    let tried = Tried::of(&setup);
    tried.assert("listener", "proxy", "failed", "is taken: another process listens there");
    tried.assert("listener", "telemetry", "ok", "free");
}

/// A certificate for 127.0.0.1 that is good for so many days, with its key.
fn certify(folder: &Path, name: &str, days: &str) {
    let (key, certificate) = (format!("{name}.key"), format!("{name}.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", &key])
        .args([
            "-out",
            &certificate,
            "-subj",
            "/CN=127.0.0.1",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-days",
            days,
        ])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
}

#[test]
fn certificates_are_warned_of_before_they_end_and_keys_are_for_their_owner_alone() {
    let recorder = Recorder::start();
    let tls = setup(&at(&recorder.url()));
    certify(tls.path(), "server", "20");
    tls.edit("workers = 1", "workers = 1\ntls = { cert = \"server.pem\", key = \"server.key\" }");
    let tried = Tried::of(&tls);
    assert!(tried.is_good, "{:?}", tried.trials);
    tried.assert("file", "server.pem", "warning", "the certificate ends in 19 days");
    tried.assert("file", "server.key", "ok", "a private key");
    mode(&tls.path().join("server.key"), 0o644);
    Tried::of(&tls).assert("file", "server.key", "failed", "everybody on this machine may read it (mode 0644)");
    mode(&tls.path().join("server.key"), 0o600);

    // In front of that gateway, another one.
    let server = Gateway::serve(tls, &[]);
    let url = format!("https://{}", server.proxy);
    let front = setup(&format!(
        "{}\ntls = {{ ca = \"ca.pem\" }}\nheaders = {{ x-key = {{ file = \"bots.token\" }} }}",
        at(&url)
    ));
    fs::copy(server.setup.path().join("server.pem"), front.path().join("ca.pem")).unwrap();
    front.write("bots.token", "a token of the upstream\n");
    mode(&front.path().join("bots.token"), 0o600);
    let tried = Tried::of(&front);
    assert!(tried.is_good, "{:?}", tried.trials);
    tried.assert("upstream bots", "", "warning", "it takes connections; the certificate ends in 19 days");
    tried.assert("file", "ca.pem", "warning", "the certificate ends in 19 days");
    tried.assert("file", "bots.token", "ok", "a credential");
    mode(&front.path().join("bots.token"), 0o604);
    Tried::of(&front).assert("file", "bots.token", "failed", "chmod 600");
    mode(&front.path().join("bots.token"), 0o600);
    certify(front.path(), "ca", "400");
    Tried::of(&front).assert("upstream bots", "", "failed", "no TLS");
    assert!(!texts(&front.run(&["check", "--connect"])).0.contains("a token of the upstream"));
}
