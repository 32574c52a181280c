//! The checks of a token, one function each, in their order. The verifier and `explain` call the same ones.

use std::time::Duration;

use super::{APP_NUMBER, Issuance, IssuerKeyNumber, Origin, SingleUsePolicy, TokenRules};
use crate::clock::Timestamp;
use crate::jose::{self, Certificate, Compact, Encrypted, Part, TokenError};
use crate::model::{
    Algorithm, AlgorithmSet, Claims, KeyId, Reason, Refusal, RegisteredClaims, is_same_media_type, quoted,
};
use crate::registry::{App, KeyChoice, KeyFault, KeyHint, RegisteredKey};

/// The first check of all, before a byte of the token is looked at.
///
/// # Errors
/// `token.too_large`.
pub fn check_length(token: &[u8], rules: &TokenRules) -> Result<(), Refusal> {
    let (length, limit) = (token.len(), rules.max_token_bytes);
    if length > limit { Err(refused(&TokenError::TooLarge { length, limit })) } else { Ok(()) }
}

/// A token in its parts, of which nothing is proved.
#[derive(Debug)]
pub enum Form<'t> {
    Signed(Compact<'t>),
    Encrypted(Box<Encrypted<'t>>),
}

/// Reads the token once, strictly.
///
/// # Errors
/// `token.too_large`, `token.malformed`, or `token.jwe_invalid` for a header that no encrypted token may have here.
pub fn read<'t>(token: &'t [u8], rules: &TokenRules) -> Result<Form<'t>, Refusal> {
    match Compact::parse(token, rules.max_token_bytes) {
        Ok(compact) => Ok(Form::Signed(compact)),
        Err(TokenError::Encrypted) if rules.encrypted => Ok(Form::Encrypted(Box::new(read_encrypted(token, rules)?))),
        Err(error) => Err(refused(&error)),
    }
}

fn read_encrypted<'t>(token: &'t [u8], rules: &TokenRules) -> Result<Encrypted<'t>, Refusal> {
    Encrypted::parse(token, rules.max_token_bytes).map_err(|error| match error {
        TokenError::Unsupported { .. }
        | TokenError::Critical(_)
        | TokenError::Parameter(_)
        | TokenError::Length(_)
        | TokenError::Base64(Part::EphemeralKey)
        | TokenError::Json(Part::EphemeralKey) => Refusal::new(Reason::TokenJweInvalid).found(error.to_string()),
        error => refused(&error),
    })
}

fn refused(error: &TokenError) -> Refusal {
    let reason = match error {
        TokenError::TooLarge { .. } => Reason::TokenTooLarge,
        _ => Reason::TokenMalformed,
    };
    Refusal::new(reason).found(error.to_string())
}

/// Finds the key that made the signature.
///
/// # Errors
/// `token.algorithm_not_allowed`, `app.no_key`, `key.unknown`, `key.retired`, `key.expired`, `key.not_yet_valid` or
/// `token.signature_invalid`.
pub fn prove<'a>(
    compact: &Compact<'_>,
    app: &'a App,
    rules: &TokenRules,
    now: Timestamp,
) -> Result<(Algorithm, &'a RegisteredKey), Refusal> {
    let theirs = &compact.header.algorithm;
    let allowed = |a: &Algorithm| rules.algorithms.contains(*a) && app.algorithms.contains(*a);
    let Some(algorithm) = theirs.parse().ok().filter(allowed) else {
        let found: String = theirs.chars().take(20).collect();
        return Err(Refusal::new(Reason::TokenAlgorithmNotAllowed).expected(app.algorithms.to_string()).found(found));
    };
    let hint = KeyHint { kid: compact.header.key_id.as_deref(), thumbprint: compact.header.thumbprint.as_deref() };
    let keys = match app.choose_keys(algorithm, hint, now) {
        KeyChoice::Keys(keys) => keys,
        KeyChoice::NoKey => return Err(Reason::AppNoKey.into()),
        KeyChoice::UnknownKid => return Err(unknown_kid(app, hint)),
        KeyChoice::UnknownCertificate => return Err(unknown_certificate(app, hint)),
        KeyChoice::WrongAlgorithm => {
            let usable = app.algorithms.iter().filter(|a| app.keys().iter().any(|k| k.prepared_for(*a).is_some()));
            let usable: AlgorithmSet = usable.collect();
            let refusal = Refusal::new(Reason::TokenAlgorithmNotAllowed);
            return Err(refusal.expected(format!("one of the app's keys: {usable}")).found(algorithm.as_str()));
        }
    };
    let signed_with = |key: &&RegisteredKey| {
        let prepared = key.prepared_for(algorithm);
        prepared.is_some_and(|k| k.verifies(compact.signing_input, &compact.signature))
    };
    // Those that are good come first.
    let Some(key) = keys.into_iter().find(signed_with) else { return Err(Reason::TokenSignatureInvalid.into()) };
    key.fault(now).map_or(Ok((algorithm, key)), |fault| Err(faulty(fault, now)))
}

