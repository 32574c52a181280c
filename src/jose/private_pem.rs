//! Private keys as people hand them over: PEM (RFC 7468) that went through variables, chats and editors on its way.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::Content;
use crate::secret::Secret;

/// One private key in PEM as it should stand, and what had to be mended for that.
pub struct PrivatePem {
    text: Secret,
    mended: Vec<Mended>,
}

/// What was wrong with a PEM, and is no longer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mended {
    Quotes,
    Spaces,
    /// `\n` in two characters, as environment variables and JSON have it.
    EscapedBreaks,
    /// Line breaks as Windows writes them.
    CarriageReturns,
    /// The whole key in one line.
    LostBreaks,
}

impl fmt::Display for Mended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Quotes => "quotes around it",
            Self::Spaces => "white space around it or in its lines",
            Self::EscapedBreaks => "line breaks written as \\n",
            Self::CarriageReturns => "line breaks of Windows (CR LF)",
            Self::LostBreaks => "line breaks that are lost",
        })
    }
}

impl PrivatePem {
    /// Reads PKCS #8 and PKCS #1, and mends what happens to PEM in variables and clipboards: quotes, spaces, and line
    /// breaks that are written as `\n` or `\r\n` or lost.
    ///
    /// # Errors
    /// When it is no private key, in words that tell what it seems to be.
    pub fn read(given: &Secret) -> Result<Self, Content> {
        let text = std::str::from_utf8(given.expose()).map_err(|_| Content::of(given.expose()))?;
        let (text, mut mended) = unwrapped(text);
        let block = Block::find(&text)?;
        mended.extend(block.mended());
        mended.dedup();
        let body: Zeroizing<String> = Zeroizing::new(block.body.split_whitespace().collect());
        check_der(&body)?;
        match Content::of_block(block.label, Some(&body)) {
            Content::PrivateKey => {}
            unusable => return Err(unusable),
        }
        Ok(Self { text: rendered(block.label, &body), mended })
    }

    pub fn mended(&self) -> &[Mended] {
        &self.mended
    }

    pub(super) fn text(&self) -> &[u8] {
        self.text.expose()
    }
}

impl fmt::Debug for PrivatePem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivatePem({:?})", self.mended)
    }
}

/// Without what stands around it, and with line breaks that are some.
fn unwrapped(given: &str) -> (Zeroizing<String>, Vec<Mended>) {
    let mut mended = Vec::new();
    let is_space = |c: char| c.is_whitespace() || c == '\u{feff}';
    let is_quote = |c: char| matches!(c, '"' | '\'' | '`');
    let bare = given.trim_matches(|c| is_space(c) || is_quote(c));
    let around = given.len() - given.trim_start_matches(is_space).len();
    if around > 0 || given.trim_end_matches(is_space).len() < given.trim_end_matches(['\r', '\n']).len() {
        mended.push(Mended::Spaces);
    }
    if given.trim_matches(is_space) != bare {
        mended.push(Mended::Quotes);
    }
    if bare.contains("\\n") || bare.contains("\\r") {
        mended.push(Mended::EscapedBreaks);
    }
    if bare.contains('\r') {
        mended.push(Mended::CarriageReturns);
    }
    let text = Zeroizing::new(bare.replace("\\r", "\n").replace("\\n", "\n"));
    (Zeroizing::new(text.replace('\r', "\n")), mended)
}

struct Block<'a> {
    label: &'a str,
    body: &'a str,
}

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";

impl<'a> Block<'a> {
    /// The first block with a private key; what stands around it does not count (RFC 7468 section 2).
    fn find(text: &'a str) -> Result<Self, Content> {
        let mut rest = text;
        while let Some((_, after)) = rest.split_once(BEGIN) {
            let (label, after) = after.split_once(DASHES).ok_or(Content::Truncated)?;
            if Content::of_label(label) == Content::PrivateKey {
                let end = after.find(&format!("-----END {label}-----")).ok_or(Content::Truncated)?;
                return Ok(Self { label, body: &after[..end] });
            }
            rest = after;
        }
        Err(Content::of(text.as_bytes()))
    }

