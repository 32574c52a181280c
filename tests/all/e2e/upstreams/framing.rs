//! Answers that are framed in unusual ways: what RFC 9112 lets a client read is read, the rest is refused.

use std::io::Write as _;
use std::sync::atomic::Ordering;

use super::{gateway, good, text};
use crate::e2e::harness::{Scripted, read_head};

/// Says this to each call, and keeps the connection open.
fn keeping(said: &'static str) -> Scripted {
    Scripted::start(move |mut stream, _| {
        while !read_head(&mut stream).is_empty() {
            _ = stream.write_all(said.as_bytes());
        }
    })
}

#[test]
fn what_can_be_read_in_one_way_alone_is_read() {
    let answers = [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length\t: 2\r\nX-Other \t: 1\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ];
    for answer in answers {
        let upstream = keeping(answer);
        let gateway = gateway(&[upstream.url()], "");
        for _ in 0..2 {
            let reply = gateway.call(&good("GET"));
            assert_eq!((reply.status, text(&reply).as_str()), (200, "ok"), "{answer:?}");
            assert_eq!(
                reply.headers.iter().filter(|(name, _)| name == "content-length").count(),
                usize::from(reply.header("transfer-encoding").is_none()),
                "{answer:?}"
            );
        }
        assert_eq!(upstream.connections.load(Ordering::SeqCst), 1, "{answer:?}");
    }
}

#[test]
fn a_coding_that_is_none_is_ignored_and_the_length_counts() {
    let upstream = keeping("HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nok and more");
    let gateway = gateway(&[upstream.url()], "");
    for _ in 0..2 {
        let reply = gateway.call(&good("GET"));
        assert_eq!((reply.status, text(&reply).as_str()), (200, "ok"));
        assert_eq!((reply.header("content-length"), reply.header("transfer-encoding")), (Some("2"), None));
        assert_eq!(gateway.call(&good("HEAD")).header("content-length"), Some("2"));
    }
    // Where such an answer had a body, its connection is not used again.
    assert!(upstream.connections.load(Ordering::SeqCst) >= 2);
}

#[test]
fn a_coding_that_is_none_and_no_length_end_with_the_connection() {
    let upstream = Scripted::saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nok");
    let gateway = gateway(&[upstream.url()], "");
    let reply = gateway.call(&good("GET"));
    assert_eq!((reply.status, text(&reply).as_str()), (200, "ok"));
}

#[test]
fn an_answer_that_is_shorter_than_it_says_is_cut() {
    let upstream = Scripted::saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nok");
    let gateway = gateway(&[upstream.url()], "");
    let mut connection = crate::e2e::harness::Connection::open(gateway.proxy);
    connection.send(&good("GET").bytes());
    assert!(connection.read(false).is_err());
    let line = crate::e2e::harness::eventually("the call is logged", || gateway.log().pop());
    assert_eq!((&line["outcome"], &line["reason"]), (&"cut".into(), &"upstream.reset".into()));
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    let answers: [&[u8]; 8] = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding : chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, identity\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX Y: 2\r\n\r\nok",
    ];
    for answer in answers {
        let upstream = Scripted::saying(answer);
        let reply = gateway(&[upstream.url()], "").call(&good("GET"));
        let shown = String::from_utf8_lossy(answer);
        assert_eq!((reply.status, reply.code().as_str()), (502, "upstream.invalid"), "{shown:?}");
    }
}

#[test]
fn hints_before_an_answer_do_not_stand_for_it() {
    let upstream = keeping(
        "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </b.js>; rel=preload\r\n\r\n\
         HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    );
    let gateway = gateway(&[upstream.url()], "");
    for _ in 0..2 {
        let reply = gateway.call(&good("GET"));
        assert_eq!((reply.status, text(&reply).as_str(), reply.header("link")), (200, "ok", None));
    }
    assert_eq!(upstream.connections.load(Ordering::SeqCst), 1);
}
