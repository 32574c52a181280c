//! Project Wycheproof's vectors for JSON Web Encryption, where they lie beside the checkout.

use scopegate::jose::{Encrypted, KeyManagement};
use serde_json::Value;

use super::wycheproof::vectors;
use crate::support::encryption::material;

/// What a test's own key makes of it, with the algorithm that its JWK names: one key, one algorithm.
fn opens(jwk: &Value, token: &str) -> Option<Vec<u8>> {
    let key = material(jwk).ok()?.prepare().ok()?;
    let token = Encrypted::parse(token.as_bytes(), usize::MAX).ok()?;
    (jwk["alg"] == token.header.algorithm.as_str()).then(|| key.decrypt(&token).ok())?
}

/// Whether its algorithms are none of ours, so that it is refused whatever it is.
fn is_foreign(jwk: &Value, token: &str) -> bool {
    let named = jwk["alg"].as_str().and_then(KeyManagement::named);
    named.is_none() || ["A192GCM", "A192CBC-HS384"].iter().any(|enc| enc_of(token) == *enc)
}

fn enc_of(token: &str) -> String {
    use base64::Engine as _;
    let header = token.split('.').next().unwrap_or_default();
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(header).unwrap_or_default();
    let header: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    header["enc"].as_str().unwrap_or_default().to_owned()
}

fn unhex(text: &Value) -> Vec<u8> {
    let digits = text.as_str().unwrap_or_default();
    (0..digits.len()).step_by(2).map(|i| u8::from_str_radix(&digits[i..i + 2], 16).unwrap()).collect()
}

#[test]
fn encryption_is_judged_as_wycheproof_judges_it() {
    let Some(file) = vectors("json_web_encryption_test.json") else { return };
    let (mut judged, mut opened, mut faults) = (0, 0, Vec::new());
    for group in file["testGroups"].as_array().unwrap() {
        let jwk = &group["private"];
        for test in group["tests"].as_array().unwrap() {
            let token = test["jwe"].as_str().unwrap_or_default();
            let wanted = test["result"] == "valid" && !is_foreign(jwk, token);
            let found = opens(jwk, token);
            judged += 1;
            opened += usize::from(found.is_some());
            if found != wanted.then(|| unhex(&test["pt"])) {
                faults.push(format!("{} {} ({}): {found:?}", test["tcId"], test["comment"], group["comment"]));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    assert_eq!(judged, file["numberOfTests"].as_i64().unwrap());
    assert!(opened >= 19, "only {opened} were opened");
}
