//! What lasts ends when its token does, and when what it was allowed by is taken back.

use std::io::Write as _;
use std::process::Command;
use std::time::Duration;

use scopegate::clock::instant;

use super::{app, ending_in, last, live, open, registry, setup, start};
use crate::e2e::harness::{
    Call, Connection, Gateway, Heard, Scripted, Socket, Sockets, Token, eventually, read_head, rest,
};

fn closed(code: u16, reason: &str) -> Heard {
    Heard::Closed(code, reason.into())
}

#[test]
fn a_websocket_ends_at_the_moment_at_which_its_token_does() {
    let upstream = Sockets::echo();
    let gateway = start(&upstream.url());
    let mut socket = open(&gateway, &live(&ending_in(2).sign(app().secret())));
    let begun = instant();
    assert_eq!(socket.hear(), closed(3000, "token.expired"));
    assert!(instant().duration_since(begun) < Duration::from_millis(2300), "{:?}", instant().duration_since(begun));
    let line = last(&gateway);
    assert_eq!((&line["status"], &line["outcome"]), (&101.into(), &"ended".into()));
    assert_eq!(line["reason"], "token.expired");
    assert!(line["found"].as_str().unwrap().contains("now)"), "{line}");
    eventually("the upstream was told that the caller goes", || (upstream.closed() == [Some(1001)]).then_some(()));
    let metrics = String::from_utf8(Call::get("/metrics").to(gateway.telemetry).body).unwrap();
    assert!(metrics.contains("scopegate_incomplete_total{how=\"ended\"} 1"), "{metrics}");
}

#[test]
fn why_tells_that_a_good_call_was_ended() {
    let upstream = Sockets::echo();
    let setup = setup(&upstream.url(), "");
    setup.edit("[telemetry]", "[telemetry]\naccess_log = \"access.log\"");
    let gateway = Gateway::start(setup, &registry(&app()));
    let mut socket = open(&gateway, &live(&ending_in(1).sign(app().secret())));
    assert_eq!(socket.hear(), closed(3000, "token.expired"));
    let line: serde_json::Value = eventually("the call is logged", || {
        let log = gateway.setup.read("access.log");
        log.lines().last().map(|line| serde_json::from_str(line).unwrap())
    });
    let told = gateway.setup.succeed(&["why", line["request_id"].as_str().unwrap()]);
    assert!(told.starts_with("A good call, which the gateway ended after "), "{told}");
    assert!(told.contains("token.expired"), "{told}");
}

#[test]
fn a_websocket_ends_within_a_second_or_so_of_what_takes_its_right_away() {
    let upstream = Sockets::echo();
    let gateway = start(&upstream.url());
    let token = Token::of("watcher").claim("sub", "anna").sign(app().secret());
    let lasting = || open(&gateway, &live(&token));
    let ends = |mut socket: Socket, how: Heard, reason: &str| {
        let begun = instant();
        assert_eq!(socket.hear(), how);
        assert!(
            instant().duration_since(begun) < Duration::from_millis(2500),
            "{reason}: {:?}",
            instant().duration_since(begun)
        );
        let is_it = |line: &serde_json::Value| line["outcome"] == "ended" && line["reason"] == reason;
        eventually(reason, || gateway.log().iter().any(is_it).then_some(()));
    };
    let socket = lasting();
    let narrowed = crate::e2e::harness::App { scopes: vec![], ..app() };
    gateway.setup.write("registry.toml", registry(&narrowed).as_str());
    gateway.setup.succeed(&["apply", "-f", "registry.toml", "--prune"]);
    ends(socket, closed(3003, "scope.insufficient"), "scope.insufficient");

    gateway.setup.apply(&registry(&app()));
    eventually("the scope is back", || Socket::open(gateway.proxy, &live(&token)).is_ok().then_some(()));
    let socket = lasting();
    gateway.setup.succeed(&["app", "disable", "watcher"]);
    // The true reason is in the log.
    ends(socket, closed(3000, "token.invalid"), "app.disabled");

    gateway.setup.succeed(&["app", "enable", "watcher"]);
    eventually("the app is back", || Socket::open(gateway.proxy, &live(&token)).is_ok().then_some(()));
    let socket = lasting();
    gateway.setup.succeed(&["token", "revoke", "--app", "watcher", "--sub", "anna"]);
    ends(socket, closed(3000, "token.revoked"), "token.revoked");
}

#[test]
fn a_token_of_single_use_is_good_for_its_own_stream_up_to_its_end() {
    let upstream = Sockets::echo();
    let gateway = start(&upstream.url());
    gateway.setup.apply(&registry(&app().settings("enforce_jti = true")));
    let once = || ending_in(3).claim("jti", "once").sign(app().secret());
    let token = once();
    let mut socket = eventually("the jti counts", || {
        let plain = Socket::open(gateway.proxy, &live(&app().token()));
        plain.is_err().then(|| open(&gateway, &live(&token)))
    });
    let (status, body) = Socket::open(gateway.proxy, &live(&token)).err().unwrap();
    assert!(status == 401 && body.contains("token.replayed"), "{body}");
    rest(Duration::from_millis(1200));
    socket.say("still here");
    assert_eq!(socket.hear(), Heard::Text("still here".into()));
    assert_eq!(socket.hear(), closed(3000, "token.expired"));
}

#[test]
fn a_route_may_let_streams_outlive_their_tokens() {
    let upstream = Sockets::echo();
    let gateway = start(&upstream.url());
    let token = ending_in(1).sign(app().secret());
    let mut socket = open(&gateway, &Call::get("/stays/feed").bearer(token));
    rest(Duration::from_millis(1500));
    socket.say("still here");
    assert_eq!(socket.hear(), Heard::Text("still here".into()));
}

