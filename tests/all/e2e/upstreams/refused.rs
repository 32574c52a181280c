//! HTTP/2 upstreams that take only so many calls, or say goodbye: what they did nothing with goes out again.

use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use super::frames::{DATA, Frames, HEADERS, REFUSED_STREAM};
use super::{gateway, good, text};
use crate::e2e::harness::{Call, Scripted, rest};

const HTTP2: &str = "http = \"2\"";

fn calls() -> [Call; 3] {
    let body = Some(b"some data".to_vec());
    [good("GET"), good("POST"), Call { body, ..good("POST") }]
}

/// Answers each call with the length of its body, a moment after it came; counts those that are one too many.
fn taking(streams: usize, told_after: Duration, excess: Arc<AtomicUsize>) -> Scripted {
    Scripted::start(move |stream, _| {
        let writer = stream.try_clone().unwrap();
        let Ok(mut frames) = Frames::accept(stream) else { return };
        rest(told_after);
        frames.settings(u8::try_from(streams).unwrap());
        let open = Arc::new(AtomicUsize::new(0));
        let (done, to_answer) = mpsc::channel::<u32>();
        let answered = Arc::clone(&open);
        thread::spawn(move || {
            let mut frames = Frames(writer);
            for stream in to_answer {
                rest(Duration::from_millis(20));
                answered.fetch_sub(1, Ordering::SeqCst);
                frames.answer(stream, "200", "ok");
            }
        });
        while let Ok(frame) = frames.next() {
            if frame.kind == HEADERS && open.fetch_add(1, Ordering::SeqCst) >= streams {
                excess.fetch_add(1, Ordering::SeqCst);
            }
            if frame.is_last {
                _ = done.send(frame.stream);
            }
        }
    })
}

#[test]
fn a_burst_at_a_cold_upstream_gives_it_no_more_calls_than_its_first_settings_allow() {
    for told_after in [0, 200].map(Duration::from_millis) {
        for call in calls() {
            let excess = Arc::new(AtomicUsize::new(0));
            let upstream = taking(5, told_after, Arc::clone(&excess));
            let gateway = gateway(&[upstream.url()], HTTP2);
            thread::scope(|scope| {
                for _ in 0..30 {
                    scope.spawn(|| assert_eq!(gateway.call(&call).status, 200));
                }
            });
            assert_eq!(excess.load(Ordering::SeqCst), 0);
            assert!(gateway.log().iter().all(|line| line.get("retries").is_none()));
        }
    }
}

/// Refuses so many calls of each connection, then answers with the length of their bodies.
fn refusing(first: usize) -> Scripted {
    Scripted::start(move |stream, _| {
        let Ok(mut frames) = Frames::accept(stream) else { return };
        frames.settings(100);
        let (mut refused, mut length) = (0, 0);
        while let Ok(frame) = frames.next() {
            match frame.kind {
                HEADERS if refused < first => {
                    refused += 1;
                    frames.reset(frame.stream, REFUSED_STREAM);
                    continue;
                }
                HEADERS => length = 0,
                DATA => length += frame.payload.len(),
                _ => {}
            }
            if frame.is_last && refused == first && frame.stream > u32::try_from(first * 2).unwrap() {
                frames.answer(frame.stream, "200", &length.to_string());
            }
        }
    })
}

#[test]
fn a_refused_call_goes_out_again_whatever_its_method_and_with_its_body() {
    for (call, length) in calls().into_iter().zip(["0", "0", "9"]) {
        let upstream = refusing(1);
        // No share of the calls, since nothing was done twice.
        let gateway = gateway(&[upstream.url()], &format!("{HTTP2}\nretries = {{ attempts = 1, percent = 0 }}"));
        let reply = gateway.call(&call);
        assert_eq!((reply.status, text(&reply).as_str()), (200, length), "{}", call.method);
        assert_eq!(gateway.logged(reply.request_id())["retries"], 1);
    }
}

