//! The header of a request, judged before hyper reads it, as hyper does and a little more strictly.

use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::LazyLock;

use http::Uri;
use http::uri::PathAndQuery;
use httparse::{Error, Request, Status};

use super::super::HEADER_FIELDS;
use super::{LONGEST, Malformed};

/// hyper takes no longer target.
const LONGEST_TARGET: usize = (u16::MAX - 1) as usize;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// The rest of it is still to come.
    Partial,
    /// Its length, and where its target stands, if characters of the query have to be encoded.
    Whole(usize, Option<Range<usize>>),
    Malformed(Malformed),
}

/// Which bytes may stand in a path and in a query, as the type of targets says.
static TARGET: LazyLock<[(bool, bool); 256]> = LazyLock::new(|| {
    std::array::from_fn(|byte| {
        let byte = u8::try_from(byte).unwrap_or_default();
        let is_text = |before: &[u8]| byte >= 0x80 || PathAndQuery::try_from(&[before, &[byte]].concat()[..]).is_ok();
        (is_text(b"/"), is_text(b"/?"))
    })
});

/// What clients send in a query as it is, though a URI has it encoded (RFC 3986 section 3.4).
const fn is_raw(byte: u8) -> bool {
    matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | 0x80..)
}

pub(super) fn judge(bytes: &[u8]) -> Head {
    let mut fields = [const { MaybeUninit::uninit() }; HEADER_FIELDS];
    let mut request = Request::new(&mut []);
    let length = match request.parse_with_uninit_headers(bytes, &mut fields) {
        Ok(Status::Partial) => return Head::Partial,
        Ok(Status::Complete(length)) if length > LONGEST => return Head::Malformed(Malformed::TooLarge),
        Ok(Status::Complete(length)) => length,
        Err(error) => return Head::Malformed(fault(error, &request)),
    };
    let target = request.path.unwrap_or_default();
    let judged = judge_fields(&request).and_then(|()| judge_target(target));
    match judged {
        Err(malformed) => Head::Malformed(malformed),
        Ok(0) => Head::Whole(length, None),
        // As hyper reads it.
        Ok(growth) if length + growth > LONGEST || target.len() + growth > LONGEST_TARGET => {
            Head::Malformed(Malformed::TooLarge)
        }
        Ok(_) => {
            let start = target.as_ptr().addr() - bytes.as_ptr().addr();
            Head::Whole(length, Some(start..start + target.len()))
        }
    }
}

fn fault(error: Error, request: &Request<'_, '_>) -> Malformed {
    match error {
        Error::TooManyHeaders => Malformed::TooManyFields,
        Error::Version => Malformed::Version,
        Error::Token if request.method.is_some() => Malformed::Target,
        Error::Token => Malformed::RequestLine,
        _ if request.version.is_none() => Malformed::RequestLine,
        _ => Malformed::Field,
    }
}

/// How the body is framed has to be clear (RFC 9112 section 6.3).
fn judge_fields(request: &Request<'_, '_>) -> Result<(), Malformed> {
    let (mut length, mut codings) = (None, 0);
    for field in &*request.headers {
        if field.name.eq_ignore_ascii_case("content-length") {
            let digits = field.value.iter().all(u8::is_ascii_digit);
            let text = std::str::from_utf8(field.value).ok().filter(|_| digits);
            let value = text.and_then(|text| text.parse::<u64>().ok()).filter(|length| *length < u64::MAX - 2);
            let value = value.ok_or(Malformed::Length)?;
            if length.is_some_and(|length| length != value) {
                return Err(Malformed::Length);
            }
            length = Some(value);
        } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
            codings += 1;
            if codings > 1 || request.version != Some(1) || !field.value.eq_ignore_ascii_case(b"chunked") {
                return Err(Malformed::TransferCoding);
            }
        }
    }
    if codings > 0 && length.is_some() { Err(Malformed::TwoFramings) } else { Ok(()) }
}

