//! The registered claims (RFC 7519 section 4.1), each of its one right type.

use crate::clock::Timestamp;
use crate::model::{Audience, Claims, Reason, Refusal, RegisteredClaims};

/// Above this a NumericDate can't be meant in seconds: it is the year 5138.
const LIKELY_MILLISECONDS: f64 = 1e11;
/// Below this it is no date either, but a duration.
const LIKELY_DURATION: f64 = 1e9;
const MAX_TOKEN_ID: usize = 256;

/// Reads the claims that decide.
///
/// # Errors
/// `token.claim_invalid` when one of them has a value of the wrong kind; a wrong kind is never read as absent.
pub fn read_registered(claims: &Claims) -> Result<RegisteredClaims, Refusal> {
    let token_id = text(claims, "jti")?;
    if let Some(id) = token_id.as_deref().filter(|id| id.is_empty() || id.len() > MAX_TOKEN_ID) {
        return Err(wrong("jti", format!("a string of 1 to {MAX_TOKEN_ID} bytes")).found(format!("{} bytes", id.len())));
    }
    Ok(RegisteredClaims {
        issuer: text(claims, "iss")?,
        subject: subject(claims)?,
        audience: audience(claims)?,
        expires: date(claims, "exp")?,
        not_before: date(claims, "nbf")?,
        issued_at: date(claims, "iat")?,
        token_id,
    })
}

/// A NumericDate: seconds, whole or fractional, never a string (RFC 7519 section 2).
///
/// # Errors
/// What was found instead, in words.
pub fn read_time(raw: &str) -> Result<Timestamp, String> {
    let number: f64 = if raw.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
        raw.parse().map_err(|_| "no number".to_owned())?
    } else {
        return Err(format!("a JSON {}", kind_of(raw)));
    };
    if number.abs() > LIKELY_MILLISECONDS {
        return Err(format!("{raw}, which looks like milliseconds: divide by 1000"));
    }
    #[expect(clippy::cast_possible_truncation, reason = "the value is within 1e14")]
    Ok(Timestamp::from_millis((number * 1000.0).floor() as i64))
}

fn date(claims: &Claims, name: &'static str) -> Result<Option<Timestamp>, Refusal> {
    let Some(raw) = claims.get(name) else { return Ok(None) };
    read_time(raw).map(Some).map_err(|found| wrong(name, "a number of seconds since 1970").found(found))
}

/// A hint for an `exp` that lies in the 1970s: somebody wrote a duration.
pub(crate) fn looks_like_a_duration(time: Timestamp) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "a hint")]
    let seconds = time.secs() as f64;
    (0.0..LIKELY_DURATION).contains(&seconds)
}

fn text(claims: &Claims, name: &'static str) -> Result<Option<Box<str>>, Refusal> {
    let Some(raw) = claims.get(name) else { return Ok(None) };
    serde_json::from_str(raw).map(Some).map_err(|_| wrong(name, "a string").found(format!("a JSON {}", kind_of(raw))))
}

/// Free text that decides nothing; some issuers write a bare number.
fn subject(claims: &Claims) -> Result<Option<Box<str>>, Refusal> {
    match claims.get("sub") {
        Some(raw) if raw.bytes().all(|b| b.is_ascii_digit()) => Ok(Some(raw.into())),
        _ => text(claims, "sub"),
    }
}

fn audience(claims: &Claims) -> Result<Audience, Refusal> {
    let Some(raw) = claims.get("aud") else { return Ok(Audience::default()) };
    let read =
        if raw.starts_with('[') { serde_json::from_str(raw) } else { serde_json::from_str(raw).map(|one| vec![one]) };
    read.map(Audience)
        .map_err(|_| wrong("aud", "a string or a list of strings").found(format!("a JSON {}", kind_of(raw))))
}

fn wrong(name: &'static str, expected: impl Into<String>) -> Refusal {
    Refusal::new(Reason::TokenClaimInvalid).expected(format!("{name}: {}", expected.into()))
}

/// What a raw JSON value is, in a word.
pub fn kind_of(raw: &str) -> &'static str {
    match raw.as_bytes().first() {
        Some(b'"') => "string",
        Some(b'{') => "object",
        Some(b'[') => "list",
        Some(b't' | b'f') => "boolean",
        Some(b'n') => "null",
        _ => "number",
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Part, read_object};
    use super::*;

    fn read(json: &str) -> Result<RegisteredClaims, Refusal> {
        read_registered(&read_object(Part::Payload, json.as_bytes().to_vec()).unwrap())
    }

    #[test]
    fn dates_are_numbers_whole_or_fractional() {
        let claims = read(r#"{"exp":1795348801.75,"iat":-1,"nbf":1e9}"#).unwrap();
        assert_eq!(claims.expires, Some(Timestamp::from_millis(1_795_348_801_750)));
        assert_eq!(claims.issued_at, Some(Timestamp::from_secs(-1)));
        assert_eq!(claims.not_before, Some(Timestamp::from_secs(1_000_000_000)));
    }

    #[test]
    fn a_claim_of_the_wrong_kind_is_refused_and_never_absent() {
        let bad = [
            r#"{"exp":"1795348801"}"#,
            r#"{"exp":null}"#,
            r#"{"nbf":true}"#,
            r#"{"iat":{}}"#,
            r#"{"exp":1e999}"#,
            r#"{"exp":1795348801000}"#,
            r#"{"iss":5}"#,
            r#"{"iss":["a"]}"#,
            r#"{"jti":7}"#,
            r#"{"jti":""}"#,
            r#"{"aud":5}"#,
            r#"{"aud":["a",5]}"#,
            r#"{"aud":null}"#,
            r#"{"sub":{}}"#,
            r#"{"sub":true}"#,
            r#"{"jti":null}"#,
        ];
        for json in bad {
            assert_eq!(read(json).unwrap_err().reason, Reason::TokenClaimInvalid, "{json}");
        }
        let long = format!(r#"{{"jti":"{}"}}"#, "x".repeat(257));
        assert_eq!(read(&long).unwrap_err().reason, Reason::TokenClaimInvalid);
    }

    #[test]
    fn milliseconds_are_named_as_such() {
        let refusal = read(r#"{"exp":1795348801000}"#).unwrap_err();
        assert!(refusal.found.unwrap().contains("milliseconds"));
    }

    #[test]
    fn an_audience_is_one_or_several() {
        assert_eq!(read(r#"{"aud":"a"}"#).unwrap().audience, Audience(vec!["a".into()]));
        assert_eq!(read(r#"{"aud":["a","b"]}"#).unwrap().audience, Audience(vec!["a".into(), "b".into()]));
        assert_eq!(read("{}").unwrap().audience, Audience::default());
    }

    #[test]
    fn f138_a_subject_is_free_text() {
        assert_eq!(read(r#"{"sub":"Zoë 🦊"}"#).unwrap().subject.as_deref(), Some("Zoë 🦊"));
        assert_eq!(read(r#"{"sub":1234567890}"#).unwrap().subject.as_deref(), Some("1234567890"));
        assert_eq!(read("{}").unwrap().subject, None);
    }
}
