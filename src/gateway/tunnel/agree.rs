//! How the gateway and an upstream agree on a tunnel (RFC 9110 section 7.8).

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Response, Version, header};

use super::super::forward::Ticket;
use super::super::hygiene;
use super::super::ledger::Ledger;
use super::{Asked, Tunnel};

/// Asks for the one protocol that was asked for and is permitted, in a header that was cleaned.
pub(in super::super) fn ask(headers: &mut HeaderMap, asked: &Asked) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    if let Ok(protocol) = HeaderValue::from_str(&asked.protocol) {
        headers.insert(header::UPGRADE, protocol);
    }
}

/// Takes an upstream's 101: the call becomes a tunnel as soon as the caller has it.
///
/// # Errors
/// When it names another protocol than the one that was asked for.
pub(in super::super) fn agree<B>(
    response: &mut Response<B>,
    asked: Asked,
    mut ticket: Ticket,
    ledger: &Arc<Ledger>,
) -> Result<(), &'static str> {
    let mut named = response.headers().get_all(header::UPGRADE).iter();
    let is_same = |name: &HeaderValue| name.as_bytes().eq_ignore_ascii_case(asked.protocol.as_bytes());
    if !named.next().is_some_and(is_same) || named.next().is_some() {
        return Err("an upgrade to another protocol than the one that was asked for");
    }
    let upstream = hyper::upgrade::on(&mut *response);
    *response.version_mut() = Version::HTTP_11;
    hygiene::clean_response(response.headers_mut(), ledger.claimed());
    ask(response.headers_mut(), &asked);
    ticket.succeeded();
    ledger.dig(Tunnel::new(asked, upstream, ticket));
    Ok(())
}
