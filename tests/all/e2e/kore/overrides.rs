//! Methods behind a POST, as clients of the platform send them.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::world::{ACCOUNT, BOT, only, tabler, without, world};
use super::{assert_credentials, assert_refused, assert_scope};
use crate::e2e::harness::{App, Call, Connection, Gateway, Recorder, Registry, Setup, Token};

const OVERRIDE: &str = "X-HTTP-Method-Override";

fn suite() -> String {
    format!("/api/public/stream/{BOT}/testsuite/nightly")
}

#[test]
fn a_test_suite_is_deleted_by_a_post_that_means_it() {
    let world = world();
    let call = |token: String, mark: &str| Call::post(suite(), "{}").header(OVERRIDE, "DELETE").auth(token).mark(mark);
    for (level, scope) in [("bot", "batchtest:management"), ("account", "batchtest:management")] {
        let mark = format!("override {level}");
        assert_scope(&world.call(&call(without(level, scope).token(), &mark)));
        assert!(world.upstream.marked(&mark).is_empty());
        let reply = world.call(&call(only(level, scope).token(), &mark));
        assert_eq!(reply.status, 200);
        let seen = world.upstream.marked(&mark);
        assert_eq!(seen.len(), 1);
        assert_eq!((seen[0].method.as_str(), seen[0].target.as_str()), ("DELETE", suite().as_str()));
        assert_eq!((seen[0].header(OVERRIDE), seen[0].body.as_slice()), (None, &b"{}"[..]));
        let line = world.gateway.logged(reply.request_id());
        let told = [&line["method"], &line["override_from"], &line["route"]];
        assert_eq!(told, ["DELETE", "POST", "delete-test-suite"]);
    }
    let unknown = Token::of("cs-nobody").sign("some secret that is long enough for it");
    assert_credentials(&world.call(&call(unknown, "override unknown")));
    assert_credentials(&world.call(&Call::post(suite(), "{}").header(OVERRIDE, "DELETE").mark("override unknown")));
    assert!(world.upstream.marked("override unknown").is_empty());
}

#[test]
fn users_are_updated_and_removed_by_posts_that_mean_it() {
    let world = world();
    let token = only("account", "user_management:user_management").token();
    for (meant, route) in [("PUT", "update-users"), ("DELETE", "delete-users")] {
        let call = Call::post("/api/public/users", "{}").header(OVERRIDE, meant).auth(&token).mark("override users");
        let line = world.gateway.logged(world.call(&call).request_id());
        assert_eq!((&line["status"], &line["route"]), (&200.into(), &route.into()));
    }
    let methods: Vec<_> = world.upstream.marked("override users").into_iter().map(|seen| seen.method).collect();
    assert_eq!(methods, ["PUT", "DELETE"]);
}

#[test]
fn a_table_asks_for_the_permissions_of_the_operation_that_is_meant() {
    let upstream = Recorder::start();
    let of = |id: &str, permissions: &str| {
        let grant = format!("[[table_grant]]\napp = {id:?}\ntable = \"orders\"\npermissions = [{permissions}]\n");
        (App::new(id, ACCOUNT, &[BOT], &[]), grant)
    };
    // Who may do what: insert (POST), update (PUT), delete (DELETE).
    let apps = [
        (of("writes", "\"write\""), [200, 401, 401]),
        (of("reads-and-writes", "\"read\", \"write\""), [200, 200, 401]),
        (of("reads-and-deletes", "\"read\", \"delete\""), [401, 401, 200]),
        (of("reads", "\"read\""), [401, 401, 401]),
    ];
    let registry =
        apps.iter().fold(Registry::new().account(ACCOUNT, &[BOT]), |r, ((app, lines), _)| r.app(app).lines(lines));
    let gateway = Gateway::start(Setup::kore(&upstream.url(), ""), &registry);
    for ((app, _), wanted) in apps {
        let call = Call::post("/api/public/tables/orders", "{}").auth(app.token());
        let calls = [call.clone(), call.clone().header(OVERRIDE, "PUT"), call.header(OVERRIDE, "DELETE")];
        assert_eq!(calls.map(|call| gateway.call(&call).status), wanted, "{}", app.client_id);
    }
    let methods: Vec<_> = upstream.all().into_iter().map(|seen| seen.method).collect();
    assert_eq!(methods, ["POST", "POST", "PUT", "DELETE"]);
}

