//! Requests behind one another on one connection, and what is said to those that are no requests.

use super::{app, gateway, good};
use crate::e2e::harness::{Connection, Recorder};

#[test]
fn the_first_answer_does_not_wait_for_the_rest_of_a_second_request() {
    let upstream = Recorder::start();
    let gateway = gateway(&upstream.url(), "");
    let mut connection = Connection::open(gateway.proxy);
    let (first, second) = (good("GET").bytes(), good("GET").mark("second").bytes());
    for part in [1, 10, second.len() - 1] {
        connection.send(&[&first[..], &second[..part]].concat());
        assert_eq!(connection.read(false).unwrap().status, 200, "{part}");
        connection.send(&second[part..]);
        assert_eq!(connection.read(false).unwrap().status, 200, "{part}");
    }
    assert_eq!(upstream.marked("second").len(), 3);
}

#[test]
fn a_malformed_request_gets_a_400_also_behind_a_good_one() {
    let upstream = Recorder::start();
    let gateway = gateway(&upstream.url(), "");
    for malformed in
        ["GET\r\n\r\n", "GET /any thing HTTP/1.1\r\n\r\n", "GET /any HTTP/1.1\r\nno field\r\n\r\n", "\0\r\n\r\n"]
    {
        let mut connection = Connection::open(gateway.proxy);
        connection.send(malformed.as_bytes());
        assert_eq!(connection.read(false).unwrap().status, 400, "{malformed:?}");
        assert!(connection.is_closed());

        let mut connection = Connection::open(gateway.proxy);
        connection.send(&[&good("GET").bytes(), malformed.as_bytes()].concat());
        assert_eq!(connection.read(false).unwrap().status, 200, "before {malformed:?}");
        assert_eq!(connection.read(false).unwrap().status, 400, "{malformed:?}");
        assert!(connection.is_closed());
    }
}

#[test]
fn a_header_that_is_too_large_gets_a_431_also_before_its_end() {
    let upstream = Recorder::start();
    let gateway = gateway(&upstream.url(), "");
    let mut connection = Connection::open(gateway.proxy);
    let head = format!("GET /any/thing HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nX-Long: ", app().token());
    // As much as is read of it: what is sent beyond that might take the answer away with the connection.
    connection.send(&[head.as_bytes(), &vec![b'x'; (64 << 10) - head.len()]].concat());
    assert_eq!(connection.read(false).unwrap().status, 431);
    assert!(connection.is_closed());
    assert!(upstream.all().is_empty());
}

#[test]
fn nothing_is_served_behind_a_body_whose_end_is_not_clear() {
    let upstream = Recorder::start();
    let gateway = gateway(&upstream.url(), "");
    let head = format!("POST /any/thing HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n", app().token());
    let chunked = |body: &str| format!("{head}Transfer-Encoding: chunked\r\n\r\n{body}").into_bytes();
    let behind = format!("{head}X-Mark: behind\r\nContent-Length: 5\r\n\r\nhello").into_bytes();
    for body in ["3\r\nabc\r\n0\r\n\nx: y\r\n\r\n", "0\r\n\n\r\n\r\n"] {
        let mut connection = Connection::open(gateway.proxy);
        connection.send(&[&chunked(body)[..], &behind].concat());
        let reply = connection.read(false).unwrap();
        assert_eq!((reply.status, reply.code().as_str()), (400, "request.invalid"), "{body:?}");
        assert!(connection.is_closed(), "{body:?}");
        assert!(upstream.marked("behind").is_empty(), "{body:?}");
    }
    let mut connection = Connection::open(gateway.proxy);
    connection.send(&[&chunked("3 \t\r\nabc\r\n0 \r\n\r\n")[..], &behind].concat());
    assert_eq!(connection.read(false).unwrap().status, 200, "a size that is padded");
    assert_eq!(connection.read(false).unwrap().status, 200);
    assert_eq!(upstream.marked("behind")[0].body, b"hello");
}
