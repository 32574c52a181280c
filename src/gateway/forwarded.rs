//! `X-Forwarded-…` and `Forwarded` (RFC 7239): read from trusted proxies, and written for upstreams.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::header::{FORWARDED, HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

use super::hygiene::{FORWARDED_FOR, FORWARDED_HOST, FORWARDED_PROTO};
use super::{Believed, Call, Told};

const CF_CONNECTING_IP: HeaderName = HeaderName::from_static("cf-connecting-ip");
const CF_VISITOR: HeaderName = HeaderName::from_static("cf-visitor");

/// What a proxy says of whoever called it, or of whom nothing can be read any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hop {
    /// None where it does not say, or says what is no address.
    pub address: Option<IpAddr>,
    pub is_tls: Option<bool>,
}

/// What the proxies wrote of their callers, the nearest first, as long as it is asked for: nothing only where the field
/// is absent.
pub(super) fn from_nearest(headers: &HeaderMap, believed: Believed, mut ask: impl FnMut(Hop) -> bool) {
    match believed {
        Believed::XForwarded => {
            let (callers, schemes) = (items(headers, &FORWARDED_FOR), items(headers, &FORWARDED_PROTO));
            // Proxies that append to one list and overwrite the other leave the scheme of whoever called the last of them.
            let is_aligned = callers.len() == schemes.len();
            for (from_last, caller) in callers.iter().rev().enumerate() {
                let scheme = if is_aligned { schemes.iter().rev().nth(from_last) } else { schemes.last() };
                if !ask(Hop { address: address(caller), is_tls: scheme.and_then(|s| is_tls(s)) }) {
                    return;
                }
            }
        }
        Believed::Cloudflare => _ = cloudflare(headers).map(ask),
        Believed::Rfc7239 => {
            for line in headers.get_all(FORWARDED).iter().rev() {
                // A line that is not well formed ends what can be known: a caller may have begun it.
                let unreadable = || vec![Hop { address: None, is_tls: None }];
                let elements = line.to_str().ok().and_then(elements).unwrap_or_else(unreadable);
                if !elements.into_iter().rev().all(&mut ask) {
                    return;
                }
            }
        }
    }
}

/// The scheme, from proxies that say nothing else of their callers.
pub(super) fn scheme_alone(headers: &HeaderMap, believed: Believed) -> Option<bool> {
    match believed {
        Believed::XForwarded if !headers.contains_key(FORWARDED_FOR) => {
            items(headers, &FORWARDED_PROTO).last().and_then(|scheme| is_tls(scheme))
        }
        Believed::Cloudflare if !headers.contains_key(CF_CONNECTING_IP) => cloudflare_scheme(headers),
        Believed::XForwarded | Believed::Cloudflare | Believed::Rfc7239 => None,
    }
}

/// The items of a list that may be spread over several fields. What is no text is an empty one.
fn items<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Vec<&'h str> {
    let items = headers.get_all(name).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    items.map(|item| std::str::from_utf8(item).unwrap_or_default().trim()).collect()
}

/// With or without a port, quotes or a zone; IPv6 with or without brackets.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    let address = match text.strip_prefix('[') {
        Some(rest) => {
            let (inner, port) = rest.split_once(']')?;
            let is_port = port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
            Some(inner).filter(|_| port.is_empty() || is_port).and_then(ipv6).map(IpAddr::V6)
        }
        None => text.parse().ok().or_else(|| ipv6(text).map(IpAddr::V6)).or_else(|| {
            let with_port = text.parse::<SocketAddr>().ok().filter(SocketAddr::is_ipv4);
            with_port.map(|address| address.ip())
        }),
    };
    address.map(|address| address.to_canonical())
}

/// A zone (RFC 4007 section 11) tells one link of the proxy's from another, and nothing here.
fn ipv6(text: &str) -> Option<Ipv6Addr> {
    match text.split_once('%') {
        Some((address, zone)) if !zone.is_empty() => address.parse().ok().filter(Ipv6Addr::is_unicast_link_local),
        Some(_) => None,
        None => text.parse().ok(),
    }
}

