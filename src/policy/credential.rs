//! The credential in a request's header: exactly one, written as the route expects.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, header};
use zeroize::Zeroizing;

use super::JwtAuthenticator;
use crate::model::{Reason, Refusal};
use crate::secret::Secret;
use crate::verify::NameAndPassword;

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
    token_in(value.as_bytes(), authenticator)
}

/// The token in a header's value.
///
/// # Errors
/// `credential.ambiguous`, `credential.wrong_scheme`, `credential.malformed`.
pub fn token_in<'h>(value: &'h [u8], authenticator: &JwtAuthenticator) -> Result<&'h [u8], Refusal> {
    let token = if authenticator.scheme.is_empty() { value } else { after_scheme(value, authenticator)? };
    if token.contains(&b',') {
        return Err(Refusal::new(Reason::CredentialAmbiguous).expected("one token").found("a list with a comma"));
    }
    bare_token(token, authenticator)
}

/// The token without what stands before each of ours.
pub(super) fn bare_token<'h>(token: &'h [u8], authenticator: &JwtAuthenticator) -> Result<&'h [u8], Refusal> {
    let Some(bare) = token.strip_prefix(authenticator.prefix.as_bytes()) else {
        let what = if token.starts_with(JSON) { "a token of an app's own" } else { "a token" };
        let found =
            stray(token).unwrap_or_else(|| format!("{what}, without {:?} before it", authenticator.prefix).into());
        return Err(Refusal::new(Reason::CredentialMalformed).expected(shape(authenticator)).found(found));
    };
    let token = bare;
    if authenticator.prefix.is_empty()
        && let Some(prefix) = prefix(token)
    {
        let found = format!("{prefix:?} before the token, which is one of ours for other routes");
        return Err(Refusal::new(Reason::CredentialMalformed).expected(shape(authenticator)).found(found));
    }
    match stray(token) {
        Some(found) => Err(Refusal::new(Reason::CredentialMalformed).expected(shape(authenticator)).found(found)),
        None => Ok(token),
    }
}

/// Name and password in the Authorization header (RFC 7617 section 2).
///
/// # Errors
/// `credential.missing`, `credential.ambiguous`, `credential.wrong_scheme`, `credential.malformed`.
pub fn name_and_password(headers: &HeaderMap) -> Result<NameAndPassword, Refusal> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let shape = "authorization: Basic and the base64 of NAME:PASSWORD";
    let Some(value) = values.next() else {
        return Err(Refusal::new(Reason::CredentialMissing).expected(shape).found("no authorization"));
    };
    if values.next().is_some() {
        let found = format!("{} of them", 2 + values.count());
        return Err(Refusal::new(Reason::CredentialAmbiguous).expected("one authorization").found(found));
    }
    let value = value.as_bytes();
    let (scheme, rest) = value.split_at(value.iter().position(|b| *b == b' ').unwrap_or(value.len()));
    if !scheme.eq_ignore_ascii_case(b"Basic") {
        let known = SCHEMES.iter().find(|known| scheme.eq_ignore_ascii_case(known.as_bytes()));
        let found = known.copied().unwrap_or("another scheme, or none");
        return Err(Refusal::new(Reason::CredentialWrongScheme).expected("Basic").found(found));
    }
    let malformed = |found: &'static str| Refusal::new(Reason::CredentialMalformed).expected(shape).found(found);
    let decoded = STANDARD.decode(rest.trim_ascii()).map_err(|_| malformed("no base64"))?;
    let decoded = Zeroizing::new(decoded);
    let text = std::str::from_utf8(&decoded).map_err(|_| malformed("no UTF-8"))?;
    let (name, password) = text.split_once(':').ok_or_else(|| malformed("no colon"))?;
    Ok(NameAndPassword { name: name.into(), password: Secret::new(password) })
}

/// Where people put tokens.
const ELSEWHERE: [&str; 7] =
    ["authorization", "auth", "token", "x-auth-token", "x-access-token", "apikey", "x-api-key"];