    fn mended(&self) -> impl Iterator<Item = Mended> {
        let lines = || self.body.trim_matches('\n').lines();
        let is_one_line = self.body.trim().len() > LONGEST_LINE && lines().count() == 1;
        let has_spaces = !is_one_line && lines().any(|line| line.trim() != line || line.is_empty());
        is_one_line.then_some(Mended::LostBreaks).into_iter().chain(has_spaces.then_some(Mended::Spaces))
    }
}

/// RFC 7468 section 2 has 64 and RFC 2045 section 6.8 has 76; no tool writes longer ones, and no key is shorter than
/// this but those of Ed25519, which are one line.
const LONGEST_LINE: usize = 76;

/// One SEQUENCE of just the length that it says (X.690 sections 8.1.3 and 8.9).
fn check_der(body: &str) -> Result<(), Content> {
    if body.contains("ENCRYPTED") && body.contains(':') {
        return Err(Content::Encrypted);
    }
    let der = STANDARD.decode(body).map(Zeroizing::new);
    let der = der.map_err(|_| if body.len().is_multiple_of(4) { Content::Damaged } else { Content::Truncated })?;
    let (said, header) = match der[..] {
        [0x30, length @ 0..=0x7f, ..] => (usize::from(length), 2),
        [0x30, 0x81, length, ..] => (usize::from(length), 3),
        [0x30, 0x82, high, low, ..] => (usize::from(high) << 8 | usize::from(low), 4),
        [] => return Err(Content::Truncated),
        _ => return Err(Content::Damaged),
    };
    match (der.len() - header).cmp(&said) {
        std::cmp::Ordering::Less => Err(Content::Truncated),
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(Content::Damaged),
    }
}

