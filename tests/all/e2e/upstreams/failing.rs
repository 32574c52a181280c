//! Each way in which an upstream fails has its own reason, in time, and leaves no connection behind.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use super::{closed, gateway, good};
use crate::e2e::harness::{Gateway, Nginx, Scripted, eventually, read_head, rest};

const IMPATIENT: &str = "timeouts = { connect = \"300ms\", response = \"300ms\" }\nejection = { failures = 0 }";

/// Sockets that it has open.
fn sockets_of(gateway: &Gateway) -> usize {
    let files = std::fs::read_dir(format!("/proc/{}/fd", gateway.id())).unwrap();
    let links = files.flatten().filter_map(|file| std::fs::read_link(file.path()).ok());
    links.filter(|link| link.to_string_lossy().starts_with("socket:")).count()
}

/// A listener that accepts nobody, with no place left: who connects hears nothing.
fn deaf() -> (TcpListener, Vec<TcpStream>, SocketAddr) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let listener = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        socket.listen(1).unwrap().into_std().unwrap()
    });
    let address = listener.local_addr().unwrap();
    let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok();
    let places = std::iter::from_fn(connect).take(16).collect();
    (listener, places, address)
}

#[test]
fn each_failure_has_its_own_reason_and_leaves_no_connection() {
    let (_listener, _places, deaf) = deaf();
    let silent = Scripted::start(|mut stream, _| {
        read_head(&mut stream);
        read_head(&mut stream);
    });
    let ending = Scripted::saying(b"");
    let resetting = Scripted::start(|stream, _| {
        // What was sent is left unread, so that the kernel answers it with a reset.
        _ = stream.peek(&mut [0; 1]);
    });
    let nonsense = Scripted::saying(b"220 smtp.example ESMTP\r\n");
    let no_tls = Scripted::start(|mut stream, _| {
        _ = stream.write_all(b"220 smtp.example ESMTP\r\n");
        read_head(&mut stream);
    });
    let cases = [
        (format!("http://{}", closed()), 502, "upstream.unreachable"),
        (format!("http://{deaf}"), 504, "upstream.connect_timeout"),
        ("http://nobody.invalid".to_owned(), 502, "upstream.unresolved"),
        (format!("https://{}", no_tls.address), 502, "upstream.tls_failed"),
        (silent.url(), 504, "upstream.timeout"),
        (ending.url(), 502, "upstream.reset"),
        (resetting.url(), 502, "upstream.reset"),
        (nonsense.url(), 502, "upstream.invalid"),
    ];
    for (url, status, code) in cases {
        let gateway = gateway(std::slice::from_ref(&url), IMPATIENT);
        let before = sockets_of(&gateway);
        for _ in 0..5 {
            let reply = gateway.call(&good("POST"));
            assert_eq!((reply.status, reply.code().as_str()), (status, code), "{url}");
            let line = gateway.logged(reply.request_id());
            assert_eq!(line["reason"], code, "{line}");
            assert!(line["duration_ms"].as_f64().unwrap() < 2500.0, "in time: {line}");
        }
        eventually(&format!("no connection is left of {url}"), || (sockets_of(&gateway) <= before).then_some(()));
    }
}

#[test]
fn an_answer_that_breaks_off_has_its_reason_in_the_log() {
    let upstream = Scripted::saying(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this");
    let gateway = gateway(&[upstream.url()], "");
    let mut connection = crate::e2e::harness::Connection::open(gateway.proxy);
    connection.send(&good("GET").bytes());
    assert!(connection.read(false).is_err());
    let line = eventually("the call is logged", || gateway.log().pop());
    assert_eq!((&line["outcome"], &line["reason"]), (&"cut".into(), &"upstream.reset".into()));
}

#[test]
fn nginx_that_is_killed_and_paused_gives_the_documented_reasons_and_is_used_again_when_it_is_back() {
    let mut nginx = Nginx::start();
    let settings = "timeouts = { connect = \"300ms\", response = \"500ms\" }\nejection = { failures = 3, least = \"200ms\", most = \"200ms\" }";
    let gateway = gateway(&[nginx.url()], settings);
    let code = || gateway.call(&good("POST")).code();
    let is_back = |what: &str| eventually(what, || (gateway.call(&good("GET")).status == 200).then_some(()));
    assert_eq!(gateway.call(&good("GET")).status, 200);
    for _ in 0..2 {
        nginx.kill();
        let codes: Vec<_> = (0..3).map(|_| code()).collect();
        assert!(codes.iter().all(|code| code == "upstream.unreachable"), "{codes:?}");
        assert_eq!(code(), "upstream.unhealthy");
        nginx.restart();
        is_back("after a kill");

        nginx.signal("STOP");
        let codes: Vec<_> = (0..3).map(|_| code()).collect();
        assert!(codes.iter().all(|code| code == "upstream.timeout"), "{codes:?}");
        assert_eq!(code(), "upstream.timeout", "how it takes calls does not put the only address out of service");
        nginx.signal("CONT");
        is_back("after a pause");
        rest(Duration::from_millis(500));
    }
}

#[test]
fn of_two_nginx_one_that_is_killed_and_paused_again_and_again_fails_no_call_that_may_be_made_twice() {
    let (mut one, two) = (Nginx::start(), Nginx::start());
    let settings = "timeouts = { connect = \"300ms\", response = \"5s\" }\nejection = { failures = 2, least = \"100ms\", most = \"100ms\" }";
    let urls = [&one, &two].map(|nginx| nginx.url());
    let gateway = gateway(&urls, settings);
    let call = good("GET");
    let stop = std::sync::atomic::AtomicBool::new(false);
    let calls = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut calls = 0;
                    while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                        let reply = gateway.call(&call);
                        assert_eq!(reply.status, 200, "after {calls} calls: {}", reply.code());
                        calls += 1;
                    }
                    calls
                })
            })
            .collect();
        for _ in 0..5 {
            rest(Duration::from_millis(200));
            one.kill();
            rest(Duration::from_millis(200));
            one.restart();
            rest(Duration::from_millis(200));
            one.signal("STOP");
            rest(Duration::from_millis(300));
            one.signal("CONT");
        }
        stop.store(true, std::sync::atomic::Ordering::SeqCst);
        callers.into_iter().map(|caller| caller.join().unwrap()).sum::<usize>()
    });
    assert!(calls > 100, "{calls}");
}
