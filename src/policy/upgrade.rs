//! Upgrades to another protocol (RFC 9110 section 7.8): which one a call asks for, and whether its route lets it pass.

use http::{HeaderMap, HeaderValue, Method, Version, header};

use super::credential::bare_token;
use super::{JwtAuthenticator, Route};
use crate::model::{Reason, Refusal};

/// As it stands in Upgrade (RFC 6455 section 11.2).
pub const WEBSOCKET: &str = "websocket";

/// The protocol that a call asks to go on with and that its route lets pass; the first one where there are several. Only
/// HTTP/1.1 has this: HTTP/2 calls know no Upgrade.
pub fn upgrade<'r>(route: &'r Route, method: &Method, version: Version, headers: &HeaderMap) -> Option<&'r str> {
    if route.upgrades.is_empty() || version != Version::HTTP_11 || !listed(headers, header::CONNECTION, "upgrade") {
        return None;
    }
    let mut asked = elements(headers, header::UPGRADE);
    let permitted = |name: &str| route.upgrades.iter().find(|known| known.eq_ignore_ascii_case(name));
    let protocol = asked.find_map(permitted)?;
    // RFC 6455 section 4.1: a WebSocket begins with GET.
    (**protocol != *WEBSOCKET || *method == Method::GET).then_some(protocol)
}

/// Refuses a call that asks for a protocol which it does not get. What a client merely offers, and goes on without, is
/// not asked for: another version of HTTP, or TLS (RFC 9110 section 7.8 lets a server ignore it).
///
/// # Errors
/// `upgrade.not_allowed`, with what is missing.
pub fn check_upgrade(
    route: &Route,
    method: &Method,
    version: Version,
    headers: &HeaderMap,
    has_body: bool,
) -> Result<(), Refusal> {
    let may_ask = version == Version::HTTP_11 && headers.contains_key(header::UPGRADE);
    if !may_ask || !listed(headers, header::CONNECTION, "upgrade") {
        return Ok(());
    }
    let Some(asked) = elements(headers, header::UPGRADE).find(|name| !is_optional(name)) else { return Ok(()) };
    let granted = upgrade(route, method, version, headers).filter(|_| !has_body);
    let is_permitted = |name: &str| route.upgrades.iter().any(|known| known.eq_ignore_ascii_case(name));
    let expected = match granted {
        Some(_) => return Ok(()),
        None if !elements(headers, header::UPGRADE).any(is_permitted) => {
            format!("upgrade = [{:?}] at the route", asked.to_ascii_lowercase())
        }
        None if has_body => "an upgrade without a body".to_owned(),
        None => "a WebSocket that begins with GET".to_owned(),
    };
    Err(Refusal::new(Reason::UpgradeNotAllowed).expected(expected).found(format!("{method} with Upgrade: {asked}")))
}

fn is_optional(name: &str) -> bool {
    let family = name.split_once('/').map_or(name, |(family, _)| family);
    ["h2c", "h2", "HTTP", "TLS"].iter().any(|known| known.eq_ignore_ascii_case(family))
}

/// The token among the subprotocols that a WebSocket offers: `bearer.TOKEN` where the authenticator takes "bearer". None
/// where there is no such entry.
///
/// # Errors
/// `credential.ambiguous` where there are several, `credential.malformed`.
pub fn offered_token<'h>(
    headers: &'h HeaderMap,
    authenticator: &JwtAuthenticator,
) -> Result<Option<&'h [u8]>, Refusal> {
    let Some(name) = authenticator.websocket_protocol.as_deref() else { return Ok(None) };
    let mut tokens = elements(headers, header::SEC_WEBSOCKET_PROTOCOL).filter_map(|offer| token_of(offer, name));
    let token = tokens.next();
    match tokens.next() {
        None => token.map(|token| bare_token(token.as_bytes(), authenticator)).transpose(),
        Some(_) => {
            let expected = format!("one {name}.TOKEN in sec-websocket-protocol");
            let found = format!("{} of them", 2 + tokens.count());
            Err(Refusal::new(Reason::CredentialAmbiguous).expected(expected).found(found))
        }
    }
}

/// Leaves no token among the subprotocols that a WebSocket offers, under any of these names.
pub fn strip_tokens<'n>(headers: &mut HeaderMap, names: &(impl Iterator<Item = &'n str> + Clone)) {
    // What is no text offers no protocol, and might hide a token from us that somebody else finds.
    if headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().any(|value| value.to_str().is_err()) {
        headers.remove(header::SEC_WEBSOCKET_PROTOCOL);
    }
    let is_token = |offer: &str| names.clone().any(|name| token_of(offer, name).is_some());
    if !elements(headers, header::SEC_WEBSOCKET_PROTOCOL).any(is_token) {
        return;
    }
    let kept: Vec<_> = elements(headers, header::SEC_WEBSOCKET_PROTOCOL).filter(|offer| !is_token(offer)).collect();
    match HeaderValue::try_from(kept.join(", ")) {
        Ok(offers) if !kept.is_empty() => _ = headers.insert(header::SEC_WEBSOCKET_PROTOCOL, offers),
        _ => _ = headers.remove(header::SEC_WEBSOCKET_PROTOCOL),
    }
}

/// What stands behind the name and a dot.
fn token_of<'o>(offer: &'o str, name: &str) -> Option<&'o str> {
    let (found, token) = offer.split_once('.')?;
    found.eq_ignore_ascii_case(name).then_some(token)
}

fn listed(headers: &HeaderMap, name: header::HeaderName, wanted: &str) -> bool {
    elements(headers, name).any(|element| element.eq_ignore_ascii_case(wanted))
}

/// The elements of a list, over all fields of the name (RFC 9110 section 5.6.1). A field that is no text has none.
fn elements(headers: &HeaderMap, name: header::HeaderName) -> impl Iterator<Item = &str> {
    let texts = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).map(str::trim).filter(|element| !element.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn offers(values: &[&str]) -> HeaderMap {
        values.iter().map(|v| (header::SEC_WEBSOCKET_PROTOCOL, v.parse().unwrap())).collect()
    }

    fn stripped(values: &[&str]) -> Option<String> {
        let mut headers = offers(values);
        strip_tokens(&mut headers, &["bearer", "jwt"].into_iter());
        let left: Vec<_> =
            headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().map(|v| v.to_str().unwrap()).collect();
        (!left.is_empty()).then(|| left.join(" | "))
    }

    #[test]
    fn tokens_are_taken_out_of_the_offers_and_the_others_stay_in_their_order() {
        assert_eq!(stripped(&["chat, bearer.a.b.c, v2"]), Some("chat, v2".into()));
        assert_eq!(stripped(&["bearer.a.b.c", "chat", "Bearer.x,JWT.y"]), Some("chat".into()));
        assert_eq!(stripped(&["bearer.a.b.c"]), None);
        assert_eq!(stripped(&["chat,v2", "bearer", "bearers.a"]), Some("chat,v2 | bearer | bearers.a".into()));
    }

    proptest! {
        #[test]
        fn no_spelling_of_a_list_lets_a_token_through(
            offers in prop::collection::vec("[a-z]{1,4}|[Bb]earer\\.[a-zA-Z0-9_.-]{0,8}", 1..6), space in "[ \t]{0,2}",
        ) {
            let list = offers.join(&format!("{space},{space}"));
            let left = stripped(&[&list]).unwrap_or_default();
            prop_assert!(!left.to_ascii_lowercase().contains("bearer."), "{}", left);
        }
    }
}
