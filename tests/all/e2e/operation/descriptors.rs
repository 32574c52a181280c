//! File descriptors: as many as the system gives, and what happens when there are too few.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use hyper::client::conn::http2::handshake;
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::{Call, Gateway, Recorder, Setup};
use crate::e2e::harness::{App, Connection, Registry, Scripted, eventually, read_head};

fn bot() -> App {
    App::new("bot", "default", &[], &[])
}

fn start(setup: Setup, limit: &str) -> Gateway {
    Gateway::with_open_files(setup, &Registry::new().app(&bot()), limit)
}

fn call() -> Call {
    Call::get("/any/thing").bearer(bot().token())
}

fn warned(gateway: &Gateway) -> Option<serde_json::Value> {
    let events = gateway.events();
    let line = events.iter().find(|line| line.contains("proxy.limits.connections"))?;
    Some(serde_json::from_str(line).unwrap())
}

#[test]
fn the_soft_limit_is_raised_to_the_hard_one() {
    let setup = Setup::bearer("http://127.0.0.1:9", "");
    setup.edit("workers = 1", "workers = 1\nlimits = { connections = 1000 }");
    let gateway = start(setup, "-Sn 64 && ulimit -Hn 4096");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", gateway.id())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(line.split_whitespace().skip(3).take(2).collect::<Vec<_>>(), ["4096", "4096"], "{line}");
    assert_eq!(warned(&gateway), None);
}

#[test]
fn clients_leave_descriptors_for_upstreams_and_telemetry() {
    let upstream = Recorder::start();
    let gateway = start(Setup::bearer(&upstream.url(), ""), "-n 160");
    let warning = warned(&gateway).unwrap();
    let number = |name: &str| warning[name].as_u64().unwrap();
    let possible = number("possible");
    assert_eq!((number("connections"), number("open_files")), (10_000, 160));
    assert!((20..60).contains(&possible), "{warning}");
    let needed = number("needed");
    assert!((20_000..20_300).contains(&needed), "{warning}");

    // All that may connect do, and keep their connections; each has its call at an upstream.
    let mut clients: Vec<_> = (0..200).map(|_| Connection::open(gateway.proxy)).collect();
    let mut answered = 0;
    for client in &mut clients {
        if client.try_send(&call().bytes()).is_ok()
            && let Ok(reply) = client.read(false)
        {
            assert_eq!(reply.status, 200, "{reply:?}");
            answered += 1;
        }
        assert_eq!(Call::get("/readyz").to(gateway.telemetry).status, 200);
    }
    assert_eq!(answered, possible);
    let metrics = String::from_utf8(Call::get("/metrics").to(gateway.telemetry).body).unwrap();
    assert!(metrics.contains("scopegate_connections_refused_total"), "{metrics}");
    assert!(!metrics.contains("scopegate_accept_errors_total"), "{metrics}");
    drop(clients);
    eventually("there is room again", || {
        let mut client = Connection::open(gateway.proxy);
        client.try_send(&call().bytes()).ok()?;
        (client.read(false).ok()?.status == 200).then_some(())
    });
    assert!(gateway.log().iter().all(|line| line["status"] == 200));
}

type Gate = Arc<(Mutex<bool>, Condvar)>;

/// Answers nothing before it is let.
fn held(gate: &Gate) -> Scripted {
    let held = Arc::clone(gate);
    Scripted::start(move |mut stream, _| {
        while !read_head(&mut stream).is_empty() {
            let (is_open, opened) = &*held;
            drop(opened.wait_while(is_open.lock().unwrap(), |is_open| !*is_open).unwrap());
            _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    })
}

/// What so many calls at once get, over one connection of HTTP/2.
#[tokio::main(flavor = "current_thread")]
async fn statuses(proxy: SocketAddr, count: usize) -> Vec<u16> {
    let stream = tokio::net::TcpStream::connect(proxy).await.unwrap();
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..count {
        let mut sender = sender.clone();
        let request = Request::builder().uri(format!("http://gateway.test/any/{number}"));
        let request = request.header("authorization", format!("Bearer {}", bot().token()));
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        calls.spawn(async move { sender.send_request(request).await.unwrap().status().as_u16() });
    }
    calls.join_all().await
}

#[test]
fn a_gateway_without_descriptors_blames_itself_and_no_upstream() {
    let gate = Arc::default();
    let upstreams = [held(&gate), held(&gate)];
    // A single failure of an address would take it out of service.
    let setup = Setup::bearer_to(&upstreams.each_ref().map(Scripted::url), "ejection = { failures = 1 }");
    let gateway = start(setup, "-n 160");
    let possible = warned(&gateway).unwrap()["possible"].as_u64().unwrap();
    let proxy = gateway.proxy;
    let calls = thread::spawn(move || statuses(proxy, 200));
    let refused = eventually("calls are refused", || {
        let refused: Vec<_> = gateway.log().into_iter().filter(|line| line["status"] == 503).collect();
        (!refused.is_empty()).then_some(refused)
    });
    for line in &refused {
        assert_eq!(line["reason"], "gateway.overloaded", "{line}");
        assert_eq!(line["expected"], "upstream bots", "{line}");
        assert!(line["found"].as_str().unwrap().contains("file descriptor"), "{line}");
        assert!(line.get("retries").is_none_or(|retries| retries == 0), "{line}");
    }
    assert_eq!(Call::get("/readyz").to(gateway.telemetry).status, 200);
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    let statuses = calls.join().unwrap();
    let count = |status: u16| statuses.iter().filter(|known| **known == status).count();
    assert_eq!(count(200) + count(503), 200, "{statuses:?}");
    assert!(u64::try_from(count(200)).unwrap() >= possible, "{statuses:?}");
    // Neither address was taken out of service.
    let events = gateway.events().join("\n");
    assert!(!events.contains("out of service"), "{events}");
    assert!(gateway.log().iter().all(|line| line["status"] == 200 || line["reason"] == "gateway.overloaded"));
    assert_eq!(gateway.call(&call()).status, 200);
}
