//! What a refusal costs: one verification, whatever is wrong.

use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::{Leeway, Origin, OwnAudience, SingleUsePolicy, TokenRules, TokenSettings, Verifier};
use crate::clock::Timestamp;
use crate::jose::{
    DECRYPTIONS, DecryptionMaterial, EncryptionKind, KeyMaterial, SigningKey, VERIFICATIONS, encrypt, sign,
};
use crate::model::{
    AccountId, Algorithm, AlgorithmSet, AppNumber, AuthenticatorName, ClaimNames, ClientId, KeyId, Level, Reason,
};
use crate::registry::{
    AppRecord, AppSettings, EncryptionKeyRecord, KeyNumber, KeyRecord, KeyState, Registry, Snapshot, Version,
};
use crate::secret::Secret;

const NOW: Timestamp = Timestamp::from_secs(1_795_348_800);

static PAIR: LazyLock<DecryptionMaterial> =
    LazyLock::new(|| DecryptionMaterial::generate(EncryptionKind::P256).unwrap());

/// A key of nobody here.
static STRANGE: LazyLock<DecryptionMaterial> =
    LazyLock::new(|| DecryptionMaterial::generate(EncryptionKind::Rsa).unwrap());

fn rules() -> TokenRules {
    let none = Duration::ZERO;
    TokenRules::new(TokenSettings {
        authenticator: AuthenticatorName::new("bearer").unwrap(),
        origin: Origin::App,
        app_claims: vec!["appId".into()],
        app_numbers: false,
        claim_names: ClaimNames::default(),
        algorithms: AlgorithmSet::of(&[Algorithm::Hs256, Algorithm::Rs256, Algorithm::EdDsa]),
        token_types: Vec::new(),
        audiences: Vec::new(),
        issuers: Vec::new(),
        require_exp: false,
        require_iat: false,
        leeway: Leeway { exp: none, nbf: none, iat: none },
        max_lifetime: None,
        single_use: SingleUsePolicy::Enforced,
        single_use_lifetime: None,
        single_use_memory: none,
        max_token_bytes: 4096,
        encrypted: true,
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
            networks: BTreeSet::new(),
            enabled: true,
        },
        keys: vec![KeyRecord { number: KeyNumber(number), kid, material, state: KeyState::Active }],
        encryption_keys: Vec::new(),
        grants: Vec::new(),
        table_grants: Vec::new(),
        installations: Vec::new(),
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
        app(6, "encrypts", |app| {
            let key = |number, kid, state| {
                let (number, kid, material) = (KeyNumber(number), KeyId::new(kid).unwrap(), PAIR.clone());
                EncryptionKeyRecord { number, kid, material, state, created_at: NOW }
            };
            app.encryption_keys = vec![
                key(1, "k-good", KeyState::Active),
                key(2, "k-retired", KeyState::Retired),
                key(3, "k-over", KeyState::Retiring(NOW)),
            ];
        }),
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

/// The reason for which an encrypted token is refused, what the caller is told, and how many decryptions it cost.
fn cost_encrypted(
    kid: &str,
    algorithm: &str,
    change: impl FnOnce(&str) -> String,
    inner: &str,
) -> (Reason, Reason, usize) {
    let key = if algorithm.starts_with("RSA") { STRANGE.public().unwrap() } else { PAIR.public().unwrap() };
    let header = json!({ "alg": algorithm, "enc": "A256GCM", "kid": kid });
    let token = change(&encrypt(header.as_object().unwrap(), inner.as_bytes(), &key).unwrap());
    let before = DECRYPTIONS.get();
    let refused = Verifier::new(0).verify(token.as_bytes(), &rules(), &snapshot(), NOW).unwrap_err();
    (refused.refusal.reason, refused.refusal.reason.public(), DECRYPTIONS.get() - before)
}

fn signed(app: &str, secret: u8) -> String {
    let key = SigningKey::from_secret(&Secret::new([secret; 32]));
    sign(Algorithm::Hs256, None, &json!({ "appId": app }).to_string(), &key).unwrap()
}

#[test]
fn an_encrypted_token_that_is_refused_costs_one_decryption_whatever_is_wrong() {
    let (good, invalid) = (signed("encrypts", 0x5a), Reason::TokenJweInvalid);
    let same = |token: &str| token.to_owned();
    let cut = |token: &str| format!("{}.{}", &token[..token.rfind('.').unwrap()], URL_SAFE_NO_PAD.encode([0; 16]));
    for (reason, kid, algorithm, inner) in [
        (invalid, "k-nobody", "ECDH-ES", &*good),
        (invalid, "k-nobody", "RSA-OAEP", &good),
        (invalid, "k-retired", "ECDH-ES", &good),
        (invalid, "k-over", "ECDH-ES", &good),
        (invalid, "k-good", "RSA-OAEP-256", &good),
        (invalid, "k-good", "ECDH-ES+A256KW", "{}"),
        (invalid, "k-good", "ECDH-ES", "a.b.c"),
        (invalid, "k-good", "ECDH-ES", "a.b.c.d.e"),
        (invalid, "k-good", "ECDH-ES", &signed("good", 0x5a)),
        (Reason::TokenSignatureInvalid, "k-good", "ECDH-ES", &signed("encrypts", 1)),
        (Reason::AppUnknown, "k-good", "ECDH-ES", &signed("nobody", 1)),
        (Reason::AppDisabled, "k-good", "ECDH-ES", &signed("disabled", 1)),
    ] {
        let found = cost_encrypted(kid, algorithm, same, inner);
        assert_eq!(found, (reason, Reason::TokenInvalid, 1), "{kid} {algorithm} {inner}");
    }
    assert_eq!(cost_encrypted("k-good", "ECDH-ES", cut, &good), (invalid, Reason::TokenInvalid, 1), "a wrong tag");
}

#[test]
fn what_is_inside_tells_no_more_than_a_signature_that_is_wrong() {
    let claims = json!({ "appId": 1 }).to_string();
    let inner = sign(Algorithm::Hs256, None, &claims, &SigningKey::from_secret(&Secret::new([0x5a; 32]))).unwrap();
    let found = cost_encrypted("k-good", "ECDH-ES", str::to_owned, &inner);
    assert_eq!(found, (Reason::TokenJweInvalid, Reason::TokenInvalid, 1));
}

#[test]
fn what_was_proved_before_a_token_service_had_its_name_is_judged_anew() {
    let claims = json!({ "appId": "good", "aud": "https://id.example.com" }).to_string();
    let token = sign(Algorithm::Hs256, None, &claims, &SigningKey::from_secret(&Secret::new([0x5a; 32]))).unwrap();
    let (verifier, snapshot) = (Verifier::new(1 << 20), snapshot());
    let refused = |rules: &TokenRules| {
        verifier.verify(token.as_bytes(), rules, &snapshot, NOW).err().map(|unverified| unverified.refusal.reason)
    };
    let rules = TokenRules::new(TokenSettings { token_types: vec!["JWT".into()], ..(*rules()).clone() });
    assert_eq!(refused(&rules.clone().apart_from(None)), None);
    let own = OwnAudience::new("https://id.example.com", ["/oauth2/token"]);
    assert_eq!(refused(&rules.apart_from(Some(own.into()))), Some(Reason::TokenAudienceMismatch));
}
