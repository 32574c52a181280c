//! HTTP/2 by prior knowledge.

use std::convert::Infallible;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::{Arc, Barrier};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::{app, gateway};
use crate::e2e::harness::{Answer, Recorder, Scripted, read_head};

type Body = UnsyncBoxBody<Bytes, Infallible>;

async fn connect(address: SocketAddr) -> SendRequest<Body> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn request(method: &str, path: &str, body: &'static str) -> Request<Body> {
    let request = Request::builder().method(method).uri(format!("http://gateway.test{path}"));
    let request = request.header("authorization", format!("Bearer {}", app().token()));
    request.body(Full::from(body).boxed_unsync()).unwrap()
}

async fn text(response: Response<hyper::body::Incoming>) -> (u16, String) {
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.into()).unwrap())
}

#[tokio::test]
async fn http2_is_spoken_by_prior_knowledge() {
    let upstream = Recorder::start();
    let gateway = gateway(&upstream.url(), "");
    let mut sender = connect(gateway.proxy).await;
    let answer = sender.send_request(request("POST", "/any/thing?a=b", "hello")).await.unwrap();
    assert_eq!(text(answer).await, (200, "from the upstream".into()));
    let [seen] = &upstream.all()[..] else { panic!("not one call") };
    assert_eq!((seen.target.as_str(), seen.body.as_slice()), ("/any/thing?a=b", &b"hello"[..]));
    assert_eq!(seen.header("x-forwarded-host"), Some("gateway.test"));

    let mut refused = request("GET", "/any/thing", "");
    refused.headers_mut().remove("authorization");
    assert_eq!(sender.send_request(refused).await.unwrap().status(), 401);

    let url = format!("http://{}/any/thing", gateway.proxy);
    let authorization = format!("Authorization: Bearer {}", app().token());
    let arguments = ["-sS", "-o", "/dev/null", "-w", "%{http_code} %{http_version}", "--http2-prior-knowledge", "-H"];
    let output = Command::new("curl").args(arguments).args([&authorization, &url]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "200 2");
}

#[tokio::test]
async fn a_hundred_streams_run_at_once_on_one_connection() {
    // The upstream answers none before it has all.
    let barrier = Arc::new(Barrier::new(100));
    let upstream = Scripted::start(move |mut stream, _| {
        let head = read_head(&mut stream);
        let path = head.split(' ').nth(1).unwrap();
        barrier.wait();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}", path.len());
        stream.write_all(answer.as_bytes()).unwrap();
    });
    let gateway = gateway(&upstream.url(), "");
    let sender = connect(gateway.proxy).await;
    let calls: Vec<_> = (0..100)
        .map(|number| {
            let mut sender = sender.clone();
            tokio::spawn(async move {
                let path = format!("/any/{number}");
                let answer = sender.send_request(request("GET", &path, "")).await.unwrap();
                assert_eq!(text(answer).await, (200, path));
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
}

#[tokio::test]
async fn trailers_go_through_in_both_directions() {
    let upstream = Recorder::answering(|_| {
        let trailers = HeaderMap::from_iter([("x-checksum".parse().unwrap(), "5678".parse().unwrap())]);
        let response = Response::builder().header("trailer", "x-checksum").body("body").unwrap();
        Answer { trailers: Some(trailers), ..Answer::new(response) }
    });
    let gateway = gateway(&upstream.url(), "");
    let mut sender = connect(gateway.proxy).await;
    let trailers = HeaderMap::from_iter([("x-checksum".parse().unwrap(), "1234".parse().unwrap())]);
    let (mut head, body) = request("POST", "/any/thing", "hello").into_parts();
    head.headers.insert("te", "trailers".parse().unwrap());
    head.headers.insert("trailer", "x-checksum".parse().unwrap());
    // Mapped, it tells no length: HTTP/1.1 to the upstream has trailers after chunks alone.
    let body = body.map_frame(|frame| frame).with_trailers(std::future::ready(Some(Ok(trailers)))).boxed_unsync();
    let answer = sender.send_request(Request::from_parts(head, body)).await.unwrap();
    let answer = answer.into_body().collect().await.unwrap();
    assert_eq!(answer.trailers().unwrap().get("x-checksum").unwrap(), "5678");
    assert_eq!(upstream.all()[0].trailers.get("x-checksum").unwrap(), "1234");
}

#[tokio::test]
async fn a_cookie_in_several_fields_arrives_as_one() {
    let upstream = Recorder::start();
    let gateway = gateway(&upstream.url(), "");
    let mut sender = connect(gateway.proxy).await;
    let mut call = request("GET", "/any/thing", "");
    for crumb in ["a=1", "b=2", "c=3"] {
        call.headers_mut().append("cookie", crumb.parse().unwrap());
    }
    assert_eq!(sender.send_request(call).await.unwrap().status(), 200);
    let [seen] = &upstream.all()[..] else { panic!("not one call") };
    let cookies: Vec<_> = seen.headers.get_all("cookie").iter().collect();
    assert_eq!(cookies, ["a=1; b=2; c=3"]);
}

#[tokio::test]
async fn a_request_with_more_fields_than_http1_takes_is_a_431() {
    let upstream = Recorder::start();
    let gateway = gateway(&upstream.url(), "");
    let mut sender = connect(gateway.proxy).await;
    let mut many = request("GET", "/any/thing", "");
    for i in 0..200 {
        many.headers_mut().append("x-many", i.into());
    }
    let (status, body) = text(sender.send_request(many).await.unwrap()).await;
    assert_eq!(status, 431);
    assert!(body.contains("request.headers_too_large"), "{body}");
    assert!(upstream.all().is_empty());
}