fn rendered(label: &str, body: &str) -> Secret {
    let mut text = Zeroizing::new(String::with_capacity(body.len() + body.len() / 32 + 2 * label.len() + 64));
    text.push_str(&format!("{BEGIN}{label}{DASHES}\n"));
    let mut rest = body;
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str(&format!("-----END {label}{DASHES}\n"));
    Secret::new(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Made for these tests alone.
    const RSA: &str = include_str!("../../tests/all/support/keys/rsa.pem");
    const PUBLIC: &str = include_str!("../../tests/all/support/keys/rsa.pub.pem");
    const ED25519: &str = include_str!("../../tests/all/support/keys/ed25519.pem");

    fn read(text: &str) -> Result<(String, Vec<Mended>), Content> {
        let pem = PrivatePem::read(&Secret::new(text))?;
        Ok((String::from_utf8(pem.text().to_vec()).unwrap(), pem.mended))
    }

    #[test]
    fn a_key_as_it_should_stand_stays_as_it_is() {
        for key in [RSA, ED25519] {
            assert_eq!(read(key), Ok((key.to_owned(), Vec::new())));
            assert_eq!(read(key.trim_end()), Ok((key.to_owned(), Vec::new())));
        }
        let explained = format!("Bag Attributes: x\n{PUBLIC}{RSA}");
        assert_eq!(read(&explained), Ok((RSA.to_owned(), Vec::new())));
    }

    #[test]
    fn what_variables_and_clipboards_do_to_a_key_is_mended_and_told() {
        let cases = [
            (RSA.replace('\n', "\\n"), Mended::EscapedBreaks),
            (RSA.replace('\n', "\\r\\n"), Mended::EscapedBreaks),
            (RSA.replace('\n', "\r\n"), Mended::CarriageReturns),
            (format!("\"{}\"", RSA.trim_end()), Mended::Quotes),
            (format!("'{RSA}'"), Mended::Quotes),
            (format!("  {RSA}"), Mended::Spaces),
            (format!("{RSA}  \n"), Mended::Spaces),
            (RSA.replace('\n', "\n  "), Mended::Spaces),
            (RSA.replace('\n', " "), Mended::LostBreaks),
            (RSA.replace('\n', ""), Mended::LostBreaks),
        ];
        for (text, wanted) in cases {
            let (mended, what) = read(&text).unwrap();
            assert_eq!(mended, RSA, "{wanted:?}");
            assert!(what.contains(&wanted), "{what:?} for {wanted:?}");
        }
    }

    #[test]
    fn what_is_no_private_key_is_called_by_its_name() {
        let middle = RSA.len() / 2;
        let body: String = RSA.lines().filter(|line| !line.starts_with('-')).collect();
        let cases = [
            ("", Content::Empty),
            (" \n", Content::Empty),
            ("SHA256:Oq3k0bXk0GZ9o0D9fPqk5Q0m1v8w7r6t5y4u3i2o1pA=", Content::Fingerprint),
            ("0a:1b:2c:3d:4e:5f:60:71:82:93:a4:b5:c6:d7:e8:f9", Content::Fingerprint),
            (PUBLIC, Content::PublicKey),
            ("ssh-rsa AAAAB3NzaC1yc2E ana@example", Content::SshPublicKey),
            ("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----", Content::Certificate),
            (r#"{"kty":"RSA"}"#, Content::Jwk),
            ("eyJhbGciOiJIUzI1NiJ9.e30.c2ln", Content::Token),
            ("keys/app.pem", Content::Path),
            (&body, Content::Bare),
            ("Vb1vQ0m7m0l5x3Yw8s0uN2kQ9rT4eZ6hJ1pL5cX7dA8=", Content::Text),
            ("-----BEGIN DH PARAMETERS-----\nMIIB\n-----END DH PARAMETERS-----", Content::OtherBlock),
            ("-----BEGIN EC PRIVATE KEY-----\nMIIB\n-----END EC PRIVATE KEY-----", Content::Sec1),
            ("-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----", Content::Encrypted),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMIIB\n-----END RSA PRIVATE KEY-----",
                Content::Encrypted,
            ),
            (&RSA[..middle], Content::Truncated),
            ("-----BEGIN PRIVATE KEY-----", Content::Truncated),
            (&RSA[middle..], Content::Truncated),
            ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", Content::Damaged),
        ];
        for (text, wanted) in cases {
            assert_eq!(read(text), Err(wanted), "{text:?}");
        }
        assert_eq!(PrivatePem::read(&Secret::new([0x30, 0x82, 0xff])).unwrap_err(), Content::DerPrivateKey);
    }

    #[test]
    fn a_key_that_lost_a_line_is_cut_off() {
        let lines: Vec<_> = RSA.lines().collect();
        for gone in 2..lines.len() - 2 {
            let kept: Vec<_> = lines.iter().enumerate().filter(|(at, _)| *at != gone).map(|(_, line)| *line).collect();
            let text = kept.join("\n");
            assert_eq!(read(&text), Err(Content::Truncated), "line {gone}");
        }
    }

    #[test]
    fn no_text_about_a_key_holds_any_of_it() {
        let pem = PrivatePem::read(&Secret::new(format!(" {RSA}"))).unwrap();
        assert_eq!(format!("{pem:?}"), "PrivatePem([Spaces])");
    }

    proptest! {
        #[test]
        fn any_mix_of_accidents_is_mended(
            breaks in prop::sample::select(vec!["\n", "\r\n", "\\n", "\\r\\n", " ", "\n ", " \n", "\n\n"]),
            before in "[ \t\r\n\u{feff}]{0,3}",
            after in "[ \t\r\n]{0,3}",
            quote in prop::sample::select(vec!["", "\"", "'"]),
            key in prop::sample::select(vec![RSA, ED25519]),
        ) {
            let text = format!("{before}{quote}{}{quote}{after}", key.replace('\n', breaks));
            prop_assert_eq!(read(&text).unwrap().0, key);
        }

        #[test]
        fn a_mended_key_needs_no_mending(spaces in "[ \r\n]{0,4}") {
            let (once, _) = read(&RSA.replace('\n', &format!("\n{spaces}"))).unwrap();
            prop_assert_eq!(read(&once), Ok((once.clone(), Vec::new())));
        }

        #[test]
        fn no_text_makes_it_panic(text in "(-----BEGIN |-----END |PRIVATE KEY|-----|MII|\\PC|\n|\\\\n){0,12}") {
            _ = PrivatePem::read(&Secret::new(text));
        }

        #[test]
        fn a_key_cut_anywhere_is_refused(at in 0..RSA.trim_end().len()) {
            prop_assert!(read(&RSA[..at]).is_err());
        }
    }
}
