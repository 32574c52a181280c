//! How bodies are framed on both sides, and answers that have none.

use std::io::Write as _;
use std::net::TcpStream;

use super::{app, gateway, good};
use crate::e2e::harness::{Call, Connection, Gateway, Recorder, Reply, Scripted, read_head};

/// Sends a request with a good token: its line, more of its header, and its body.
fn call(gateway: &Gateway, line: &str, headers: &[u8], body: &str) -> Reply {
    let mut connection = Connection::open(gateway.proxy);
    let head = format!("{line} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n", app().token());
    connection.send(&[head.as_bytes(), headers, b"\r\n", body.as_bytes()].concat());
    connection.read(false).unwrap()
}

#[test]
fn a_request_with_a_transfer_coding_other_than_one_chunked_is_a_400() {
    let upstream = Recorder::start();
    let gateway = gateway(&upstream.url(), "");
    for coding in [
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: identity, chunked\r\n",
        "Transfer-Encoding: chunked;a=b\r\n",
        "Transfer-Encoding: gzip\r\n",
    ] {
        let reply = call(&gateway, "POST /any/thing", coding.as_bytes(), "5\r\nhello\r\n0\r\n\r\n");
        assert_eq!(reply.status, 400, "{coding}");
    }
    assert!(upstream.all().is_empty(), "{:?}", upstream.all());
}

#[test]
fn an_answer_with_a_transfer_coding_other_than_one_chunked_is_a_502() {
    for said in [
        &b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello",
    ] {
        let upstream = Scripted::saying(said);
        let reply = gateway(&upstream.url(), "").call(&good("GET"));
        assert_eq!((reply.status, reply.code().as_str()), (502, "upstream.invalid"), "{}", said.escape_ascii());
    }
}

#[test]
fn a_change_of_protocol_that_nobody_asked_for_is_a_502() {
    let upstream =
        Scripted::saying(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nanything");
    let gateway = gateway(&upstream.url(), "");
    let reply = gateway.call(&good("GET"));
    assert_eq!((reply.status, reply.code().as_str()), (502, "upstream.invalid"));
    assert_eq!(gateway.reason(&reply), "upstream.invalid");
}

#[test]
fn a_get_with_a_chunked_body_arrives_with_it() {
    let upstream = Recorder::start();
    let gateway = gateway(&upstream.url(), "");
    let reply = call(&gateway, "GET /any/thing", b"Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n");
    assert_eq!(reply.status, 200);
    let [seen] = &upstream.all()[..] else { panic!("not one call") };
    assert_eq!((seen.header("transfer-encoding"), seen.body.as_slice()), (Some("chunked"), &b"hello"[..]));
    assert_eq!(gateway.logged(reply.request_id())["bytes_in"], 5);
}

#[test]
fn a_post_without_a_body_arrives_with_a_length_of_0() {
    let upstream = Recorder::start();
    let gateway = gateway(&upstream.url(), "");
    assert_eq!(call(&gateway, "POST /any/thing", b"Content-Length: 0\r\n", "").status, 200);
    assert_eq!(call(&gateway, "GET /any/thing", b"", "").status, 200);
    let lengths: Vec<_> = upstream.all().iter().map(|seen| seen.header("content-length").map(str::to_owned)).collect();
    assert_eq!(lengths, [Some("0".to_owned()), None]);
}

#[test]
fn fields_that_are_listed_beside_garbage_end_here_too() {
    let upstream = Recorder::start();
    let gateway = gateway(&upstream.url(), "");
    let headers = b"Connection: x-a, \xff, x-b\r\nX-A: 1\r\nX-B: 1\r\nX-C: 1\r\n";
    assert_eq!(call(&gateway, "GET /any/thing", headers, "").status, 200);
    let [seen] = &upstream.all()[..] else { panic!("not one call") };
    assert_eq!((seen.header("x-a"), seen.header("x-b"), seen.header("x-c")), (None, None, Some("1")));
}

#[test]
fn a_head_is_complete_whether_it_is_answered_or_refused() {
    let answer = |stream: &mut TcpStream| stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n");
    let upstream = Scripted::start(
        move |mut stream, _| while !read_head(&mut stream).is_empty() && answer(&mut stream).is_ok() {},
    );
    let gateway = gateway(&upstream.url(), "");
    let mut connection = Connection::open(gateway.proxy);
    for (call, status) in [(Call::new("HEAD", "/any/thing"), 401), (good("HEAD"), 200), (good("HEAD"), 200)] {
        let reply = connection.call(&call);
        assert_eq!(reply.status, status);
        let line = gateway.logged(reply.request_id());
        assert_eq!((&line["status"], &line["outcome"]), (&status.into(), &"complete".into()));
    }
}
