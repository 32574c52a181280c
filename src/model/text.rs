//! Texts from outside, as operators are shown them.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::secret::may_be_secret;

/// Parts of requests and tokens stand in these texts, and the texts stand on terminals: whatever a terminal or a reader would
/// not show as it is, is escaped.
pub fn printable(text: Cow<'static, str>) -> Cow<'static, str> {
    if text.chars().all(is_printable) { text } else { escaped(&text, &[]).into() }
}

/// The same for a text of several lines, which stay.
pub fn printable_lines(text: &str) -> Cow<'_, str> {
    let stays = |c: char| is_printable(c) || c == '\n';
    if text.chars().all(stays) { Cow::Borrowed(text) } else { escaped(text, &['\n']).into() }
}

/// The same for JSON, in which such characters stand in strings alone: it stays the same JSON. Line breaks between its tokens stay.
pub fn printable_json(json: &str) -> Cow<'_, str> {
    let stays = |c: char| is_printable(c) || c == '\n';
    if json.chars().all(stays) {
        return Cow::Borrowed(json);
    }
    let mut text = String::with_capacity(json.len() + 32);
    for c in json.chars() {
        if stays(c) {
            text.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to memory does not fail.
                _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
    text.into()
}

fn escaped(text: &str, kept: &[char]) -> String {
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_printable(c) || kept.contains(&c) { shown.push(c) } else { shown.extend(c.escape_default()) }
    }
    shown
}

/// Whether a character shows as itself and changes nothing about others: no control character of either set, no control of
/// the writing direction, nothing without a width, no separator but the space, nothing that Unicode leaves unassigned.
pub fn is_printable(c: char) -> bool {
    match c {
        ' '..='~' => true,
        // Letters by their category, which show nothing.
        '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' | '\u{2800}' | '\u{17b4}' | '\u{17b5}' => false,
        // What a debug print shows as it is.
        _ => c.escape_debug().len() == 1,
    }
}

/// A text of the caller's, in quotes and at most 80 characters of it; or how long it is, where it may be a secret.
pub fn quoted(text: &str) -> String {
    if may_be_secret(text) {
        format!("{} characters that may be a secret, and are not shown", text.chars().count())
    } else {
        format!("{:?}", text.chars().take(80).collect::<String>())
    }
}

/// A text as a shell takes it for one word, in a command that people paste.
pub fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+,=".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// A value as a segment of a path (RFC 3986 section 3.3), in which these characters stay besides those of a segment.
pub fn path_segment(value: &str, kept: &str) -> String {
    let mut text = String::new();
    for byte in value.bytes() {
        let letter = char::from(byte);
        if letter.is_ascii_alphanumeric() || "-._~!$&'()*+,=:@".contains(letter) || kept.contains(letter) {
            text.push(letter);
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_one_segment_of_a_path() {
        assert_eq!(path_segment("st-1 ü/a", ""), "st-1%20%C3%BC%2Fa");
        assert_eq!(path_segment("a/b.txt", "/"), "a/b.txt");
    }

    #[test]
    fn what_does_not_show_as_itself_is_escaped() {
        for (text, shown) in [
            ("caf\u{e9} \u{65e5}\u{672c} \"'\\ ~", "caf\u{e9} \u{65e5}\u{672c} \"'\\ ~"),
            ("\u{1b}[31m\r", "\\u{1b}[31m\\r"),
            ("\u{7f}\u{9b}31m", "\\u{7f}\\u{9b}31m"),
            ("a\u{202e}b\u{2066}\u{61c}\u{200f}", "a\\u{202e}b\\u{2066}\\u{61c}\\u{200f}"),
            ("a\u{200b}\u{200d}\u{feff}\u{2060}\u{ad}", "a\\u{200b}\\u{200d}\\u{feff}\\u{2060}\\u{ad}"),
            ("\u{2028}\u{2029}\u{85}\u{a0}", "\\u{2028}\\u{2029}\\u{85}\\u{a0}"),
            ("\u{e0041}\u{e000}\u{3164}", "\\u{e0041}\\u{e000}\\u{3164}"),
        ] {
            assert_eq!(printable(text.to_owned().into()), shown);
            assert_eq!(printable_lines(&format!("{text}\n")), format!("{shown}\n"));
        }
    }

    #[test]
    fn escaped_json_says_the_same() {
        let value = serde_json::json!({ "path": "/\u{9b}\u{202e}\u{e0041}\u{7f}caf\u{e9}\n" });
        for text in [value.to_string(), format!("{value:#}")] {
            let shown = printable_json(&text);
            assert!(shown.contains("/\\u009b\\u202e\\udb40\\udc41\\u007fcaf\u{e9}\\n"), "{shown}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
        }
    }

    #[test]
    fn a_word_of_a_shell_stays_one_word() {
        assert_eq!(shell_word("get-change-logs"), "get-change-logs");
        assert_eq!(shell_word("a b"), "'a b'");
        assert_eq!(shell_word("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(shell_word(""), "''");
    }

    #[test]
    fn what_may_be_a_secret_is_counted_and_not_shown() {
        assert_eq!(quoted("ci\n"), "\"ci\\n\"");
        assert_eq!(quoted(&"x".repeat(44)), "44 characters that may be a secret, and are not shown");
    }
}
