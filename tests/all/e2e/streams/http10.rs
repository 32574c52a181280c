//! Callers of HTTP/1.0: no Host, no chunks, no interim answers, and a connection that ends with the answer unless they ask.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use super::{app, last, start};
use crate::e2e::harness::{Connection, Recorder, Scripted, read_head};

/// All that comes until the gateway closes.
fn say(address: std::net::SocketAddr, bytes: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(bytes.as_bytes()).unwrap();
    let mut all = String::new();
    stream.read_to_string(&mut all).unwrap();
    all
}

#[test]
fn a_call_without_a_host_is_answered_and_the_connection_closed() {
    let upstream = Recorder::start();
    let gateway = start(&upstream.url());
    let authorization = format!("Authorization: Bearer {}", app().token());
    let answer = say(gateway.proxy, &format!("GET /any/thing HTTP/1.0\r\n{authorization}\r\n\r\n"));
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.0 200 OK\r\n"), "{head}");
    assert_eq!(body, "from the upstream");
    let head = head.to_ascii_lowercase();
    assert!(head.contains("content-length: 17") && !head.contains("keep-alive"), "{head}");
    assert!(upstream.all()[0].header("host").is_some(), "the upstream is asked as it wants to be");

    let refused = say(gateway.proxy, "GET /any/thing HTTP/1.0\r\n\r\n");
    assert!(refused.starts_with("HTTP/1.0 401 ") && refused.contains("credential.missing"), "{refused}");
    let posted =
        say(gateway.proxy, &format!("POST /any/thing HTTP/1.0\r\n{authorization}\r\nContent-Length: 5\r\n\r\nhello"));
    assert!(posted.starts_with("HTTP/1.0 200 OK\r\n"), "{posted}");
    assert_eq!(upstream.all()[1].body, b"hello");
}

#[test]
fn a_connection_is_kept_for_a_caller_who_asks_for_it() {
    let upstream = Recorder::start();
    let gateway = start(&upstream.url());
    let mut stream = TcpStream::connect(gateway.proxy).unwrap();
    let call =
        format!("GET /any/thing HTTP/1.0\r\nConnection: keep-alive\r\nAuthorization: Bearer {}\r\n\r\n", app().token());
    for _ in 0..2 {
        stream.write_all(call.as_bytes()).unwrap();
        let head = read_head(&mut stream).to_ascii_lowercase();
        assert!(head.starts_with("http/1.0 200 ok\r\n") && head.contains("connection: keep-alive\r\n"), "{head}");
        let mut body = [0; 17];
        stream.read_exact(&mut body).unwrap();
        assert_eq!(&body, b"from the upstream");
    }
}

#[test]
fn a_body_of_unknown_length_is_ended_by_the_end_of_the_connection() {
    let upstream = Scripted::start(|mut stream, _| {
        let head = read_head(&mut stream);
        assert!(head.contains(" HTTP/1.1\r\n"), "{head}");
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n";
        stream.write_all(format!("{head}5\r\nfirst\r\n4\r\nlast\r\n0\r\nx-sum: 9\r\n\r\n").as_bytes()).unwrap();
    });
    let gateway = start(&upstream.url());
    for kept in ["", "Connection: keep-alive\r\n"] {
        let call = format!("GET /any/thing HTTP/1.0\r\n{kept}Authorization: Bearer {}\r\n\r\n", app().token());
        let answer = say(gateway.proxy, &call);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert_eq!(body, "firstlast", "no chunks and no trailers");
        let head = head.to_ascii_lowercase();
        assert!(!head.contains("transfer-encoding") && !head.contains("content-length"), "{head}");
        assert!(!head.contains("keep-alive"), "{head}");
    }
    assert_eq!(last(&gateway)["outcome"], "complete");
}

#[test]
fn nobody_is_told_to_continue_who_would_not_understand_it() {
    let upstream = Recorder::start();
    let gateway = start(&upstream.url());
    let call = format!(
        "POST /any/thing HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\nAuthorization: Bearer {}\r\n\r\nhello",
        app().token()
    );
    let answer = say(gateway.proxy, &call);
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n"), "{answer}");
    assert_eq!(upstream.all()[0].header("expect"), None);
    // Chunks are of HTTP/1.1; with them nobody can tell where the request ends.
    let chunked = "POST /any/thing HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let answer = say(gateway.proxy, chunked);
    assert!(answer.contains(" 400 "), "{answer}");
    // Nor is there an upgrade.
    let mut connection = Connection::open(gateway.proxy);
    let asking = "Connection: upgrade\r\nUpgrade: websocket\r\n";
    connection
        .send(format!("GET /live/x HTTP/1.0\r\n{asking}Authorization: Bearer {}\r\n\r\n", app().token()).as_bytes());
    assert!(String::from_utf8(connection.read_to_end()).unwrap().starts_with("HTTP/1.0 200 OK\r\n"));
}

#[test]
fn curl_speaks_http_1_0() {
    let upstream = Recorder::start();
    let gateway = start(&upstream.url());
    let authorization = format!("Authorization: Bearer {}", app().token());
    let url = format!("http://{}/any/thing", gateway.proxy);
    let arguments = ["-sS", "--http1.0", "-w", " %{http_code} %{http_version}", "-H", &authorization];
    for more in [&[][..], &["-d", "a body"]] {
        let output = Command::new("curl").args(arguments).args(more).arg(&url).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "from the upstream 200 1");
    }
}
