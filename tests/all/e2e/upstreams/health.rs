//! Addresses go out of service and come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{Response, StatusCode};

use super::{gateway, good, named, saying, start, text};
use crate::e2e::harness::{Answer, Call, Connection, Recorder, Scripted, Setup, eventually, read_head};

#[test]
fn when_one_of_two_is_killed_no_call_fails_and_when_it_is_back_it_gets_calls() {
    let (mut upstreams, urls) = named(&["one", "two"]);
    let gateway = gateway(&urls, "ejection = { failures = 3, least = \"100ms\", most = \"200ms\" }");
    let survives = |gateway: &crate::e2e::harness::Gateway| {
        let call = Call { body: Some(b"once".into()), ..good("POST") };
        for _ in 0..40 {
            assert_eq!(gateway.call(&call).status, 200);
        }
    };
    survives(&gateway);
    let one = upstreams.remove(0);
    let address = one.address;
    one.stop();
    survives(&gateway);
    let again = Recorder::at(address, saying("one again"));
    eventually("it gets calls again", || (text(&gateway.call(&good("GET"))) == "one again").then_some(()));
    survives(&gateway);
    assert!(again.all().len() > 5);
}

#[test]
fn an_upstream_that_is_gone_is_answered_for_at_once_and_tried_again_by_itself() {
    let upstream = Recorder::answering(saying("first"));
    let gateway = gateway(&[upstream.url()], "ejection = { failures = 3, least = \"300ms\", most = \"300ms\" }");
    assert_eq!(gateway.call(&good("GET")).status, 200);
    let address = upstream.address;
    upstream.stop();
    let codes: Vec<_> = (0..4).map(|_| gateway.call(&good("POST")).code()).collect();
    // The kept connection may show that it is gone before a new one does.
    assert!(
        codes[..3].iter().all(|code| matches!(code.as_str(), "upstream.unreachable" | "upstream.reset")),
        "{codes:?}"
    );
    let out = gateway.call(&good("GET"));
    assert_eq!((out.status, out.code().as_str()), (503, "upstream.unhealthy"));
    assert_eq!(out.header("retry-after"), Some("1"));
    let line = gateway.logged(out.request_id());
    assert_eq!(line["found"], "its one address is out of service");
    let _again = Recorder::at(address, saying("second"));
    eventually("it is back", || (gateway.call(&good("GET")).status == 200).then_some(()));
}

#[test]
fn a_health_check_takes_an_address_out_before_a_call_meets_it() {
    let is_well = Arc::new(AtomicBool::new(true));
    let state = Arc::clone(&is_well);
    let sick = Recorder::answering(move |seen| {
        let is_check = seen.target == "/healthz";
        let status = if is_check && !state.load(Ordering::SeqCst) { 503 } else { 200 };
        let mut answer = Response::new("one");
        *answer.status_mut() = StatusCode::from_u16(status).unwrap();
        Answer::new(answer)
    });
    let well = Recorder::answering(saying("two"));
    let health = "health = { path = \"/healthz\", every = \"50ms\", healthy = 2, unhealthy = 2 }";
    let gateway = gateway(&[sick.url(), well.url()], health);
    let answers = || (0..20).map(|_| text(&gateway.call(&good("GET")))).collect::<Vec<_>>();
    assert!(answers().iter().any(|name| name == "one"));
    is_well.store(false, Ordering::SeqCst);
    eventually("it is out of service", || answers().iter().all(|name| name == "two").then_some(()));
    is_well.store(true, Ordering::SeqCst);
    eventually("it is back", || answers().iter().any(|name| name == "one").then_some(()));
    let check = sick.all().into_iter().find(|seen| seen.target == "/healthz").unwrap();
    assert_eq!(check.header("host"), Some(sick.address.to_string().as_str()));
}

#[test]
fn a_health_check_without_a_path_is_a_connection() {
    let upstream = Recorder::answering(saying("one"));
    let gateway =
        gateway(&[upstream.url()], "health = { every = \"50ms\", unhealthy = 1 }\nejection = { failures = 0 }");
    assert_eq!(gateway.call(&good("GET")).status, 200);
    upstream.stop();
    eventually("nobody is asked any more", || {
        (gateway.call(&good("GET")).code() == "upstream.unhealthy").then_some(())
    });
}

/// Two addresses that the first failure takes out for good.
const STRICT: &str = "timeouts = { response = \"300ms\" }\nejection = { failures = 1, least = \"1h\", most = \"1h\" }";

#[test]
fn a_caller_that_does_not_send_its_body_takes_no_address_out_of_service() {
    let (upstreams, urls) = named(&["one", "two"]);
    let setup = Setup::bearer_to(&urls, STRICT);
    setup.edit("[upstream.bots]", "[proxy.timeouts]\nbody_idle = \"300ms\"\n[upstream.bots]");
    let gateway = start(setup);
    let token = super::app().token();
    for body in ["Content-Length: 10\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n"] {
        for _ in 0..6 {
            let mut connection = Connection::open(gateway.proxy);
            let head = format!("POST /any/thing HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n{body}");
            connection.send(head.as_bytes());
            let reply = connection.read(false).unwrap();
            assert!(matches!(reply.code().as_str(), "request.timeout" | "request.invalid"), "{}", reply.code());
        }
    }
    for _ in 0..40 {
        assert_eq!(gateway.call(&good("GET")).status, 200);
    }
    assert!(upstreams.iter().all(|upstream| upstream.all().len() > 3), "both are in service");
}

#[test]
fn calls_that_an_upstream_does_not_bear_never_take_its_last_address_out_of_service() {
    let silent = |mut stream: std::net::TcpStream, _| {
        read_head(&mut stream);
        read_head(&mut stream);
    };
    let upstreams = [Scripted::start(silent), Scripted::start(silent)];
    let gateway = gateway(&upstreams.each_ref().map(Scripted::url), STRICT);
    for _ in 0..6 {
        assert_eq!(gateway.call(&good("GET")).code(), "upstream.timeout");
    }
}

#[test]
fn health_is_kept_over_a_reload_that_changes_something_else() {
    let (upstreams, urls) = named(&["one"]);
    let gateway = gateway(&urls, "ejection = { failures = 1, least = \"1h\", most = \"1h\" }");
    upstreams.into_iter().for_each(Recorder::stop);
    assert!(gateway.call(&good("GET")).status >= 502);
    assert_eq!(gateway.call(&good("GET")).code(), "upstream.unhealthy");
    gateway.setup.edit("path = \"/any/{*rest}\"", "path = [\"/any/{*rest}\", \"/more\"]");
    gateway.setup.succeed(&["reload"]);
    assert_eq!(gateway.call(&good("GET")).code(), "upstream.unhealthy");
}
