//! Texts from outside, as operators are shown them.

use std::borrow::Cow;

use crate::secret::may_be_secret;

/// Parts of a token stand in these texts, and the texts stand on terminals: no control character reaches one.
pub fn printable(text: Cow<'static, str>) -> Cow<'static, str> {
    if text.chars().any(char::is_control) {
        text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
    } else {
        text
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
