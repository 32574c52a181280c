//! A path has one reading, or it is refused: what is judged is what is sent.

use std::borrow::Cow;
use std::ops::Deref;

/// A request's path, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged<'p> {
    /// As routes and parameters are judged on: percent-encodings decoded, segment borders where they were. An encoded
    /// slash stays `%2F`.
    pub text: Cow<'p, str>,
    /// As it is sent: encoded unreserved characters decoded (RFC 3986 section 6.2.2.2), all else as it came.
    pub sent: Cow<'p, str>,
    /// The first segment with an encoded slash.
    pub(super) slash: Option<usize>,
    /// Whether decoding it twice gives another path than decoding it once.
    pub(super) is_double: bool,
}

/// The text that routes are matched on.
impl Deref for Judged<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl Judged<'_> {
    /// The path that servers see which take an encoded slash for a plain one.
    ///
    /// # Errors
    /// When no request may have that path.
    pub(super) fn slashed(&self) -> Result<String, &'static str> {
        let plain = self.sent.replace("%2F", "/").replace("%2f", "/");
        judge(&plain).map(|judged| judged.text.into_owned())
    }

    /// Whether a route has to allow it.
    pub fn needs_permission(&self) -> bool {
        self.slash.is_some() || self.is_double
    }
}

/// Reads a request's path.
///
/// Refused is whatever two servers might read in two ways: backslashes, semicolons, dot segments, control characters,
/// broken encodings, empty segments, raw bytes outside ASCII. Encoded slashes and encodings of encodings are found, for
/// the route to decide. Encoded unreserved characters stand for themselves, in what is judged and in what is sent.
///
/// # Errors
/// What is wrong, in words.
pub fn judge(path: &str) -> Result<Judged<'_>, &'static str> {
    if !path.starts_with('/') {
        return Err("the path does not begin with a slash");
    }
    let mut encoded = false;
    for byte in path.bytes() {
        match byte {
            b'%' => encoded = true,
            b'\\' => return Err("a backslash in the path"),
            b';' => return Err("a semicolon in the path"),
            0x21..=0x7e => {}
            _ => return Err("a control character, space or raw non-ASCII byte in the path"),
        }
    }
    if encoded {
        let sent = normalized(path)?;
        check_segments(&sent)?;
        decode(sent)
    } else {
        check_segments(path)?;
        Ok(Judged { text: Cow::Borrowed(path), sent: Cow::Borrowed(path), slash: None, is_double: false })
    }
}

fn check_segments(path: &str) -> Result<(), &'static str> {
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "" if segments.peek().is_some() => return Err("an empty segment in the path"),
            "." | ".." => return Err("a dot segment in the path"),
            _ => {}
        }
    }
    Ok(())
}

/// Decodes unreserved characters (RFC 3986 section 2.3) and nothing else.
fn normalized(path: &str) -> Result<Cow<'_, str>, &'static str> {
    let mut parts = path.split('%');
    let mut normal = String::with_capacity(path.len());
    normal.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let byte = part.as_bytes().first_chunk().copied().and_then(byte_of);
        let byte = byte.ok_or("a broken percent-encoding in the path")?;
        let (digits, rest) = part.split_at(2);
        if is_unreserved(byte) {
            normal.push(char::from(byte));
        } else {
            normal.push('%');
            normal.push_str(digits);
        }
        normal.push_str(rest);
    }
    Ok(if normal.len() == path.len() { Cow::Borrowed(path) } else { Cow::Owned(normal) })
}

/// Decodes a path whose encodings are well formed.
fn decode(sent: Cow<'_, str>) -> Result<Judged<'_>, &'static str> {
    let mut text = Vec::with_capacity(sent.len());
    let (mut segment, mut slash, mut is_double) = (0_usize, None, false);
    let mut rest = sent.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'%' {
            segment += usize::from(*byte == b'/');
            text.push(*byte);
            continue;
        }
        let Some((digits, after)) = rest.split_first_chunk() else { break };
        rest = after;
        match byte_of(*digits).unwrap_or_default() {
            b'/' => {
                // The first segment is the one behind the first slash.
                slash = slash.or(Some(segment.saturating_sub(1)));
                text.extend_from_slice(b"%2F");
            }
            b'\\' => return Err("an encoded backslash in the path"),
            b';' => return Err("an encoded semicolon in the path"),
            0..=0x1f | 0x7f => return Err("an encoded control character in the path"),
            b'%' => {
                is_double |= begins_encoding(rest);
                text.push(b'%');
            }
            byte => text.push(byte),
        }
    }
    let text = String::from_utf8(text).map_err(|_| "the path is not UTF-8")?;
    Ok(Judged { text: Cow::Owned(text), sent, slash, is_double })
}

