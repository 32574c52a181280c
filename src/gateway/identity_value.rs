//! Values of identity headers: whatever text names a caller reaches the upstream, and back again the text itself.

use std::fmt::Write as _;

use http::HeaderValue;

/// The text as a header's value. `%`, whatever is not printable ASCII, and spaces at the ends stand as `%XX`, byte by byte of
/// the text's UTF-8: receivers would cut them off, refuse them or read them each in its own way. All else stands as it is, so
/// that decoding the percent-encodings gives the text, and no two texts have one value.
pub(super) fn header_value(text: &str) -> HeaderValue {
    let plain = if is_plain(text) { HeaderValue::from_str(text) } else { HeaderValue::try_from(encoded(text)) };
    // Printable ASCII, in either case.
    plain.unwrap_or(HeaderValue::from_static(""))
}

fn is_plain(text: &str) -> bool {
    text.bytes().all(is_kept) && !text.starts_with(' ') && !text.ends_with(' ')
}

fn is_kept(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'%'
}

fn encoded(text: &str) -> String {
    let inner = text.trim_start_matches(' ');
    let (before, inner) = (text.len() - inner.len(), inner.trim_end_matches(' '));
    let after = text.len() - before - inner.len();
    let mut value = "%20".repeat(before);
    for byte in inner.bytes() {
        if is_kept(byte) {
            value.push(char::from(byte));
        } else {
            // Writing to memory does not fail.
            _ = write!(value, "%{byte:02X}");
        }
    }
    value.push_str(&"%20".repeat(after));
    value
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(value: &HeaderValue) -> String {
        let text = value.to_str().unwrap();
        let mut parts = text.split('%');
        let mut bytes = parts.next().unwrap().as_bytes().to_vec();
        for part in parts {
            bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
            bytes.extend_from_slice(&part.as_bytes()[2..]);
        }
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn what_a_header_holds_unchanged_stands_as_it_is() {
        for text in
            ["", "admin", "somebody@example.com", "logs users", "contents:read issues:write", "a  \"b\", c;d=\\~"]
        {
            assert_eq!(header_value(text), text);
        }
    }

    #[test]
    fn all_else_is_percent_encoded() {
        for (text, value) in [
            (" admin ", "%20admin%20"),
            ("\tadmin", "%09admin"),
            ("a\r\nx-scopegate-app: b", "a%0D%0Ax-scopegate-app: b"),
            ("100%", "100%25"),
            ("%20admin", "%2520admin"),
            ("J\u{fc}rgen", "J%C3%BCrgen"),
            ("a\u{0}b\u{7f}", "a%00b%7F"),
            ("\u{a0}admin", "%C2%A0admin"),
            ("   ", "%20%20%20"),
        ] {
            assert_eq!(header_value(text), value, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn decoding_gives_the_text_and_the_ends_are_no_blanks(text in "(\\PC|[ \t\r\n%\u{0}\u{7f}\u{80}-\u{ff}]){0,12}") {
            let value = header_value(&text);
            prop_assert_eq!(decoded(&value), text);
            let shown = value.to_str().unwrap();
            prop_assert_eq!(shown.trim(), shown);
        }
    }
}
