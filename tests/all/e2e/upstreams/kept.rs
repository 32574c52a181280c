//! Kept connections that the upstream closes as a call comes.

use std::io::Write as _;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::{app, gateway, good, start, text};
use crate::e2e::harness::{Call, Scripted, Setup, Token, read_head};

fn answer(stream: &mut TcpStream, head: &str) {
    let body = if head.starts_with("HEAD") { "" } else { "ok" };
    _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{body}");
}

/// Answers one call on each connection and keeps it; at the second one it says this, and closes.
fn closing_at_the_second_call(said: &'static [u8]) -> Scripted {
    Scripted::start(move |mut stream, _| {
        let head = read_head(&mut stream);
        answer(&mut stream, &head);
        read_head(&mut stream);
        _ = stream.write_all(said);
        _ = stream.shutdown(Shutdown::Both);
    })
}

#[test]
fn a_call_that_may_be_made_twice_goes_out_on_a_fresh_connection() {
    for method in ["GET", "HEAD", "PUT"] {
        let upstream = closing_at_the_second_call(b"");
        let gateway = gateway(&[upstream.url()], "");
        for number in 0..20 {
            let reply = gateway.call(&good(method));
            assert_eq!(reply.status, 200, "{method}, call {number}");
            let retries = &gateway.logged(reply.request_id())["retries"];
            // Each connection answers one call and breaks at the next, which a fresh one answers.
            assert_eq!(retries.as_u64().unwrap_or(0), u64::from(number > 0), "{method}, call {number}");
        }
        assert_eq!(upstream.connections.load(Ordering::SeqCst), 20);
    }
}

#[test]
fn no_share_of_the_calls_bounds_that() {
    let upstream = closing_at_the_second_call(b"");
    let gateway = gateway(&[upstream.url()], "retries = { attempts = 1, percent = 0 }");
    let statuses: Vec<_> = (0..60).map(|_| gateway.call(&good("GET")).status).collect();
    assert_eq!(statuses, [200; 60]);
}

#[test]
fn what_goes_out_again_is_what_went_out_first() {
    let other = Arc::new(Mutex::new(Vec::new()));
    let heads = Arc::clone(&other);
    let upstream = Scripted::start(move |mut stream, number| {
        loop {
            let head = read_head(&mut stream);
            if head.is_empty() {
                return;
            }
            let mut heads = heads.lock().unwrap();
            heads.push(head.clone());
            if heads.len() == 2 && number == 0 {
                _ = stream.shutdown(Shutdown::Both);
                return;
            }
            answer(&mut stream, &head);
        }
    });
    let gateway = gateway(&[upstream.url()], "headers = { x-own = \"ours\" }");
    assert_eq!(gateway.call(&good("GET")).status, 200);
    let call = Call { target: "/any/a%20b?c=%2F&d".to_owned(), ..good("GET") };
    let call = call.header("x-twice", "one").header("x-twice", "two: three").header("x-empty", "");
    assert_eq!(gateway.call(&call).status, 200);
    let heads = other.lock().unwrap();
    assert_eq!(heads.len(), 3);
    let lines = |head: &str| head.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(lines(&heads[1]), lines(&heads[2]));
    assert!(heads[2].starts_with("GET /any/a%20b?c=%2F&d HTTP/1.1\r\n"), "{}", heads[2]);
    assert!(heads[2].contains("x-own: ours\r\n") && heads[2].contains("x-twice: two: three\r\n"), "{}", heads[2]);
}

#[test]
fn it_goes_out_again_once() {
    // Whatever comes on the second connection or later is cut.
    let upstream = Scripted::start(|mut stream, number| {
        let head = read_head(&mut stream);
        if number == 0 {
            answer(&mut stream, &head);
            read_head(&mut stream);
        }
        _ = stream.shutdown(Shutdown::Both);
    });
    let gateway = gateway(&[upstream.url()], "retries = { attempts = 1, percent = 0 }");
    assert_eq!(gateway.call(&good("GET")).status, 200);
    let reply = gateway.call(&good("GET"));
    assert_eq!((reply.status, reply.code().as_str()), (502, "upstream.reset"));
    assert_eq!(upstream.connections.load(Ordering::SeqCst), 2);
}

#[test]
fn what_may_have_been_done_or_was_answered_in_part_goes_out_once() {
    let with_body = Call { body: Some(b"data".into()), ..good("PUT") };
    let cases = [(good("POST"), &b""[..]), (with_body, b""), (good("GET"), b"HTTP/1.1 2"), (good("GET"), b"H")];
    for (call, said) in cases {
        let upstream = closing_at_the_second_call(said);
        let gateway = gateway(&[upstream.url()], "");
        assert_eq!(gateway.call(&good("GET")).status, 200);
        let reply = gateway.call(&call);
        assert_eq!((reply.status, reply.code().as_str()), (502, "upstream.reset"), "{} {said:?}", call.method);
        assert_eq!(upstream.connections.load(Ordering::SeqCst), 1, "{} {said:?}", call.method);
    }
}

#[test]
fn without_retries_nothing_that_may_have_been_done_goes_out_again() {
    let upstream = closing_at_the_second_call(b"");
    let gateway = gateway(&[upstream.url()], "retries = { attempts = 0 }");
    assert_eq!(gateway.call(&good("GET")).status, 200);
    assert_eq!(gateway.call(&good("GET")).code(), "upstream.reset");
}

#[test]
fn a_token_of_single_use_is_good_for_it_too() {
    let upstream = closing_at_the_second_call(b"");
    let setup = Setup::bearer_to(&[upstream.url()], "");
    setup.edit("kind = \"jwt\"", "kind = \"jwt\"\nsingle_use = \"present\"");
    let gateway = start(setup);
    for number in 0..3 {
        let token = Token::of("upstreams").claim("jti", format!("call-{number}")).sign(app().secret());
        let reply = gateway.call(&Call::new("GET", "/any/thing").bearer(token));
        assert_eq!((reply.status, text(&reply).as_str()), (200, "ok"), "call {number}");
    }
}

#[test]
fn of_many_calls_at_once_none_fails_where_every_second_answer_is_a_closed_connection() {
    let upstream = closing_at_the_second_call(b"");
    let gateway = gateway(&[upstream.url()], "");
    let (call, failed) = (good("GET"), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..50 {
                    failed.fetch_add(usize::from(gateway.call(&call).status != 200), Ordering::SeqCst);
                }
            });
        }
    });
    assert_eq!(failed.load(Ordering::SeqCst), 0);
}
