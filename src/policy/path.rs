//! A path has one reading, or it is refused: what is judged is what is sent, byte for byte.

use std::borrow::Cow;

/// A path as routes are matched on: percent-encodings decoded, segment borders where they were.
pub type Judged<'p> = Cow<'p, str>;

/// Reads a request's path.
///
/// Refused is whatever two servers might read in two ways: encoded slashes, backslashes, dots, unreserved and control
/// characters, broken encodings (RFC 3986 section 6.2.2), empty and dot segments, matrix parameters, raw bytes
/// outside ASCII.
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
    let segments = path.split('/').skip(1).count();
    for (i, segment) in path.split('/').skip(1).enumerate() {
        match segment {
            "" if i + 1 < segments => return Err("an empty segment in the path"),
            "." | ".." => return Err("a dot segment in the path"),
            _ => {}
        }
    }
    if encoded { decode(path).map(Cow::Owned) } else { Ok(Cow::Borrowed(path)) }
}

fn decode(path: &str) -> Result<String, &'static str> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let (high, low) = (bytes.next().and_then(hex), bytes.next().and_then(hex));
        let (Some(high), Some(low)) = (high, low) else { return Err("a broken percent-encoding in the path") };
        match high << 4 | low {
            b'/' | b'\\' => return Err("an encoded slash in the path"),
            b';' => return Err("an encoded semicolon in the path"),
            b'.' | b'-' | b'_' | b'~' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                return Err("a percent-encoded character that must stand plain (RFC 3986 section 6.2.2.2)");
            }
            0..=0x1f | 0x7f => return Err("an encoded control character in the path"),
            byte => decoded.push(byte),
        }
    }
    String::from_utf8(decoded).map_err(|_| "the path is not UTF-8")
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_paths_are_judged_as_they_are() {
        for path in ["/", "/a", "/a/", "/a/b.c/..d/e..", "/a:b@c/d,e=f/(g)!$&'*+", "/~user/-_"] {
            assert_eq!(judge(path).unwrap(), path);
        }
    }

    #[test]
    fn encodings_are_read_once() {
        assert_eq!(judge("/caf%C3%A9/%20x").unwrap(), "/café/ x");
        assert_eq!(judge("/caf%c3%a9").unwrap(), "/café");
        assert_eq!(judge("/a%252fb").unwrap(), "/a%2fb");
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
            "/a%2fb",
            "/a%2Fb",
            "/a%5cb",
            "/a\\b",
            "/%2e%2e/b",
            "/a%00",
            "/a%0a",
            "/a%",
            "/a%2",
            "/a%zz",
            "/a;b",
            "/a/..;/b",
            "/%41",
            "/a%3bb",
            "/a b",
            "/é",
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
                prop_assert_eq!(judged.matches('/').count(), path.matches('/').count());
                prop_assert!(judged.split('/').all(|s| s != "." && s != ".."));
            }
        }
    }
}
