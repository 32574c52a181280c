//! Hosts in their one form, in files and in requests.

use super::{app, good, registry};
use crate::e2e::harness::{Connection, Gateway, Recorder, Setup, texts};

const WRONG: [&str; 3] = ["acme.example.com:8080", "acme.example.com.", "ACME.example.com.:80"];

/// What stands in front of a host in the file, up to the line of it.
#[track_caller]
fn assert_told(err: &str, file: &str, text: &str, host: &str) {
    let line = 1 + text.lines().position(|line| line.contains("hosts")).unwrap();
    assert!(err.contains(&format!("{file}:{line}: ")), "{err}");
    assert!(err.contains(&format!("{host:?}")) && err.contains("write \"acme.example.com\""), "{err}");
}

#[test]
fn an_account_with_a_host_that_no_request_can_have_is_refused_with_the_right_one() {
    let setup = Setup::bearer("http://127.0.0.1:9", "");
    for host in WRONG {
        let lines = format!("[[account]]\nid = \"acme\"\nhosts = [{host:?}]");
        setup.write("registry.toml", registry().lines(&lines).as_str());
        let refused = setup.run(&["apply", "-f", "registry.toml"]);
        assert!(!refused.status.success(), "{host}");
        assert_told(&texts(&refused).1, "registry.toml", &setup.read("registry.toml"), host);
    }
}

#[test]
fn a_route_with_a_host_that_no_request_can_have_is_refused_with_the_right_one() {
    for host in WRONG {
        let setup = Setup::bearer("http://127.0.0.1:9", "");
        setup.edit("scope = \"any\"", &format!("scope = \"any\"\nhosts = [{host:?}]"));
        let refused = setup.run(&["check"]);
        assert!(!refused.status.success(), "{host}");
        assert_told(&texts(&refused).1, "scopegate.toml", &setup.read("scopegate.toml"), host);
    }
}

#[test]
fn a_host_with_a_port_or_a_final_dot_is_the_account_s_that_owns_it() {
    let upstream = Recorder::start();
    let registry = registry().lines("[[account]]\nid = \"acme\"\nhosts = [\"acme.example.com\"]");
    let gateway = Gateway::start(Setup::bearer(&upstream.url(), ""), &registry);
    for host in ["acme.example.com", "acme.example.com:8080", "acme.example.com.", "ACME.example.com.:80"] {
        let mut connection = Connection::open(gateway.proxy);
        let token = app().token();
        let call = format!("GET /any/thing HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n");
        connection.send(call.as_bytes());
        let reply = connection.read(false).unwrap();
        assert_eq!((reply.status, reply.code().as_str()), (403, "app.wrong_account"), "{host}");
        assert_eq!(gateway.logged(reply.request_id())["host"], "acme.example.com");
    }
    assert!(upstream.all().is_empty());
    assert_eq!(gateway.call(&good("GET")).status, 200, "another host is nobody's own");
}
