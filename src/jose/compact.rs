//! The compact serialization (RFC 7515 section 7.1), read once and strictly.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Header, Part, TokenError, read_object};
use crate::model::Claims;

/// A token in its parts. Nothing of it is proved.
#[derive(Clone, Debug)]
pub struct Compact<'t> {
    pub header: Header,
    pub claims: Claims,
    /// Header and payload as they were signed.
    pub signing_input: &'t [u8],
    pub signature: Vec<u8>,
}

impl<'t> Compact<'t> {
    /// # Errors
    /// When the token is longer than `limit` bytes, or anything but three parts of canonical base64url whose first
    /// two are JSON objects. The length is looked at first, then the characters, then the parts.
    pub fn parse(token: &'t [u8], limit: usize) -> Result<Self, TokenError> {
        if token.len() > limit {
            return Err(TokenError::TooLarge { length: token.len(), limit });
        }
        let [header_end, payload_end] = match dots(token)? {
            (dots, 2) => dots,
            (_, 4) => return Err(TokenError::Encrypted),
            (_, count) => return Err(TokenError::Parts(count + 1)),
        };
        let (header, payload) = (&token[..header_end], &token[header_end + 1..payload_end]);
        let signature = &token[payload_end + 1..];
        let header = Header::read(decode(Part::Header, header)?)?;
        let claims = read_object(Part::Payload, decode(Part::Payload, payload)?)?;
        if signature.is_empty() {
            return Err(TokenError::Unsigned);
        }
        let signature = decode(Part::Signature, signature)?;
        Ok(Self { header, claims, signing_input: &token[..payload_end], signature })
    }
}

/// Where the first dots are, and how many there are in all.
pub(super) fn dots<const N: usize>(token: &[u8]) -> Result<([usize; N], usize), TokenError> {
    let mut dots = [0; N];
    let mut count = 0;
    for (at, byte) in token.iter().enumerate() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => {}
            b'.' => {
                if let Some(dot) = dots.get_mut(count) {
                    *dot = at;
                }
                count += 1;
            }
            _ => return Err(TokenError::Character { at }),
        }
    }
    Ok((dots, count))
}

pub(super) fn decode(part: Part, text: &[u8]) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenError::Base64(part))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token(header: &str, payload: &str) -> String {
        format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload))
    }

    fn parse(token: &str) -> Result<Compact<'_>, TokenError> {
        Compact::parse(token.as_bytes(), 8192)
    }

    #[test]
    fn a_token_is_read_into_its_parts() {
        let token = token(r#"{"typ":"JWT","alg":"HS256","kid":"k1","jku":"http://evil.example"}"#, r#"{"appId":"a"}"#);
        let compact = parse(&token).unwrap();
        assert_eq!(&*compact.header.algorithm, "HS256");
        assert_eq!(compact.header.key_id.as_deref(), Some("k1"));
        assert_eq!(compact.claims.get("appId"), Some(r#""a""#));
        assert_eq!(compact.signature, b"sig");
        assert_eq!(compact.signing_input, token.rsplit_once('.').unwrap().0.as_bytes());
    }

    #[test]
    fn f028_only_three_parts_are_a_signed_token() {
        assert_eq!(parse("").unwrap_err(), TokenError::Parts(1));
        assert_eq!(parse("abc").unwrap_err(), TokenError::Parts(1));
        assert_eq!(parse("a.b").unwrap_err(), TokenError::Parts(2));
        assert_eq!(parse("a.b.c.d").unwrap_err(), TokenError::Parts(4));
        assert_eq!(parse("a.b.c.d.e").unwrap_err(), TokenError::Encrypted);
        assert_eq!(parse("a.b.c.d.e.f").unwrap_err(), TokenError::Parts(6));
        let long = ".".repeat(8192);
        assert_eq!(parse(&long).unwrap_err(), TokenError::Parts(8193));
    }

    #[test]
    fn an_unsigned_token_is_refused() {
        let signed = token(r#"{"alg":"HS256"}"#, "{}");
        assert_eq!(parse(signed.strip_suffix("c2ln").unwrap()).unwrap_err(), TokenError::Unsigned);
    }

    #[test]
    fn base64url_is_canonical() {
        let good = token(r#"{"alg":"HS256"}"#, "{}");
        let (rest, _) = good.rsplit_once('.').unwrap();
        assert_eq!(parse(&format!("{rest}.c2l")).unwrap_err(), TokenError::Base64(Part::Signature), "trailing bits");
        assert_eq!(parse(&format!("{rest}.c")).unwrap_err(), TokenError::Base64(Part::Signature));
        assert_eq!(parse(&format!("{rest}.c2k=")).unwrap_err(), TokenError::Character { at: rest.len() + 4 });
        assert_eq!(parse(&format!("{rest}.c2+k")).unwrap_err(), TokenError::Character { at: rest.len() + 3 });
        assert_eq!(parse(&format!(" {good}")).unwrap_err(), TokenError::Character { at: 0 });
    }

    #[test]
    fn a_header_that_changes_what_the_signature_means_is_refused() {
        for (name, value) in [
            ("crit", r#"["exp"]"#),
            ("crit", "[]"),
            ("b64", "false"),
            ("b64", "true"),
            ("enc", r#""A128GCM""#),
            ("zip", r#""DEF""#),
        ] {
            let token = token(&format!(r#"{{"alg":"HS256","{name}":{value}}}"#), "{}");
            assert_eq!(parse(&token).unwrap_err(), TokenError::Critical(name));
        }
    }

    #[test]
    fn header_parameters_have_their_type() {
        for (header, name) in [
            (r#"{"alg":5}"#, "alg"),
            ("{}", "alg"),
            (r#"{"alg":"HS256","kid":7}"#, "kid"),
            (r#"{"alg":"HS256","typ":null}"#, "typ"),
        ] {
            assert_eq!(parse(&token(header, "{}")).unwrap_err(), TokenError::Parameter(name));
        }
    }

    #[test]
    fn a_long_token_is_refused_by_its_length_alone() {
        let long = "\u{0}".repeat(9000);
        assert_eq!(parse(&long).unwrap_err(), TokenError::TooLarge { length: 9000, limit: 8192 });
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[A-Za-z0-9_.\\- \u{0}ä=]{0,120}") {
            _ = parse(&text);
        }
    }
}
