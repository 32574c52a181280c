//! Where an upstream is: several addresses, names, Unix sockets.

use std::process::Command;

use super::{good, named, saying, text};
use crate::e2e::harness::{Gateway, Recorder, Registry, Setup, eventually};

#[test]
fn calls_go_to_all_addresses() {
    let (upstreams, urls) = named(&["one", "two", "three"]);
    let gateway = super::gateway(&urls, "");
    for _ in 0..90 {
        assert_eq!(gateway.call(&good("GET")).status, 200);
    }
    let counts: Vec<_> = upstreams.iter().map(|upstream| upstream.all().len()).collect();
    assert!(counts.iter().all(|count| *count >= 10), "{counts:?}");
}

#[test]
fn the_log_tells_the_address() {
    let (_upstreams, urls) = named(&["one"]);
    let gateway = super::gateway(&urls, "");
    let line = gateway.logged(gateway.call(&good("GET")).request_id());
    assert_eq!(format!("http://{}", line["upstream_address"].as_str().unwrap()), urls[0]);
    assert_eq!(line.get("retries"), None);
}

#[test]
fn an_upstream_may_be_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bots.sock");
    let upstream = Recorder::on_socket(&path);
    let gateway = super::gateway(&[format!("unix:{}", path.display())], "");
    let reply = gateway.call(&good("POST"));
    assert_eq!((reply.status, text(&reply).as_str()), (200, "from the socket"));
    assert_eq!(upstream.all()[0].header("host"), Some("localhost"));
    assert_eq!(gateway.logged(reply.request_id())["upstream_address"], format!("unix:{}", path.display()));

    let nowhere = super::gateway(&["unix:/no/such/socket".to_owned()], "");
    assert_eq!(nowhere.call(&good("GET")).code(), "upstream.unreachable");
}

#[test]
fn a_name_without_an_address_has_a_reason_of_its_own() {
    let gateway = super::gateway(&["http://bots.invalid:9000".to_owned()], "");
    let reply = gateway.call(&good("GET"));
    assert_eq!((reply.status, reply.code().as_str()), (502, "upstream.unresolved"));
    let line = gateway.logged(reply.request_id());
    assert!(line["found"].as_str().unwrap().contains("bots.invalid"), "{line}");
    assert!(!text(&reply).contains("bots.invalid"), "callers learn nothing of where it is");
}

/// With an own file of hosts, which the system's resolver reads at each look-up. Needs the right to mount.
#[test]
fn a_name_that_moves_is_followed_without_a_failed_call() {
    let folder = tempfile::tempdir().unwrap();
    let hosts = folder.path().join("hosts");
    std::fs::write(&hosts, "127.0.0.2 bots.moving\n").unwrap();
    let may_mount = Command::new("unshare").args(["-m", "true"]).status().is_ok_and(|status| status.success());
    if !may_mount {
        return;
    }
    let first = Recorder::at("127.0.0.2:0".parse().unwrap(), saying("first"));
    let port = first.address.port();
    let second = Recorder::at(format!("127.0.0.3:{port}").parse().unwrap(), saying("second"));
    let setup = Setup::bearer(&format!("http://bots.moving:{port}"), "resolve_every = \"1s\"");
    let gateway = Gateway::with_hosts(setup, &Registry::new().app(&super::app()), &hosts);
    assert_eq!(text(&gateway.call(&good("GET"))), "first");
    std::fs::write(&hosts, "127.0.0.3 bots.moving\n").unwrap();
    eventually("calls go to the new address", || {
        let reply = gateway.call(&good("GET"));
        assert_eq!(reply.status, 200);
        (text(&reply) == "second").then_some(())
    });
    let before = first.all().len();
    for _ in 0..10 {
        assert_eq!(text(&gateway.call(&good("GET"))), "second");
    }
    assert_eq!((first.all().len(), second.all().len() >= 10), (before, true));
}
