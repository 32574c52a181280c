//! Upstreams that answer and close while the request still comes: their answer counts.

use std::io::Write as _;
use std::process::Command;

use super::frames::{Frames, HEADERS, NO_ERROR};
use super::{app, gateway, good, text};
use crate::e2e::harness::{Call, Connection, Gateway, Recorder, Reply, Scripted, read_head};

const TRIES: usize = 20;

/// More than all the buffers on the way hold.
fn large() -> Vec<u8> {
    vec![b'x'; 12 << 20]
}

fn answering_at_once(answer: &'static str) -> Scripted {
    Scripted::start(move |mut stream, _| {
        read_head(&mut stream);
        _ = stream.write_all(answer.as_bytes());
    })
}

/// Sends all of it before it reads.
fn stubborn(gateway: &Gateway, call: &Call) -> Reply {
    let mut connection = Connection::open(gateway.proxy);
    connection.send(&call.bytes());
    connection.read(false).unwrap()
}

fn too_large(reply: &Reply) {
    assert_eq!((reply.status, text(reply).as_str()), (413, "too large"));
}

#[test]
fn an_answer_of_http_1_counts_however_it_ends() {
    let answers = [
        "HTTP/1.1 413 Too Large\r\nContent-Length: 9\r\n\r\ntoo large",
        "HTTP/1.1 413 Too Large\r\nContent-Length: 9\r\nConnection: close\r\n\r\ntoo large",
        "HTTP/1.1 413 Too Large\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ntoo large\r\n0\r\n\r\n",
        "HTTP/1.1 413 Too Large\r\nConnection: close\r\n\r\ntoo large",
    ];
    for answer in answers {
        let upstream = answering_at_once(answer);
        let gateway = gateway(&[upstream.url()], "");
        let call = Call { body: Some(large()), ..good("POST") };
        for _ in 0..TRIES {
            too_large(&stubborn(&gateway, &call));
        }
    }
}

#[test]
fn an_answer_of_http_2_counts_however_it_ends() {
    for (resets, closes) in [(true, false), (true, true), (false, true)] {
        let upstream = Scripted::start(move |stream, _| {
            let Ok(mut frames) = Frames::accept(stream) else { return };
            frames.settings(100);
            while let Ok((stream, _)) = frames.request() {
                frames.answer(stream, "413", "too large");
                if resets {
                    frames.reset(stream, NO_ERROR);
                }
                if closes {
                    return;
                }
            }
        });
        let gateway = gateway(&[upstream.url()], "http = \"2\"");
        let call = Call { body: Some(large()), ..good("POST") };
        for _ in 0..TRIES {
            too_large(&stubborn(&gateway, &call));
        }
    }
}

#[test]
fn an_answer_of_http_2_without_a_body_counts_too() {
    let upstream = Scripted::start(|stream, _| {
        let Ok(mut frames) = Frames::accept(stream) else { return };
        frames.settings(100);
        if let Ok(frame) = frames.next() {
            assert_eq!(frame.kind, HEADERS);
            frames.answer_with(frame.stream, &super::frames::status("401"));
        }
    });
    let gateway = gateway(&[upstream.url()], "http = \"2\"");
    let call = Call { body: Some(large()), ..good("POST") };
    for _ in 0..TRIES {
        assert_eq!(stubborn(&gateway, &call).status, 401);
    }
}

#[test]
fn a_client_of_http_2_gets_it_too() {
    let upstream = answering_at_once("HTTP/1.1 413 Too Large\r\nContent-Length: 9\r\n\r\ntoo large");
    let gateway = gateway(&[upstream.url()], "");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("large");
    std::fs::write(&file, large()).unwrap();
    for _ in 0..TRIES {
        let output = Command::new("nghttp")
            .args(["-v", "--no-dep", "-H", ":method: POST", "-H"])
            .arg(format!("authorization: Bearer {}", app().token()))
            .arg("-d")
            .arg(&file)
            .arg(format!("http://{}/any/thing", gateway.proxy))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains(":status: 413") && said.contains("too large"), "{said}");
        assert!(said.contains("error_code=NO_ERROR") && !said.contains("error_code=CANCEL"), "{said}");
    }
}

#[test]
fn a_call_that_we_refuse_while_it_still_comes_is_answered() {
    let upstream = Recorder::start();
    let gateway = gateway(&[upstream.url()], "");
    let call = Call { body: Some(large()), ..Call::new("POST", "/any/thing") };
    for _ in 0..TRIES {
        assert_eq!(stubborn(&gateway, &call).status, 401);
    }
    assert!(upstream.all().is_empty());
}

#[test]
fn an_upstream_that_closes_and_says_nothing_is_a_reset() {
    let upstream = answering_at_once("");
    let gateway = gateway(&[upstream.url()], "");
    let call = Call { body: Some(large()), ..good("POST") };
    for _ in 0..TRIES {
        let reply = stubborn(&gateway, &call);
        assert_eq!((reply.status, reply.code().as_str()), (502, "upstream.reset"));
    }
}
