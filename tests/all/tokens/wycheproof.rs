//! Project Wycheproof's vectors for JSON Web Signature, where they lie beside the checkout.
//!
//! Their payloads are no claims, so a token is judged in two halves: our parser reads it with its own payload, which
//! has to fail on the payload's JSON alone, then with an empty object in its place; the signature is proved over what
//! was really signed.

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use scopegate::jose::{Compact, KeyError, KeyMaterial, Part, TokenError};
use scopegate::model::{Algorithm, Level};
use scopegate::registry::{App, AppRecord};
use scopegate::secret::Secret;
use scopegate::verify::{TokenRules, prove};
use serde_json::Value;

use crate::support::now;
use crate::support::registry::{app, key};
use crate::support::routes::token_settings;

/// For the vectors' own secrets, some of which have bits to spare.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::RequireNone),
);

/// A file of vectors; none where they are not there.
pub fn vectors(name: &str) -> Option<Value> {
    let path = format!("{}/../shared/vectors/wycheproof/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path);
    if text.is_err() {
        eprintln!("skipped: there is no {path}");
    }
    serde_json::from_str(&text.ok()?).ok()
}

/// The key as an administrator would add it; a secret's bytes are what the vectors mean.
fn material(jwk: &Value) -> Result<KeyMaterial, KeyError> {
    match jwk["k"].as_str() {
        Some(secret) => {
            let bytes = LENIENT.decode(secret).map_err(|e| KeyError::Jwk(e.to_string()))?;
            KeyMaterial::from_secret(Secret::new(bytes))
        }
        None => KeyMaterial::from_jwk(&jwk.to_string()),
    }
}

/// An app with these keys, and with their algorithms.
fn app_of(jwks: &[Value]) -> Result<App, KeyError> {
    let mut record: AppRecord = app(1, "wycheproof", "acme", Level::Account);
    record.keys.clear();
    record.settings.algorithms.clear();
    for (number, jwk) in (1..).zip(jwks) {
        let material = material(jwk)?;
        let declared = jwk["alg"].as_str().map(str::parse::<Algorithm>).transpose();
        let declared = declared.map_err(|e| KeyError::Jwk(e.to_string()))?;
        let usable = Algorithm::ALL.into_iter().filter(|a| material.can(*a) && declared.is_none_or(|d| d == *a));
        record.settings.algorithms.extend(usable);
        record.keys.push(key(number, jwk["kid"].as_str(), material));
    }
    Ok(App::compile(&record))
}

fn accepts(app: &App, jws: &str) -> bool {
    let rules = TokenRules::new(token_settings("wycheproof"));
    let judge = |compact: &Compact<'_>| prove(compact, app, &rules, now()).is_ok();
    match Compact::parse(jws.as_bytes(), usize::MAX) {
        Ok(compact) => judge(&compact),
        Err(TokenError::Json(Part::Payload)) => {
            let Some((input, signature)) = jws.rsplit_once('.') else { return false };
            let Some((header, _)) = input.split_once('.') else { return false };
            let with_claims = format!("{header}.e30.{signature}");
            let read = Compact::parse(with_claims.as_bytes(), usize::MAX);
            read.is_ok_and(|compact| judge(&Compact { signing_input: input.as_bytes(), ..compact }))
        }
        Err(_) => false,
    }
}

/// Judged otherwise here on purpose.
const OTHERWISE: [(u64, &str); 8] = [
    (346, "the token says PS384 and its key PS256: a JWK's alg binds"),
    (347, "ES512 is not supported, and the JWK's alg is ES521"),
    (350, "like 346"),
    (351, "like 347"),
    (367, "letter for letter the valid 357"),
    (370, "letter for letter the valid 357"),
    (372, "a character outside base64url, in the header"),
    (373, "a character outside base64url, in the payload"),
];

/// Judges each test of a file with the keys of its group; `otherwise` names those that are judged otherwise here.
pub fn judge(file: &str, otherwise: &[(u64, &str)], keys: impl Fn(&Value) -> &[Value]) {
    let Some(file) = vectors(file) else { return };
    let (mut judged, mut faults) = (0, Vec::new());
    for group in file["testGroups"].as_array().unwrap() {
        let public = if group["public"].is_object() { &group["public"] } else { &group["private"] };
        let app = app_of(keys(public));
        for test in group["tests"].as_array().unwrap() {
            let id = test["tcId"].as_u64().unwrap();
            let wanted = (test["result"] == "valid") != otherwise.iter().any(|(other, _)| *other == id);
            let found = app.as_ref().is_ok_and(|app| accepts(app, test["jws"].as_str().unwrap_or_default()));
            judged += 1;
            if found != wanted {
                let (comment, group, fault) = (&test["comment"], &group["comment"], app.as_ref().err());
                faults.push(format!("{id} {comment} ({group}): {found}, {fault:?}"));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    assert_eq!(judged, file["numberOfTests"].as_i64().unwrap());
}

#[test]
fn signatures_are_judged_as_wycheproof_judges_them() {
    judge("json_web_signature_test.json", &OTHERWISE, std::slice::from_ref);
}