/// Schemes that a refusal may name.
const SCHEMES: [&str; 8] = ["Bearer", "Basic", "Digest", "DPoP", "Negotiate", "Token", "JWT", "ApiKey"];

/// RFC 9110 section 11.1: the scheme's name in any case, then spaces.
fn after_scheme<'h>(value: &'h [u8], authenticator: &JwtAuthenticator) -> Result<&'h [u8], Refusal> {
    let wanted = authenticator.scheme.as_bytes();
    let end = value.iter().position(|b| *b == b' ').unwrap_or(value.len());
    let (scheme, rest) = value.split_at(end);
    let is = |wanted: &[u8]| scheme.eq_ignore_ascii_case(wanted);
    if !is(wanted) && !authenticator.other_schemes.iter().any(|other| is(other.as_bytes())) {
        let known = SCHEMES.iter().find(|known| scheme.eq_ignore_ascii_case(known.as_bytes()));
        // What is no scheme may be a part of a secret.
        let found = known.copied().unwrap_or(if rest.is_empty() { "no scheme" } else { "an unknown scheme" });
        return Err(Refusal::new(Reason::CredentialWrongScheme).expected(authenticator.scheme.clone()).found(found));
    }
    Ok(rest.trim_ascii_start())
}

/// How the header of a token begins, in base64url: with a brace and a quote.
const JSON: &[u8] = b"eyJ";

/// What stands before a token of ours, such as `ghs_`.
fn prefix(token: &[u8]) -> Option<&str> {
    let end = token.iter().take(16).position(|b| *b == b'_')? + 1;
    let is_prefix = token[end..].starts_with(JSON) && token[..end - 1].iter().all(u8::is_ascii_lowercase);
    std::str::from_utf8(&token[..end]).ok().filter(|_| is_prefix)
}

/// What people paste along with a token.
fn stray(token: &[u8]) -> Option<Cow<'static, str>> {
    let found = match token {
        [] => "no token",
        [b'"' | b'\'' | b'`', ..] | [.., b'"' | b'\'' | b'`'] => "quotes around the token",
        // What U+2018 to U+201F begin with in UTF-8.
        [0xe2, 0x80, 0x98..=0x9f, ..] => "typographic quotes around the token",
        [b'$' | b'{', ..] => "a variable that was not filled in",
        [b'<', ..] => "angle brackets around the token",
        [.., b'\\', b'n' | b'r'] => "a written-out line break after the token",
        _ => return of_space(token),
    };
    Some(found.into())
}

fn of_space(token: &[u8]) -> Option<Cow<'static, str>> {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
    // Nearly no token has one, and a loop without an early end takes many bytes at a time.
    if !token.iter().fold(false, |any, byte| any | is_space(byte)) {
        return None;
    }
    let end = token.iter().position(is_space)?;
    let before = token[..end].strip_suffix(b":").unwrap_or(&token[..end]);
    let scheme = SCHEMES.iter().find(|known| before.eq_ignore_ascii_case(known.as_bytes()));
    Some(match scheme {
        Some(scheme) => format!("the word {scheme} before the token").into(),
        None => "a space in the token".into(),
    })
}

fn missing(headers: &HeaderMap, authenticator: &JwtAuthenticator) -> Refusal {
    let refusal = Refusal::new(Reason::CredentialMissing).expected(shape(authenticator));
    let elsewhere = ELSEWHERE.iter().find(|name| headers.contains_key(**name));
    let instead = elsewhere.map(|name| format!(", but a header {name}")).unwrap_or_default();
    refusal.found(format!("no {}{instead}", authenticator.header))
}

fn shape(authenticator: &JwtAuthenticator) -> String {
    let prefix = &authenticator.prefix;
    match authenticator.scheme.as_str() {
        "" => format!("{}: {prefix}TOKEN", authenticator.header),
        scheme => format!("{}: {scheme} {prefix}TOKEN", authenticator.header),
    }
}
