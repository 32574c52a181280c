//! Requests that can't be read: refused and logged like any other. And those that clients write a little wrong.

use std::process::Command;

use super::{app, gateway, good};
use crate::e2e::harness::{Connection, Gateway, Recorder};

/// The answer to bytes that are no request: with a body, a request id and a line in the log, and the end of the connection.
#[track_caller]
fn refused(gateway: &Gateway, bytes: &[u8], status: u16, reason: &str) {
    let name = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
    let mut connection = Connection::open(gateway.proxy);
    connection.send(bytes);
    let reply = connection.read(false).unwrap_or_else(|error| panic!("{name:?}: {error}"));
    assert_eq!((reply.status, reply.code().as_str()), (status, reason), "{name:?}");
    assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{name:?}");
    assert_eq!(reply.header("connection"), Some("close"), "{name:?}");
    let line = gateway.logged(reply.request_id());
    assert_eq!((&line["reason"], &line["status"]), (&reason.into(), &status.into()), "{name:?}");
    assert!(line["found"].is_string(), "{name:?}: {line}");
    assert!(connection.is_closed(), "{name:?}");
}

#[test]
fn a_request_that_cant_be_read_is_refused_with_a_reason_and_logged() {
    let upstream = Recorder::start();
    let gateway = gateway(&upstream.url(), "");
    let get = |fields: &str| format!("GET /any/thing HTTP/1.1\r\nHost: a\r\n{fields}\r\n").into_bytes();
    let invalid = [
        b"GET\r\n\r\n".to_vec(),
        b"GET /any thing HTTP/1.1\r\n\r\n".to_vec(),
        b"GET /any/thing\r\n\r\n".to_vec(),
        b"GET /any/thing HTTP/2.0\r\n\r\n".to_vec(),
        b"GET /any/thing HTTP/0.9\r\n\r\n".to_vec(),
        b"GET /any/<thing> HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        b"GET /any/thing?\xff HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        b"G\xc3\xa9T / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        get("no field\r\n"),
        get("x-space : a\r\n"),
        get("x-nul: a\0b\r\n"),
        get("Content-Length: 5, 5\r\n"),
        get("Content-Length: -1\r\n"),
        get("Content-Length: 1\r\nContent-Length: 2\r\n"),
        get("Transfer-Encoding: gzip\r\n"),
        get("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(),
    ];
    for bytes in invalid {
        refused(&gateway, &bytes, 400, "request.invalid");
    }
    let many = "x-field: x\r\n".repeat(200);
    refused(&gateway, &get(&many), 431, "request.headers_too_large");
    refused(&gateway, &get(&format!("x-long: {}\r\n", "x".repeat(200 << 10))), 431, "request.headers_too_large");
    let long = format!("GET /any/{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(80 << 10));
    refused(&gateway, long.as_bytes(), 431, "request.headers_too_large");
    for raw in [22_000, 60_000] {
        let long = format!("GET /any/thing?{} HTTP/1.1\r\nHost: a\r\n\r\n", "<".repeat(raw));
        refused(&gateway, long.as_bytes(), 431, "request.headers_too_large");
    }
    assert!(upstream.all().is_empty());
}

#[test]
fn the_log_tells_of_a_request_that_cant_be_read_what_can_be_told() {
    let upstream = Recorder::start();
    let gateway = gateway(&upstream.url(), "");
    let mut connection = Connection::open(gateway.proxy);
    connection.send(b"POST /any/\x1b[2J<a HTTP/1.1\r\nno field\r\n\r\n");
    let reply = connection.read(false).unwrap();
    let line = gateway.logged(reply.request_id());
    assert_eq!((&line["method"], &line["path"]), (&"POST".into(), &"/any/%1B%5B2J%3Ca".into()), "{line}");
}

#[test]
fn an_unfinished_request_of_a_client_that_ends_its_side_is_a_400() {
    let upstream = Recorder::start();
    let gateway = gateway(&upstream.url(), "");
    let mut connection = Connection::open(gateway.proxy);
    connection.send(b"GET /any/thing HTTP/1.1\r\nHost: a\r\n");
    connection.shut_down();
    let reply = connection.read(false).unwrap();
    assert_eq!((reply.status, gateway.reason(&reply).as_str()), (400, "request.invalid"));
}

#[test]
fn characters_that_clients_send_raw_in_a_query_reach_the_upstream_encoded() {
    let upstream = Recorder::start();
    let gateway = gateway(&upstream.url(), "");
    let (raw, encoded) = ("?q=\"<x>\\^`{|}\u{e9}&a=[1]'%7B", "?q=%22%3Cx%3E%5C%5E%60%7B%7C%7D%C3%A9&a=[1]'%7B");
    let bearer = format!("Authorization: Bearer {}\r\n", app().token());
    let head = |method: &str, mark: &str| {
        format!("{method} /any/thing{raw} HTTP/1.1\r\nHost: a\r\nx-mark: {mark}\r\n{bearer}")
    };
    let get = head("GET", "get") + "\r\n";
    let sized = head("POST", "sized") + "Content-Length: 11\r\n\r\nGET /\"<>\"\r\n";
    let chunked = head("POST", "chunked") + "Transfer-Encoding: chunked\r\n\r\nb\r\nGET /\"<>\"\r\n\r\n0\r\n\r\n";
    let all = [&get, &sized, &chunked, &get, &chunked, &sized].map(|request| request.as_bytes()).concat();
    // All at once, byte by byte, and in parts.
    for part in [all.len(), 1, 7, 100] {
        let mut connection = Connection::open(gateway.proxy);
        for part in all.chunks(part) {
            connection.send(part);
        }
        for _ in 0..6 {
            assert_eq!(connection.read(false).unwrap().status, 200, "{part}");
        }
    }
    let seen = upstream.all();
    assert_eq!(seen.len(), 24);
    for seen in seen {
        assert_eq!(seen.target, format!("/any/thing{encoded}"));
        let body: &[u8] = if seen.header("x-mark") == Some("get") { b"" } else { b"GET /\"<>\"\r\n" };
        assert_eq!(seen.body, body, "a body is never changed");
    }
}

#[test]
fn curl_sends_a_raw_query_over_either_version() {
    let upstream = Recorder::start();
    let gateway = gateway(&upstream.url(), "");
    let url = format!("http://{}/any/thing?q={{a:\u{e9}}}", gateway.proxy);
    let authorization = format!("Authorization: Bearer {}", app().token());
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let arguments = ["-sS", "-g", "-o", "/dev/null", "-w", "%{http_code}", version, "-H", &authorization, &url];
        let output = Command::new("curl").args(arguments).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "200", "{version}");
    }
    for seen in upstream.all() {
        assert_eq!(seen.target, "/any/thing?q=%7Ba:%C3%A9%7D");
    }
}

#[test]
fn a_good_request_behind_a_refused_one_is_not_served() {
    let upstream = Recorder::start();
    let gateway = gateway(&upstream.url(), "");
    let mut connection = Connection::open(gateway.proxy);
    connection.send(&[&good("GET").bytes()[..], b"GET / HTTP/9\r\n\r\n", &good("GET").mark("after").bytes()].concat());
    assert_eq!(connection.read(false).unwrap().status, 200);
    assert_eq!(connection.read(false).unwrap().status, 400);
    assert!(connection.is_closed());
    assert!(upstream.marked("after").is_empty());
}
