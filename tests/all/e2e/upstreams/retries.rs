//! Calls go out again where that is safe, and nowhere else.

use std::io::Write as _;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::Ordering;

use super::{closed, gateway, good, named, text};
use crate::e2e::harness::{Call, Scripted, read_head};

fn answer(mut stream: TcpStream) {
    while !read_head(&mut stream).is_empty() {
        _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    }
}

/// Reads a call, then ends the connection; from the second connection on it answers.
fn answering_the_second_time() -> Scripted {
    Scripted::start(|mut stream, number| match number {
        0 => {
            read_head(&mut stream);
            _ = stream.shutdown(Shutdown::Both);
        }
        _ => answer(stream),
    })
}

#[test]
fn a_call_that_may_be_made_twice_is_made_again_when_the_connection_breaks() {
    for method in ["GET", "PUT", "HEAD"] {
        let upstream = answering_the_second_time();
        let gateway = gateway(&[upstream.url()], "");
        let reply = gateway.call(&good(method));
        assert_eq!((reply.status, upstream.connections.load(Ordering::SeqCst)), (200, 2), "{method}");
        assert_eq!(gateway.logged(reply.request_id())["retries"], 1);
    }
}

#[test]
fn a_call_that_the_upstream_may_have_acted_on_is_made_once() {
    for call in [good("POST"), Call { body: Some(b"data".into()), ..good("PUT") }] {
        let upstream = answering_the_second_time();
        let gateway = gateway(&[upstream.url()], "");
        let reply = gateway.call(&call);
        assert_eq!((reply.status, reply.code().as_str()), (502, "upstream.reset"), "{}", call.method);
        assert_eq!(upstream.connections.load(Ordering::SeqCst), 1);
    }
}

#[test]
fn a_call_that_was_never_sent_goes_to_another_address() {
    let (_upstreams, urls) = named(&["one"]);
    let urls = [format!("http://{}", closed()), urls[0].clone()];
    let gateway = gateway(&urls, "");
    for number in 0..30 {
        let reply = gateway.call(&Call { body: Some(format!("{number}").into()), ..good("POST") });
        assert_eq!((reply.status, text(&reply).as_str()), (200, "one"));
    }
}

#[test]
fn without_retries_the_first_failure_is_the_answer() {
    let upstream = answering_the_second_time();
    let gateway = gateway(&[upstream.url()], "retries = { attempts = 0 }");
    assert_eq!(gateway.call(&good("GET")).code(), "upstream.reset");
    assert_eq!(upstream.connections.load(Ordering::SeqCst), 1);
}

const CALLS: usize = 200;

#[test]
fn retries_are_no_storm() {
    let upstream = Scripted::saying(b"");
    let gateway = gateway(&[upstream.url()], "ejection = { failures = 0 }");
    for _ in 0..CALLS {
        assert_eq!(gateway.call(&good("GET")).code(), "upstream.reset");
    }
    let attempts = upstream.connections.load(Ordering::SeqCst);
    // A fifth of the calls, and twenty that were saved up.
    assert!((CALLS + 20..=CALLS + 20 + CALLS / 5).contains(&attempts), "{attempts} attempts");
}