/// Whether a percent sign before it would begin an encoding: `XX`, or `uXXXX` for some servers.
fn begins_encoding(text: &[u8]) -> bool {
    let is_hex = |digits: Option<&[u8]>| digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    is_hex(text.get(..2)) || matches!(text.first(), Some(b'u' | b'U')) && is_hex(text.get(1..5))
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn byte_of([high, low]: [u8; 2]) -> Option<u8> {
    Some(hex(high)? << 4 | hex(low)?)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(path: &str) -> String {
        judge(path).unwrap().text.into_owned()
    }

    #[test]
    fn plain_paths_are_judged_as_they_are() {
        for path in ["/", "/a", "/a/", "/a/b.c/..d/e..", "/a:b@c/d,e=f/(g)!$&'*+", "/~user/-_"] {
            let judged = judge(path).unwrap();
            assert_eq!((&*judged.text, &*judged.sent, judged.needs_permission()), (path, path, false));
        }
    }

    #[test]
    fn encodings_are_read_once() {
        assert_eq!(text("/caf%C3%A9/%20x"), "/café/ x");
        assert_eq!(text("/caf%c3%a9"), "/café");
        assert_eq!(text("/a%252fb"), "/a%2fb");
        assert_eq!(judge("/caf%c3%a9/%20x").unwrap().sent, "/caf%c3%a9/%20x", "all else is sent as it came");
    }

    #[test]
    fn encoded_unreserved_characters_stand_for_themselves_alike_in_what_is_judged_and_sent() {
        for (path, normal) in [
            ("/users/%7Eann", "/users/~ann"),
            ("/%41%7a%30%2D%2e%5f/b", "/Az0-._/b"),
            ("/a%2Eb", "/a.b"),
            ("/%61", "/a"),
        ] {
            let judged = judge(path).unwrap();
            assert_eq!((&*judged.text, &*judged.sent), (normal, normal), "{path}");
        }
        let judged = judge("/%41%20%C3%A9%42").unwrap();
        assert_eq!((&*judged.text, &*judged.sent), ("/A \u{e9}B", "/A%20%C3%A9B"));
    }

    #[test]
    fn what_decoding_twice_would_change_needs_a_permission() {
        for path in ["/%252e%252e", "/a%252Fb", "/%25%32%65", "/%25%32%46", "/a%2541", "/a%25u002e", "/%25252e"] {
            assert!(judge(path).unwrap().is_double, "{path}");
        }
        for path in ["/100%25", "/100%25/ab", "/5%25x", "/%25u00g0", "/%20%41"] {
            assert!(!judge(path).unwrap().is_double, "{path}");
        }
    }

    #[test]
    fn encoded_slashes_are_found_and_read_both_ways() {
        let judged = judge("/a/b%2Fc%2fd/e%20f").unwrap();
        assert_eq!((&*judged.text, judged.slash), ("/a/b%2Fc%2Fd/e f", Some(1)));
        assert_eq!(judged.slashed().unwrap(), "/a/b/c/d/e f");
        assert_eq!(judge("/a%252Fb").unwrap().slash, None);
        for path in ["/a/..%2Fb", "/a%2f..%2fb", "/a/%2Fb", "/a%2F%2Fb", "/a%2F/b", "/a/b%2f.", "/a/%2e%2e%2fb"] {
            assert!(judge(path).unwrap().slashed().is_err(), "{path}");
        }
    }

    #[test]
    fn what_two_servers_might_read_in_two_ways_is_refused() {
        let bad = [
            "",
            "a",
            "*",
            "//",
            "//a",
            "/a//b",
            "/a/.",
            "/a/..",
            "/./a",
            "/a/../b",
            "/a%5cb",
            "/a\\b",
            "/%2e%2e/b",
            "/.%2E",
            "/%2e",
            "/a%00",
            "/a%0a",
            "/a%",
            "/a%2",
            "/a%zz",
            "/a%%32%66",
            "/a%2%46",
            "/a%u002e",
            "/a;b",
            "/a/..;/b",
            "/a%3bb",
            "/a b",
            "/é",
            "/a%é",
            "/a%ff",
            "/a\u{7f}",
        ];
        for path in bad {
            assert!(judge(path).is_err(), "{path:?}");
        }
    }

    proptest! {
        #[test]
        fn a_judged_path_has_the_segments_of_the_raw_one(path in "/[a-c/.%2fFeE5cC;\\\\]{0,20}") {
            if let Ok(judged) = judge(&path) {
                prop_assert_eq!(judged.text.matches('/').count(), path.matches('/').count());
                prop_assert!(judged.text.split('/').all(|s| s != "." && s != ".."));
            }
        }

        #[test]
        fn what_is_sent_is_judged_alike(path in "/(%[2-7][0-9a-fA-F]|[a-c/.%~]){0,8}") {
            if let Ok(judged) = judge(&path) {
                let again = judge(&judged.sent).unwrap();
                prop_assert_eq!(&again.text, &judged.text);
                prop_assert_eq!(&again.sent, &judged.sent, "it is normal already");
                prop_assert_eq!((again.slash, again.is_double), (judged.slash, judged.is_double));
            }
        }
    }
}
