//! A browser's WebSocket.

use serde_json::{Value, json};

use super::{app, ending_in, last, registry, start};
use crate::e2e::harness::{Browser, Call, Gateway, Sockets, Token, eventually, page};

/// Opens a WebSocket and tells all that happens to it; whoever hears "bye" closes it.
const SCRIPT: &str = r#"
const [url, protocols, words, done] = arguments;
const events = [];
const socket = new WebSocket(url, protocols);
socket.onopen = () => { events.push(`open ${socket.protocol}`); words.forEach(word => socket.send(word)); };
socket.onmessage = ({ data }) => { events.push(`heard ${data}`); if (data === "bye") socket.close(1000, "enough"); };
socket.onclose = ({ code, reason, wasClean }) => done([...events, `closed ${code} ${reason}`.trim(), wasClean]);
"#;

fn events(browser: &Browser, gateway: &Gateway, protocols: &[&str], words: &[&str]) -> Value {
    browser.run(SCRIPT, &json!([format!("ws://{}/live/feed", gateway.proxy), protocols, words]))
}

#[test]
fn a_browser_opens_a_websocket_with_its_token_and_reads_why_it_ends() {
    let (upstream, page) = (Sockets::echo(), page());
    let gateway = start(&upstream.url());
    let browser = Browser::start();
    browser.go(&page.url());
    let bearer = |token: &str| format!("bearer.{token}");
    let good = bearer(&app().token());

    let told = events(&browser, &gateway, &["chat", &good], &["hello", "bye"]);
    assert_eq!(told, json!(["open chat", "heard hello", "heard bye", "closed 1000 enough", true]));

    // A token that ends while the page looks on.
    let short = bearer(&ending_in(2).sign(app().secret()));
    let told = events(&browser, &gateway, &["chat", &short], &["hello"]);
    assert_eq!(told, json!(["open chat", "heard hello", "closed 3000 token.expired", true]));

    // What may not be opened is an error that says nothing, whatever it is.
    let old = bearer(&ending_in(-60).sign(app().secret()));
    for protocols in
        [&["chat"][..], &["chat", &old], &["chat", "bearer.e30.e30.e30"], &["chat", &good, &good.to_uppercase()]]
    {
        assert_eq!(events(&browser, &gateway, protocols, &[]), json!(["closed 1006", false]), "{protocols:?}");
    }
    assert_eq!(upstream.seen().len(), 2);
    assert_eq!(upstream.seen()[0].get("sec-websocket-protocol").unwrap(), "chat");
    assert!(upstream.seen()[0].get("origin").unwrap().to_str().unwrap().starts_with("http://127.0.0.1:"));
}

#[test]
fn a_browser_reads_that_its_token_was_revoked_or_lost_its_scope() {
    let (upstream, page) = (Sockets::echo(), page());
    let gateway = start(&upstream.url());
    let browser = Browser::start();
    browser.go(&page.url());
    let token = format!("bearer.{}", Token::of("watcher").claim("sub", "anna").sign(app().secret()));

    let watched = |take_back: &dyn Fn()| {
        std::thread::scope(|scope| {
            let told = scope.spawn(|| events(&browser, &gateway, &["chat", &token], &["hello"]));
            eventually("it is open", || (gateway_tunnels(&gateway) == "1").then_some(()));
            take_back();
            told.join().unwrap()
        })
    };
    let told = watched(&|| {
        gateway.setup.succeed(&["scope", "revoke", "--app", "watcher", "live:read"]);
    });
    assert_eq!(told, json!(["open chat", "heard hello", "closed 3003 scope.insufficient", true]));
    // Without the scope it never opens.
    assert_eq!(events(&browser, &gateway, &["chat", &token], &[]), json!(["closed 1006", false]));
    assert_eq!(last(&gateway)["reason"], "scope.insufficient");

    gateway.setup.apply(&registry(&app()));
    eventually("the scope is back", || {
        let reply = gateway.call(&Call::get("/live/feed").bearer(app().token()));
        (reply.status != 403).then_some(())
    });
    let told = watched(&|| {
        gateway.setup.succeed(&["token", "revoke", "--app", "watcher", "--sub", "anna"]);
    });
    assert_eq!(told, json!(["open chat", "heard hello", "closed 3000 token.revoked", true]));
}

#[test]
fn a_browser_reads_that_the_upstream_broke_off() {
    let upstream = Sockets::start(|socket| {
        _ = socket.read();
        _ = socket.get_ref().shutdown(std::net::Shutdown::Both);
        None
    });
    let (gateway, page) = (start(&upstream.url()), page());
    let browser = Browser::start();
    browser.go(&page.url());
    let token = format!("bearer.{}", app().token());
    let told = events(&browser, &gateway, &["chat", &token], &["hello"]);
    assert_eq!(told, json!(["open chat", "closed 1011 upstream.invalid", true]));
}

fn gateway_tunnels(gateway: &Gateway) -> String {
    let metrics = String::from_utf8(Call::get("/metrics").to(gateway.telemetry).body).unwrap();
    metrics.lines().find_map(|line| line.strip_prefix("scopegate_tunnels ")).unwrap_or("0").to_owned()
}
