//! The credential in a request's header: exactly one, written as the route expects.

use http::{HeaderMap, header};

use super::JwtAuthenticator;
use crate::model::{Reason, Refusal};

/// The token in the header that the authenticator names. It is not looked into.
///
/// # Errors
/// `credential.missing`, `credential.ambiguous`, `credential.wrong_scheme`, `credential.malformed`.
pub fn credential<'h>(headers: &'h HeaderMap, authenticator: &JwtAuthenticator) -> Result<&'h [u8], Refusal> {
    let mut values = headers.get_all(&authenticator.header).iter();
    let Some(value) = values.next() else { return Err(missing(headers, authenticator)) };
    if values.next().is_some() {
        let found = format!("{} of them", 2 + values.count());
        return Err(Refusal::new(Reason::CredentialAmbiguous)
            .expected(format!("one {}", authenticator.header))
            .found(found));
    }
    let value = value.as_bytes();
    let token = if authenticator.scheme.is_empty() { value } else { after_scheme(value, authenticator)? };
    if token.contains(&b',') {
        return Err(Refusal::new(Reason::CredentialAmbiguous).expected("one token").found("a list with a comma"));
    }
    match stray(token) {
        Some(found) => Err(Refusal::new(Reason::CredentialMalformed).expected(shape(authenticator)).found(found)),
        None => Ok(token),
    }
}

/// Schemes that a refusal may name.
const SCHEMES: [&str; 8] = ["Bearer", "Basic", "Digest", "DPoP", "Negotiate", "Token", "JWT", "ApiKey"];

/// RFC 9110 section 11.1: the scheme's name in any case, then spaces.
fn after_scheme<'h>(value: &'h [u8], authenticator: &JwtAuthenticator) -> Result<&'h [u8], Refusal> {
    let wanted = authenticator.scheme.as_bytes();
    let end = value.iter().position(|b| *b == b' ').unwrap_or(value.len());
    let (scheme, rest) = value.split_at(end);
    if !scheme.eq_ignore_ascii_case(wanted) {
        let known = SCHEMES.iter().find(|known| scheme.eq_ignore_ascii_case(known.as_bytes()));
        // What is no scheme may be a part of a secret.
        let found = known.copied().unwrap_or(if rest.is_empty() { "no scheme" } else { "an unknown scheme" });
        return Err(Refusal::new(Reason::CredentialWrongScheme).expected(authenticator.scheme.clone()).found(found));
    }
    Ok(rest.trim_ascii_start())
}

/// What people paste along with a token.
fn stray(token: &[u8]) -> Option<&'static str> {
    match token {
        [] => Some("no token"),
        [b'"' | b'\'', ..] | [.., b'"' | b'\''] => Some("quotes around the token"),
        _ if token.contains(&b' ') || token.contains(&b'\t') => Some("a space in the token, or a scheme before it"),
        _ => None,
    }
}

fn missing(headers: &HeaderMap, authenticator: &JwtAuthenticator) -> Refusal {
    let elsewhere = if authenticator.header == header::AUTHORIZATION { "auth" } else { "authorization" };
    let refusal = Refusal::new(Reason::CredentialMissing).expected(shape(authenticator));
    let instead = if headers.contains_key(elsewhere) { format!(", but a header {elsewhere}") } else { String::new() };
    refusal.found(format!("no {}{instead}", authenticator.header))
}

fn shape(authenticator: &JwtAuthenticator) -> String {
    match authenticator.scheme.as_str() {
        "" => format!("{}: TOKEN", authenticator.header),
        scheme => format!("{}: {scheme} TOKEN", authenticator.header),
    }
}
