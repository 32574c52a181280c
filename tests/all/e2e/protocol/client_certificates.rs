//! Clients' certificates, route by route.

use std::path::Path;

use super::certificates::gateway_with;
use super::{app, good};
use crate::e2e::harness::{Authority, Call, Gateway, Recorder, Setup, TlsClient};

const TLS: &str = "cert = \"certs/first.pem\", key = \"certs/first.key\", client_ca = \"certs/ca.pem\", \
                   client_auth = \"optional\"";

const ROUTES: &str = r#"
[[route]]
id = "certified"
methods = ["GET"]
path = "/certified"
authenticator = "bearer"
scope = "any"
client_certificate = true
[[route]]
id = "named"
methods = ["GET"]
path = "/named"
authenticator = "bearer"
scope = "any"
client_certificate = { names = ["ci.example.com", "spiffe://example/ci"] }
"#;

fn start() -> (Gateway, Authority, Recorder) {
    gateway_with(TLS, ROUTES, |authority| {
        authority.issue("first", "DNS:localhost");
        authority.issue("ci", "URI:spiffe://example/ci,email:ci@example.com");
        authority.issue("other", "DNS:other.example.com");
    })
}

/// The call, with a field that only the gateway may write.
fn call(path: &str) -> Call {
    let spoof = [("client-cert", ":bm9uZQ==:"), ("Client_Cert", ":bm9uZQ==:"), ("Client-Cert-Chain", ":bm9uZQ==:")];
    let call = Call::get(path).bearer(app().token()).mark(path);
    spoof.into_iter().fold(call, |call, (name, value)| call.header(name, value))
}

#[test]
fn routes_ask_for_certificates_and_for_names_in_them() {
    let (gateway, authority, upstream) = start();
    let ca = authority.path("ca.pem");
    let client = |name: &str| TlsClient::new(&ca, Some(&authority.path(name)));
    let (none, ci, other) = (TlsClient::new(&ca, None), client("ci"), client("other"));
    let status = |client: &TlsClient, path: &str| client.call(gateway.proxy, "localhost", &call(path)).unwrap().status;
    for (path, statuses) in
        [("/any/thing", [200, 200, 200]), ("/certified", [403, 200, 200]), ("/named", [403, 200, 403])]
    {
        let seen = [&none, &ci, &other].map(|client| status(client, path));
        assert_eq!(seen, statuses, "{path}");
        // Once more, with the sessions of before.
        assert_eq!([&none, &ci, &other].map(|client| status(client, path)), statuses, "{path}");
    }
    for seen in upstream.marked("/any/thing") {
        assert!(!seen.headers.keys().any(|name| name.as_str().contains("cert")), "{:?}", seen.headers);
    }
    for seen in upstream.marked("/named") {
        assert_eq!(seen.header("client-cert"), Some(field(&authority.path("ci.pem")).as_str()));
        assert_eq!(seen.headers.keys().filter(|name| name.as_str().contains("cert")).count(), 1);
    }
    assert_eq!(upstream.marked("/certified").len(), 4);
}

#[test]
fn a_missing_certificate_is_told_before_the_credential_is_looked_at() {
    let (gateway, authority, _upstream) = start();
    let nobody = TlsClient::new(&authority.path("ca.pem"), None);
    let bad = Call::get("/named").bearer("no token").mark("bad");
    assert_eq!(nobody.call(gateway.proxy, "localhost", &bad).unwrap().status, 403);
    let other = TlsClient::new(&authority.path("ca.pem"), Some(&authority.path("other")));
    assert_eq!(other.call(gateway.proxy, "localhost", &call("/named")).unwrap().status, 403);
    crate::e2e::harness::eventually("both are in the log", || {
        let refused: Vec<_> = gateway.log().into_iter().filter(|line| line["route"] == "named").collect();
        let [first, second] = &refused[..] else { return None };
        assert_eq!((&first["reason"], &first["verified"]), (&"certificate.required".into(), &false.into()));
        assert_eq!(second["reason"], "certificate.not_allowed");
        assert_eq!(second["found"], "DNS:other.example.com");
        Some(())
    });
    // A certificate of nobody that is trusted is none at all: the handshake fails.
    let stranger = Authority::new(&authority.path("strange"));
    stranger.issue("ci", "URI:spiffe://example/ci");
    let stranger = TlsClient::new(&authority.path("ca.pem"), Some(&authority.path("strange/ci")));
    assert!(stranger.call(gateway.proxy, "localhost", &good("GET")).is_err());
    let told = gateway.setup.explain(&app().token(), "GET", "/named", &[]);
    assert!(
        told.0 && told.1.contains("a client certificate for DNS:ci.example.com or URI:spiffe://example/ci"),
        "{}",
        told.1
    );
}

#[test]
fn a_route_that_needs_a_certificate_needs_a_listener_that_asks_for_one() {
    let setup = Setup::bearer("http://127.0.0.1:9", ROUTES);
    let refused = setup.refused(&["check"]);
    assert!(refused.contains("route certified needs client certificates"), "{refused}");
    setup.edit("client_certificate = true", "client_certificate = { names = [] }");
    assert!(setup.refused(&["check"]).contains("names of nobody"));
}

/// As RFC 9440 has it.
fn field(pem: &Path) -> String {
    let text = std::fs::read_to_string(pem).unwrap();
    let base64: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    format!(":{base64}:")
}
