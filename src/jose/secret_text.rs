//! Secrets, passwords and credentials as files and variables hold them. Editors and `echo` end a text with a line break, which is
//! no part of it; nothing else that can't be seen becomes a part of a secret in silence.

use std::fmt;

use super::{Content, Unusable, Wanted};

/// Why a text is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnfitText {
    Empty,
    Utf16,
    NotUtf8,
    /// The mark that editors of Windows put before UTF-8.
    Mark,
    /// A line break that is not the last character.
    LineBreak,
    /// White space at one of its ends.
    Space,
    Control,
    /// A key, a certificate or a JSON Web Key.
    Key(Content),
}

impl fmt::Display for UnfitText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "it is empty: is the file or the variable the right one?",
            Self::Utf16 => "it is text in UTF-16; convert it: iconv -f UTF-16 -t UTF-8 FILE > NEW",
            Self::NotUtf8 => "it is not UTF-8 text: a secret is used as text; openssl rand -base64 32 makes one",
            Self::Mark => {
                "it begins with a byte order mark (BOM), which would become part of it; take it away: sed -i '1s/^\\xEF\\xBB\\xBF//' FILE"
            }
            Self::LineBreak => {
                "a line break stands inside it, which would become part of it; write it in one line: tr -d '\\r\\n' < FILE > NEW"
            }
            Self::Space => {
                "white space stands at its beginning or end, which would become part of it; take it away: sed 's/^[[:space:]]*//; s/[[:space:]]*$//' FILE > NEW"
            }
            Self::Control => "a control character stands in it, which would become part of it: write it anew",
            Self::Key(found) => return Unusable { wanted: Wanted::Secret, found: *found }.fmt(f),
        })
    }
}

impl std::error::Error for UnfitText {}

/// A shared secret: a text, and no key of another kind.
///
/// # Errors
/// What is wrong with it, without any of it.
pub fn shared_secret(bytes: &[u8]) -> Result<&str, UnfitText> {
    match Content::of(bytes) {
        Content::Text | Content::Token | Content::Path | Content::Fingerprint | Content::Bare | Content::Binary => {}
        Content::Empty => return Err(UnfitText::Empty),
        Content::Utf16 => return Err(UnfitText::Utf16),
        Content::DerPrivateKey | Content::DerPublicKey | Content::DerCertificate | Content::Pkcs12 => {
            return Err(UnfitText::NotUtf8);
        }
        found => return Err(UnfitText::Key(found)),
    }
    one_line(bytes)
}

/// A password or another credential, in one line.
///
/// # Errors
/// What is wrong with it, without any of it.
pub fn one_line(bytes: &[u8]) -> Result<&str, UnfitText> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(UnfitText::Utf16);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| UnfitText::NotUtf8)?;
    if text.contains('\u{feff}') {
        return Err(UnfitText::Mark);
    }
    let line = text.trim_end_matches(['\r', '\n']);
    match line {
        line if line.trim().is_empty() => Err(UnfitText::Empty),
        line if line.contains(['\r', '\n']) => Err(UnfitText::LineBreak),
        line if line.trim() != line => Err(UnfitText::Space),
        line if line.chars().any(char::is_control) => Err(UnfitText::Control),
        line => Ok(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_can_not_be_seen_becomes_a_part_of_a_secret() {
        for good in ["a secret", "a secret\n", "a secret\r\n", "a secret\n\n", "geheimnis-ä"] {
            assert_eq!(one_line(good.as_bytes()), Ok(good.trim_end()), "{good:?}");
        }
        for (bad, why) in [
            ("", UnfitText::Empty),
            ("\n", UnfitText::Empty),
            ("  \n", UnfitText::Empty),
            ("\u{feff}a secret", UnfitText::Mark),
            ("a\nsecret", UnfitText::LineBreak),
            ("a\r\nsecret\r\n", UnfitText::LineBreak),
            ("\na secret", UnfitText::LineBreak),
            (" a secret", UnfitText::Space),
            ("a secret \n", UnfitText::Space),
            ("a\tsecret", UnfitText::Control),
            ("a\0secret", UnfitText::Control),
        ] {
            assert_eq!(one_line(bad.as_bytes()), Err(why), "{bad:?}");
            assert!(!why.to_string().contains("a secret"), "{why}");
        }
        assert_eq!(one_line(b"\xff\xfea\0"), Err(UnfitText::Utf16));
        assert_eq!(one_line(b"a\xffb"), Err(UnfitText::NotUtf8));
    }

    #[test]
    fn a_key_is_no_shared_secret() {
        let pem = include_str!("../../tests/all/support/keys/rsa.pub.pem");
        for (text, wanted) in [
            (pem, "public key, which is no secret"),
            (include_str!("../../tests/all/support/keys/rsa.pem"), "private key and no shared secret"),
            (include_str!("../../tests/all/support/keys/rsa.crt"), "a certificate and no shared secret"),
            (r#"{"kty":"oct","k":"AAAA"}"#, "a JSON Web Key and no shared secret"),
            (r#"{"keys":[]}"#, "a JSON Web Key and no shared secret"),
        ] {
            assert!(shared_secret(text.as_bytes()).unwrap_err().to_string().contains(wanted), "{text}");
        }
        assert_eq!(shared_secret(b"eyJhbGciOiJIUzI1NiJ9.e30.c2ln\n"), Ok("eyJhbGciOiJIUzI1NiJ9.e30.c2ln"));
    }
}
