//! Bodies in both directions: streamed, with trailers, or absent where the protocol says so.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use http::{HeaderMap, Response};

use super::{app, gateway, good};
use crate::e2e::harness::{Answer, Call, Connection, Recorder, Scripted, read_head, rest};

const LIMIT: Duration = Duration::from_secs(10);

fn read_exactly(stream: &mut TcpStream, length: usize) -> String {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn the_upstream_sees_the_first_of_an_upload_before_the_last_is_sent() {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let upstream = Scripted::start(move |mut stream, _| {
        let head = read_head(&mut stream);
        let is_chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
        let first = read_exactly(&mut stream, if is_chunked { 10 } else { 5 });
        tell.lock().unwrap().send(first).unwrap();
        read_exactly(&mut stream, if is_chunked { 14 } else { 4 });
        stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").unwrap();
    });
    let gateway = gateway(&upstream.url(), "");
    let parts = [
        ("Content-Length: 9", "first", "last", "first"),
        ("Transfer-Encoding: chunked", "5\r\nfirst\r\n", "4\r\nlast\r\n0\r\n\r\n", "5\r\nfirst\r\n"),
    ];
    for (framing, first, last, seen) in parts {
        let mut connection = Connection::open(gateway.proxy);
        let head = format!(
            "POST /any/slow HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n{framing}\r\n\r\n{first}",
            app().token()
        );
        connection.send(head.as_bytes());
        assert_eq!(told.recv_timeout(LIMIT).unwrap(), seen);
        connection.send(last.as_bytes());
        assert_eq!(connection.read(false).unwrap().status, 200);
    }
}

#[test]
fn the_caller_sees_the_first_of_a_download_before_the_last_is_sent() {
    let (tell, told) = mpsc::channel();
    let told = Mutex::new(told);
    let upstream = Scripted::start(move |mut stream, _| {
        read_head(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n").unwrap();
        told.lock().unwrap().recv_timeout(LIMIT).unwrap();
        stream.write_all(b"4\r\nlast\r\n0\r\n\r\n").unwrap();
    });
    let gateway = gateway(&upstream.url(), "");
    let mut connection = Connection::open(gateway.proxy);
    connection.send(&good("GET").bytes());
    assert_eq!(connection.read_head().unwrap().0, 200);
    assert_eq!(connection.read_chunk().unwrap().unwrap(), b"first");
    tell.send(()).unwrap();
    assert_eq!(connection.read_chunk().unwrap().unwrap(), b"last");
    assert_eq!(connection.read_chunk().unwrap(), None);
}

#[test]
fn bodies_and_trailers_go_through_unchanged_in_both_directions() {
    let upstream = Recorder::answering(|_| {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-checksum", "5678".parse().unwrap());
        trailers.insert("x-scopegate-app", "posing".parse().unwrap());
        let response = Response::builder().header("trailer", "x-checksum, x-scopegate-app").body("ünïcode 🤖\0\n");
        Answer { trailers: Some(trailers), ..Answer::new(response.unwrap()) }
    });
    let gateway = gateway(&upstream.url(), "");
    let mut connection = Connection::open(gateway.proxy);
    let head = format!(
        "POST /any/thing HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nTE: trailers\r\n\
         Trailer: x-checksum, x-scopegate-app\r\nTransfer-Encoding: chunked\r\n\r\n",
        app().token()
    );
    connection.send(head.as_bytes());
    connection.send("9\r\nä🤖\0\r\n\r\n0\r\nx-checksum: 1234\r\nX-Scopegate-App: posing\r\n\r\n".as_bytes());
    let reply = connection.read(false).unwrap();
    assert_eq!((reply.status, reply.body), (200, "ünïcode 🤖\0\n".as_bytes().to_vec()));
    assert_eq!(reply.trailers, [("x-checksum".to_owned(), "5678".to_owned())]);
    let [seen] = &upstream.all()[..] else { panic!("not one call") };
    assert_eq!(seen.body, "ä🤖\0\r\n".as_bytes());
    assert_eq!(seen.trailers.get("x-checksum").unwrap(), "1234");
    assert_eq!(seen.trailers.len(), 1, "trailers that say who calls are dropped");
    assert_eq!(seen.header("te"), Some("trailers"));
}

#[test]
fn answers_without_a_body_keep_the_length_that_they_tell() {
    let upstream = Recorder::answering(|seen| {
        let status = if seen.method == "HEAD" { 200 } else { seen.target.rsplit('/').next().unwrap().parse().unwrap() };
        let response = Response::builder().status(status).header("etag", "\"1\"");
        Answer::new(if status == 200 { response.body("seven..") } else { response.body("") }.unwrap())
    });
    let gateway = gateway(&upstream.url(), "");
    let mut connection = Connection::open(gateway.proxy);
    let call = |method: &str, target: &str| Call::new(method, target).bearer(app().token());
    let head = connection.call(&call("HEAD", "/any/200"));
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, Some("7"), 0));
    let none = connection.call(&call("GET", "/any/204"));
    assert_eq!((none.status, none.header("content-length"), none.header("transfer-encoding")), (204, None, None));
    let same = connection.call(&call("GET", "/any/304").header("If-None-Match", "\"1\""));
    assert_eq!((same.status, same.header("etag"), same.header("transfer-encoding")), (304, Some("\"1\""), None));
    // Nothing was left behind on the connection.
    assert_eq!(connection.call(&call("GET", "/any/200")).body, b"seven..");
    let methods: Vec<_> = upstream.all().into_iter().map(|s| s.method).collect();
    assert_eq!(methods, ["HEAD", "GET", "GET", "GET"]);
}