#[test]
fn what_we_say_never_stands_within_a_frame() {
    // Says the first half of a frame, and the rest after the token has ended; then it never ends another one.
    let upstream = Scripted::start(|mut stream, _| {
        let head = read_head(&mut stream);
        assert!(head.contains("websocket"), "{head}");
        let accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let frame = [&[0x81, 126, 0, 200][..], &[b'x'; 200]].concat();
        stream.write_all(&frame[..100]).unwrap();
        rest(Duration::from_millis(2500));
        stream.write_all(&[&frame[100..], &[0x81, 126]].concat()).unwrap();
        rest(Duration::from_secs(15));
    });
    let gateway = start(&upstream.url());
    let mut socket = Socket::open(gateway.proxy, &live(&ending_in(1).sign(app().secret()))).unwrap();
    assert_eq!(socket.hear(), Heard::Text("x".repeat(200)));
    let begun = instant();
    assert_eq!(socket.hear(), closed(3000, "token.expired"));
    assert!(
        instant().duration_since(begun) < Duration::from_secs(8),
        "and the upstream is not waited for: {:?}",
        instant().duration_since(begun)
    );
    assert_eq!(last(&gateway)["reason"], "token.expired");
}

#[test]
fn a_frame_that_never_ends_is_cut_after_a_while() {
    let upstream = Scripted::start(|mut stream, _| {
        read_head(&mut stream);
        let head = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&[0x82, 127, 0, 0, 0, 0, 0xff, 0, 0, 0]).unwrap();
        while stream.write_all(b"more").is_ok() {
            rest(Duration::from_millis(100));
        }
    });
    let gateway = start(&upstream.url());
    let mut socket = Socket::open(gateway.proxy, &live(&ending_in(1).sign(app().secret()))).unwrap();
    let begun = instant();
    assert_eq!(socket.hear(), Heard::Broken);
    assert!(instant().duration_since(begun) < Duration::from_secs(9), "{:?}", instant().duration_since(begun));
    assert_eq!(last(&gateway)["reason"], "token.expired");
}

#[test]
fn another_protocol_breaks_off() {
    let upstream = Scripted::start(|mut stream, _| {
        read_head(&mut stream);
        stream
            .write_all(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x-echo\r\nConnection: upgrade\r\n\r\n")
            .unwrap();
        _ = std::io::Read::read_to_end(&mut stream, &mut Vec::new());
    });
    let gateway = start(&upstream.url());
    let mut connection = Connection::open(gateway.proxy);
    let call = live(&ending_in(1).sign(app().secret()));
    connection.send(&call.header("Connection", "Upgrade").header("Upgrade", "x-echo").bytes());
    assert_eq!(connection.read_head().unwrap().0, 101);
    assert!(connection.read_to_end().is_empty());
    assert_eq!((&last(&gateway)["outcome"], &last(&gateway)["reason"]), (&"ended".into(), &"token.expired".into()));
}

/// Says an event whenever some milliseconds are over.
fn events(content_type: &'static str) -> Scripted {
    Scripted::start(move |mut stream, _| {
        read_head(&mut stream);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        while stream.write_all(b"9\r\ndata: x\n\n\r\n").is_ok() {
            rest(Duration::from_millis(100));
        }
    })
}

#[test]
fn an_event_stream_breaks_off_when_its_token_ends() {
    for content_type in ["text/event-stream; charset=utf-8", "application/x-ndjson"] {
        let upstream = events(content_type);
        let gateway = start(&upstream.url());
        let mut connection = Connection::open(gateway.proxy);
        let begun = instant();
        connection.send(&Call::get("/any/events").bearer(ending_in(2).sign(app().secret())).bytes());
        assert_eq!(connection.read_head().unwrap().0, 200);
        let mut events = 0;
        let end = loop {
            match connection.read_chunk() {
                Ok(Some(event)) => assert_eq!((event.as_slice(), events += 1), (&b"data: x\n\n"[..], ())),
                end => break end,
            }
        };
        assert!(end.is_err(), "no last chunk: {end:?}");
        assert!(
            events > 5 && instant().duration_since(begun) < Duration::from_millis(2500),
            "{events} {:?}",
            instant().duration_since(begun)
        );
        let line = last(&gateway);
        assert_eq!((&line["outcome"], &line["reason"]), (&"ended".into(), &"token.expired".into()));
        assert_eq!(line["status"], 200);
    }
}

#[test]
fn an_event_stream_over_http2_is_reset() {
    let upstream = events("text/event-stream");
    let gateway = start(&upstream.url());
    let authorization = format!("Authorization: Bearer {}", ending_in(2).sign(app().secret()));
    let url = format!("http://{}/any/events", gateway.proxy);
    let curl = Command::new("curl").args(["-sSN", "--http2-prior-knowledge", "-H", &authorization, &url]).output();
    let output = curl.unwrap();
    assert!(output.stdout.starts_with(b"data: x\n\ndata: x\n\n"));
    // "HTTP/2 stream was not closed cleanly"
    assert_eq!(output.status.code(), Some(92), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!((&last(&gateway)["outcome"], &last(&gateway)["reason"]), (&"ended".into(), &"token.expired".into()));
}

#[test]
fn an_answer_that_is_no_stream_is_finished() {
    let upstream = events("application/json");
    let gateway: Gateway = Gateway::start(setup(&upstream.url(), ""), &registry(&app()));
    let mut connection = Connection::open(gateway.proxy);
    let begun = instant();
    connection.send(&Call::get("/any/download").bearer(ending_in(1).sign(app().secret())).bytes());
    assert_eq!(connection.read_head().unwrap().0, 200);
    while instant().duration_since(begun) < Duration::from_millis(2200) {
        assert!(connection.read_chunk().unwrap().is_some());
    }
}
