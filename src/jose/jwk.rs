//! What a JSON Web Key has to have before its numbers are looked at.

use serde_json::{Map, Value};

use super::{Content, KeyError, Unusable, Wanted};
use crate::model::Algorithm;

pub(super) fn without_mark(json: &str) -> &str {
    json.strip_prefix('\u{feff}').unwrap_or(json)
}

/// Why a text is no JWK.
pub(super) fn not_a_jwk(json: &str) -> KeyError {
    match Content::of(json.as_bytes()) {
        // It begins as one.
        Content::Jwk | Content::Text => KeyError::Jwk("not a JSON object".into()),
        found if found.is_private() => KeyError::Private,
        found => KeyError::Unusable(Unusable { wanted: Wanted::Jwk, found }),
    }
}

/// # Errors
/// When it is a set, or a member has a value that is not known here.
pub(super) fn check_members(members: &Map<String, Value>) -> Result<(), KeyError> {
    if let Some(keys) = members.get("keys") {
        let found = Content::JwkSet(keys.as_array().map_or(0, Vec::len));
        return Err(KeyError::Unusable(Unusable { wanted: Wanted::Jwk, found }));
    }
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    let wrong = |why: String| Err(KeyError::Jwk(why));
    let needed: &[&str] = match text("kty") {
        Some("RSA") => &["n", "e"],
        Some("EC") => &["crv", "x", "y"],
        Some("OKP") => &["crv", "x"],
        Some("oct") => return wrong("a shared secret belongs in `secret`".into()),
        Some(other) => return wrong(format!("its kty is {other:?}; known are \"RSA\", \"EC\" and \"OKP\"")),
        None => return wrong("it has no kty: known are \"RSA\", \"EC\" and \"OKP\"".into()),
    };
    if let Some(name) = needed.iter().find(|name| text(name).is_none()) {
        return wrong(format!("it has no {name}, which is a text in base64url or a name"));
    }
    if let Some(curve) = text("crv").filter(|curve| !["P-256", "P-384", "Ed25519"].contains(curve)) {
        return wrong(format!("its crv is {curve:?}; known are \"P-256\", \"P-384\" and \"Ed25519\""));
    }
    match members.get("alg") {
        None => Ok(()),
        Some(Value::String(alg)) => match alg.parse::<Algorithm>() {
            Ok(_) => Ok(()),
            Err(error) => wrong(format!("its alg: {error}")),
        },
        Some(_) => wrong("its alg is not a text".into()),
    }
}