fn unknown_kid(app: &App, hint: KeyHint<'_>) -> Refusal {
    let kid: String = hint.kid.iter().flat_map(|kid| kid.chars()).take(80).collect();
    let kids: Vec<_> = app.keys().iter().filter_map(|k| k.kid.as_ref()).take(5).map(KeyId::as_str).collect();
    let refusal = Refusal::new(Reason::KeyUnknown).expected(format!("one of the app's keys: {}", kids.join(", ")));
    refusal.found(format!("kid {kid:?}"))
}

fn unknown_certificate(app: &App, hint: KeyHint<'_>) -> Refusal {
    let found: String = hint.thumbprint.iter().flat_map(|text| text.chars()).take(80).collect();
    let certificates = app.keys().iter().filter_map(|k| k.material.certificate());
    let known: Vec<_> = certificates.take(5).map(Certificate::thumbprint).collect();
    let kid = hint.kid.map(|_| ", and that of the key that kid names").unwrap_or_default();
    let expected = format!("one of the app's certificates{kid}: {}", known.join(", "));
    Refusal::new(Reason::KeyUnknown).expected(expected).found(format!("x5t#S256 {found:?}"))
}

fn faulty(fault: KeyFault, now: Timestamp) -> Refusal {
    let expected = "a key whose certificate is good now";
    match fault {
        KeyFault::Retired => Reason::KeyRetired.into(),
        KeyFault::Expired(at) => {
            Refusal::new(Reason::KeyExpired).expected(expected).found(format!("one that ended at {at} ({now} now)"))
        }
        KeyFault::NotYetValid(from) => Refusal::new(Reason::KeyNotYetValid)
            .expected(expected)
            .found(format!("one that begins at {from} ({now} now)")),
    }
}

/// Finds the key of ours that made the signature: by its name alone, since all that we sign names it.
///
/// # Errors
/// `token.algorithm_not_allowed`, `key.unknown` or `token.signature_invalid`.
pub fn prove_issued(
    compact: &Compact<'_>,
    rules: &TokenRules,
    issuance: &dyn Issuance,
    now: Timestamp,
) -> Result<(Algorithm, IssuerKeyNumber), Refusal> {
    let header = &compact.header;
    let Some(algorithm) = header.algorithm.parse().ok().filter(|a: &Algorithm| rules.algorithms.contains(*a)) else {
        let found: String = header.algorithm.chars().take(20).collect();
        return Err(Refusal::new(Reason::TokenAlgorithmNotAllowed).expected(rules.algorithms.to_string()).found(found));
    };
    let kid = header.key_id.as_deref();
    let Some((number, key)) = kid.and_then(|kid| issuance.verifying(kid, now)) else {
        let found = kid.map_or_else(|| "no kid".to_owned(), |kid| format!("kid {}", quoted(kid)));
        return Err(Refusal::new(Reason::KeyUnknown).expected("a key of this gateway").found(found));
    };
    if key.algorithm() == algorithm && key.verifies(compact.signing_input, &compact.signature) {
        Ok((algorithm, number))
    } else {
        Err(Reason::TokenSignatureInvalid.into())
    }
}

