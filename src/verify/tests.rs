//! What a refusal costs: one verification, whatever is wrong.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::{Leeway, SingleUsePolicy, TokenRules, TokenSettings, Verifier};
use crate::clock::Timestamp;
use crate::jose::{KeyMaterial, VERIFICATIONS};
use crate::model::{
    AccountId, Algorithm, AlgorithmSet, AppNumber, AuthenticatorName, ClaimNames, ClientId, KeyId, Level, Reason,
};
use crate::registry::{AppRecord, AppSettings, KeyNumber, KeyRecord, KeyState, Registry, Snapshot, Version};
use crate::secret::Secret;

const NOW: Timestamp = Timestamp::from_secs(1_795_348_800);

fn rules() -> TokenRules {
    let none = Duration::ZERO;
    TokenRules::new(TokenSettings {
        authenticator: AuthenticatorName::new("bearer").unwrap(),
        app_claims: vec!["appId".into()],
        claim_names: ClaimNames::default(),
        algorithms: AlgorithmSet::of(&[Algorithm::Hs256, Algorithm::Rs256, Algorithm::EdDsa]),
        token_types: Vec::new(),
        audiences: Vec::new(),
        issuers: Vec::new(),
        require_exp: false,
        leeway: Leeway { exp: none, nbf: none, iat: none },
        max_lifetime: None,
        single_use: SingleUsePolicy::Enforced,
        single_use_lifetime: None,
        single_use_memory: none,
        max_token_bytes: 4096,
    })
}

/// An app with HS256 and one key, `k1`.
fn app(number: i64, client_id: &str, adjust: impl FnOnce(&mut AppRecord)) -> AppRecord {
    let material = KeyMaterial::from_secret(Secret::new([0x5a; 32])).unwrap();
    let kid = Some(KeyId::new("k1").unwrap());
    let mut app = AppRecord {
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
            enabled: true,
        },
        keys: vec![KeyRecord { number: KeyNumber(number), kid, material, state: KeyState::Active }],
        grants: Vec::new(),
        table_grants: Vec::new(),
        credential_version: 1,
    };
    adjust(&mut app);
    app
}

fn snapshot() -> Snapshot {
    let elsewhere = AuthenticatorName::new("elsewhere").unwrap();
    let mut registry = Registry::default();
    for app in [
        app(1, "good", |_| {}),
        app(2, "disabled", |app| app.settings.enabled = false),
        app(3, "keyless", |app| app.keys.clear()),
        app(4, "elsewhere", |app| app.settings.authenticators = BTreeSet::from([elsewhere])),
        app(5, "retired", |app| app.keys[0].state = KeyState::Retired),
    ] {
        registry.apps.insert(app.settings.client_id.clone(), app);
    }
    Snapshot::new(Version(1), registry)
}

/// The reason for which a token with this header is refused, and how many signatures were verified for it.
fn cost(header: &serde_json::Value, claims: &serde_json::Value) -> (Reason, usize) {
    let part = |json: &serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let token = format!("{}.{}.{}", part(header), part(claims), URL_SAFE_NO_PAD.encode([7; 32]));
    let before = VERIFICATIONS.get();
    let refused = Verifier::new(0).verify(token.as_bytes(), &rules(), &snapshot(), NOW).unwrap_err();
    (refused.refusal.reason, VERIFICATIONS.get() - before)
}

#[test]
fn a_refusal_that_verifies_nothing_costs_a_verification_too() {
    let hs256 = json!({ "alg": "HS256" });
    let of = |app: &str| json!({ "appId": app });
    for (reason, header, claims) in [
        (Reason::TokenSignatureInvalid, hs256.clone(), of("good")),
        (Reason::AppUnknown, hs256.clone(), of("nobody")),
        (Reason::AppUnknown, hs256.clone(), json!({})),
        (Reason::TokenClaimInvalid, hs256.clone(), json!({ "appId": 1 })),
        (Reason::AppDisabled, hs256.clone(), of("disabled")),
        (Reason::AppNoKey, hs256.clone(), of("keyless")),
        (Reason::AppWrongAuthenticator, hs256.clone(), of("elsewhere")),
        (Reason::TokenSignatureInvalid, hs256, of("retired")),
        (Reason::KeyUnknown, json!({ "alg": "HS256", "kid": "k9" }), of("good")),
        (Reason::TokenAlgorithmNotAllowed, json!({ "alg": "RS256" }), of("good")),
        (Reason::TokenAlgorithmNotAllowed, json!({ "alg": "EdDSA" }), of("good")),
        (Reason::AppUnknown, json!({ "alg": "RS256" }), of("nobody")),
    ] {
        assert_eq!(cost(&header, &claims), (reason, 1), "{header} {claims}");
    }
}

#[test]
fn an_algorithm_that_the_route_takes_from_nobody_costs_nothing_whoever_is_named() {
    for algorithm in ["ES256", "none", "HS999"] {
        for app in ["good", "disabled", "keyless", "nobody"] {
            assert_eq!(cost(&json!({ "alg": algorithm }), &json!({ "appId": app })).1, 0, "{algorithm} of {app}");
        }
    }
}
