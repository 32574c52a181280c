//! Which header fields go through. Fields of one connection end here; fields that say who calls are ours to set.

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName};
use http_body::Frame;

use crate::policy::{begins, is_asserting, is_of_our_family, is_redirecting, reads_as};

pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub(super) const FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
pub(super) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(super) const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(super) const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The client's certificate (RFC 9440).
pub(super) const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");

/// Fields of one connection (RFC 9110 section 7.6.1), and those that frame a body, which are made anew.
const HOP_BY_HOP: [&str; 10] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "http2-settings",
];

/// Fields that the gateway sets itself, or that would be read before what it judged.
const OURS: [&str; 8] =
    ["host", "expect", "forwarded", "x-request-id", "client-cert", "client-cert-chain", "proxy", "x-real-ip"];

/// Whether a body's transfer coding is at most `chunked`, once (RFC 9112 section 6.1): hyper undoes no other, and what
/// is still coded must not go on as if it were not.
pub(super) fn is_plainly_framed(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let first = codings.next();
    codings.next().is_none() && first.is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"))
}

/// What must be known before the body (RFC 9110 section 6.5.1): framing, routing, conditions, credentials, control of
/// caches and connections, what the body is.
const NEVER_IN_TRAILERS: [&str; 45] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "age",
    "alt-svc",
    "auth",
    "authorization",
    "cache-control",
    "clear-site-data",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-location",
    "content-range",
    "content-security-policy",
    "content-type",
    "cookie",
    "date",
    "expires",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "location",
    "max-forwards",
    "origin",
    "pragma",
    "range",
    "referer",
    "refresh",
    "retry-after",
    "set-cookie",
    "strict-transport-security",
    "trailer",
    "user-agent",
    "vary",
    "via",
    "warning",
    "www-authenticate",
    "x-api-key",
    "x-content-type-options",
    "x-frame-options",
];

/// Families of them: what pages may do with an answer, and how a WebSocket begins.
const NEVER_IN_TRAILERS_BEGINNING: [&str; 3] = ["access-control-", "cross-origin-", "sec-"];

/// By what the fields of a request are dropped.
pub(super) struct Hygiene<'a> {
    /// Names outside of our family that are ours as well.
    pub claimed: &'a [HeaderName],
    /// Whether the peer is a trusted proxy, which tells of users and certificates.
    pub is_trusted: bool,
    /// A field that goes on although others would be dropped under its name: the route keeps its credential.
    pub kept: Option<&'a HeaderName>,
}

/// Drops from a request what must not go on, and what only we say under these names; returns whether the caller takes trailers (RFC 9110 section 10.1.4).
pub(super) fn clean_request(headers: &mut HeaderMap, hygiene: &Hygiene<'_>) -> bool {
    let takes_trailers = headers.get_all(header::TE).iter().any(|te| te.as_bytes().eq_ignore_ascii_case(b"trailers"));
    strip(headers, |name| {
        is_hop_by_hop(name)
            || is_ours(name, hygiene.claimed)
            || hygiene.kept.is_none_or(|kept| kept != name)
                && (is_redirecting(name) || !(hygiene.is_trusted && is_plain(name)) && is_asserting(name))
    });
    takes_trailers
}

/// Drops from an upstream's answer what must not go back.
pub(super) fn clean_response(headers: &mut HeaderMap, claimed: &[HeaderName]) {
    strip(headers, |name| is_hop_by_hop(name) || is_identity(name, claimed));
}

/// A body's frame: data as it is, trailers without what must not go through, and without what else is barred from them.
pub(super) fn clean_frame(
    frame: Frame<Bytes>,
    claimed: &[HeaderName],
    is_barred: impl Fn(&HeaderName) -> bool,
) -> Frame<Bytes> {
    match frame.into_trailers() {
        Ok(mut trailers) => {
            clean_trailers(&mut trailers, claimed);
            remove(&mut trailers, is_barred);
            Frame::trailers(trailers)
        }
        Err(data) => data,
    }
}

/// Drops trailers that a server could take for a header field that matters.
fn clean_trailers(trailers: &mut HeaderMap, claimed: &[HeaderName]) {
    strip(trailers, |name| {
        is_hop_by_hop(name)
            || is_ours(name, claimed)
            || is_redirecting(name)
            || is_asserting(name)
            || NEVER_IN_TRAILERS.iter().any(|known| reads_as(name, known))
            || NEVER_IN_TRAILERS_BEGINNING.iter().any(|family| begins(name, family))
    });
}

/// Removes all fields with these names.
pub(super) fn remove(headers: &mut HeaderMap, is_doomed: impl Fn(&HeaderName) -> bool) {
    let doomed: Vec<_> = headers.keys().filter(|name| is_doomed(name)).cloned().collect();
    for name in doomed {
        headers.remove(name);
    }
}