#[test]
fn a_refused_head_has_no_body() {
    let upstream = Recorder::start();
    let gateway = gateway(&upstream.url(), "");
    let mut connection = Connection::open(gateway.proxy);
    let reply = connection.call(&Call::new("HEAD", "/any/thing"));
    assert_eq!((reply.status, reply.header("www-authenticate")), (401, Some("Bearer")));
    assert_eq!(connection.call(&good("GET")).status, 200);
}

#[test]
fn a_refused_upload_is_refused_before_it_is_sent() {
    let upstream = Recorder::start();
    let gateway = gateway(&upstream.url(), "");
    let expecting = |token: &str| {
        format!("POST /any/thing HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n{token}\r\n")
    };
    let mut connection = Connection::open(gateway.proxy);
    connection.send(expecting("").as_bytes());
    let reply = connection.read(false).unwrap();
    assert_eq!((reply.status, reply.code().as_str()), (401, "credential.missing"));
    assert!(upstream.all().is_empty());

    let mut connection = Connection::open(gateway.proxy);
    connection.send(expecting(&format!("Authorization: Bearer {}\r\n", app().token())).as_bytes());
    assert_eq!(connection.read(false).unwrap().status, 100);
    connection.send(b"hello");
    assert_eq!(connection.read(false).unwrap().status, 200);
    assert_eq!(upstream.all()[0].body, b"hello");
    assert_eq!(upstream.all()[0].header("expect"), None);
}

#[test]
fn a_body_beyond_the_limit_is_refused_and_one_that_stands_still_too() {
    let upstream = Recorder::start();
    let setup = crate::e2e::harness::Setup::bearer(&upstream.url(), "");
    setup.edit("workers = 1", "workers = 1\nlimits = { body_bytes = 10 }\ntimeouts = { body_idle = \"300ms\" }");
    let gateway = crate::e2e::harness::Gateway::start(setup, &super::registry());
    let call = |body: &str| Call::post("/any/thing", body).bearer(app().token());
    assert_eq!(gateway.call(&call("0123456789")).status, 200);
    let reply = gateway.call(&call("0123456789a"));
    assert_eq!((reply.status, reply.code().as_str()), (413, "request.body_too_large"));

    // One that does not tell its length before.
    let mut connection = Connection::open(gateway.proxy);
    let head = format!("POST /any/thing HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n", app().token());
    connection.send(format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes());
    connection.send(b"b\r\n0123456789a\r\n");
    rest(Duration::from_millis(50));
    _ = connection.try_send(b"0\r\n\r\n");
    let reply = connection.read(false).unwrap();
    assert_eq!((reply.status, reply.code().as_str()), (413, "request.body_too_large"));

    let mut connection = Connection::open(gateway.proxy);
    connection.send(format!("{head}Content-Length: 9\r\n\r\nstill").as_bytes());
    let reply = connection.read(false).unwrap();
    assert_eq!((reply.status, reply.code().as_str()), (408, "request.timeout"));
    assert_eq!(upstream.all().len(), 1);
}
