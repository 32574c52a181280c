//! A request as a connection of either version of HTTP takes it.

use http::uri::Authority;
use http::{HeaderValue, Method, Request, Uri, Version, header};
use http_body::Body;

use super::address::Address;
use super::connection::Connection;
use super::fault::Fault;
use super::upstream::UpstreamHost;

/// The client's host, of which the upstream is to be asked; an extension of the request.
#[derive(Clone)]
pub(super) struct ClientHost(HeaderValue);

/// Notes the client's host, where the upstream is to be asked for it.
pub(super) fn note_host<B>(request: &mut Request<B>, rule: UpstreamHost, clients: Option<&HeaderValue>) {
    if let (UpstreamHost::Client, Some(host)) = (rule, clients) {
        request.extensions_mut().insert(ClientHost(host.clone()));
    }
}

/// Writes it for this connection. It may have been written for one of the other version before.
pub(super) fn fit<B: Body>(
    request: &mut Request<B>,
    address: &Address,
    connection: &Connection<B>,
) -> Result<(), Fault> {
    match connection {
        Connection::Exclusive(_) => {
            for_http1(request, address);
            Ok(())
        }
        Connection::Multiplexed { .. } => for_http2(request, address),
    }
}

/// Says how the body is framed where hyper would not: it takes a body without a length for none in some methods.
fn frame<B: Body>(request: &mut Request<B>) {
    let is_empty = request.body().is_end_stream();
    let is_sized = request.body().size_hint().exact().is_some();
    let may_have_body = matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH);
    if is_empty && may_have_body {
        request.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    } else if !is_empty && (!is_sized || request.headers().contains_key(header::TRAILER)) {
        // Trailers need chunks, also where HTTP/2 told a length beside them.
        request.headers_mut().insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
}

/// RFC 9112 section 3.2.1: the path alone, and the host in its field.
fn for_http1<B: Body>(request: &mut Request<B>, address: &Address) {
    frame(request);
    let host = request.extensions().get().map_or(&address.host, |ClientHost(host)| host).clone();
    request.headers_mut().insert(header::HOST, host);
    if request.uri().authority().is_some() {
        let path = request.uri().path_and_query().cloned();
        *request.uri_mut() = path.map(Uri::from).unwrap_or_default();
        *request.version_mut() = Version::HTTP_11;
    }
}

/// RFC 9113 section 8.3.1: scheme and authority in fields of their own, and no framing.
fn for_http2<B>(request: &mut Request<B>, address: &Address) -> Result<(), Fault> {
    request.headers_mut().remove(header::HOST);
    request.headers_mut().remove(header::TRANSFER_ENCODING);
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = Some(address.scheme());
    let other = request.extensions().get().map(|ClientHost(host)| Authority::try_from(host.as_bytes())).transpose();
    let other = other.map_err(|_| Fault::Invalid("a host that HTTP/2 can't carry"))?;
    parts.authority = Some(other.unwrap_or_else(|| address.authority.clone()));
    // The path that was judged is the path that is sent, or nothing is.
    *request.uri_mut() = Uri::from_parts(parts).map_err(|_| Fault::Invalid("a path that HTTP/2 can't carry"))?;
    *request.version_mut() = Version::HTTP_2;
    Ok(())
}
