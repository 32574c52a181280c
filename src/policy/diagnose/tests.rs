//! How much work it is: the same, whatever is found.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;

use super::{Diagnosis, diagnose};
use crate::jose::{Compact, KeyMaterial, SigningKey, VERIFICATIONS, sign};
use crate::model::{
    AccountId, Algorithm, AlgorithmSet, AppNumber, AuthenticatorName, ClaimNames, ClientId, Level, Reason,
};
use crate::registry::{AppRecord, AppSettings, KeyNumber, KeyRecord, KeyState, Registry, Snapshot, Version};
use crate::secret::Secret;
use crate::verify::{Leeway, Origin, SingleUsePolicy, TokenRules, TokenSettings};

fn rules() -> TokenRules {
    TokenRules::new(TokenSettings {
        authenticator: AuthenticatorName::new("bearer").unwrap(),
        origin: Origin::App,
        app_claims: vec!["appId".into()],
        app_numbers: false,
        claim_names: ClaimNames::default(),
        algorithms: AlgorithmSet::of(&[Algorithm::Hs256]),
        token_types: Vec::new(),
        audiences: Vec::new(),
        issuers: Vec::new(),
        require_exp: false,
        require_iat: false,
        leeway: Leeway::default(),
        max_lifetime: None,
        single_use: SingleUsePolicy::Enforced,
        single_use_lifetime: None,
        single_use_memory: std::time::Duration::ZERO,
        encrypted: false,
        max_token_bytes: 4096,
    })
}

fn secret(n: usize) -> String {
    // A key of zeros is the empty one to HMAC.
    STANDARD.encode([u8::try_from(n + 1).unwrap(); 32])
}

/// With so many keys.
fn app(number: i64, client_id: &str, keys: usize) -> AppRecord {
    let key = |n: usize| {
        let material = KeyMaterial::from_secret(Secret::new(secret(n))).unwrap();
        KeyRecord { number: KeyNumber(number * 100), kid: None, material, state: KeyState::Active }
    };
    AppRecord {
        number: AppNumber(number),
        settings: AppSettings {
            client_id: ClientId::new(client_id).unwrap(),
            name: client_id.to_owned(),
            account: AccountId::new("acme").unwrap(),
            level: Level::Account,
            bots: BTreeSet::new(),
            authenticators: BTreeSet::new(),
            algorithms: BTreeSet::from([Algorithm::Hs256]),
            enforce_jti: false,
            enforce_jwe: false,
            require_exp: false,
            max_lifetime: None,
            networks: BTreeSet::new(),
            enabled: true,
        },
        keys: (0..keys).map(key).collect(),
        encryption_keys: Vec::new(),
        grants: Vec::new(),
        table_grants: Vec::new(),
        installations: Vec::new(),
        credential_version: 1,
    }
}

fn snapshot() -> Snapshot {
    let mut registry = Registry::default();
    for app in [app(1, "one", 1), app(2, "keyless", 0), app(3, "many", 40)] {
        registry.apps.insert(app.settings.client_id.clone(), app);
    }
    Snapshot::new(Version(1), registry)
}

/// What is found out about a token, and how many signatures are verified for that.
fn cost(token: &str, reason: Reason) -> (Option<String>, usize) {
    let compact = Compact::parse(token.as_bytes(), 4096).unwrap();
    let (rules, snapshot) = (rules(), snapshot());
    let before = VERIFICATIONS.get();
    let found = diagnose(reason, &compact, &rules, &snapshot).map(|diagnosis| match diagnosis {
        Diagnosis::Signed(maker) => maker.to_string(),
        Diagnosis::Named(holder) => holder.to_string(),
    });
    (found, VERIFICATIONS.get() - before)
}

fn signed(app: &str, secret: &[u8]) -> String {
    let key = SigningKey::from_secret(&Secret::new(secret));
    sign(Algorithm::Hs256, None, &json!({ "appId": app }).to_string(), &key).unwrap()
}

#[test]
fn as_many_trials_are_made_whatever_is_found_and_whoever_is_named() {
    let unlike = b"quite another secret, which is long enough";
    let (_, all) = cost(&signed("nobody", unlike), Reason::AppUnknown);
    assert!(all > 60, "{all}");
    for (app, secret, reason, found) in [
        ("one", &unlike[..], Reason::TokenSignatureInvalid, None),
        ("one", b"", Reason::TokenSignatureInvalid, Some("signed with an empty secret")),
        ("one", &[1; 32], Reason::TokenSignatureInvalid, Some("signed with the app's secret base64-decoded")),
        ("many", unlike, Reason::TokenSignatureInvalid, None),
        ("many", &[4; 32], Reason::TokenSignatureInvalid, Some("signed with the app's secret base64-decoded")),
        ("many", &[5; 32], Reason::TokenSignatureInvalid, None),
        ("keyless", unlike, Reason::AppNoKey, None),
        ("one", b"", Reason::AppDisabled, None),
        ("ONE", unlike, Reason::AppUnknown, Some("the client id one but for case, spaces or quotes")),
        ("", unlike, Reason::AppUnknown, None),
        (&secret(7), unlike, Reason::AppUnknown, Some("the secret of app many")),
    ] {
        assert_eq!(cost(&signed(app, secret), reason), (found.map(str::to_owned), all), "{app} {reason}");
    }
}

#[test]
fn what_is_not_signed_with_a_secret_is_tried_with_none_whoever_is_named() {
    let part = |json: &serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
    for app in ["one", "keyless", "many", "nobody"] {
        let token = format!("{}.{}.c2ln", part(&json!({ "alg": "RS256" })), part(&json!({ "appId": app })));
        assert_eq!(cost(&token, Reason::TokenAlgorithmNotAllowed), (None, 0), "{app}");
    }
}
