//! Coming up and going down.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use super::{call, ci, registry, start};
use crate::e2e::harness::{
    App, Call, Connection, Gateway, Recorder, Registry, Scripted, Setup, eventually, read_head, texts,
};

#[test]
fn a_call_in_hand_finishes_after_sigterm_and_new_connections_are_refused() {
    let (upstream, answer, asked) = Scripted::waiting();
    let mut gateway = Gateway::start(Setup::kore(&upstream.url(), ""), &registry(&[ci()]));
    let mut in_hand = Connection::open(gateway.proxy);
    in_hand.send(&call(&ci()).bytes());
    asked.recv_timeout(Duration::from_secs(10)).unwrap();
    let mut idle = Connection::open(gateway.proxy);
    assert_eq!(idle.call(&Call::get("/nowhere")).status, 404);

    gateway.signal("TERM");
    eventually("new connections are refused", || TcpStream::connect(gateway.proxy).is_err().then_some(()));
    assert!(idle.is_closed(), "a connection without a call is closed");
    let is_ready =
        TcpStream::connect(gateway.telemetry).is_ok_and(|_| Call::get("/readyz").to(gateway.telemetry).status == 200);
    assert!(!is_ready, "/readyz no longer says so");
    assert!(gateway.is_running());

    answer.send(()).unwrap();
    let reply = in_hand.read(false).unwrap();
    assert_eq!((reply.status, reply.body.as_slice()), (200, &b"late"[..]));
    let (status, out, err) = gateway.wait();
    assert_eq!(status.code(), Some(0), "{err}");
    assert!(err.contains("draining") && err.contains("stopped"), "{err}");
    assert!(out.lines().last().unwrap().contains("\"outcome\":\"complete\""), "the last call is in the log: {out}");
}

#[test]
fn the_drain_time_ends_a_call_that_does_not_end_by_itself() {
    let (upstream, _answer, asked) = Scripted::waiting();
    let setup = Setup::kore(&upstream.url(), "");
    setup.edit("workers = 1", "workers = 1\ntimeouts = { drain = \"300ms\" }");
    let mut gateway = Gateway::start(setup, &registry(&[ci()]));
    let mut in_hand = Connection::open(gateway.proxy);
    in_hand.send(&call(&ci()).bytes());
    asked.recv_timeout(Duration::from_secs(10)).unwrap();
    gateway.signal("TERM");
    let reply = in_hand.read(false).unwrap();
    assert_eq!((reply.status, reply.header("connection")), (503, Some("close")));
    let (status, out, err) = gateway.wait();
    assert_eq!(status.code(), Some(0), "{err}");
    let line: serde_json::Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&line["status"], &line["outcome"], &line["reason"]),
        (&503.into(), &"ended".into(), &"gateway.stopping".into())
    );
    assert!(err.contains("calls were still in hand when the drain time was over"), "{err}");
}

#[test]
fn the_drain_time_ends_an_answer_that_has_begun_and_a_call_over_http2() {
    let upstream = Scripted::start(|mut stream, _| {
        if read_head(&mut stream).contains("/answered") {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this").unwrap();
        }
        read_head(&mut stream);
    });
    let app = App::new("drained", "default", &[], &[]);
    let setup = Setup::bearer(&upstream.url(), "");
    setup.edit("workers = 1", "workers = 1\ntimeouts = { drain = \"300ms\" }");
    let mut gateway = Gateway::start(setup, &Registry::new().app(&app));
    let token = app.token();
    let mut begun = Connection::open(gateway.proxy);
    begun.send(&Call::get("/any/answered").bearer(&token).bytes());
    assert_eq!(begun.read_head().unwrap().0, 200);
    let url = format!("http://{}/any/silent", gateway.proxy);
    let mut curl = std::process::Command::new("curl");
    curl.args([
        "-sS",
        "--http2-prior-knowledge",
        "-w",
        "%{http_code}",
        "-H",
        &format!("Authorization: Bearer {token}"),
    ]);
    let curl = curl.arg(&url).stdout(std::process::Stdio::piped()).spawn().unwrap();
    eventually("both calls are at the upstream", || {
        (upstream.connections.load(std::sync::atomic::Ordering::SeqCst) == 2).then_some(())
    });
    gateway.signal("TERM");
    let said = String::from_utf8(curl.wait_with_output().unwrap().stdout).unwrap();
    assert!(said.contains("gateway.stopping") && said.ends_with("503"), "{said}");
    let (_, out, err) = gateway.wait();
    let lines: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2, "{out}{err}");
    for line in lines {
        let status = if line["path"] == "/any/answered" { 200 } else { 503 };
        assert_eq!(
            (&line["status"], &line["outcome"], &line["reason"]),
            (&status.into(), &"ended".into(), &"gateway.stopping".into())
        );
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let (upstream, _answer, asked) = Scripted::waiting();
    let mut gateway = Gateway::start(Setup::kore(&upstream.url(), ""), &registry(&[ci()]));
    let mut in_hand = Connection::open(gateway.proxy);
    in_hand.send(&call(&ci()).bytes());
    asked.recv_timeout(Duration::from_secs(10)).unwrap();
    gateway.signal("TERM");
    gateway.await_event("draining");
    gateway.signal("TERM");
    assert_eq!(gateway.wait().0.code(), Some(1));
}

#[test]
fn check_live_says_whether_the_gateway_takes_calls() {
    let (mut gateway, _upstream) = start(&registry(&[]));
    let listen = gateway.telemetry.to_string();
    let environment = [("SCOPEGATE__TELEMETRY__LISTEN", listen.as_str())];
    let live = gateway.setup.run_with(&["check", "--live"], &environment);
    assert_eq!((live.status.code(), texts(&live).0.as_str()), (Some(0), "ready\n"));
    for (path, status) in [("/healthz", 200), ("/readyz", 200), ("/metrics", 200), ("/", 404)] {
        assert_eq!(Call::get(path).to(gateway.telemetry).status, status, "{path}");
    }
    assert_eq!(Call::post("/readyz", "").to(gateway.telemetry).status, 405);
    gateway.signal("TERM");
    gateway.wait();
    let dead = gateway.setup.run_with(&["check", "--live"], &environment);
    assert_eq!(dead.status.code(), Some(1));
    assert!(texts(&dead).1.contains("no connection"), "{}", texts(&dead).1);
}

#[test]
fn workers_share_the_port_and_the_state() {
    let upstream = Recorder::start();
    let setup = Setup::kore(&upstream.url(), "");
    setup.edit("workers = 1", "workers = 4");
    let gateway = Gateway::start(setup, &registry(&[ci()]));
    for _ in 0..32 {
        assert_eq!(gateway.call(&call(&ci())).status, 200);
    }
    // A jti is used up for all workers.
    let once = crate::e2e::harness::Token::of("ci").claim("jti", "once").sign(ci().secret());
    let statuses: Vec<_> = (0..16).map(|_| gateway.call(&Call::get(super::PATH).auth(&once)).status).collect();
    assert_eq!(statuses.iter().filter(|s| **s == 200).count(), 1, "{statuses:?}");
    let changed = registry(&[ci().settings("enabled = false")]);
    gateway.apply_until(&changed, "the change acts", || gateway.call(&call(&ci())).status == 401);
    assert!((0..32).all(|_| gateway.call(&call(&ci())).status == 401), "on every worker");
}
