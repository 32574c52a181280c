//! `X-Forwarded-…` and `Forwarded` (RFC 7239): read from trusted proxies, and written for upstreams.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use http::header::{FORWARDED, HeaderMap, HeaderName, HeaderValue};

use super::hygiene::{FORWARDED_FOR, FORWARDED_HOST, FORWARDED_PROTO};
use super::{Believed, Call, Told};

/// What a proxy says of whoever called it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hop {
    /// None where it does not say, or says what is no address.
    pub address: Option<IpAddr>,
    pub is_tls: Option<bool>,
}

/// What the proxies wrote, the nearest first, as long as it is asked for.
pub(super) fn from_nearest(headers: &HeaderMap, believed: Believed, mut ask: impl FnMut(Hop) -> bool) {
    match believed {
        Believed::XForwarded => {
            let (callers, schemes) = (items(headers, &FORWARDED_FOR), items(headers, &FORWARDED_PROTO));
            // Proxies that append to one list and overwrite the other leave the scheme of whoever called the last of them.
            let is_aligned = callers.len() == schemes.len();
            if callers.is_empty() {
                _ = ask(Hop { address: None, is_tls: schemes.last().and_then(|s| is_tls(s)) });
            }
            for (from_last, caller) in callers.iter().rev().enumerate() {
                let scheme = if is_aligned { schemes.iter().rev().nth(from_last) } else { schemes.last() };
                if !ask(Hop { address: address(caller), is_tls: scheme.and_then(|s| is_tls(s)) }) {
                    return;
                }
            }
        }
        Believed::Rfc7239 => {
            let lines: Vec<&str> = headers.get_all(FORWARDED).iter().rev().map_while(|v| v.to_str().ok()).collect();
            for line in lines {
                // A line that is not well formed ends what can be known.
                let Some(elements) = elements(line) else { return };
                if !elements.into_iter().rev().all(&mut ask) {
                    return;
                }
            }
        }
    }
}

/// The items of a list that may be spread over several fields. What is no text is no item, and ends the list's far side.
fn items<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Vec<&'h str> {
    let mut items = Vec::new();
    for value in headers.get_all(name) {
        match value.to_str() {
            Ok(text) => items.extend(text.split(',').map(str::trim)),
            Err(_) => items.clear(),
        }
    }
    items
}

/// With or without a port, IPv6 with or without brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|a| a.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

fn is_tls(scheme: &str) -> Option<bool> {
    if scheme.eq_ignore_ascii_case("https") { Some(true) } else { scheme.eq_ignore_ascii_case("http").then_some(false) }
}

/// The elements of one `Forwarded` field; none where it is not well formed.
fn elements(mut text: &str) -> Option<Vec<Hop>> {
    let (mut elements, mut hop) = (Vec::new(), Hop { address: None, is_tls: None });
    loop {
        text = text.trim_start_matches([' ', '\t']);
        if !text.is_empty() && !text.starts_with([',', ';']) {
            let (name, rest) = text.split_once('=')?;
            let (value, rest) = value(rest)?;
            if name.eq_ignore_ascii_case("for") {
                hop.address = address(&value);
            } else if name.eq_ignore_ascii_case("proto") {
                hop.is_tls = is_tls(&value);
            }
            text = rest.trim_start_matches([' ', '\t']);
        }
        let Some(separator) = text.chars().next() else {
            elements.push(hop);
            return Some(elements);
        };
        match separator {
            ';' => {}
            ',' => elements.push(std::mem::replace(&mut hop, Hop { address: None, is_tls: None })),
            _ => return None,
        }
        text = &text[1..];
    }
}

/// A token or a quoted string, and what follows it.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([';', ',', ' ', '\t', '"']).unwrap_or(text.len());
        return (end > 0).then(|| (text[..end].to_owned(), &text[end..]));
    };
    let (mut value, mut characters) = (String::new(), quoted.char_indices());
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

/// Tells an upstream where the call comes from: those that trusted proxies vouch for, then the peer.
pub(super) fn tell(headers: &mut HeaderMap, call: &Call, host: Option<HeaderValue>) {
    let told = call.client.told;
    if matches!(told, Told::Rfc7239 | Told::Both)
        && let Ok(value) = HeaderValue::from_str(&forwarded(call, host.as_ref()))
    {
        headers.insert(FORWARDED, value);
    }
    if matches!(told, Told::Rfc7239) {
        return;
    }
    if call.peer.is_some() {
        let chain = x_forwarded_for(call);
        if let Ok(chain) = HeaderValue::from_str(&chain)
            && !chain.is_empty()
        {
            headers.insert(FORWARDED_FOR, chain);
        }
        headers.insert(FORWARDED_PROTO, HeaderValue::from_static(scheme(call.client.is_tls)));
    }
    if let Some(host) = host {
        headers.insert(FORWARDED_HOST, host);
    }
}

