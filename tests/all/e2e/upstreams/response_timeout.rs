//! `timeouts.response` counts from the end of the request; a client that does not send it has a limit of its own.

use std::io::Read as _;
use std::time::Duration;

use scopegate::clock::instant;

use super::frames::Frames;
use super::{app, start};
use crate::e2e::harness::{Connection, Gateway, Scripted, Setup, read_head, rest};

/// In front of an upstream that reads everything and never answers.
fn silent(http: &str, body_idle: &str, response: &str) -> Gateway {
    let is_http2 = http == "2";
    let upstream = Scripted::start(move |mut stream, _| {
        if is_http2 {
            let Ok(mut frames) = Frames::accept(stream) else { return };
            frames.settings(100);
            while frames.next().is_ok() {}
        } else {
            _ = stream.read_to_end(&mut Vec::new());
        }
    });
    of(&upstream, &format!("http = {http:?}"), body_idle, response)
}

fn of(upstream: &Scripted, settings: &str, body_idle: &str, response: &str) -> Gateway {
    let setup = Setup::bearer(&upstream.url(), &format!("{settings}\ntimeouts = {{ response = {response:?} }}"));
    setup.edit("[upstream.bots]", &format!("[proxy.timeouts]\nbody_idle = {body_idle:?}\n[upstream.bots]"));
    start(setup)
}

fn begin(gateway: &Gateway, length: usize) -> Connection {
    let mut connection = Connection::open(gateway.proxy);
    let token = app().token();
    let head = format!(
        "POST /any/thing HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n"
    );
    connection.send(head.as_bytes());
    connection
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn it_is_counted_from_the_end_of_the_request() {
    for http in ["1.1", "2"] {
        let gateway = silent(http, "30s", "1s");
        let mut connection = begin(&gateway, 8);
        for _ in 0..4 {
            rest(Duration::from_millis(700));
            connection.send(b"xx");
        }
        let ended = instant();
        let reply = connection.read(false).unwrap();
        assert_eq!((reply.status, reply.code().as_str()), (504, "upstream.timeout"), "{http}");
        let waited = instant().duration_since(ended);
        assert!(waited > SECOND * 9 / 10 && waited < SECOND * 3 / 2, "{http}: {waited:?}");
    }
}

#[test]
fn a_client_that_stops_sending_is_cut_by_its_own_limit() {
    for http in ["1.1", "2"] {
        for sent in ["", "half"] {
            let gateway = silent(http, "1500ms", "300ms");
            let mut connection = begin(&gateway, 8);
            connection.send(sent.as_bytes());
            let begun = instant();
            let reply = connection.read(false).unwrap();
            assert_eq!((reply.status, reply.code().as_str()), (408, "request.timeout"), "{http} {sent:?}");
            let waited = instant().duration_since(begun);
            assert!(waited > SECOND && waited < SECOND * 5 / 2, "{http} {sent:?}: {waited:?}");
        }
    }
}

#[test]
fn an_upstream_that_stops_reading_is_cut_by_it() {
    let upstream = Scripted::start(|mut stream, _| {
        read_head(&mut stream);
        rest(5 * SECOND);
    });
    let gateway = of(&upstream, "", "30s", "500ms");
    let mut connection = begin(&gateway, 64 << 20);
    let begun = instant();
    // Whether all of it is taken does not matter.
    _ = connection.try_send(&vec![0; 64 << 20]);
    let reply = connection.read(false).unwrap();
    assert_eq!((reply.status, reply.code().as_str()), (504, "upstream.timeout"));
    assert!(instant().duration_since(begun) < 4 * SECOND);
}
