//! Project Wycheproof's vectors for JSON Web Keys, where they lie beside the checkout.

use super::wycheproof::judge;

/// Judged otherwise here on purpose.
const OTHERWISE: [(u64, &str); 5] = [
    (1, "an app may have keys of several kinds: each key decides its own algorithm"),
    (4, "two keys of one name are both tried; it is the plan that refuses the second"),
    (7, "a key of the weak generator of CVE-2017-15361 is not recognised"),
    (11, "47 bytes for HS384: a secret has at least 32 bytes, whatever the algorithm"),
    (12, "63 bytes for HS512: a secret has at least 32 bytes, whatever the algorithm"),
];

#[test]
fn keys_are_judged_as_wycheproof_judges_them() {
    judge("json_web_key_test.json", &OTHERWISE, |set| set["keys"].as_array().unwrap());
}
