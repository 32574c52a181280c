//! A method behind another: clients that can send no PUT, PATCH or DELETE send a POST that says which one is meant.

use http::{HeaderMap, HeaderName, Method};

/// The one spelling that is understood, and only where a route's authenticator says so. Upstreams get none.
pub const METHOD_OVERRIDE: HeaderName = HeaderName::from_static("x-http-method-override");

/// The methods that a POST may stand for.
const MEANT: [Method; 3] = [Method::PUT, Method::PATCH, Method::DELETE];

/// The method that an overriding request means.
///
/// # Errors
/// What is wrong, in words: a method is read in one way, or the request is refused.
pub(super) fn meant(method: &Method, headers: &HeaderMap) -> Result<Method, &'static str> {
    let mut values = headers.get_all(METHOD_OVERRIDE).iter();
    match (values.next(), values.next()) {
        _ if *method != Method::POST => Err("an override on a request other than POST"),
        (Some(value), None) => {
            let meant = MEANT.iter().find(|known| value.as_bytes().eq_ignore_ascii_case(known.as_str().as_bytes()));
            meant.cloned().ok_or("an override to something else")
        }
        (None, _) => Err("no override"),
        (Some(_), Some(_)) => Err("more than one override"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&[u8]]) -> HeaderMap {
        values.iter().map(|v| (METHOD_OVERRIDE, http::HeaderValue::from_bytes(v).unwrap())).collect()
    }

    #[test]
    fn a_post_can_mean_put_patch_and_delete_in_any_case() {
        for (text, method) in [("PUT", Method::PUT), ("patch", Method::PATCH), ("Delete", Method::DELETE)] {
            assert_eq!(meant(&Method::POST, &headers(&[text.as_bytes()])), Ok(method));
        }
    }

    #[test]
    fn whatever_else_is_said_is_refused() {
        for text in
            ["", "GET", "HEAD", "POST", "OPTIONS", "CONNECT", "TRACE", "PUT,DELETE", "PUT, PUT", "PUTS", "\u{e9}"]
        {
            assert!(meant(&Method::POST, &headers(&[text.as_bytes()])).is_err(), "{text}");
        }
        assert!(meant(&Method::POST, &headers(&[b"PUT", b"PUT"])).is_err());
        assert!(meant(&Method::POST, &headers(&[])).is_err());
        for method in [Method::GET, Method::PUT, Method::DELETE, Method::HEAD, Method::OPTIONS] {
            assert!(meant(&method, &headers(&[b"PUT"])).is_err(), "{method}");
        }
    }
}
