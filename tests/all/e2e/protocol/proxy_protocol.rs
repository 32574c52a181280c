//! The PROXY protocol, byte by byte; nginx and HAProxy speak it in `proxies`.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::{ends, good, registry};
use crate::e2e::harness::{Call, Connection, Gateway, Recorder, Setup, eventually};

fn start(trusted: &str) -> (Gateway, Recorder) {
    let upstream = Recorder::start();
    let setup = Setup::bearer(&upstream.url(), "");
    let keys = format!(
        "workers = 1\nproxy_protocol = true\ntrusted_proxies = [{trusted:?}]\ntimeouts = {{ tls_handshake = \"1s\" }}"
    );
    setup.edit("workers = 1", &keys);
    (Gateway::start(setup, &registry()), upstream)
}

fn version_2(command: u8, source: Ipv4Addr, port: u16, extensions: &[u8]) -> Vec<u8> {
    let length = u16::try_from(12 + extensions.len()).unwrap().to_be_bytes();
    let addresses = [&source.octets()[..], &[10, 0, 0, 1], &port.to_be_bytes(), &443u16.to_be_bytes()].concat();
    [&b"\r\n\r\n\0\r\nQUIT\n"[..], &[0x20 | command, 0x11], &length, &addresses, extensions].concat()
}

#[test]
fn a_trusted_proxy_says_whom_it_speaks_for_and_need_not_be_asked_again() {
    let (gateway, upstream) = start("127.0.0.1");
    let source = Ipv4Addr::new(192, 0, 2, 7);
    let headers = [
        (b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 443\r\n".to_vec(), "192.0.2.7:4711", Some("192.0.2.7")),
        (version_2(1, source, 4711, &[4, 0, 2, 0, 0]), "192.0.2.7:4711", Some("192.0.2.7")),
        (b"PROXY UNKNOWN\r\n".to_vec(), "unknown", None),
        (version_2(0, source, 4711, &[]), "127.0.0.1:", Some("127.0.0.1")),
    ];
    for (number, (header, peer, told)) in headers.iter().enumerate() {
        let mark = format!("header-{number}");
        let mut connection = Connection::open(gateway.proxy);
        // In pieces, as networks have it, and with the first request behind it.
        let bytes = [header, good("GET").mark(&mark).bytes().as_slice()].concat();
        for piece in bytes.chunks(11) {
            connection.send(piece);
        }
        let first = connection.read(false).unwrap();
        assert_eq!(first.status, 200);
        assert_eq!(connection.call(&good("GET").mark(&mark)).status, 200, "one header for all calls of a connection");
        let line = gateway.logged(first.request_id());
        assert!(line["peer"].as_str().unwrap().starts_with(peer), "{line}");
        let seen = upstream.marked(&mark);
        assert!(seen.len() == 2 && seen.iter().all(|seen| seen.header("x-forwarded-for") == *told));
    }
}

#[test]
fn only_a_proxy_that_speaks_for_itself_is_believed_about_others() {
    let upstream = Recorder::start();
    let setup = Setup::bearer(&upstream.url(), "");
    setup.edit("workers = 1", "workers = 1\nproxy_protocol = true\ntrusted_proxies = [\"127.0.0.1\", \"unix\"]");
    let gateway = Gateway::start(setup, &registry());
    let begin = |family: u8, rest: &[u8]| {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&b"\r\n\r\n\0\r\nQUIT\n\x21"[..], &[family], &length, rest].concat()
    };
    let headers = [
        (b"PROXY UNKNOWN\r\n".to_vec(), None),
        (begin(0x00, &[]), None),
        (begin(0x31, &[b'/'; 216]), None),
        (version_2(1, Ipv4Addr::new(192, 0, 2, 7), 4711, &[]), Some("192.0.2.7")),
        (version_2(0, Ipv4Addr::UNSPECIFIED, 0, &[]), Some("198.51.100.1, 127.0.0.1")),
    ];
    for (number, (header, told)) in headers.iter().enumerate() {
        let mark = format!("claimed-{number}");
        let claim = good("GET").mark(&mark).header("X-Forwarded-For", "198.51.100.1").header("X-Request-Id", &mark);
        let mut connection = Connection::open(gateway.proxy);
        connection.send(&[header, claim.bytes().as_slice()].concat());
        let reply = connection.read(false).unwrap();
        let is_believed = reply.request_id() == mark;
        assert_eq!((reply.status, is_believed), (200, told.is_some_and(|told| told.contains(','))), "{mark}");
        assert_eq!(upstream.marked(&mark)[0].header("x-forwarded-for"), *told, "{mark}");
    }
}

#[test]
fn a_trusted_proxy_without_a_header_is_no_proxy() {
    let (gateway, _upstream) = start("127.0.0.1");
    for bytes in [
        &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
        b"PROXY TCP4 192.0.2.7 10.0.0.1 x 443\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x11\x11\0\x0c",
    ] {
        let mut connection = Connection::open(gateway.proxy);
        connection.send(bytes);
        assert!(ends(&mut connection), "{bytes:?}");
    }
    let mut silent = Connection::open(gateway.proxy);
    silent.send(b"PROXY TCP4 192");
    crate::e2e::harness::within(Duration::from_secs(5), "it is left alone", || ends(&mut silent).then_some(()));
    eventually("they are counted", || {
        let metrics = Call::get("/metrics").to(gateway.telemetry).body;
        let metrics = String::from_utf8(metrics).unwrap();
        metrics.contains("scopegate_proxy_headers_refused_total 4").then_some(())
    });
}

#[test]
fn a_header_of_a_stranger_is_no_header() {
    let (gateway, upstream) = start("10.0.0.0/8");
    assert_eq!(gateway.call(&good("GET")).status, 200);
    let mut stranger = Connection::open(gateway.proxy);
    stranger.send(b"PROXY TCP4 10.0.0.7 10.0.0.1 4711 443\r\n");
    stranger.send(&good("GET").bytes());
    assert!(stranger.read(false).map_or(true, |reply| reply.status == 400));
    assert_eq!(upstream.all().len(), 1);
}

#[test]
fn who_begins_with_a_header_has_to_be_named() {
    let setup = Setup::bearer("http://127.0.0.1:9", "");
    setup.edit("workers = 1", "workers = 1\nproxy_protocol = true");
    assert!(setup.refused(&["check"]).contains("proxy.proxy_protocol: of whom?"));
}
