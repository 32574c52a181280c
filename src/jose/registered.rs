//! The registered claims (RFC 7519 section 4.1), each of its one right type.

use crate::clock::Timestamp;
use crate::model::{Audience, ClaimNames, Claims, Reason, Refusal, RegisteredClaims};

/// Above this a NumericDate can't be meant in seconds: it is the year 5138.
const LIKELY_MILLISECONDS: f64 = 1e11;
/// Below this it is no date either, but a duration.
const LIKELY_DURATION: f64 = 1e9;
const MAX_TOKEN_ID: usize = 256;

/// Reads the claims that decide.
///
/// # Errors
/// `token.claim_invalid` when one of them has a value of the wrong kind; a wrong kind is never read as absent.
pub fn read_registered(claims: &Claims, names: &ClaimNames) -> Result<RegisteredClaims, Refusal> {
    let token_id = first(&names.token_id, |name| token_id(claims, name))?;
    for name in &names.booleans {
        boolean(claims, name)?;
    }
    Ok(RegisteredClaims {
        issuer: if names.numeric_issuer { text_or_number(claims, "iss")? } else { text(claims, "iss")? },
        subject: first(&names.subject, |name| text_or_number(claims, name))?,
        audience: audience(claims)?,
        audience_is_list: claims.get("aud").is_some_and(|raw| raw.starts_with('[')),
        expires: date(claims, "exp")?,
        not_before: date(claims, "nbf")?,
        issued_at: date(claims, "iat")?,
        token_id,
        scope: names.scope.as_deref().map(|name| text(claims, name)).transpose()?.map(Option::unwrap_or_default),
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

/// The first that is present, after all of them have been read.
fn first<T>(names: &[Box<str>], read: impl Fn(&str) -> Result<Option<T>, Refusal>) -> Result<Option<T>, Refusal> {
    names.iter().try_fold(None, |first: Option<T>, name| Ok(first.or(read(name)?)))
}

fn text(claims: &Claims, name: &str) -> Result<Option<Box<str>>, Refusal> {
    let Some(raw) = claims.get(name) else { return Ok(None) };
    serde_json::from_str(raw).map(Some).map_err(|_| wrong(name, "a string").found(format!("a JSON {}", kind_of(raw))))
}

fn token_id(claims: &Claims, name: &str) -> Result<Option<Box<str>>, Refusal> {
    let id = text(claims, name)?;
    match id.as_deref().map(str::len).filter(|length| !(1..=MAX_TOKEN_ID).contains(length)) {
        Some(length) => {
            Err(wrong(name, format!("a string of 1 to {MAX_TOKEN_ID} bytes")).found(format!("{length} bytes")))
        }
        None => Ok(id),
    }
}

/// Free text that decides nothing, or a name that some issuers write as a bare number.
fn text_or_number(claims: &Claims, name: &str) -> Result<Option<Box<str>>, Refusal> {
    match claims.get(name) {
        Some(raw) if raw.bytes().all(|b| b.is_ascii_digit()) => Ok(Some(raw.into())),
        _ => text(claims, name),
    }
}

/// The text "false" is true to whoever asks only whether there is something.
fn boolean(claims: &Claims, name: &str) -> Result<(), Refusal> {
    match claims.get(name) {
        None | Some("true" | "false") => Ok(()),
        Some(raw) => Err(wrong(name, "true or false, without quotes").found(format!("a JSON {}", kind_of(raw)))),
    }
}

fn audience(claims: &Claims) -> Result<Audience, Refusal> {
    let Some(raw) = claims.get("aud") else { return Ok(Audience::default()) };
    let read =
        if raw.starts_with('[') { serde_json::from_str(raw) } else { serde_json::from_str(raw).map(|one| vec![one]) };
    read.map(Audience)
        .map_err(|_| wrong("aud", "a string or a list of strings").found(format!("a JSON {}", kind_of(raw))))
}

fn wrong(name: &str, expected: impl Into<String>) -> Refusal {
    Refusal::new(Reason::TokenClaimInvalid).of_claim(name).expected(format!("{name}: {}", expected.into()))
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
        read_named(json, &ClaimNames::default())
    }

    fn read_named(json: &str, names: &ClaimNames) -> Result<RegisteredClaims, Refusal> {
        read_registered(&read_object(Part::Payload, json.as_bytes().to_vec()).unwrap(), names)
    }

    fn aliases() -> ClaimNames {
        ClaimNames {
            subject: vec!["kore_sub".into(), "sub".into()],
            token_id: vec!["jti".into(), "kore_jti".into()],
            booleans: vec!["isAnonymous".into()],
            numeric_issuer: false,
            scope: None,
        }
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

    #[test]
    fn an_issuer_is_a_number_only_where_it_may_be_one() {
        let names = ClaimNames { numeric_issuer: true, ..ClaimNames::default() };
        assert_eq!(read_named(r#"{"iss":123}"#, &names).unwrap().issuer.as_deref(), Some("123"));
        assert_eq!(read_named(r#"{"iss":"123"}"#, &names).unwrap().issuer.as_deref(), Some("123"));
        for json in [r#"{"iss":1.5}"#, r#"{"iss":-1}"#, r#"{"iss":true}"#, r#"{"iss":[1]}"#] {
            assert_eq!(read_named(json, &names).unwrap_err().claim.as_deref(), Some("iss"), "{json}");
        }
        assert_eq!(read(r#"{"iss":123}"#).unwrap_err().reason, Reason::TokenClaimInvalid);
    }

    #[test]
    fn the_first_claim_of_a_list_that_is_present_counts() {
        let read = |json| read_named(json, &aliases()).unwrap();
        let both = read(r#"{"sub":"a","kore_sub":"b","jti":"c","kore_jti":"d"}"#);
        assert_eq!((both.subject.as_deref(), both.token_id.as_deref()), (Some("b"), Some("c")));
        let aliases = read(r#"{"kore_jti":"d","kore_sub":7}"#);
        assert_eq!((aliases.subject.as_deref(), aliases.token_id.as_deref()), (Some("7"), Some("d")));
        let plain = read(r#"{"jti":"c","sub":"a"}"#);
        assert_eq!((plain.subject.as_deref(), plain.token_id.as_deref()), (Some("a"), Some("c")));
        let neither = read("{}");
        assert_eq!((neither.subject, neither.token_id), (None, None));
        let unnamed = read_named(r#"{"kore_jti":"d","kore_sub":{}}"#, &ClaimNames::default()).unwrap();
        assert_eq!((unnamed.subject, unnamed.token_id), (None, None), "what is in no list is nothing");
    }

    #[test]
    fn a_claim_that_does_not_count_has_to_be_of_the_right_kind_too() {
        let long = format!(r#"{{"jti":"a","kore_jti":"{}"}}"#, "x".repeat(257));
        for json in [
            r#"{"jti":"a","kore_jti":7}"#,
            r#"{"jti":null,"kore_jti":"a"}"#,
            r#"{"jti":"a","kore_jti":""}"#,
            r#"{"kore_sub":"a","sub":[]}"#,
            &long,
        ] {
            let refusal = read_named(json, &aliases()).unwrap_err();
            assert_eq!(refusal.reason, Reason::TokenClaimInvalid, "{json}");
        }
    }

    #[test]
    fn a_boolean_is_no_text() {
        let read = |json| read_named(json, &aliases());
        assert!(read(r#"{"isAnonymous":true}"#).is_ok() && read(r#"{"isAnonymous":false}"#).is_ok());
        for json in [r#"{"isAnonymous":"false"}"#, r#"{"isAnonymous":0}"#, r#"{"isAnonymous":null}"#] {
            let refusal = read(json).unwrap_err();
            assert_eq!(refusal.expected.as_deref(), Some("isAnonymous: true or false, without quotes"), "{json}");
        }
        assert!(read_named(r#"{"isAnonymous":"false"}"#, &ClaimNames::default()).is_ok());
    }
}
