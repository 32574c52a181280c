//! Who the gateway is to an upstream: injected headers, client certificates; and whom it trusts there.

use std::path::Path;
use std::process::Command;

use super::{closed, good, start};
use crate::e2e::harness::{Gateway, Recorder, Registry, Setup};

#[test]
fn a_credential_from_a_file_takes_the_place_of_the_callers() {
    let upstream = Recorder::start();
    let headers = r#"headers = { authorization = { file = "bots.token", prefix = "Bearer " }, x-stage = "prod" }"#;
    let setup = Setup::bearer(&upstream.url(), headers);
    setup.write("bots.token", "hunter2\n");
    let gateway = start(setup);
    assert_eq!(gateway.call(&good("GET").header("X-Stage", "forged").header("x_stage", "forged")).status, 200);
    let seen = &upstream.all()[0];
    assert_eq!((seen.header("authorization"), seen.header("x-stage")), (Some("Bearer hunter2"), Some("prod")));
    assert_eq!(seen.headers.get_all("x-stage").iter().count(), 1);
    assert!(!seen.headers.contains_key("x_stage"), "what some server reads as ours is dropped");

    gateway.setup.write("bots.token", "hunter3\n");
    gateway.setup.succeed(&["reload"]);
    assert_eq!(gateway.call(&good("GET")).status, 200);
    assert_eq!(upstream.all()[1].header("authorization"), Some("Bearer hunter3"));
    let printed = format!("{:?}{}", gateway.log(), gateway.setup.succeed(&["check"]));
    assert!(!printed.contains("hunter"), "{printed}");
}

#[test]
fn a_credential_from_the_environment_reaches_the_upstream_alone() {
    let upstream = Recorder::start();
    let setup = Setup::bearer(&upstream.url(), r#"headers = { x-api-key = { env = "BOTS_KEY" } }"#);
    let missing = setup.refused(&["check"]);
    assert!(missing.contains("BOTS_KEY") && missing.contains("scopegate.toml:"), "{missing}");
    let environment = [("BOTS_KEY", "hunter2")];
    setup.write("registry.toml", Registry::new().app(&super::app()).as_str());
    let applied = setup.run_with(&["apply", "-f", "registry.toml"], &environment);
    assert!(applied.status.success(), "{applied:?}");
    let gateway = Gateway::serve(setup, &environment);
    assert_eq!(gateway.call(&good("GET")).status, 200);
    assert_eq!(upstream.all()[0].header("x-api-key"), Some("hunter2"));
}

fn make_certificates(folder: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("certs/make");
    assert!(Command::new(script).arg(folder).output().unwrap().status.success());
}

#[test]
fn an_upstream_that_asks_for_a_certificate_gets_the_one_that_is_configured() {
    let folder = tempfile::tempdir().unwrap();
    make_certificates(folder.path());
    let file = |name: &str| folder.path().join(name);
    let upstream = Recorder::with_tls_as(folder.path(), true, &[]);
    let urls = [format!("https://127.0.0.1:{}", upstream.address.port())];
    let (ca, cert, key) = (file("ca.pem"), file("client.pem"), file("client.key"));
    let with = super::gateway(&urls, &format!("tls = {{ ca = {ca:?}, cert = {cert:?}, key = {key:?} }}"));
    assert_eq!(with.call(&good("GET")).status, 200);
    let without = super::gateway(&urls, &format!("tls = {{ ca = {ca:?} }}"));
    let reply = without.call(&good("GET"));
    assert!(matches!(reply.code().as_str(), "upstream.tls_failed" | "upstream.reset"), "{}", reply.code());
    let half = Setup::bearer(&urls[0], &format!("tls = {{ cert = {cert:?} }}")).refused(&["check"]);
    assert!(half.contains("cert and key belong together"), "{half}");
}

#[test]
fn the_certificates_name_may_be_another_than_the_addresses() {
    let folder = tempfile::tempdir().unwrap();
    make_certificates(folder.path());
    let upstream = Recorder::with_tls(folder.path());
    let urls = [format!("https://127.0.0.1:{}", upstream.address.port())];
    let gateway = |name: &str| {
        super::gateway(&urls, &format!("tls = {{ ca = {:?}, name = {name:?} }}", folder.path().join("ca.pem")))
    };
    assert_eq!(gateway("localhost").call(&good("GET")).status, 200);
    let other = gateway("other.example");
    assert_eq!(other.call(&good("GET")).code(), "upstream.tls_failed");
    other.setup.edit("other.example", "localhost");
    other.setup.succeed(&["reload"]);
    assert_eq!(other.call(&good("GET")).status, 200);
}

#[test]
fn a_later_connection_resumes_the_tls_session() {
    let folder = tempfile::tempdir().unwrap();
    make_certificates(folder.path());
    let upstream = Recorder::with_tls(folder.path());
    let urls = [format!("https://localhost:{}", upstream.address.port())];
    let ca = folder.path().join("ca.pem");
    let gateway = super::gateway(&urls, &format!("tls = {{ ca = {ca:?} }}\nmax_idle = 0"));
    for _ in 0..3 {
        assert_eq!(gateway.call(&good("GET")).status, 200);
    }
    let resumed: Vec<_> = upstream.all().iter().map(|seen| seen.is_resumed).collect();
    assert_eq!(resumed, [false, true, true]);
}

#[test]
fn what_an_upstream_can_not_be_is_told_with_its_line() {
    let url = format!("http://{}", closed());
    for (settings, told) in [
        ("headers = { host = \"other\" }", "set by the gateway itself"),
        ("headers = { x-key = { file = \"/no/such/file\" } }", "/no/such/file"),
        ("max_calls = 0", "would let no call through"),
        ("timeouts = { connect = \"0s\" }", "timeouts.connect: 0s is out of range"),
        ("health = { path = \"healthz\" }", "is no path"),
        ("health = { status = \"2xx\" }", "is no status"),
        ("ejection = { least = \"10s\", most = \"5s\" }", "5s is less than least, 10s"),
        ("tls = { ca = \"/no/such/ca\" }", ""),
    ] {
        let setup = Setup::bearer(&url, settings);
        if told.is_empty() {
            // Without an https address nothing is read.
            setup.succeed(&["check"]);
            continue;
        }
        let error = setup.refused(&["check"]);
        assert!(error.contains(told) && error.contains("scopegate.toml:"), "{settings}: {error}");
    }
    for (bad, told) in [
        ("ftp://a", "neither http nor https"),
        ("http://a/path", "rewrite"),
        ("unix:relative", "absolute"),
        ("http://ana:hunter2@a", "user name"),
    ] {
        let error = Setup::bearer(bad, "").refused(&["check"]);
        assert!(error.contains(told) && !error.contains("hunter2"), "{bad}: {error}");
    }
}
