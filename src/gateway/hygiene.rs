//! Which header fields go through. Fields of one connection end here; fields that say who calls are ours to set.

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName};
use http_body::Frame;

use crate::policy::{begins, is_of_our_family, reads_as};

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

/// Fields by which a caller could pose as the gateway, or have another request judged than is sent.
const OURS: [&str; 21] = [
    "host",
    "expect",
    "forwarded",
    "x-real-ip",
    "x-request-id",
    "x-original-url",
    "x-rewrite-url",
    "x-original-method",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-host",
    "x-original-uri",
    "x-client-ip",
    "x-cluster-client-ip",
    "true-client-ip",
    "x-remote-user",
    "remote-user",
    "client-cert",
    "client-cert-chain",
    "proxy",
];

/// Whether a body's transfer coding is at most `chunked`, once (RFC 9112 section 6.1): hyper undoes no other, and what
/// is still coded must not go on as if it were not.
pub(super) fn is_plainly_framed(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let first = codings.next();
    codings.next().is_none() && first.is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"))
}

/// What must be known before the body (RFC 9110 section 6.5.1): framing, routing, credentials, what the body is.
const NEVER_IN_TRAILERS: [&str; 14] = [
    "authorization",
    "auth",
    "x-api-key",
    "cookie",
    "set-cookie",
    "www-authenticate",
    "cache-control",
    "content-encoding",
    "content-type",
    "content-range",
    "trailer",
    "range",
    "location",
    "date",
];

/// Drops from a request what must not go on, and what only we say under these names; returns whether the caller takes trailers (RFC 9110 section 10.1.4).
pub(super) fn clean_request(headers: &mut HeaderMap, claimed: &[HeaderName]) -> bool {
    let takes_trailers = headers.get_all(header::TE).iter().any(|te| te.as_bytes().eq_ignore_ascii_case(b"trailers"));
    strip(headers, |name| is_hop_by_hop(name) || is_ours(name, claimed));
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

/// Drops from trailers all but what only describes the body.
fn clean_trailers(trailers: &mut HeaderMap, claimed: &[HeaderName]) {
    strip(trailers, |name| is_hop_by_hop(name) || is_ours(name, claimed) || NEVER_IN_TRAILERS.contains(&name));
}

/// Removes all fields with these names.
pub(super) fn remove(headers: &mut HeaderMap, is_doomed: impl Fn(&HeaderName) -> bool) {
    let doomed: Vec<_> = headers.keys().filter(|name| is_doomed(name)).cloned().collect();
    for name in doomed {
        headers.remove(name);
    }
}

fn is_hop_by_hop(name: &str) -> bool {
    HOP_BY_HOP.iter().any(|known| reads_as(name, known))
}

/// In any spelling that some server reads alike: `_` and `.` for `-`.
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
        assert!(clean_request(&mut map, &[]));
        assert_eq!(map, headers(&[("accept", "*/*")]));
    }

    #[test]
    fn identity_is_dropped_in_every_spelling() {
        for name in [
            "x-scopegate-app",
            "X_Scopegate_App",
            "x.scopegate.app",
            "x-scopegate-anything",
            "x_forwarded_for",
            "Forwarded",
            "x-http-method-override",
            "x_real_ip",
        ] {
            let mut map = headers(&[(name, "admin")]);
            clean_request(&mut map, &[]);
            assert!(map.is_empty(), "{name}");
        }
        let claimed = [HeaderName::from_static("x-user")];
        for name in ["x-user", "X_User", "x.user"] {
            let fields = headers(&[(name, "admin"), ("x-users", "1")]);
            let (mut request, mut answer, mut trailers) = (fields.clone(), fields.clone(), fields);
            clean_request(&mut request, &claimed);
            clean_response(&mut answer, &claimed);
            clean_trailers(&mut trailers, &claimed);
            for left in [request, answer, trailers] {
                assert_eq!(left, headers(&[("x-users", "1")]), "{name}");
            }
        }
        let mut trailers = headers(&[("x_scopegate.app", "admin"), ("authorization", "x"), ("x-checksum", "1")]);
        clean_trailers(&mut trailers, &[]);
        assert_eq!(trailers, headers(&[("x-checksum", "1")]));
    }

    proptest! {
        #[test]
        fn nothing_that_reads_as_identity_passes(sep in "[-_.]{2}", rest in "[a-z_.-]{0,8}", upper: bool) {
            let (a, b) = sep.split_at(1);
            let name = format!("x{a}scopegate{b}{rest}");
            let name = if upper { name.to_uppercase() } else { name };
            let mut map = headers(&[(&name, "x")]);
            clean_request(&mut map, &[]);
            prop_assert!(map.is_empty());
        }
    }
}
