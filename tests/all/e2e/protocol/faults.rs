//! Upstreams that fail, and connections to them that are kept.

use std::io::Write as _;
use std::net::TcpListener;
use std::sync::atomic::Ordering;

use super::{gateway, good};
use crate::e2e::harness::{Connection, Recorder, Reply, Scripted, eventually, read_head, rest};

/// 500 ms for a connection and for an answer.
const IMPATIENT: &str = "timeouts = { connect = \"500ms\", response = \"500ms\", body_idle = \"500ms\" }";

#[track_caller]
fn assert_failed(reply: &Reply, status: u16, code: &str) {
    assert_eq!((reply.status, reply.code().as_str()), (status, code));
    assert_eq!(reply.header("content-type"), Some("application/problem+json"));
    assert_eq!(reply.header("www-authenticate"), None, "it is not the caller's fault");
    assert!(reply.header("date").is_some());
}

#[test]
fn connections_to_the_upstream_are_kept_and_used_again() {
    let upstream = Recorder::start();
    let gateway = gateway(&upstream.url(), "");
    for _ in 0..5 {
        assert_eq!(gateway.call(&good("GET")).status, 200);
    }
    let first = upstream.all()[0].connection;
    assert!(upstream.all().iter().all(|seen| seen.connection == first));
}

#[test]
fn a_connection_that_the_upstream_closed_while_idle_costs_no_call() {
    let upstream = Scripted::start(|mut stream, _| {
        read_head(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
    });
    let gateway = gateway(&upstream.url(), "");
    for number in 1..=5 {
        assert_eq!(gateway.call(&good("POST")).status, 200);
        assert_eq!(upstream.connections.load(Ordering::SeqCst), number);
        rest(std::time::Duration::from_millis(50));
    }
}

#[test]
fn an_upstream_that_refuses_the_connection_is_a_502() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gateway = gateway(&format!("http://{address}"), "");
    let reply = gateway.call(&good("GET"));
    assert_failed(&reply, 502, "upstream.unreachable");
    let line = gateway.logged(reply.request_id());
    assert_eq!(
        (&line["reason"], &line["status"], &line["verified"]),
        (&"upstream.unreachable".into(), &502.into(), &true.into())
    );
    assert!(line["found"].as_str().unwrap().contains("refused"), "{line}");
}

#[test]
fn an_answer_that_is_no_http_is_a_502() {
    for garbage in [
        &b"SSH-2.0-OpenSSH_9.2\r\n"[..],
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Folded: a\r\n b\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nBad Name: a\r\nContent-Length: 0\r\n\r\n",
    ] {
        let upstream = Scripted::saying(garbage);
        let gateway = gateway(&upstream.url(), "");
        let mut connection = Connection::open(gateway.proxy);
        let reply = connection.call(&good("GET"));
        assert_failed(&reply, 502, "upstream.invalid");
        assert_eq!(gateway.reason(&reply), "upstream.invalid");
        // The caller's connection is none the worse for it.
        assert_eq!(connection.call(&good("GET")).status, 502);
    }
}

#[test]
fn a_connection_that_ends_before_the_answer_is_a_502_of_its_own() {
    let upstream = Scripted::saying(b"");
    let gateway = gateway(&upstream.url(), "retries = { attempts = 0 }");
    let reply = gateway.call(&good("GET"));
    assert_failed(&reply, 502, "upstream.reset");
    assert_eq!(gateway.reason(&reply), "upstream.reset");
}

#[test]
fn a_silent_upstream_is_a_504_in_time() {
    let upstream = Scripted::start(|mut stream, _| {
        read_head(&mut stream);
        read_head(&mut stream);
    });
    let gateway = gateway(&upstream.url(), IMPATIENT);
    let reply = gateway.call(&good("GET"));
    assert_failed(&reply, 504, "upstream.timeout");
    let line = gateway.logged(reply.request_id());
    assert_eq!(line["reason"], "upstream.timeout");
    let took = line["duration_ms"].as_f64().unwrap();
    assert!((500.0..5000.0).contains(&took), "{took} ms");
}

#[test]
fn an_answer_that_breaks_off_reaches_the_caller_as_one_that_breaks_off() {
    for said in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\nzz\r\n",
    ] {
        let upstream = Scripted::saying(said);
        let gateway = gateway(&upstream.url(), "");
        let mut connection = Connection::open(gateway.proxy);
        connection.send(&good("GET").bytes());
        assert!(connection.read(false).is_err(), "{}", String::from_utf8_lossy(said));
        assert!(connection.is_closed());
        let line = eventually("the call is logged", || gateway.log().pop());
        assert_eq!((&line["status"], &line["outcome"]), (&200.into(), &"cut".into()));
    }
}

#[test]
fn an_answer_that_stands_still_is_cut_in_time() {
    let upstream = Scripted::start(|mut stream, _| {
        read_head(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this").unwrap();
        read_head(&mut stream);
    });
    let gateway = gateway(&upstream.url(), IMPATIENT);
    let mut connection = Connection::open(gateway.proxy);
    connection.send(&good("GET").bytes());
    assert!(connection.read(false).is_err());
    let line = eventually("the call is logged", || gateway.log().pop());
    assert_eq!(line["outcome"], "cut");
    assert!(line["duration_ms"].as_f64().unwrap() < 5000.0, "{line}");
}

#[test]
fn an_answer_to_an_earlier_call_never_answers_a_later_one() {
    // What the upstream says beyond its answer is not there for the next call to take.
    let upstream = Scripted::saying(
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirstHTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned",
    );
    let gateway = gateway(&upstream.url(), "");
    for number in 0..3 {
        let reply = gateway.call(&good("GET"));
        // A call that is on its way while the upstream closes the connection fails.
        let is_lost = number > 0 && reply.status == 502;
        let body = String::from_utf8(reply.body).unwrap();
        assert!(is_lost || (reply.status, body.as_str()) == (200, "first"), "{} {body}", reply.status);
    }
}

#[test]
fn a_caller_who_leaves_takes_the_upstream_connection_with_it() {
    let upstream = Scripted::start(|mut stream, _| {
        read_head(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this").unwrap();
        // Until the gateway closes the connection.
        read_head(&mut stream);
        drop(stream);
    });
    let gateway = gateway(&upstream.url(), "");
    let mut connection = Connection::open(gateway.proxy);
    connection.send(&good("GET").bytes());
    assert_eq!(connection.read_head().unwrap().0, 200);
    drop(connection);
    let line = eventually("the call is logged", || gateway.log().pop());
    assert_eq!(line["outcome"], "abandoned");
}