/// Whether a token of ours was issued to this app, and not to one that had its client id before.
///
/// # Errors
/// `token.revoked`.
pub fn check_number(claims: &Claims, app: &App, rules: &TokenRules) -> Result<(), Refusal> {
    let number = claims.get(APP_NUMBER).and_then(|raw| raw.parse().ok());
    if rules.origin == Origin::App || number == Some(app.number.0) {
        return Ok(());
    }
    Err(Refusal::new(Reason::TokenRevoked).expected(format!("one of app number {}", app.number.0)).found(
        number.map_or_else(|| "one without a number".to_owned(), |number| format!("one of app number {number}")),
    ))
}

/// `typ` (RFC 8725 section 3.11).
///
/// # Errors
/// `token.type_not_allowed`.
pub fn check_type(token_type: Option<&str>, rules: &TokenRules) -> Result<(), Refusal> {
    match token_type {
        Some(found) if !rules.token_types.iter().any(|t| is_same_media_type(t, found)) => {
            let found: String = found.chars().take(40).collect();
            Err(Refusal::new(Reason::TokenTypeNotAllowed).expected(rules.token_types.join(" or ")).found(found))
        }
        None if rules.origin != Origin::App => {
            Err(Refusal::new(Reason::TokenTypeNotAllowed).expected(rules.token_types.join(" or ")).found("no typ"))
        }
        _ => Ok(()),
    }
}

/// Whether the token came encrypted, where the app has to encrypt its tokens; those that we sign are not its own.
///
/// # Errors
/// `token.jwe_required`.
pub fn check_encryption(is_encrypted: bool, app: &App, rules: &TokenRules) -> Result<(), Refusal> {
    if app.enforce_jwe && !is_encrypted && rules.origin == Origin::App {
        return Err(Refusal::new(Reason::TokenJweRequired).expected("five parts").found("three parts"));
    }
    Ok(())
}

/// `exp`, `nbf`, `iat` and the lifetime (RFC 7519 section 4.1).
///
/// # Errors
/// `token.exp_required`, `token.expired`, `token.not_yet_valid`, `token.iat_required`, `token.issued_in_future`,
/// `token.lifetime_too_long`.
pub fn check_times(claims: &RegisteredClaims, app: &App, rules: &TokenRules, now: Timestamp) -> Result<(), Refusal> {
    // What an app is held to concerns tokens that it signs.
    let (of_app, is_required_of_app) = match rules.origin {
        Origin::App => (app.max_lifetime, app.require_exp),
        _ => (None, true),
    };
    let limit = match (rules.max_lifetime, of_app) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    let at = |time: Timestamp| format!("{time} ({now} now)");
    match claims.expires {
        None if rules.require_exp || is_required_of_app || limit.is_some() => {
            return Err(Refusal::new(Reason::TokenExpRequired).expected("exp").found("no exp"));
        }
        Some(exp) if now >= exp.after(rules.leeway.exp) => {
            let mut found = at(exp);
            if jose::looks_like_a_duration(exp) {
                found.push_str("; exp is a point in time, not a duration");
            }
            return Err(Refusal::new(Reason::TokenExpired).expected("exp ahead of now").found(found));
        }
        _ => {}
    }
    if let Some(nbf) = claims.not_before.filter(|nbf| *nbf > now.after(rules.leeway.nbf)) {
        return Err(Refusal::new(Reason::TokenNotYetValid).expected("nbf not ahead of now").found(at(nbf)));
    }
    if claims.issued_at.is_none() && rules.require_iat {
        return Err(Refusal::new(Reason::TokenIatRequired).expected("iat").found("no iat"));
    }
    if let Some(iat) = claims.issued_at.filter(|iat| *iat > now.after(rules.leeway.iat)) {
        let found = format!("{}, {:?} ahead", at(iat), now.until(iat));
        return Err(Refusal::new(Reason::TokenIssuedInFuture).expected("iat not ahead of now").found(found));
    }
    // Last: of a clock that is fast both are signs, and some clients set theirs right when they are told of `iat`.
    claims.expires.map_or(Ok(()), |exp| check_lifetime(exp, limit, "", rules, now))
}

