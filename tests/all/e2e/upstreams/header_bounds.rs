//! How large the header of an answer may be, in bytes and in fields.

use std::io::Write as _;
use std::net::TcpStream;

use super::frames::{Frames, field, status};
use super::{gateway, good};
use crate::e2e::harness::{Gateway, Scripted, read_head};

const BYTES: usize = 20_000;
const FIELDS: usize = 120;
const BOUNDS: &str = "response_header_bytes = 20000\nresponse_header_fields = 120";

/// An answer whose header has so many bytes and fields, before a body with many lines.
fn answer(bytes: usize, fields: usize) -> Vec<u8> {
    let body = "\n".repeat(100_000);
    let mut head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n", body.len());
    for number in 2..fields {
        head.push_str(&format!("x-{number}: 1\r\n"));
    }
    let rest = bytes - head.len() - "x-large: \r\n\r\n".len();
    head.push_str(&format!("x-large: {}\r\n\r\n", "x".repeat(rest)));
    assert_eq!(head.len(), bytes);
    head.into_bytes().into_iter().chain(body.into_bytes()).collect()
}

fn saying(said: Vec<u8>, segment: usize) -> Scripted {
    Scripted::start(move |mut stream: TcpStream, _| {
        stream.set_nodelay(true).unwrap();
        while !read_head(&mut stream).is_empty() {
            if said.chunks(segment).any(|part| stream.write_all(part).is_err()) {
                return;
            }
        }
    })
}

fn refused(gateway: &Gateway) -> String {
    let reply = gateway.call(&good("POST"));
    assert_eq!((reply.status, reply.code().as_str()), (502, "upstream.invalid"));
    gateway.logged(reply.request_id())["found"].as_str().unwrap().to_owned()
}

#[test]
fn each_bound_is_exact_however_the_answer_comes_and_the_log_tells_which_it_was() {
    let bytes = "the answer's header has more than 20000 bytes (response_header_bytes)";
    let fields = "the answer has more than 120 fields (response_header_fields)";
    for segment in [700, 9_000, 1 << 20] {
        let within = saying(answer(BYTES, FIELDS), segment);
        let gateway_of = |upstream: &Scripted| gateway(&[upstream.url()], BOUNDS);
        let gateway = gateway_of(&within);
        for _ in 0..3 {
            assert_eq!(gateway.call(&good("GET")).status, 200, "in segments of {segment}");
        }
        for (said, found) in [
            (answer(BYTES + 1, 5), bytes),
            (answer(10 * BYTES, 5), bytes),
            (answer(BYTES, FIELDS + 1), fields),
            (answer(5_000, FIELDS + 1), fields),
        ] {
            assert_eq!(refused(&gateway_of(&saying(said, segment))), found, "in segments of {segment}");
        }
    }
}

#[test]
fn without_a_word_of_them_the_bounds_are_those_that_are_documented() {
    let found = |said| refused(&gateway(&[saying(said, 1 << 20).url()], ""));
    assert_eq!(gateway(&[saying(answer(65_536, 100), 1 << 20).url()], "").call(&good("GET")).status, 200);
    assert!(found(answer(65_537, 5)).contains("more than 65536 bytes"));
    assert!(found(answer(10_000, 101)).contains("more than 100 fields"));
}

#[test]
fn the_bounds_hold_for_http_2_too() {
    let of = |fields: usize, value: usize| {
        let upstream = Scripted::start(move |stream, _| {
            let Ok(mut frames) = Frames::accept(stream) else { return };
            frames.settings(100);
            let fields: Vec<u8> =
                (0..fields).flat_map(|number| field(&format!("x-{number:03}"), &"v".repeat(value))).collect();
            let block = [status("200"), fields].concat();
            while let Ok((stream, _)) = frames.request() {
                frames.answer_with(stream, &block);
            }
        });
        gateway(&[upstream.url()], "http = \"2\"\nresponse_header_bytes = 10000\nresponse_header_fields = 120")
    };
    // `:status` counts as a field of 42 bytes, and each of the others for 37 and its value.
    assert_eq!(of(118, 46).call(&good("GET")).status, 200);
    assert_eq!(of(FIELDS, 10).call(&good("GET")).status, 200);
    assert!(refused(&of(FIELDS + 1, 10)).contains("more than 120 fields"));
    assert!(refused(&of(118, 48)).contains("more than 10000 bytes"));
    assert!(refused(&of(100, 100)).contains("more than 10000 bytes"));
}

#[test]
fn bounds_out_of_range_are_refused_by_their_names() {
    for (key, value) in [
        ("response_header_bytes", 1023),
        ("response_header_bytes", 16_777_217),
        ("response_header_fields", 0),
        ("response_header_fields", 10_001),
    ] {
        let setup = crate::e2e::harness::Setup::bearer("http://127.0.0.1:9", &format!("{key} = {value}"));
        let why = setup.refused(&["check"]);
        assert!(why.contains(key), "{why}");
    }
}
