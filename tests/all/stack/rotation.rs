//! A secret is rotated by command, and time passes.

use std::time::Duration;

use scopegate::model::Reason;
use scopegate::registry::{AppRecord, Change, Editor, GrantRules, KeyNumber, KeyRecord, KeyState, NewKey, Registry};

use crate::support::registry::{BOT, registry, secret, secret_of};
use crate::support::tokens::SECRET;
use crate::support::{Format, Gateway, Script, Token, now};

const OVERLAP: Duration = Duration::from_secs(3600);

/// The app's keys after a rotation, as a store leaves them.
fn rotated(registry: &Registry, overlap: Duration) -> Vec<KeyRecord> {
    let record: &AppRecord = &registry.apps[BOT];
    let editor = Editor { registry, rules: &GrantRules::default(), now: now() };
    let key = NewKey { kid: None, material: secret(&secret_of("next")) };
    let mut keys = record.keys.clone();
    for change in editor.rotate(&record.settings.client_id, key, None, overlap).unwrap() {
        match change {
            Change::AddKey { kid, material, state, .. } => {
                keys.push(KeyRecord { number: KeyNumber(999), kid, material, state });
            }
            Change::SetKeyState { key, state, .. } => {
                keys.iter_mut().filter(|k| k.number == key).for_each(|k| k.state = state);
            }
            other => panic!("{other}"),
        }
    }
    keys
}

async fn reason(gateway: &Gateway, secret: &str) -> Option<Reason> {
    let token = Token::of(BOT).secret(secret).claim("exp", now().secs() + 7200).make();
    let request = Format::Problem.request("GET", "/any", &token).body(Script::empty()).unwrap();
    gateway.call(request).await.log.reason
}

#[tokio::test]
async fn f020_the_old_secret_fails_at_the_end_of_the_overlap() {
    let gateway = Gateway::new();
    assert_eq!(reason(&gateway, SECRET).await, None);
    gateway.change(|r| r.apps.get_mut(BOT).unwrap().keys = rotated(&registry(), OVERLAP));
    for _ in 0..2 {
        assert_eq!((reason(&gateway, SECRET).await, reason(&gateway, &secret_of("next")).await), (None, None));
    }
    gateway.hands.advance(OVERLAP.checked_sub(Duration::from_millis(1)).unwrap());
    assert_eq!(reason(&gateway, SECRET).await, None);
    gateway.hands.advance(Duration::from_millis(1));
    assert_eq!(reason(&gateway, SECRET).await, Some(Reason::KeyRetired));
    assert_eq!(reason(&gateway, &secret_of("next")).await, None);
}

#[tokio::test]
async fn f134_a_reset_secret_fails_on_the_very_next_call() {
    let gateway = Gateway::new();
    assert_eq!(reason(&gateway, SECRET).await, None);
    let keys = rotated(&registry(), Duration::ZERO);
    assert_eq!(keys[0].state, KeyState::Retired);
    gateway.change(|r| r.apps.get_mut(BOT).unwrap().keys = keys);
    assert_eq!(reason(&gateway, SECRET).await, Some(Reason::KeyRetired));
    assert_eq!(reason(&gateway, &secret_of("next")).await, None);
}

#[tokio::test]
async fn f162_all_active_keys_verify_at_once_and_a_deleted_one_stops() {
    let gateway = Gateway::new();
    let name = |number: i64| secret_of(&number.to_string());
    let key = |number| KeyRecord {
        number: KeyNumber(number),
        kid: None,
        material: secret(&name(number)),
        state: KeyState::Active,
    };
    let active: Vec<_> = (100..125).map(key).collect();
    // However many keys are about to end, and however old they are: the 25 active ones are tried.
    let ending = (0..30).map(|number| KeyRecord { state: KeyState::Retiring(now().after(OVERLAP)), ..key(number) });
    let all: Vec<_> = ending.chain(active.clone()).collect();
    gateway.change(|r| r.apps.get_mut(BOT).unwrap().keys = all);
    for number in [100, 112, 124] {
        assert_eq!(reason(&gateway, &name(number)).await, None, "{number}");
    }
    gateway.change(|r| r.apps.get_mut(BOT).unwrap().keys = active[1..].to_vec());
    assert_eq!(reason(&gateway, &name(100)).await, Some(Reason::TokenSignatureInvalid));
    assert_eq!(reason(&gateway, &name(124)).await, None);
}