#[test]
fn an_upstream_that_refuses_every_call_is_not_asked_for_ever() {
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    let upstream = Scripted::start(move |stream, _| {
        let Ok(mut frames) = Frames::accept(stream) else { return };
        frames.settings(100);
        while let Ok((stream, _)) = frames.request() {
            count.fetch_add(1, Ordering::SeqCst);
            frames.reset(stream, REFUSED_STREAM);
        }
    });
    let gateway = gateway(&[upstream.url()], HTTP2);
    let reply = gateway.call(&good("POST"));
    assert_eq!((reply.status, reply.code().as_str()), (502, "upstream.reset"));
    assert_eq!(seen.load(Ordering::SeqCst), 3);
}

#[test]
fn a_body_of_which_much_was_read_is_sent_once() {
    let upstream = Scripted::start(move |stream, _| {
        let Ok(mut frames) = Frames::accept(stream) else { return };
        frames.settings(100);
        let mut length = 0;
        while let Ok(frame) = frames.next() {
            length += frame.payload.len();
            // All that may be sent before the window is opened again.
            if length > 65_000 {
                frames.reset(frame.stream, REFUSED_STREAM);
                length = 0;
            }
        }
    });
    let gateway = gateway(&[upstream.url()], HTTP2);
    let reply = gateway.call(&Call { body: Some(vec![0; 1 << 20]), ..good("POST") });
    assert_eq!((reply.status, reply.code().as_str()), (502, "upstream.reset"));
}

/// Answers one call of each connection; at the next ones it says goodbye, and how far it has come.
fn going_away_after_one(stream: TcpStream, number: usize) {
    let Ok(mut frames) = Frames::accept(stream) else { return };
    frames.settings(100);
    let mut first = None;
    while let Ok(frame) = frames.next() {
        if number == 0 && first.is_some_and(|first| first != frame.stream) {
            frames.goodbye(first.unwrap_or_default());
            return;
        }
        first = first.or(Some(frame.stream)).filter(|_| number == 0);
        if frame.is_last {
            frames.answer(frame.stream, "200", "ok");
        }
    }
}

#[test]
fn a_call_beyond_a_goodbye_goes_out_on_a_new_connection() {
    for call in calls() {
        let upstream = Scripted::start(going_away_after_one);
        let gateway = gateway(&[upstream.url()], &format!("{HTTP2}\nretries = {{ attempts = 0 }}"));
        assert_eq!(gateway.call(&call).status, 200);
        thread::scope(|scope| {
            for _ in 0..10 {
                scope.spawn(|| assert_eq!(gateway.call(&call).status, 200, "{}", call.method));
            }
        });
        assert_eq!(upstream.connections.load(Ordering::SeqCst), 2);
    }
}

#[test]
fn a_call_within_a_goodbye_that_gets_no_answer_may_have_been_done() {
    let upstream = Scripted::start(|stream, _| {
        let Ok(mut frames) = Frames::accept(stream) else { return };
        frames.settings(100);
        if let Ok((stream, _)) = frames.request() {
            frames.goodbye(stream);
        }
    });
    let gateway = gateway(&[upstream.url()], HTTP2);
    assert_eq!(gateway.call(&good("POST")).code(), "upstream.reset");
    assert_eq!(upstream.connections.load(Ordering::SeqCst), 1);
}

#[test]
fn an_upstream_that_sends_no_settings_gets_no_call() {
    let silent = Scripted::start(|stream, _| {
        if let Ok(mut frames) = Frames::accept(stream) {
            while frames.next().is_ok() {}
        }
    });
    let closing = Scripted::start(|stream, _| drop(Frames::accept(stream)));
    let nonsense = Scripted::saying(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    let settings = format!("{HTTP2}\ntimeouts = {{ connect = \"300ms\" }}");
    for (upstream, code) in
        [(silent, "upstream.connect_timeout"), (closing, "upstream.reset"), (nonsense, "upstream.invalid")]
    {
        assert_eq!(gateway(&[upstream.url()], &settings).call(&good("GET")).code(), code);
    }
}
