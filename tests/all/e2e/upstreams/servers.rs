//! nginx and HAProxy as upstreams.

use super::{gateway, good, text};
use crate::e2e::harness::{Authority, Haproxy, Nginx, Reply};

fn is_from(reply: &Reply, name: &str) {
    assert_eq!((reply.status, text(reply).as_str()), (200, name));
}

#[test]
fn nginx_is_spoken_to_in_both_versions_of_http() {
    let nginx = Nginx::start();
    let old = gateway(&[nginx.url()], "");
    let new = gateway(&[format!("http://{}", nginx.http2)], "http = \"2\"");
    for method in ["GET", "POST", "PUT"] {
        is_from(&old.call(&good(method)), "from nginx");
        is_from(&new.call(&good(method)), "from nginx");
    }
    let head = new.call(&good("HEAD"));
    assert_eq!((head.status, head.header("content-length")), (200, Some("10")));
}

#[test]
fn haproxy_is_spoken_to_over_tls_in_the_version_that_it_chooses() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(&folder.path().join("certs"));
    authority.issue("server", "DNS:localhost,IP:127.0.0.1");
    let both = folder.path().join("both.pem");
    let read = |name| std::fs::read_to_string(authority.path(name)).unwrap();
    std::fs::write(&both, read("server.pem") + &read("server.key")).unwrap();
    let haproxy = Haproxy::start(&both);
    is_from(&gateway(&[haproxy.url()], "").call(&good("GET")), "from haproxy by HTTP/1.1");
    for (http, version) in [("1.1", "HTTP/1.1"), ("2", "HTTP/2.0"), ("auto", "HTTP/2.0")] {
        let tls = format!("http = {http:?}\ntls = {{ ca = {:?} }}", authority.path("ca.pem"));
        let gateway = gateway(&[format!("https://{}", haproxy.tls)], &tls);
        is_from(&gateway.call(&good("GET")), &format!("from haproxy by {version}"));
    }
}
