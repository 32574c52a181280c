//! Clients that end their side of the connection, and clients that leave.

use std::time::Duration;

use super::{app, gateway, good};
use crate::e2e::harness::{Call, Connection, Recorder, Scripted, eventually};

#[test]
fn a_client_that_ends_its_side_after_the_request_gets_its_answer() {
    let upstream = Recorder::start();
    let gateway = gateway(&upstream.url(), "");
    let bearer = format!("Authorization: Bearer {}\r\n", app().token());
    for request in [
        format!("GET /any/thing HTTP/1.1\r\nHost: a\r\n{bearer}\r\n"),
        format!("GET /any/thing HTTP/1.0\r\nHost: a\r\n{bearer}\r\n"),
        format!("POST /any/thing HTTP/1.1\r\nHost: a\r\n{bearer}Content-Length: 5\r\n\r\nhello"),
        format!(
            "POST /any/thing HTTP/1.1\r\nHost: a\r\n{bearer}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        ),
    ] {
        for _ in 0..10 {
            let mut connection = Connection::open(gateway.proxy);
            connection.send(request.as_bytes());
            connection.shut_down();
            let all = String::from_utf8(connection.read_to_end()).unwrap();
            assert!(all.contains(" 200 OK\r\n") && all.ends_with("from the upstream"), "{request:?}: {all:?}");
        }
    }
    // Two at once, and a refusal.
    let mut connection = Connection::open(gateway.proxy);
    connection.send(&[good("GET").bytes(), good("GET").mark("second").bytes()].concat());
    connection.shut_down();
    let all = String::from_utf8(connection.read_to_end()).unwrap();
    assert_eq!(all.matches("from the upstream").count(), 2, "{all:?}");
    let mut connection = Connection::open(gateway.proxy);
    connection.send(b"GET /any/thing HTTP/1.1\r\nHost: a\r\n\r\n");
    connection.shut_down();
    assert!(connection.read_to_end().starts_with(b"HTTP/1.1 401 "));
}

#[test]
fn an_answer_that_takes_its_time_reaches_a_client_that_has_ended_its_side() {
    let (upstream, answer, asked) = Scripted::waiting();
    let gateway = gateway(&upstream.url(), "");
    let mut connection = Connection::open(gateway.proxy);
    connection.send(&good("GET").bytes());
    connection.shut_down();
    asked.recv_timeout(Duration::from_secs(10)).unwrap();
    // The end of the client's side is read before the answer to this.
    assert_eq!(gateway.call(&Call::get("/nowhere")).status, 404);
    answer.send(()).unwrap();
    let reply = connection.read(false).unwrap();
    assert_eq!((reply.status, reply.body.as_slice()), (200, &b"late"[..]));
    assert!(connection.is_closed());
}

#[test]
fn a_client_that_resets_the_connection_takes_its_call_with_it() {
    let (upstream, _answer, asked) = Scripted::waiting();
    let gateway = gateway(&upstream.url(), "");
    let mut connection = Connection::open(gateway.proxy);
    connection.send(&good("GET").bytes());
    asked.recv_timeout(Duration::from_secs(10)).unwrap();
    connection.reset();
    let line = eventually("the call is logged", || gateway.log().pop());
    assert_eq!((&line["outcome"], &line["status"]), (&"abandoned".into(), &serde_json::Value::Null));
}

#[test]
fn a_client_that_closes_later_than_one_that_ends_its_side_takes_its_call_with_it() {
    let (upstream, _answer, asked) = Scripted::waiting();
    let gateway = gateway(&upstream.url(), "");
    let mut connection = Connection::open(gateway.proxy);
    connection.send(&good("GET").bytes());
    asked.recv_timeout(Duration::from_secs(10)).unwrap();
    crate::e2e::harness::rest(Duration::from_millis(1200));
    drop(connection);
    let line = eventually("the call is logged", || gateway.log().pop());
    assert_eq!((&line["outcome"], &line["status"]), (&"abandoned".into(), &serde_json::Value::Null));
}