/// Some proxies tell the scheme of a WebSocket by its own name.
fn is_tls(scheme: &str) -> Option<bool> {
    let is = |known: [&str; 2]| known.iter().any(|known| scheme.eq_ignore_ascii_case(known));
    if is(["https", "wss"]) { Some(true) } else { is(["http", "ws"]).then_some(false) }
}

/// What Cloudflare writes: one address, which it sets whatever the caller sent, and the scheme in JSON.
fn cloudflare(headers: &HeaderMap) -> Option<Hop> {
    let mut addresses = headers.get_all(CF_CONNECTING_IP).iter();
    let (first, second) = (addresses.next(), addresses.next());
    let said = first?.to_str().ok().filter(|_| second.is_none());
    Some(Hop { address: said.and_then(|text| address(text.trim())), is_tls: cloudflare_scheme(headers) })
}

/// `{"scheme":"https"}`; without it X-Forwarded-Proto, which Cloudflare writes, too.
fn cloudflare_scheme(headers: &HeaderMap) -> Option<bool> {
    #[derive(Deserialize)]
    struct Visitor<'a> {
        scheme: &'a str,
    }
    let visitor =
        headers.get(CF_VISITOR).and_then(|value| serde_json::from_slice::<Visitor<'_>>(value.as_bytes()).ok());
    let proto = || items(headers, &FORWARDED_PROTO).last().and_then(|scheme| is_tls(scheme));
    visitor.map_or_else(proto, |visitor| is_tls(visitor.scheme))
}

