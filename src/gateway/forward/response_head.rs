//! The header of an upstream's answer: whether its framing is plain, and what of it goes on.

use http::{HeaderMap, HeaderName, Response, StatusCode, Version, header};

use super::super::hygiene;
use super::HeaderBounds;
use super::fault::Fault;

/// Where the body of an answer ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum BodyEnd {
    /// Where hyper finds its end.
    Framed,
    /// After so many bytes, which hyper does not know.
    After(u64),
    WithConnection,
}

/// Checks an answer's framing and cleans its header. The length that a HEAD or a 304 tells is kept: it frames nothing.
pub(super) fn clean<B>(
    response: &mut Response<B>,
    is_head: bool,
    claimed: &[HeaderName],
    bounds: HeaderBounds,
) -> Result<BodyEnd, Fault> {
    let (status, is_http2) = (response.status(), response.version() == Version::HTTP_2);
    if status.is_informational() {
        return Err(Fault::Invalid("an answer that is none yet"));
    }
    if response.headers().len() > bounds.fields {
        return Err(Fault::TooManyFields(bounds.fields));
    }
    if is_http2 && size(response.headers()) > bounds.bytes {
        return Err(Fault::TooManyBytes(bounds.bytes));
    }
    // The upstream's version is its own affair: an answer of HTTP/1.0 would end the caller's connection.
    *response.version_mut() = Version::HTTP_11;
    let is_bodiless = is_head || matches!(status, StatusCode::NOT_MODIFIED | StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    let coding = coding(headers).map_err(Fault::Invalid)?;
    let length = length(headers).map_err(Fault::Invalid)?;
    if length.is_some() && coding == Coding::Chunked {
        return Err(Fault::Invalid("an answer with Content-Length and Transfer-Encoding"));
    }
    hygiene::clean_response(headers, claimed);
    if let Some(length) = length.filter(|_| is_bodiless) {
        headers.insert(header::CONTENT_LENGTH, length.into());
    }
    Ok(match length {
        Some(length) if coding == Coding::Identity && !is_bodiless => BodyEnd::After(length),
        None if coding != Coding::Chunked && !is_bodiless && !is_http2 => BodyEnd::WithConnection,
        _ => BodyEnd::Framed,
    })
}

/// As HTTP/2 counts it (RFC 9113 section 6.5.2), with `:status`.
fn size(headers: &HeaderMap) -> usize {
    let fields = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32);
    fields.sum::<usize>() + ":status".len() + 3 + 32
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Coding {
    None,
    /// The coding of old that means none, and that hyper takes for one.
    Identity,
    Chunked,
}

/// RFC 9112 section 6.1. hyper undoes `chunked` where it stands last, and no other coding; what is still coded must not go on as
/// if it were not.
fn coding(headers: &HeaderMap) -> Result<Coding, &'static str> {
    let (mut coding, mut last_is_chunked) = (Coding::None, false);
    for name in elements(headers, &header::TRANSFER_ENCODING) {
        last_is_chunked = name.eq_ignore_ascii_case(b"chunked");
        coding = match coding {
            Coding::None | Coding::Identity if last_is_chunked => Coding::Chunked,
            Coding::None | Coding::Identity if name.eq_ignore_ascii_case(b"identity") => Coding::Identity,
            Coding::None | Coding::Identity | Coding::Chunked => {
                return Err("an answer with a transfer coding other than chunked");
            }
        };
    }
    let is_empty = coding == Coding::None && headers.contains_key(header::TRANSFER_ENCODING);
    if is_empty || last_is_chunked != (coding == Coding::Chunked) {
        return Err("an answer with a transfer coding other than chunked");
    }
    Ok(coding)
}

/// RFC 9112 section 6.3: one length, however often it is told.
fn length(headers: &HeaderMap) -> Result<Option<u64>, &'static str> {
    let mut length = None;
    for digits in elements(headers, &header::CONTENT_LENGTH) {
        let told = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let told =
            told.and_then(|text| text.parse().ok()).ok_or("an answer with a Content-Length that is no number")?;
        if length.replace(told).is_some_and(|before| before != told) {
            return Err("an answer with several lengths");
        }
    }
    if length.is_none() && headers.contains_key(header::CONTENT_LENGTH) {
        return Err("an answer with a Content-Length that is no number");
    }
    Ok(length)
}

/// The elements of a list, over all fields of the name.
fn elements<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let lists = headers.get_all(name).iter();
    lists.flat_map(|list| list.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii).filter(|e| !e.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &HeaderName, values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn equal_lengths_are_one_and_others_are_none() {
        let of = |values: &[&str]| length(&headers(&header::CONTENT_LENGTH, values));
        assert_eq!([of(&[]), of(&["5"])], [Ok(None), Ok(Some(5))]);
        for equal in [&["5", "5"][..], &["5, 5"], &["5", "5,5"], &["5,"], &["5", "05"]] {
            assert_eq!(of(equal), Ok(Some(5)), "{equal:?}");
        }
        for wrong in [&["5", "6"][..], &["5, 6"], &["5", "5, 6"]] {
            assert_eq!(of(wrong), Err("an answer with several lengths"), "{wrong:?}");
        }
        for wrong in ["", ",", "+5", "-5", "5 5", "0x5", "5.0", "99999999999999999999"] {
            assert_eq!(of(&[wrong]), Err("an answer with a Content-Length that is no number"), "{wrong:?}");
        }
    }

    #[test]
    fn identity_is_no_coding_and_chunked_stands_last_and_once() {
        let of = |values: &[&str]| coding(&headers(&header::TRANSFER_ENCODING, values)).ok();
        assert_eq!(of(&[]), Some(Coding::None));
        for identity in [&["identity"][..], &["Identity"], &["identity, identity"], &["identity", "identity"]] {
            assert_eq!(of(identity), Some(Coding::Identity), "{identity:?}");
        }
        for chunked in [&["chunked"][..], &["Chunked"], &["identity, chunked"], &["identity", "chunked"]] {
            assert_eq!(of(chunked), Some(Coding::Chunked), "{chunked:?}");
        }
        for wrong in [&["gzip"][..], &["gzip, chunked"], &["chunked, chunked"], &["chunked", "identity"], &[""], &["x"]]
        {
            assert_eq!(of(wrong), None, "{wrong:?}");
        }
    }
}
