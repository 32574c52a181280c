//! How many calls an upstream gets at once, and how long its connections live.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::{gateway, good, start};
use crate::e2e::harness::{Reply, Scripted, Setup, eventually, read_head, rest};

/// Answers each call a while later; counts how many it has at once.
fn slow(pause: Duration) -> (Scripted, Arc<AtomicUsize>) {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&most);
    let upstream = Scripted::start(move |mut stream, _| {
        seen.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        while !read_head(&mut stream).is_empty() {
            rest(pause);
            _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
        now.fetch_sub(1, Ordering::SeqCst);
    });
    (upstream, most)
}

fn at_once(gateway: &crate::e2e::harness::Gateway, count: usize) -> Vec<Reply> {
    let call = good("GET");
    thread::scope(|scope| {
        let calls: Vec<_> = (0..count).map(|_| scope.spawn(|| gateway.call(&call))).collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    })
}

#[test]
fn an_upstream_never_has_more_connections_than_it_may_over_all_workers() {
    let (upstream, most) = slow(Duration::from_millis(5));
    let setup = Setup::bearer(&upstream.url(), "max_calls = 3\nmax_queue = 100\ntimeouts = { queue = \"10s\" }");
    setup.edit("workers = 1", "workers = 2");
    let gateway = start(setup);
    for _ in 0..5 {
        assert!(at_once(&gateway, 30).iter().all(|reply| reply.status == 200));
    }
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

#[test]
fn calls_beyond_the_queue_are_told_so() {
    let (upstream, _) = slow(Duration::from_millis(400));
    let gateway = gateway(&[upstream.url()], "max_calls = 1\nmax_queue = 1\ntimeouts = { queue = \"10s\" }");
    let replies = at_once(&gateway, 4);
    let good = replies.iter().filter(|reply| reply.status == 200).count();
    assert!(good >= 2, "one had its place, one waited for it");
    for refused in replies.iter().filter(|reply| reply.status != 200) {
        assert_eq!((refused.status, refused.code().as_str()), (503, "upstream.overloaded"));
        assert_eq!(refused.header("retry-after"), Some("1"));
    }
    assert!(good < 4);
}

#[test]
fn a_call_waits_no_longer_than_it_may() {
    let (upstream, _) = slow(Duration::from_secs(3));
    let gateway = gateway(&[upstream.url()], "max_calls = 1\ntimeouts = { queue = \"200ms\" }");
    thread::scope(|scope| {
        let first = scope.spawn(|| gateway.call(&good("GET")));
        eventually("the first call is there", || (upstream.connections.load(Ordering::SeqCst) == 1).then_some(()));
        let second = gateway.call(&good("GET"));
        assert_eq!(second.code(), "upstream.overloaded");
        let line = gateway.logged(second.request_id());
        let took = line["duration_ms"].as_f64().unwrap();
        assert!((200.0..2000.0).contains(&took) && line["found"] == "no place within 200ms", "{line}");
        assert_eq!(first.join().unwrap().status, 200);
    });
}

#[test]
fn at_a_stop_no_worker_takes_a_connection_away_that_carries_another_ones_call() {
    let (upstream, _) = slow(Duration::from_millis(700));
    let setup = Setup::bearer(&upstream.url(), "max_calls = 8");
    setup.edit("workers = 1", "workers = 2");
    let mut gateway = start(setup);
    // Each worker makes some of the connections, and takes whichever is free.
    assert!(at_once(&gateway, 8).iter().all(|reply| reply.status == 200));
    thread::scope(|scope| {
        let calls: Vec<_> = (0..8)
            .map(|number| {
                let gateway = &gateway;
                scope.spawn(move || {
                    rest(Duration::from_millis(60 * number));
                    gateway.call(&good("POST")).status
                })
            })
            .collect();
        rest(Duration::from_millis(550));
        gateway.signal("TERM");
        let statuses: Vec<_> = calls.into_iter().map(|call| call.join().unwrap()).collect();
        assert_eq!(statuses, [200; 8]);
    });
    assert!(gateway.wait().0.success());
}

#[test]
fn an_old_connection_takes_no_more_calls() {
    let (upstream, _) = slow(Duration::ZERO);
    let gateway = gateway(&[upstream.url()], "timeouts = { lifetime = \"300ms\" }");
    let mut calls = 0;
    eventually("another connection is made", || {
        assert_eq!(gateway.call(&good("GET")).status, 200);
        calls += 1;
        (upstream.connections.load(Ordering::SeqCst) > 1).then_some(())
    });
    assert!(calls > 2, "a connection is used as long as it is young");
}

#[test]
fn a_connection_that_nobody_uses_is_closed() {
    let open = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&open);
    let upstream = Scripted::start(move |mut stream, _| {
        count.fetch_add(1, Ordering::SeqCst);
        while !read_head(&mut stream).is_empty() {
            _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
        count.fetch_sub(1, Ordering::SeqCst);
    });
    let gateway = gateway(&[upstream.url()], "timeouts = { idle = \"200ms\" }");
    assert_eq!(gateway.call(&good("GET")).status, 200);
    assert_eq!(open.load(Ordering::SeqCst), 1);
    eventually("it is closed, though no other call comes", || (open.load(Ordering::SeqCst) == 0).then_some(()));
}