/// The elements of one `Forwarded` field; none where it is not well formed.
fn elements(mut text: &str) -> Option<Vec<Hop>> {
    let (mut elements, mut hop) = (Vec::new(), Hop { address: None, is_tls: None });
    loop {
        text = text.trim_start_matches([' ', '\t']);
        if !text.is_empty() && !text.starts_with([',', ';']) {
            let (name, rest) = text.split_once('=').filter(|(name, _)| is_token(name))?;
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

/// RFC 9110 section 5.6.2. A name of anything would take in what the next proxy appends.
fn is_token(text: &str) -> bool {
    let is_sign = |byte: u8| b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || is_sign(byte))
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
    for address in call.client.hops().iter().copied().chain(peer.map(Some)) {
        chain.push_str(if chain.is_empty() { "" } else { ", " });
        // Left out, the proxy after it would look like the client.
        _ = match address {
            Some(address) => write!(chain, "{address}"),
            None => write!(chain, "unknown"),
        };
    }
    chain
}

/// An element for each that called a proxy; the first has what is known of the client's own request.
fn forwarded(call: &Call, host: Option<&HeaderValue>) -> String {
    let hops = call.client.hops().iter().copied();
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
        assert_eq!(of(&[("x-forwarded-for", "")]), [hop("", None)], "it is there");
        assert_eq!(of(&[("x-forwarded-proto", "https")]), []);
        assert_eq!(of(&[("forwarded", "for=192.0.2.1")]), [], "the other kind is not looked at");
    }

    #[test]
    fn addresses_are_read_in_every_form_that_proxies_write() {
        for (text, wanted) in [
            ("192.0.2.1", "192.0.2.1"),
            ("192.0.2.1:4711", "192.0.2.1"),
            ("\"192.0.2.1:4711\"", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("\"[2001:DB8::1]:4711\"", "2001:db8::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("[::ffff:c000:201]:80", "192.0.2.1"),
            ("fe80::1%eth0", "fe80::1"),
            ("[fe80::1%eth0]:80", "fe80::1"),
        ] {
            assert_eq!(address(text), wanted.parse().ok(), "{text}");
        }
        for text in [
            "",
            "unix:",
            "unknown",
            "_hidden",
            "192.0.2",
            "192.0.2.1:",
            "192.0.2.1:x",
            "[2001:db8::1",
            "[2001:db8::1]x",
            "[192.0.2.1]",
            "2001:db8::1]",
            "fe80::1%",
            "2001:db8::1%eth0",
            "a.example",
            "192.0.2.1:99999",
            "[::1]:",
        ] {
            assert_eq!(address(text), None, "{text}");
        }
    }

    #[test]
    fn schemes_of_websockets_say_whether_there_is_tls() {
        for (text, wanted) in [
            ("https", Some(true)),
            ("WSS", Some(true)),
            ("http", Some(false)),
            ("ws", Some(false)),
            ("on", None),
            ("", None),
        ] {
            let one = [hop("192.0.2.1", wanted)];
            assert_eq!(
                hops(Believed::XForwarded, &[("x-forwarded-for", "192.0.2.1"), ("x-forwarded-proto", text)]),
                one
            );
            if !text.is_empty() {
                assert_eq!(hops(Believed::Rfc7239, &[("forwarded", &format!("proto={text};for=192.0.2.1"))]), one);
            }
        }
    }

    #[test]
    fn cloudflare_says_who_calls_in_fields_of_its_own() {
        let of = |fields: &[(&'static str, &str)]| hops(Believed::Cloudflare, fields);
        let connecting = ("cf-connecting-ip", "2001:db8::1");
        let others = [("x-forwarded-for", "198.51.100.1"), ("x-forwarded-proto", "https")];
        assert_eq!(of(&[connecting, others[0], others[1]]), [hop("2001:db8::1", Some(true))]);
        let visitor = ("cf-visitor", "{\"scheme\":\"http\"}");
        assert_eq!(of(&[connecting, visitor, others[1]]), [hop("2001:db8::1", Some(false))]);
        assert_eq!(of(&[connecting, ("cf-visitor", "{"), others[1]]), [hop("2001:db8::1", Some(true))]);
        assert_eq!(of(&[connecting, connecting]), [hop("", None)], "one of them is the caller's");
        assert_eq!(of(&others), []);
    }

    #[test]
    fn bytes_that_are_no_text_hide_no_address_beside_them() {
        let mut headers = HeaderMap::new();
        for value in [&b"192.0.2.1"[..], b"\xff, 10.0.0.1", b"10.0.0.2"] {
            headers.append(FORWARDED_FOR, HeaderValue::from_bytes(value).unwrap());
            headers.append(FORWARDED, HeaderValue::from_bytes(value).unwrap());
        }
        let mut hops = Vec::new();
        from_nearest(&headers, Believed::XForwarded, |hop| {
            hops.push(hop);
            true
        });
        assert_eq!(hops, [hop("10.0.0.2", None), hop("10.0.0.1", None), hop("", None), hop("192.0.2.1", None)]);
    }

    #[test]
    fn a_scheme_counts_alone_where_nobody_says_for_whom() {
        let scheme = |believed, fields: &[(&'static str, &'static str)]| {
            let fields = fields.iter().map(|(name, value)| ((*name).parse().unwrap(), HeaderValue::from_static(value)));
            scheme_alone(&fields.collect(), believed)
        };
        let alone = [("x-forwarded-proto", "http, https")];
        assert_eq!(scheme(Believed::XForwarded, &alone), Some(true));
        assert_eq!(scheme(Believed::Rfc7239, &alone), None);
        assert_eq!(scheme(Believed::XForwarded, &[alone[0], ("x-forwarded-for", "192.0.2.1")]), None);
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
        assert_eq!(of(&["for=\"192.0.2.1", "for=10.0.0.1"]), [hop("10.0.0.1", None), hop("", None)]);
        assert_eq!(of(&[]), []);
        for broken in [
            "for",
            "for=",
            "for=\"a",
            "for=a b",
            "for=a\"b\"",
            "for=\", for=192.0.2.1",
            "for=10.0.0.1;x, for=192.0.2.1",
            "\u{e9}",
        ] {
            assert_eq!(of(&[broken]), [hop("", None)], "{broken}");
        }
    }

    proptest! {
        #[test]
        fn no_value_is_too_odd_to_be_read(text in "[ -~]{0,40}") {
            for believed in [Believed::XForwarded, Believed::Rfc7239, Believed::Cloudflare] {
                let of_cloudflare = [("cf-connecting-ip", &*text), ("cf-visitor", &text)];
                let others = [("forwarded", &*text), ("x-forwarded-for", &text), ("x-forwarded-proto", &text)];
                hops(believed, &[&others[..], &of_cloudflare].concat());
            }
        }
    }
}
