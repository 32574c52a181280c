//! The gateway's certificates: chosen by name, and replaced while calls go on.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::{good, registry};
use crate::e2e::harness::{Authority, Gateway, Recorder, Setup, TlsClient, texts};

/// A gateway with this TLS, of which `certs/` holds what the authority issues.
pub(super) fn gateway_with(tls: &str, sections: &str, issue: impl Fn(&Authority)) -> (Gateway, Authority, Recorder) {
    let upstream = Recorder::start();
    let setup = Setup::bearer(&upstream.url(), sections);
    let authority = Authority::new(&setup.path().join("certs"));
    issue(&authority);
    setup.edit("workers = 1", &format!("workers = 1\ntls = {{ {tls} }}"));
    (Gateway::start(setup, &registry()), authority, upstream)
}

/// The common name of the certificate that a client of this name is shown.
fn shown(gateway: &Gateway, name: Option<&str>, more: &[&str]) -> String {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &gateway.proxy.to_string()]);
    match name {
        Some(name) => command.args(["-servername", name]),
        None => command.arg("-noservername"),
    };
    let mut child =
        command.args(more).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"Q\n").unwrap();
    let (out, err) = texts(&child.wait_with_output().unwrap());
    let subject = out.lines().find_map(|line| line.strip_prefix("subject=CN = "));
    subject.unwrap_or_else(|| panic!("{out}{err}")).to_owned()
}

#[test]
fn the_certificate_is_the_one_of_the_name_that_is_asked_for() {
    let tls = "cert = \"certs/first.pem\", key = \"certs/first.key\", certs = [\
               { cert = \"certs/api.pem\", key = \"certs/api.key\" }, { cert = \"certs/all.pem\", key = \"certs/all.key\" }]";
    let (gateway, _, _) = gateway_with(tls, "", |authority| {
        authority.issue("first", "DNS:localhost");
        authority.issue("api", "DNS:API.example.com,DNS:other.example.org");
        authority.issue("all", "DNS:*.example.com");
    });
    let cases = [
        (None, "first"),
        (Some("localhost"), "first"),
        (Some("unknown.test"), "first"),
        (Some("api.example.com"), "api"),
        (Some("Api.Example.Com"), "api"),
        (Some("other.example.org"), "api"),
        (Some("www.example.com"), "all"),
        (Some("a.b.example.com"), "first"),
        (Some("example.com"), "first"),
    ];
    for (name, certificate) in cases {
        assert_eq!(shown(&gateway, name, &[]), certificate, "{name:?}");
        assert_eq!(shown(&gateway, name, &["-tls1_2"]), certificate, "{name:?} by TLS 1.2");
    }
}

#[test]
fn a_certificate_that_no_client_would_get_is_told_at_the_start() {
    let setup = Setup::bearer("http://127.0.0.1:9", "");
    let authority = Authority::new(&setup.path().join("certs"));
    authority.issue("first", "DNS:localhost");
    authority.issue("nameless", "IP:127.0.0.1");
    let (first, other) = ("cert = \"certs/first.pem\", key = \"certs/first.key\"", "certs/nameless");
    setup.edit(
        "workers = 1",
        &format!("workers = 1\ntls = {{ {first}, certs = [{{ cert = \"{other}.pem\", key = \"{other}.key\" }}] }}"),
    );
    let refused = setup.refused(&["check"]);
    assert!(refused.contains("certs/nameless.pem can't be used: it names no host"), "{refused}");
    setup.edit("certs/nameless.key", "certs/first.key");
    let refused = setup.refused(&["check"]);
    assert!(refused.contains("proxy.tls") && refused.contains("certs/nameless.pem"), "{refused}");
    setup.edit(", certs = [", ", client_auth = \"optional\", certs = [");
    assert!(setup.refused(&["check"]).contains("client_auth without client_ca"));
}