/// Whether the name is spelled as proxies spell theirs. A trusted proxy may pass on what its client spelled in another way.
fn is_plain(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn is_hop_by_hop(name: &str) -> bool {
    HOP_BY_HOP.iter().any(|known| reads_as(name, known))
}

/// In any spelling that some server reads alike.
fn is_ours(name: &str, claimed: &[HeaderName]) -> bool {
    is_identity(name, claimed) || OURS.iter().any(|ours| reads_as(name, ours)) || begins(name, "x-forwarded-")
}

fn is_identity(name: &str, claimed: &[HeaderName]) -> bool {
    is_of_our_family(name) || claimed.iter().any(|claimed| reads_as(name, claimed.as_str()))
}

/// Removes what `doomed` names, and what Connection lists.
fn strip(headers: &mut HeaderMap, doomed: impl Fn(&str) -> bool) {
    let listed = headers.get_all(header::CONNECTION).iter().flat_map(|v| v.as_bytes().split(|b| *b == b','));
    let listed = listed.filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok());
    let listed: Vec<HeaderName> = listed.collect();
    remove(headers, |name| doomed(name.as_str()) || listed.contains(name));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STRANGER: Hygiene<'_> = Hygiene { claimed: &[], is_trusted: false, kept: None };

    fn headers(fields: &[(&str, &str)]) -> HeaderMap {
        let field = |(name, value): &(&str, &str)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        fields.iter().map(field).collect()
    }

    #[test]
    fn fields_of_one_connection_end_here() {
        let mut map = headers(&[
            ("connection", "close, X-Secret"),
            ("x-secret", "1"),
            ("keep-alive", "5"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("content-length", "5"),
            ("upgrade", "h2c"),
            ("accept", "*/*"),
        ]);
        assert!(clean_request(&mut map, &STRANGER));
        assert_eq!(map, headers(&[("accept", "*/*")]));
    }

    #[test]
    fn identity_is_dropped_in_every_spelling() {
        for name in [
            "x-scopegate-app",
            "X_Scopegate_App",
            "x.scopegate.app",
            "x~scopegate~app",
            "x+scopegate+app",
            "x!scopegate#app",
            "x-scopegate-anything",
            "x~forwarded~for",
            "x~request~id",
            "transfer_encoding",
            "x_forwarded_for",
            "Forwarded",
            "x-http-method-override",
            "x_real_ip",
        ] {
            let mut map = headers(&[(name, "admin")]);
            clean_request(&mut map, &STRANGER);
            assert!(map.is_empty(), "{name}");
        }
        let claimed = [HeaderName::from_static("x-user")];
        for name in ["x-user", "X_User", "x.user", "x~user", "x|user"] {
            let fields = headers(&[(name, "admin"), ("x-users", "1")]);
            let (mut request, mut answer, mut trailers) = (fields.clone(), fields.clone(), fields);
            clean_request(&mut request, &Hygiene { claimed: &claimed, ..STRANGER });
            clean_response(&mut answer, &claimed);
            clean_trailers(&mut trailers, &claimed);
            for left in [request, answer, trailers] {
                assert_eq!(left, headers(&[("x-users", "1")]), "{name}");
            }
        }
    }

    #[test]
    fn trailers_hold_nothing_that_counts_as_a_field_of_the_header() {
        for name in [
            "x_scopegate.app",
            "x+scopegate+app",
            "authorization",
            "content_type",
            "if-none-match",
            "x~http~method~override",
            "x-ssl-client-cert",
            "cf-connecting-ip",
            "x-original-url",
            "sec-websocket-key",
            "access_control_allow_origin",
            "host",
            "set-cookie",
        ] {
            let left = [("x-checksum", "1"), ("grpc-status", "0"), ("content-digest", "sha-256=::"), ("etag", "\"a\"")];
            let mut trailers = headers(&[&[(name, "x")], &left[..]].concat());
            clean_trailers(&mut trailers, &[]);
            assert_eq!(trailers, headers(&left), "{name}");
        }
    }

    #[test]
    fn what_proxies_assert_comes_from_trusted_ones_alone_and_what_redirects_from_none() {
        let fields = [("x-ssl-client-cert", "1"), ("x-authenticated-user", "ann"), ("cf-connecting-ip", "192.0.2.1")];
        let redirecting = [("x-original-url", "/admin"), ("x+accel+redirect", "/admin"), ("x-http-method", "PUT")];
        let clean = |hygiene: &Hygiene<'_>| {
            let mut map = headers(&[&fields[..], &redirecting[..]].concat());
            clean_request(&mut map, hygiene);
            map
        };
        assert_eq!(clean(&STRANGER), HeaderMap::new());
        assert_eq!(clean(&Hygiene { is_trusted: true, ..STRANGER }), headers(&fields));
        let mut alias = headers(&[("x-ssl-client-cert", "its own"), ("x~ssl_client_cert", "its client's")]);
        clean_request(&mut alias, &Hygiene { is_trusted: true, ..STRANGER });
        assert_eq!(alias, headers(&[("x-ssl-client-cert", "its own")]), "spelled as proxies spell it");
        let own = HeaderName::from_static("x-ssl-client-cert");
        assert_eq!(
            clean(&Hygiene { kept: Some(&own), ..STRANGER }),
            headers(&fields[..1]),
            "a credential that is kept"
        );
    }

    proptest! {
        #[test]
        fn nothing_that_reads_as_identity_passes(sep in "[-!#$%&'*+.^_`|~]{2}", rest in "[a-z_.~+-]{0,8}", upper: bool) {
            let (a, b) = sep.split_at(1);
            let name = format!("x{a}scopegate{b}{rest}");
            let name = if upper { name.to_uppercase() } else { name };
            let mut map = headers(&[(&name, "x")]);
            clean_request(&mut map, &STRANGER);
            prop_assert!(map.is_empty());
        }
    }
}