fn x_forwarded_for(call: &Call) -> String {
    let peer = call.peer.as_ref().and_then(|peer| peer.address.ip());
    let mut chain = String::new();
    for address in call.client.hops().iter().copied().chain(peer) {
        _ = write!(chain, "{}{address}", if chain.is_empty() { "" } else { ", " });
    }
    chain
}

/// An element for each that called a proxy; the first has what is known of the client's own request.
fn forwarded(call: &Call, host: Option<&HeaderValue>) -> String {
    let hops = call.client.hops().iter().copied().map(Some);
    let peer = call.peer.as_ref().map(|peer| peer.address.ip());
    let mut text = String::new();
    for (number, address) in hops.chain([peer.flatten()]).enumerate() {
        text.push_str(if number == 0 { "for=" } else { ", for=" });
        _ = match address {
            Some(IpAddr::V4(address)) => write!(text, "{address}"),
            Some(IpAddr::V6(address)) => write!(text, "\"[{address}]\""),
            None => write!(text, "unknown"),
        };
        if number == 0 && call.peer.is_some() {
            _ = write!(text, ";proto={}", scheme(call.client.is_tls));
        }
    }
    if let Some(host) = host.and_then(|host| host.to_str().ok()) {
        _ = write!(text, ";host=\"{}\"", host.replace('\\', "\\\\").replace('"', "\\\""));
    }
    text
}

fn scheme(is_tls: bool) -> &'static str {
    if is_tls { "https" } else { "http" }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hops(believed: Believed, fields: &[(&'static str, &str)]) -> Vec<Hop> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        let mut hops = Vec::new();
        from_nearest(&headers, believed, |hop| {
            hops.push(hop);
            true
        });
        hops
    }

    fn hop(address: &str, is_tls: Option<bool>) -> Hop {
        Hop { address: address.parse().ok(), is_tls }
    }

    #[test]
    fn x_forwarded_fields_are_read_from_their_end() {
        let of = |fields: &[(&'static str, &str)]| hops(Believed::XForwarded, fields);
        let chain = of(&[("x-forwarded-for", "192.0.2.1, [2001:db8::1]:4711"), ("x-forwarded-for", " 10.0.0.1:80")]);
        assert_eq!(chain, [hop("10.0.0.1", None), hop("2001:db8::1", None), hop("192.0.2.1", None)]);
        let aligned = of(&[("x-forwarded-for", "192.0.2.1,10.0.0.1"), ("x-forwarded-proto", "https, http")]);
        assert_eq!(aligned, [hop("10.0.0.1", Some(false)), hop("192.0.2.1", Some(true))]);
        let single = of(&[("x-forwarded-for", "192.0.2.1,10.0.0.1"), ("x-forwarded-proto", "HTTPS")]);
        assert_eq!(single, [hop("10.0.0.1", Some(true)), hop("192.0.2.1", Some(true))]);
        assert_eq!(of(&[("x-forwarded-for", "unknown")]), [hop("", None)]);
        assert_eq!(of(&[("x-forwarded-proto", "https")]), [hop("", Some(true))]);
        assert_eq!(of(&[("forwarded", "for=192.0.2.1")]), [hop("", None)], "the other kind is not looked at");
    }

    #[test]
    fn forwarded_fields_are_read_from_their_end() {
        let of = |values: &[&str]| {
            let fields: Vec<_> = values.iter().map(|value| ("forwarded", *value)).collect();
            hops(Believed::Rfc7239, &fields)
        };
        let chain = of(&["For=\"[2001:db8::1]:4711\";Proto=https;host=\"a,b;c\", for=192.0.2.60;by=203.0.113.43"]);
        assert_eq!(chain, [hop("192.0.2.60", None), hop("2001:db8::1", Some(true))]);
        assert_eq!(of(&["for=192.0.2.1", "for=\"10.0.0.1:80\""]), [hop("10.0.0.1", None), hop("192.0.2.1", None)]);
        assert_eq!(of(&["for=unknown"]), [hop("", None)]);
        assert_eq!(of(&["for=_hidden, for=192.0.2.1"]), [hop("192.0.2.1", None), hop("", None)]);
        assert_eq!(of(&["for=\"192.0.2.1", "for=10.0.0.1"]), [hop("10.0.0.1", None)], "what is broken ends the chain");
        for broken in ["for", "for=", "for=\"a", "for=a b", "for=a\"b\""] {
            assert_eq!(of(&[broken]), [], "{broken}");
        }
    }

    proptest! {
        #[test]
        fn no_value_is_too_odd_to_be_read(text in "[ -~]{0,40}") {
            for believed in [Believed::XForwarded, Believed::Rfc7239] {
                hops(believed, &[("forwarded", &text), ("x-forwarded-for", &text), ("x-forwarded-proto", &text)]);
            }
        }
    }
}