/// By how much it grows, since characters of its query have to be encoded.
fn judge_target(target: &str) -> Result<usize, Malformed> {
    if target.len() > LONGEST_TARGET {
        return Err(Malformed::TooLarge);
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let raw = query.bytes().filter(|byte| is_raw(*byte)).count();
    let is_good = if path.starts_with('/') {
        let may_stand = &*TARGET;
        path.bytes().all(|byte| may_stand[usize::from(byte)].0)
            && query.bytes().all(|byte| is_raw(byte) || may_stand[usize::from(byte)].1)
    } else {
        encoded(target).parse::<Uri>().is_ok()
    };
    if is_good { Ok(2 * raw) } else { Err(Malformed::Target) }
}

/// Encodes what stands raw in the query of a request that hyper has read already.
pub(in crate::net) fn encode_query(uri: &mut Uri) {
    if !uri.query().is_some_and(|query| query.bytes().any(is_raw)) {
        return;
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = parts.path_and_query.and_then(|target| encoded(target.as_str()).parse().ok());
    if let Ok(encoded) = Uri::from_parts(parts) {
        *uri = encoded;
    }
}

/// The target with its query encoded.
pub(super) fn encoded(target: &str) -> String {
    let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
    let mut text = path.to_owned();
    encode(query.as_bytes(), is_raw, &mut text);
    text
}

fn encode(bytes: &[u8], is_encoded: impl Fn(u8) -> bool, text: &mut String) {
    for byte in bytes {
        if is_encoded(*byte) {
            text.push_str(&format!("%{byte:02X}"));
        } else {
            text.push(char::from(*byte));
        }
    }
}

/// What can be told of a malformed request: a valid header in its place, with its method and path where they can be
/// read.
pub(super) fn stand_in(bytes: &[u8]) -> String {
    let start = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(bytes.len());
    let line = bytes[start..].split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    let method = words.next().and_then(|word| std::str::from_utf8(word).ok());
    let is_method = |word: &&str| (1..=32).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_alphabetic());
    let method = method.filter(is_method).filter(|method| *method != "CONNECT").unwrap_or("-");
    let target = words.next().filter(|word| word.starts_with(b"/")).unwrap_or(b"/");
    let mut text = format!("{method} ");
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/?-._~%!$&'()*+,;=:@".contains(&byte);
    encode(&target[..target.len().min(4096)], |byte| !is_plain(byte), &mut text);
    text.push_str(" HTTP/1.1\r\nConnection: close\r\n\r\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str, fields: &str) -> Head {
        judge(format!("{line}\r\n{fields}\r\n").as_bytes())
    }

    #[test]
    fn a_header_is_whole_at_its_end_and_what_follows_is_not_of_it() {
        let head = "\r\n\r\nGET /a?b HTTP/1.1\r\nHost: a\r\n\r\n";
        assert_eq!(judge(format!("{head}GET /").as_bytes()), Head::Whole(head.len(), None));
        assert!((0..head.len()).all(|cut| judge(&head.as_bytes()[..cut]) == Head::Partial));
        assert_eq!(judge(b"GET / HTTP/1.1\nHost: a\n\n"), Head::Whole(24, None));
    }

    #[test]
    fn what_clients_send_raw_in_a_query_is_encoded_there_alone() {
        let target = "/a?q=\"<x>\\^`{|}\u{e9}%7B'[]";
        let Head::Whole(_, Some(range)) = of(&format!("GET {target} HTTP/1.1"), "") else { panic!("not found") };
        assert_eq!(range, 4..4 + target.len());
        assert_eq!(encoded(target), "/a?q=%22%3Cx%3E%5C%5E%60%7B%7C%7D%C3%A9%7B'[]");
        assert!(matches!(of("GET http://a/b?q=<x> HTTP/1.1", ""), Head::Whole(_, Some(_))));
        for target in ["/a<b", "/a>b?c"] {
            assert_eq!(of(&format!("GET {target} HTTP/1.1"), ""), Head::Malformed(Malformed::Target), "{target}");
        }
    }

    #[test]
    fn a_query_that_is_too_long_once_it_is_encoded_is_too_large() {
        let fields = "Host: a\r\n";
        let rest = "GET /? HTTP/1.1\r\n".len() + fields.len() + 2;
        let of_raw = |count: usize| of(&format!("GET /?{} HTTP/1.1", "<".repeat(count)), fields);
        let most = (LONGEST - rest) / 3;
        assert!(matches!(of_raw(most), Head::Whole(_, Some(_))));
        assert_eq!(of_raw(most + 1), Head::Malformed(Malformed::TooLarge));
    }

    #[test]
    fn a_query_that_was_read_is_encoded_as_one_that_was_not() {
        let mut uri = Uri::from_static("https://a.test/b?c={d}|'\u{e9}");
        encode_query(&mut uri);
        assert_eq!(uri, "https://a.test/b?c=%7Bd%7D%7C'%C3%A9");
    }

    #[test]
    fn a_request_whose_body_is_not_framed_in_one_way_is_malformed() {
        let (length, chunked) = ("Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n");
        for (fields, malformed) in [
            (&[length, chunked][..], Malformed::TwoFramings),
            (&[chunked, length], Malformed::TwoFramings),
            (&[chunked, "content-length:0\r\n"], Malformed::TwoFramings),
            (&[length, "Content-Length: 6\r\n"], Malformed::Length),
            (&["Content-Length: 5, 5\r\n"], Malformed::Length),
            (&["Content-Length:\r\n"], Malformed::Length),
            (&["Content-Length: 18446744073709551615\r\n"], Malformed::Length),
            (&[chunked, chunked], Malformed::TransferCoding),
            (&["Transfer-Encoding: gzip, chunked\r\n"], Malformed::TransferCoding),
        ] {
            assert_eq!(of("POST / HTTP/1.1", &fields.concat()), Head::Malformed(malformed), "{fields:?}");
        }
        assert!(matches!(of("POST / HTTP/1.1", &[length, length].concat()), Head::Whole(_, None)));
        assert_eq!(of("POST / HTTP/1.0", chunked), Head::Malformed(Malformed::TransferCoding));
    }

    #[test]
    fn what_stands_in_for_a_malformed_request_is_whole_and_tells_what_can_be_told() {
        for (bytes, line) in [
            (&b"GET /a\"b HTTP/9\r\n\r\n"[..], "GET /a%22b HTTP/1.1"),
            (b"\r\nPOST /a?b#c\x00\x1b[2J HTTP/1.1", "POST /a?b%23c%00%1B%5B2J HTTP/1.1"),
            (b"CONNECT a:1 HTTP/1.1", "- / HTTP/1.1"),
            (b"\x16\x03\x01\x02", "- / HTTP/1.1"),
            (b"", "- / HTTP/1.1"),
        ] {
            let text = stand_in(bytes);
            assert!(text.starts_with(&format!("{line}\r\n")), "{text:?}");
            assert_eq!(judge(text.as_bytes()), Head::Whole(text.len(), None));
        }
    }
}
