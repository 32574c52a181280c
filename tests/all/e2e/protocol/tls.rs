//! TLS on both sides.

use std::path::Path;
use std::process::Command;

use super::{app, gateway, good, registry};
use crate::e2e::harness::{Gateway, Recorder, Setup, texts};

/// Certificates of a CA of their own, in the folder `certs`.
pub fn make_certificates(folder: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("certs/make");
    let made = Command::new("bash").arg(script).arg(folder.join("certs")).output().unwrap();
    assert!(made.status.success(), "{}", texts(&made).1);
}

/// The status and the protocol that curl saw.
fn curl(arguments: &[&str]) -> String {
    let authorization = format!("Authorization: Bearer {}", app().token());
    let mut command = Command::new("curl");
    command.args(["-sS", "-o", "/dev/null", "-w", "%{http_code} %{http_version}", "-H", &authorization]);
    let (out, err) = texts(&command.args(arguments).output().unwrap());
    format!("{out}{err}")
}

#[test]
fn the_protocol_is_chosen_by_alpn_over_tls() {
    let upstream = Recorder::start();
    let setup = Setup::bearer(&upstream.url(), "");
    make_certificates(setup.path());
    setup.edit("workers = 1", "workers = 1\ntls = { cert = \"certs/server.pem\", key = \"certs/server.key\" }");
    let gateway = Gateway::start(setup, &registry());
    let ca = gateway.setup.path().join("certs/ca.pem");
    let url = format!("https://localhost:{}/any/thing", gateway.proxy.port());
    let with = |more: &[&str]| curl(&[&["--cacert", ca.to_str().unwrap(), &url], more].concat());
    assert_eq!(with(&["--http2"]), "200 2");
    assert_eq!(with(&["--http1.1"]), "200 1.1");
    assert_eq!(with(&["--tls-max", "1.2"]), "200 2");
    assert!(with(&["--tls-max", "1.1"]).starts_with("000"), "older TLS is not spoken");
    assert!(curl(&[&url]).contains("certificate"), "nobody trusts this CA by itself");
    assert_eq!(upstream.all().len(), 3);
    assert!(upstream.all().iter().all(|seen| seen.header("x-forwarded-proto") == Some("https")));
}

#[test]
fn clients_without_a_certificate_stay_outside_where_one_is_asked_for() {
    let upstream = Recorder::start();
    let setup = Setup::bearer(&upstream.url(), "");
    make_certificates(setup.path());
    let tls = "tls = { cert = \"certs/server.pem\", key = \"certs/server.key\", client_ca = \"certs/ca.pem\" }";
    setup.edit("workers = 1", &format!("workers = 1\n{tls}"));
    let gateway = Gateway::start(setup, &registry());
    let file = |name: &str| gateway.setup.path().join("certs").join(name).to_str().unwrap().to_owned();
    let url = format!("https://localhost:{}/any/thing", gateway.proxy.port());
    let with = |more: &[&str]| curl(&[&["--cacert", &file("ca.pem"), &url], more].concat());
    assert!(with(&[]).starts_with("000"));
    assert_eq!(with(&["--cert", &file("client.pem"), "--key", &file("client.key")]), "200 2");
    assert_eq!(upstream.all().len(), 1);
}

#[test]
fn an_upstream_is_trusted_by_the_ca_that_is_named() {
    let folder = tempfile::tempdir().unwrap();
    make_certificates(folder.path());
    let certs = folder.path().join("certs");
    let upstream = Recorder::with_tls(&certs);
    let url = format!("https://localhost:{}", upstream.address.port());
    let trusting = gateway(&url, &format!("tls = {{ ca = {:?} }}", certs.join("ca.pem")));
    let reply = trusting.call(&good("GET"));
    assert_eq!((reply.status, reply.body.as_slice()), (200, &b"from the upstream behind TLS"[..]));
    assert_eq!(upstream.all()[0].header("host"), Some(format!("localhost:{}", upstream.address.port()).as_str()));

    // Another CA, and a name that is not in the certificate.
    let other = tempfile::tempdir().unwrap();
    make_certificates(other.path());
    let distrusting = gateway(&url, &format!("tls = {{ ca = {:?} }}", other.path().join("certs/ca.pem")));
    let misnamed = gateway(&url, &format!("tls = {{ ca = {:?}, name = \"other.example\" }}", certs.join("ca.pem")));
    for gateway in [distrusting, misnamed] {
        let reply = gateway.call(&good("GET"));
        assert_eq!((reply.status, reply.code().as_str()), (502, "upstream.tls_failed"));
    }
    assert_eq!(upstream.all().len(), 1);
}
