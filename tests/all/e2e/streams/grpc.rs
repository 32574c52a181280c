//! gRPC, by grpcio on both sides.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use serde_json::{Value, json};

use super::{app, ending_in, last, registry, setup};
use crate::e2e::harness::{App, Gateway, Registry, Setup};
use crate::e2e::interop::{library, root};

fn python(script: &str) -> Command {
    let mut python = Command::new(library("venv/bin/python"));
    python.arg(root().join("tests/interop").join(script)).stdin(Stdio::piped()).stdout(Stdio::piped());
    python
}

/// A gRPC server. Dropping it ends it.
struct Server {
    process: Child,
    _input: ChildStdin,
    url: String,
}

impl Server {
    fn start() -> Self {
        let mut process = python("grpc_server.py").spawn().unwrap();
        let mut port = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut port).unwrap();
        let input = process.stdin.take().unwrap();
        Self { process, _input: input, url: format!("http://127.0.0.1:{}", port.trim()) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

/// Apps with and without the scope, and the services of the upstream behind it.
fn gateway(server: &Server, edit: impl FnOnce(&Setup)) -> Gateway {
    let service = |id: &str, path: &str, scope: &str| {
        format!(
            "[[route]]\nid = {id:?}\nmethods = [\"POST\"]\npath = {path:?}\nauthenticator = \"bearer\"\nscope = {scope:?}\n"
        )
    };
    let setup = setup(&server.url, &service("grpc", "/demo.Live/{method}", "live:read"));
    let urls = format!("urls = [{:?}]", server.url);
    setup.edit(&urls, &format!("{urls}\nhttp = \"2\""));
    edit(&setup);
    let apps: Registry = registry(&app()).app(&App::new("stranger", "acme", &[], &[]));
    Gateway::start(setup, &apps)
}

fn calls(target: &str, ca: Option<&Path>, calls: &[Value]) -> Vec<Value> {
    let mut client = python("grpc_client.py").spawn().unwrap();
    let order = json!({ "target": target, "ca": ca, "calls": calls });
    client.stdin.take().unwrap().write_all(order.to_string().as_bytes()).unwrap();
    let output = client.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

fn call(method: &str, kind: &str, token: &str) -> Value {
    json!({ "method": method, "kind": kind, "token": token })
}

#[track_caller]
fn ended(told: &Value, code: &str, details: &str, reason: &str) {
    let trailers = &told["trailers"];
    assert_eq!((&told["code"], &told["details"]), (&code.into(), &details.into()), "{told}");
    assert_eq!(trailers["x-scopegate-reason"].as_str().unwrap_or_default(), reason, "{told}");
}

#[test]
fn calls_of_every_kind_go_through_with_their_status_and_trailers() {
    let server = Server::start();
    let gateway = gateway(&server, |_| {});
    let token = app().token();
    let made = calls(
        &gateway.proxy.to_string(),
        None,
        &[
            call("/demo.Live/Say", "unary", &token),
            call("/demo.Live/Chat", "chat", &token),
            call("/demo.Live/Fail", "unary", &token),
            call("/demo.Live/Nothing", "unary", &token),
        ],
    );
    ended(&made[0], "OK", "", "");
    assert_eq!(made[0]["messages"], json!(["hello from watcher"]));
    assert_eq!(made[0]["trailers"]["x-said-by"], "the upstream");
    ended(&made[1], "OK", "", "");
    assert_eq!(made[1]["messages"], json!(["you said one", "you said two"]));
    ended(&made[2], "FAILED_PRECONDITION", "not today, 100% sure", "");
    // A method that the upstream does not have.
    ended(&made[3], "UNIMPLEMENTED", "Method not found!", "");
}

#[test]
fn every_refusal_has_a_grpc_status_with_tls_and_without() {
    let server = Server::start();
    for is_tls in [false, true] {
        let gateway = gateway(&server, |setup| {
            if is_tls {
                crate::e2e::protocol::make_certificates(setup.path());
                let tls = "tls = { cert = \"certs/server.pem\", key = \"certs/server.key\" }";
                setup.edit("workers = 1", &format!("workers = 1\n{tls}"));
            }
        });
        let ca = gateway.setup.path().join("certs/ca.pem");
        let target = format!("localhost:{}", gateway.proxy.port());
        let stranger = App::new("stranger", "acme", &[], &[]).token();
        let made = calls(
            &target,
            is_tls.then_some(&*ca),
            &[
                call("/demo.Live/Say", "unary", &app().token()),
                json!({ "method": "/demo.Live/Say", "kind": "unary", "token": null }),
                call("/demo.Live/Say", "unary", &ending_in(-60).sign(app().secret())),
                call("/demo.Live/Count", "stream", &stranger),
                call("/demo.Other/Say", "unary", &app().token()),
                call("/demo.Live/Say", "unary", "no token"),
            ],
        );
        ended(&made[0], "OK", "", "");
        ended(&made[1], "UNAUTHENTICATED", "The request carries no credential.", "credential.missing");
        ended(&made[2], "UNAUTHENTICATED", "The token has expired.", "token.expired");
        let scope = "The app does not hold the scope that the route needs.";
        ended(&made[3], "PERMISSION_DENIED", scope, "scope.insufficient");
        ended(&made[4], "UNIMPLEMENTED", "No route matches this host and path.", "route.unknown");
        assert_eq!(made[5]["code"], "UNAUTHENTICATED");
    }
}

#[test]
fn a_stream_ends_with_trailers_when_its_token_does() {
    let server = Server::start();
    let gateway = gateway(&server, |_| {});
    let token = ending_in(2).sign(app().secret());
    let made = calls(&gateway.proxy.to_string(), None, &[call("/demo.Live/Count", "stream", &token)]);
    ended(&made[0], "UNAUTHENTICATED", "The token has expired.", "token.expired");
    let counted = made[0]["messages"].as_array().unwrap();
    assert!((5..25).contains(&counted.len()), "{counted:?}");
    let line = last(&gateway);
    assert_eq!(
        (&line["outcome"], &line["reason"], &line["status"]),
        (&"ended".into(), &"token.expired".into(), &200.into())
    );
}

#[test]
fn an_upstream_that_is_down_is_unavailable() {
    let server = Server::start();
    let gateway = gateway(&server, |_| {});
    drop(server);
    let made = calls(&gateway.proxy.to_string(), None, &[call("/demo.Live/Say", "unary", &app().token())]);
    assert_eq!(made[0]["code"], "UNAVAILABLE", "{}", made[0]);
    let reason = made[0]["trailers"]["x-scopegate-reason"].as_str().unwrap();
    assert!(reason.starts_with("upstream."), "{reason}");
}
