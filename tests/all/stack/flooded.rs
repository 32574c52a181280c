//! A flood of encrypted garbage from one address, to the key of an app that others use.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Empty;
use scopegate::gateway::{Outbound, Refused, stack};
use scopegate::model::AppNumber;
use scopegate::net::Peer;
use tower::Service as _;

use crate::support::encryption::{header, seal};
use crate::support::registry::ENCRYPTED;
use crate::support::{Format, Gateway, Script, Token};

const FLOOD: &str = "192.0.2.7:4711";

fn to_the_app(inner: &str) -> String {
    seal(&header("ECDH-ES", "A128GCM", "k-p256"), inner)
}

#[tokio::test]
async fn an_app_s_calls_from_other_addresses_go_on_under_a_flood_to_its_key() {
    let gateway = Gateway::new();
    gateway.limit(|limits| limits.concurrent_requests = 1000);
    let leaf = |_: Outbound<Script>| async { Ok::<_, Refused>(Response::new(Empty::<Bytes>::new())) };
    let mut service = stack(&gateway.gate, tower::service_fn(leaf));
    let mut begin = |from: &str, token: &str| {
        let mut request = Format::Kore.request("GET", "/any", token).body(Script::empty()).unwrap();
        request.extensions_mut().insert(Peer::new(from.parse::<SocketAddr>().unwrap(), false));
        let mut future = Box::pin(service.call(request));
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => (future, answer.ok().map(|answer| answer.status())),
            Poll::Pending => (future, None),
        }
    };
    let ((release, held), (begun, started)) = (mpsc::channel::<()>(), mpsc::channel());
    let thread = gateway.gate.blocking.submit(Some(AppNumber(-1)), move || {
        _ = begun.send(());
        _ = held.recv();
    });
    started.recv().unwrap();
    let share = gateway.gate.blocking.limit() / 4;
    let mut flood = Vec::new();
    loop {
        let (future, status) = begin(FLOOD, &to_the_app("garbage"));
        if let Some(status) = status {
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "the app's share is full");
            break;
        }
        flood.push(future);
    }
    assert_eq!(flood.len(), share);
    // Each address is another client, and all of them are let in beside the flood.
    let calls: Vec<_> = (0..share / 2)
        .map(|n| {
            let token = Token::of(ENCRYPTED).claim("n", n as u64).make();
            let (future, status) = begin(&format!("198.51.100.{n}:4711"), &to_the_app(&token));
            assert_eq!(status, None, "it waits its turn");
            future
        })
        .collect();
    assert_eq!(begin(FLOOD, &to_the_app("garbage")).1, Some(StatusCode::SERVICE_UNAVAILABLE));
    drop((release, thread));
    for call in calls {
        assert_eq!(pin!(call).await.unwrap().status(), StatusCode::OK);
    }
    let mut statuses = Vec::new();
    for future in flood {
        statuses.push(pin!(future).await.unwrap().status().as_u16());
    }
    let displaced = statuses.iter().filter(|status| **status == 503).count();
    assert_eq!((displaced, statuses.iter().filter(|status| **status == 401).count()), (share / 2, share - share / 2));
}
