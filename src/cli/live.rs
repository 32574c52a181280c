//! Asks a running gateway whether it takes calls.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;

use super::Failure;
use crate::net::Endpoint;
use crate::telemetry::{NOT_READY, READY};

/// What is answered is a word, or what is wrong, a line each.
const MAX_ANSWER: usize = 64 * 1024;
const LIMIT: Duration = Duration::from_secs(3);

/// What `/readyz` says within three seconds, and whether that is that calls are taken and nothing is wrong.
pub(super) async fn readiness(listen: SocketAddr) -> Result<(bool, String), Failure> {
    let (status, body) = asked(listen).await?;
    Ok((status == StatusCode::OK, String::from_utf8_lossy(&body).into_owned()))
}

/// Whether a gateway answers there, be it ready or not.
pub(super) async fn is_gateway(listen: SocketAddr) -> bool {
    let is_ours = |body: &[u8]| [READY, NOT_READY].iter().any(|word| body.starts_with(word.as_bytes()));
    matches!(asked(listen).await, Ok((_, body)) if is_ours(&body))
}

async fn asked(listen: SocketAddr) -> Result<(StatusCode, Bytes), Failure> {
    let asked = tokio::time::timeout(LIMIT, ask(listen)).await;
    asked.map_err(|_| Failure::new(format!("no answer from {listen} within {LIMIT:?}")))?
}

async fn ask(listen: SocketAddr) -> Result<(StatusCode, Bytes), Failure> {
    // A listener on every address is asked on loopback.
    let host = match listen.ip() {
        ip if ip.is_unspecified() && ip.is_ipv4() => "127.0.0.1".to_owned(),
        ip if ip.is_unspecified() => "::1".to_owned(),
        ip => ip.to_string(),
    };
    let endpoint = Endpoint { host, port: listen.port(), tls: None, timeout: LIMIT };
    let connected = endpoint.connect().await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(connected)).await?;
    tokio::spawn(connection);
    let request = Request::get("/readyz").header(header::HOST, "localhost").body(Empty::<Bytes>::new())?;
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = Limited::new(body, MAX_ANSWER).collect().await;
    let body = body.map_err(|error| Failure::new(format!("{listen} breaks off: {error}")))?;
    Ok((head.status, body.to_bytes()))
}