#[test]
fn a_reload_serves_new_certificates_to_new_connections_and_keeps_those_that_are_open() {
    let tls = "cert = \"certs/first.pem\", key = \"certs/first.key\"";
    let (mut gateway, authority, upstream) =
        gateway_with(tls, "", |authority| authority.issue("first", "DNS:localhost"));
    let client = || TlsClient::new(&authority.path("ca.pem"), None);
    let file = || CertificateDer::from_pem_file(authority.path("first.pem")).unwrap().to_vec();
    let old = file();
    let seen = |client: &TlsClient| client.call(gateway.proxy, "localhost", &good("GET")).unwrap();
    assert_eq!(seen(&client()).certificate, old);
    let remembering = client();
    assert!(!seen(&remembering).is_resumed);
    assert!(seen(&remembering).is_resumed);
    let mut open = client().connect(gateway.proxy, "localhost").unwrap();
    let mut again = || {
        open.write_all(&good("GET").bytes()).unwrap();
        let mut begin = [0; 12];
        std::io::Read::read_exact(&mut open, &mut begin).unwrap();
        assert_eq!(&begin, b"HTTP/1.1 200");
        // The rest of the answer, up to the body's known end.
        let (mut rest, end) = (Vec::new(), b"from the upstream");
        while !rest.ends_with(end) {
            let mut byte = [0];
            std::io::Read::read_exact(&mut open, &mut byte).unwrap();
            rest.push(byte[0]);
        }
    };
    again();

    authority.issue("first", "DNS:localhost");
    let told = gateway.setup.succeed(&["reload"]);
    assert!(!told.contains("waiting for a restart"), "{told}");
    assert_ne!(file(), old);
    assert_eq!(seen(&client()).certificate, file());
    assert!(seen(&remembering).is_resumed, "sessions survive a new certificate");
    again();

    // A key that is not the certificate's, as in the middle of a change.
    let good_key = fs::read(authority.path("first.key")).unwrap();
    fs::write(authority.path("first.key"), &good_key[..good_key.len() / 2]).unwrap();
    gateway.signal("HUP");
    let event = gateway.await_event("configuration not reloaded; the old one stays in force");
    assert!(event.contains("certs/first.key"), "{event}");
    assert_eq!(client().call(gateway.proxy, "localhost", &good("GET")).unwrap().certificate, file());
    again();
    assert!(upstream.all().len() >= 8);
}

#[test]
fn a_certificate_of_a_client_is_judged_at_each_connection_by_the_authority_of_the_moment() {
    let tls = "cert = \"certs/first.pem\", key = \"certs/first.key\", client_ca = \"certs/clients/ca.pem\"";
    let issue = |authority: &Authority| {
        authority.issue("first", "DNS:localhost");
        Authority::new(&authority.path("clients")).issue("client", "DNS:client.example.com");
    };
    let (gateway, authority, _upstream) = gateway_with(tls, "", issue);
    let client = TlsClient::new(&authority.path("ca.pem"), Some(&authority.path("clients/client")));
    let call = |client: &TlsClient| client.call(gateway.proxy, "localhost", &good("GET"));
    for _ in 0..3 {
        assert!(!call(&client).unwrap().is_resumed, "a session would bring the certificate of its first connection");
    }

    // Another authority: those of the old one stay outside.
    let kept = fs::read(authority.path("clients/ca.pem")).unwrap();
    Authority::new(&authority.path("others")).issue("client", "DNS:client.example.com");
    fs::copy(authority.path("others/ca.pem"), authority.path("clients/ca.pem")).unwrap();
    gateway.setup.succeed(&["reload"]);
    assert!(call(&client).is_err());
    let other = TlsClient::new(&authority.path("ca.pem"), Some(&authority.path("others/client")));
    assert_eq!(call(&other).unwrap().status, 200);
    fs::write(authority.path("clients/ca.pem"), kept).unwrap();
    gateway.setup.succeed(&["reload"]);
    assert!(!call(&client).unwrap().is_resumed);
    assert!(call(&other).is_err());
}