#[test]
fn a_method_that_the_path_does_not_have_is_405_whatever_the_token() {
    let world = world();
    let call = Call::post(suite(), "{}").header(OVERRIDE, "PUT").mark("override 405");
    for call in [call.clone(), call.auth(tabler().token())] {
        let reply = world.call(&call);
        assert_refused(&reply, 405, "Method Not Allowed", 405);
        assert_eq!(reply.header("allow"), Some("DELETE"));
    }
    for headers in [&["PUT", "DELETE"][..], &["GET"], &["nonsense"]] {
        let call = Call::post(suite(), "{}").auth(only("bot", "batchtest:management").token()).mark("override 405");
        let reply = world.call(&headers.iter().fold(call, |call, value| call.header(OVERRIDE, *value)));
        assert_eq!((reply.status, world.gateway.reason(&reply).as_str()), (400, "request.invalid"), "{headers:?}");
    }
    assert!(world.upstream.marked("override 405").is_empty());
}

/// The method changes, the framing does not: requests that follow on either connection are read as they were sent.
#[test]
fn bodies_of_overridden_requests_arrive_whole_and_alone() {
    let upstream = Recorder::start();
    let registry = Registry::new().account(ACCOUNT, &[BOT]).app(&tabler()).lines(&super::tables::grants(&tabler()));
    let gateway = Gateway::start(Setup::kore(&upstream.url(), ""), &registry);
    let mut connection = Connection::open(gateway.proxy);
    let smuggled = "GET /api/public/tables/orders HTTP/1.1\r\nHost: a\r\n\r\n";
    let head = |meant: &str, framing: &str| {
        let token = tabler().token();
        format!(
            "POST /api/public/tables/orders HTTP/1.1\r\nHost: a\r\nauth: {token}\r\n{OVERRIDE}: {meant}\r\n{framing}\r\n\r\n"
        )
    };
    for meant in ["DELETE", "PUT"] {
        let sized = head(meant, &format!("Content-Length: {}", smuggled.len())) + smuggled;
        let chunked = head(meant, "Transfer-Encoding: chunked");
        let chunked = format!("{chunked}{:x}\r\n{smuggled}\r\n0\r\n\r\n", smuggled.len());
        let empty = head(meant, "Content-Length: 0");
        connection.send(format!("{sized}{chunked}{empty}").as_bytes());
        for _ in 0..3 {
            assert_eq!(connection.read(false).unwrap().status, 200);
        }
    }
    let seen: Vec<_> = upstream.all();
    let framings = seen.iter().map(|seen| {
        let text = |name: &str| seen.header(name).map(str::to_owned);
        (seen.method.as_str(), seen.body.len(), text("content-length"), text("transfer-encoding"))
    });
    let (length, chunked) = (Some(smuggled.len().to_string()), Some("chunked".to_owned()));
    let of = |method, empty: Option<&str>| {
        [
            (method, smuggled.len(), length.clone(), None),
            (method, smuggled.len(), None, chunked.clone()),
            (method, 0, empty.map(str::to_owned), None),
        ]
    };
    assert_eq!(framings.collect::<Vec<_>>(), [of("DELETE", None), of("PUT", Some("0"))].concat());
}

#[tokio::test]
async fn http2_overrides_alike() {
    let upstream = Recorder::start();
    let app = App::new("h2", ACCOUNT, &[BOT], &["batchtest:management"]);
    let gateway = Gateway::start(Setup::kore(&upstream.url(), ""), &Registry::new().account(ACCOUNT, &[BOT]).app(&app));
    let stream = tokio::net::TcpStream::connect(gateway.proxy).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut statuses = Vec::new();
    for (values, body) in [(&["DELETE"][..], "{}"), (&["DELETE"], ""), (&["PUT"], ""), (&["DELETE", "PUT"], "")] {
        let request = http::Request::post(format!("http://gateway.test{}", suite())).header("auth", app.token());
        let request = values.iter().fold(request, |request, value| request.header(OVERRIDE, *value));
        let body: UnsyncBoxBody<Bytes, Infallible> = Full::from(body).boxed_unsync();
        statuses.push(sender.send_request(request.body(body).unwrap()).await.unwrap().status().as_u16());
    }
    assert_eq!(statuses, [200, 200, 405, 400]);
    let seen: Vec<_> = upstream.all().into_iter().map(|seen| (seen.method, seen.body)).collect();
    assert_eq!(seen, [("DELETE".to_owned(), b"{}".to_vec()), ("DELETE".to_owned(), vec![])]);
}