fn check_lifetime(
    exp: Timestamp,
    limit: Option<Duration>,
    because: &str,
    rules: &TokenRules,
    now: Timestamp,
) -> Result<(), Refusal> {
    match limit {
        Some(limit) if exp > now.after(limit).after(rules.leeway.exp) => {
            let refusal = Refusal::new(Reason::TokenLifetimeTooLong);
            let expected = format!("exp at most {limit:?} ahead{because}");
            Err(refusal.expected(expected).found(format!("{:?} ahead", now.until(exp))))
        }
        _ => Ok(()),
    }
}

/// `aud` and `iss`, where the authenticator names any. A token for our token service is for no API.
///
/// # Errors
/// `token.audience_mismatch`, `token.issuer_mismatch`.
pub fn check_parties(claims: &RegisteredClaims, rules: &TokenRules) -> Result<(), Refusal> {
    if !rules.audiences.is_empty() && !claims.audience.names_any_of(&rules.audiences) {
        let found = if claims.audience.0.is_empty() { "no aud".into() } else { claims.audience.0.join(", ") };
        let refusal = Refusal::new(Reason::TokenAudienceMismatch).expected(rules.audiences.join(" or "));
        return Err(refusal.found(found.chars().take(200).collect::<String>()));
    }
    if let Some(ours) = rules.refused_audience().and_then(|own| own.named_in(&claims.audience)) {
        let refusal =
            Refusal::new(Reason::TokenAudienceMismatch).expected("an aud other than our token service, or none");
        return Err(refusal.found(ours.chars().take(200).collect::<String>()));
    }
    if !rules.issuers.is_empty() && !claims.issuer.as_ref().is_some_and(|iss| rules.issuers.contains(iss)) {
        let found: String = claims.issuer.as_deref().unwrap_or("no iss").chars().take(200).collect();
        return Err(Refusal::new(Reason::TokenIssuerMismatch).expected(rules.issuers.join(" or ")).found(found));
    }
    Ok(())
}

/// A token that is used up by its first use, and until when that has to be remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SingleUse {
    pub jti: Box<str>,
    pub until: Timestamp,
}

/// Whether the token is one of single use, and fit to be one; those that we sign are good for many.
///
/// # Errors
/// `token.jti_required`, `token.exp_required`, `token.lifetime_too_long`.
pub fn single_use(
    claims: &RegisteredClaims,
    app: &App,
    rules: &TokenRules,
    now: Timestamp,
) -> Result<Option<SingleUse>, Refusal> {
    if rules.origin != Origin::App {
        return Ok(None);
    }
    let jti = match &claims.token_id {
        None if app.enforce_jti => {
            return Err(Refusal::new(Reason::TokenJtiRequired).expected("a jti, new for every call").found("no jti"));
        }
        Some(jti) if app.enforce_jti || rules.single_use == SingleUsePolicy::Present => jti,
        _ => return Ok(None),
    };
    let Some(exp) = claims.expires else {
        return Err(Refusal::new(Reason::TokenExpRequired).expected("exp beside a jti of single use").found("no exp"));
    };
    check_lifetime(exp, rules.single_use_lifetime, ", since the token has a jti", rules, now)?;
    let until = exp.after(rules.leeway.exp.max(rules.single_use_memory));
    Ok(Some(SingleUse { jti: jti.clone(), until }))
}
