//! One HTTP call from a command to a gateway.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http::header::{self, HeaderValue};
use http::{Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use super::Failure;
use crate::config::positive_duration;
use crate::model::port_of;
use crate::net::{ClientTls, Connected, Endpoint};
use crate::policy::is_host;

/// No answer that a command waits for is longer.
const MAX_ANSWER: usize = 1 << 20;

/// How a command calls.
#[derive(Clone, Debug, Args)]
pub(super) struct CallArguments {
    /// A file with the certificates to trust instead of this machine's
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Call http:// addresses off this machine too, where whoever is on the way reads the token
    #[arg(long)]
    allow_plain_http: bool,
    /// How long an answer may take
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = positive_duration)]
    timeout: Duration,
}

impl CallArguments {
    pub fn caller(&self) -> Caller {
        Caller { arguments: self.clone(), tls: OnceLock::new() }
    }
}

/// Whether an address is one to call: `http://` or `https://`, a host, and no user name.
pub(super) fn base_address(text: &str) -> Result<Uri, Failure> {
    let url: Uri = text.parse().map_err(|_| Failure::new(format!("{text:?} is no address: write https://host")))?;
    let is_http = matches!(url.scheme_str(), Some("http" | "https"));
    match url.authority().filter(|_| is_http) {
        // Not shown: a password may stand in it.
        Some(authority) if authority.as_str().contains('@') => {
            Err(Failure::new("the address holds a user name: leave it out"))
        }
        Some(authority) => match port_of(authority) {
            Ok(_) if !is_host(authority.host()) => Err(Failure::new(format!("{text:?} names no host and no address"))),
            Ok(_) => Ok(url),
            Err(why) => Err(Failure::new(format!("{text:?} {why}"))),
        },
        None => {
            Err(Failure::new(format!("{text:?} is no address to call: write https://host, or http:// on this machine")))
        }
    }
}

/// Carries a request to whom its address names, and an answer back.
///
/// An implementation never follows a redirect, which could carry the token to somebody else, and gives no part of a
/// request into an error.
pub trait Transport {
    fn send(&self, request: Request<Bytes>) -> impl Future<Output = Result<Response<Bytes>, CallError>> + Send;
}

/// Why there is no answer.
#[derive(Debug)]
pub enum CallError {
    /// The call was not made: nobody has seen the request.
    NotMade(String),
    /// The call was made, and may have been understood.
    NoAnswer(String),
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotMade(why) => f.write_str(why),
            Self::NoAnswer(why) => write!(f, "no answer: {why}"),
        }
    }
}

impl std::error::Error for CallError {}

/// Calls over sockets, HTTP/1.1, a connection for each call.
#[derive(Debug)]
pub(super) struct Caller {
    arguments: CallArguments,
    /// What is trusted, read at the first call that needs it.
    tls: OnceLock<Arc<ClientConfig>>,
}

impl Transport for Caller {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, CallError> {
        let endpoint = self.endpoint(request.uri()).map_err(CallError::NotMade)?;
        let connected = endpoint.connect().await.map_err(|error| CallError::NotMade(chain(&error)))?;
        let limit = self.arguments.timeout;
        let answer = tokio::time::timeout(limit, exchange(connected, request)).await;
        let answer = answer.map_err(|_| CallError::NoAnswer(format!("it took longer than {limit:?}")))?;
        answer.map_err(|error| CallError::NoAnswer(chain(&*error)))
    }
}

impl Caller {
    fn endpoint(&self, url: &Uri) -> Result<Endpoint, String> {
        let host = url.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        let is_tls = url.scheme_str() == Some("https");
        if !is_tls && !self.arguments.allow_plain_http && !is_this_machine(&host) {
            return Err(format!(
                "http://{host} would carry the token in the clear: call https://, or say --allow-plain-http"
            ));
        }
        let tls = if is_tls {
            let name = ServerName::try_from(host.clone()).map_err(|_| format!("{host:?} is no host name"))?;
            Some((self.trusted()?, name))
        } else {
            None
        };
        let port = url.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        Ok(Endpoint { host, port, tls, timeout: self.arguments.timeout })
    }

    fn trusted(&self) -> Result<Arc<ClientConfig>, String> {
        if let Some(config) = self.tls.get() {
            return Ok(Arc::clone(config));
        }
        let config = ClientTls::trusting(self.arguments.ca.as_deref()).config().map_err(|error| error.to_string())?;
        Ok(Arc::clone(self.tls.get_or_init(|| config)))
    }
}

fn is_this_machine(host: &str) -> bool {
    // RFC 6761 section 6.3.
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

type AnyError = Box<dyn std::error::Error + Send + Sync>;

async fn exchange(connected: Connected, request: Request<Bytes>) -> Result<Response<Bytes>, AnyError> {
    over(TokioIo::new(connected), request).await
}

async fn over<I>(io: I, mut request: Request<Bytes>) -> Result<Response<Bytes>, AnyError>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let host = request.uri().authority().map_or("", |authority| authority.as_str());
    let host = HeaderValue::from_str(host)?;
    request.headers_mut().insert(header::HOST, host);
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str()).parse()?;
    *request.uri_mut() = target;
    let (mut sender, connection) = http1::handshake(io).await?;
    tokio::spawn(connection);
    let (head, body) = sender.send_request(request.map(Full::new)).await?.into_parts();
    let body = Limited::new(body, MAX_ANSWER).collect().await?.to_bytes();
    Ok(Response::from_parts(head, body))
}

fn chain(error: &dyn std::error::Error) -> String {
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(url: &str, allow_plain_http: bool) -> Result<Endpoint, String> {
        _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let arguments = CallArguments { ca: None, allow_plain_http, timeout: Duration::from_secs(1) };
        arguments.caller().endpoint(&url.parse().unwrap())
    }

    #[test]
    fn a_token_travels_in_the_clear_on_this_machine_alone() {
        for url in ["http://127.0.0.1:8080", "http://localhost/", "http://[::1]:8080", "http://127.9.9.9"] {
            assert!(endpoint(url, false).is_ok_and(|e| e.tls.is_none()), "{url}");
        }
        for url in ["http://10.0.0.1", "http://example.com", "http://localhost.example.com", "http://[::2]"] {
            assert!(endpoint(url, false).unwrap_err().contains("--allow-plain-http"), "{url}");
            assert!(endpoint(url, true).is_ok(), "{url}");
        }
    }

    #[test]
    fn an_address_without_a_port_has_that_of_its_scheme() {
        let port = |url| endpoint(url, true).unwrap().port;
        assert_eq!((port("http://example.com"), port("http://example.com:81")), (80, 81));
    }

    #[test]
    fn an_address_names_a_scheme_and_a_host_and_no_user() {
        assert!(base_address("https://example.com/base").is_ok());
        for bad in ["", "example.com", "/path", "ftp://example.com", "http://"] {
            assert!(base_address(bad).is_err(), "{bad}");
        }
        assert!(!base_address("https://ana:hunter2@example.com").unwrap_err().to_string().contains("hunter2"));
    }
}
