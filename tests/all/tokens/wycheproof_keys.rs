//! Project Wycheproof's vectors for JSON Web Keys, where they lie beside the checkout.

use std::collections::BTreeMap;

use super::wycheproof::{accepts, app_of, vectors};

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
    let Some(file) = vectors("json_web_key_test.json") else { return };
    let (otherwise, mut judged, mut faults) = (BTreeMap::from(OTHERWISE), 0, Vec::new());
    for group in file["testGroups"].as_array().unwrap() {
        let set = if group["public"].is_object() { &group["public"] } else { &group["private"] };
        let app = app_of(set["keys"].as_array().unwrap());
        for test in group["tests"].as_array().unwrap() {
            let id = test["tcId"].as_u64().unwrap();
            let wanted = (test["result"] == "valid") != otherwise.contains_key(&id);
            let found = app.as_ref().is_ok_and(|app| accepts(app, test["jws"].as_str().unwrap_or_default()));
            judged += 1;
            if found != wanted {
                faults.push(format!(
                    "{id} {} ({}): {found}, {:?}",
                    test["comment"],
                    group["comment"],
                    app.as_ref().err()
                ));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    assert_eq!(judged, file["numberOfTests"].as_i64().unwrap());
}
