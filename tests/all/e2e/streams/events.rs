//! Server-sent events, one by one, and answers whose pauses are long.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use super::{app, last, registry, setup, start};
use crate::e2e::harness::{Call, Connection, Gateway, Scripted, read_head, rest};

const LIMIT: Duration = Duration::from_secs(10);

/// An upstream that says the next event when it is told that the one before was seen.
fn events(events: &'static [&'static str]) -> (Scripted, mpsc::Sender<()>) {
    let (seen, wait) = mpsc::channel();
    let wait = Mutex::new(wait);
    let upstream = Scripted::start(move |mut stream, _| {
        read_head(&mut stream);
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        for event in events {
            stream.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes()).unwrap();
            wait.lock().unwrap().recv_timeout(LIMIT).unwrap();
        }
        stream.write_all(b"0\r\n\r\n").unwrap();
    });
    (upstream, seen)
}

#[test]
fn each_event_is_with_the_caller_before_the_next_is_made() {
    // The second is a comment, such as servers send to keep a stream alive.
    let said = &["data: one\n\n", ": a heartbeat\n\n", "id: 3\nevent: end\ndata: three\n\n"];
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let (upstream, seen) = events(said);
        let gateway = start(&upstream.url());
        let authorization = format!("Authorization: Bearer {}", app().token());
        let url = format!("http://{}/any/events", gateway.proxy);
        let arguments = ["-sSN", version, "-H", &authorization, &url];
        let mut curl = Command::new("curl").args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(curl.stdout.take().unwrap());
        for event in said {
            let mut got = String::new();
            while !got.ends_with("\n\n") {
                assert_ne!(out.read_line(&mut got).unwrap(), 0, "{version}: {got:?} and no more");
            }
            assert_eq!(got, *event, "{version}");
            seen.send(()).unwrap();
        }
        assert_eq!(out.read(&mut [0; 8]).unwrap(), 0);
        assert!(curl.wait().unwrap().success(), "{version}");
        assert_eq!(last(&gateway)["outcome"], "complete");
    }
}

#[test]
fn a_pause_that_is_too_long_cuts_a_stream_unless_pauses_have_no_bound() {
    let upstream = Scripted::start(|mut stream, _| {
        read_head(&mut stream);
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(b"9\r\ndata: 1\n\n\r\n").unwrap();
        rest(Duration::from_millis(1500));
        _ = stream.write_all(b"9\r\ndata: 2\n\n\r\n0\r\n\r\n");
    });
    for (bound, outcome) in [("\"500ms\"", "cut"), ("\"0s\"", "complete")] {
        let setup = setup(&upstream.url(), "");
        let url = format!("urls = [{:?}]", upstream.url());
        setup.edit(&url, &format!("{url}\ntimeouts = {{ body_idle = {bound} }}"));
        let gateway = Gateway::start(setup, &registry(&app()));
        let mut connection = Connection::open(gateway.proxy);
        connection.send(&Call::get("/any/events").bearer(app().token()).bytes());
        assert_eq!(connection.read_head().unwrap().0, 200);
        assert_eq!(connection.read_chunk().unwrap().unwrap(), b"data: 1\n\n");
        match connection.read_chunk() {
            Ok(second) => assert_eq!((second.unwrap().as_slice(), outcome), (&b"data: 2\n\n"[..], "complete")),
            Err(_) => assert_eq!(outcome, "cut"),
        }
        if outcome == "complete" {
            assert_eq!(connection.read_chunk().unwrap(), None);
        }
        assert_eq!(last(&gateway)["outcome"], outcome);
    }
}

#[test]
fn a_body_that_is_slow_and_steady_takes_as_long_as_it_takes() {
    // Both ways, and each longer than the pause that is allowed.
    let upstream = Scripted::start(|mut stream, _| {
        let head = read_head(&mut stream);
        let mut body = [0; 12];
        stream.read_exact(&mut body).unwrap();
        assert!(head.to_ascii_lowercase().contains("content-length: 12"), "{head}");
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n").unwrap();
        drip(&mut stream);
    });
    let setup = setup(&upstream.url(), "");
    let url = format!("urls = [{:?}]", upstream.url());
    setup.edit(&url, &format!("{url}\ntimeouts = {{ body_idle = \"600ms\", response = \"600ms\" }}"));
    setup.edit("workers = 1", "workers = 1\ntimeouts = { body_idle = \"600ms\" }");
    let gateway = Gateway::start(setup, &registry(&app()));
    let mut stream = TcpStream::connect(gateway.proxy).unwrap();
    let token = app().token();
    let head = format!(
        "POST /any/slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer {token}\r\nContent-Length: 12\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    drip(&mut stream);
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nxxxxxxxxxxxx"), "{answer}");
    assert_eq!(last(&gateway)["outcome"], "complete");
}

fn drip(stream: &mut TcpStream) {
    for _ in 0..12 {
        rest(Duration::from_millis(150));
        stream.write_all(b"x").unwrap();
    }
}
