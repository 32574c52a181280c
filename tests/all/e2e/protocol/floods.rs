//! Clients of HTTP/2 that make work with cheap frames, and what of it reaches the log.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::gateway;
use crate::e2e::harness::{Call, Recorder, eventually};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

fn open(proxy: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(proxy).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(PREFACE).unwrap();
    stream
}

/// All that comes until the connection ends; it has to.
fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return all,
            Ok(length) => all.extend(&buffer[..length]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return all,
            Err(error) => panic!("it goes on: {error}"),
        }
    }
}

#[test]
fn a_connection_that_floods_is_closed_and_the_gateway_goes_on() {
    let upstream = Recorder::start();
    let gateway = gateway(&upstream.url(), "");
    let floods = [
        ("PRIORITY", frame(2, 0, 1, &[0, 0, 0, 3, 10])),
        ("SETTINGS", frame(4, 0, 0, &[])),
        ("PING", frame(6, 0, 0, &[7; 8])),
        ("WINDOW_UPDATE", frame(8, 0, 0, &[0, 0, 0, 1])),
        ("an unknown kind", frame(0xfa, 0, 0, b"grease")),
    ];
    for (name, frame) in &floods {
        let mut stream = open(gateway.proxy);
        for _ in 0..30 {
            // It may be closed by now.
            _ = stream.write_all(&frame.repeat(100));
        }
        // What it says before it closes may be lost, since it does not read what is left.
        let said = rest(&mut stream);
        assert!(said.len() < 100_000, "{name}: {}", said.len());
    }
    let count = format!("scopegate_http2_floods_total {}", floods.len());
    eventually(&count, || {
        let metrics = String::from_utf8(Call::get("/metrics").to(gateway.telemetry).body).unwrap();
        metrics.lines().any(|line| line == count).then_some(())
    });
    assert_eq!(gateway.call(&super::good("GET")).status, 200);
}

#[test]
fn a_client_that_reads_much_may_say_so_often() {
    let upstream = Recorder::answering(|_| crate::e2e::harness::Answer::new(http::Response::new(vec![b'x'; 20 << 20])));
    let gateway = gateway(&upstream.url(), "");
    let authorization = format!("Authorization: Bearer {}", super::app().token());
    let url = format!("http://{}/any/big", gateway.proxy);
    let arguments = ["-sS", "-o", "/dev/null", "-w", "%{http_code} %{size_download}", "--http2-prior-knowledge", "-H"];
    let output = std::process::Command::new("curl").args(arguments).args([&authorization, &url]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "200 20971520");
}

#[test]
fn rapid_resets_write_few_lines_to_the_log() {
    let upstream = Recorder::start();
    let mut gateway = gateway(&upstream.url(), "");
    let mut attack = Vec::new();
    for stream in (1..200).step_by(2) {
        // GET http://a/, by the static table of HPACK.
        attack.extend(frame(1, 5, stream, &[0x82, 0x86, 0x84, 0x41, 1, b'a']));
        attack.extend(frame(3, 0, stream, &[0, 0, 0, 8]));
    }
    for _ in 0..150 {
        let mut stream = open(gateway.proxy);
        _ = stream.write_all(&attack);
        rest(&mut stream);
    }
    let report = gateway.await_event("left_out");
    assert!(report.contains("reset"), "{report}");
    let warnings = gateway.events().iter().filter(|line| line.contains("WARN")).count();
    assert!((1..60).contains(&warnings), "{warnings}");
}
