//! Key pairs for encrypted tokens: who needs one, and how one follows another.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{AppRecord, Change, KeyState, Registry};
use crate::clock::Timestamp;
use crate::jose::{DecryptionMaterial, EncryptionKind, KeyError};
use crate::model::{ClientId, KeyId};
use crate::secret::random;

/// A new key pair under a name that no other has.
///
/// # Errors
/// When the system gives no random bytes.
pub fn new_encryption_key(kind: EncryptionKind) -> Result<(KeyId, DecryptionMaterial), KeyError> {
    let kid = KeyId::from_random(random().map_err(|_| KeyError::Pkcs8)?);
    Ok((kid, DecryptionMaterial::generate(kind)?))
}

/// The apps that have to encrypt their tokens and, once these changes are carried out, have no key to encrypt them to.
pub fn lacking_encryption_keys(stored: &Registry, changes: &[Change]) -> Vec<ClientId> {
    let mut enforces: BTreeMap<_, _> = stored.apps.iter().map(|(id, app)| (id, app.settings.enforce_jwe)).collect();
    // By app and name: whether the key is the one to use.
    let mut keys = BTreeMap::new();
    for app in stored.apps.values() {
        let id = &app.settings.client_id;
        keys.extend(app.encryption_keys.iter().map(|k| ((id, &k.kid), k.state == KeyState::Active)));
    }
    for change in changes {
        match change {
            Change::PutApp { settings, .. } => _ = enforces.insert(&settings.client_id, settings.enforce_jwe),
            Change::DeleteApp(id) => _ = enforces.remove(id),
            Change::AddEncryptionKey { app, kid, state, .. } | Change::SetEncryptionKeyState { app, kid, state } => {
                keys.insert((app, kid), *state == KeyState::Active);
            }
            Change::DeleteEncryptionKey { app, kid } => _ = keys.remove(&(app, kid)),
            _ => {}
        }
    }
    let provided: BTreeSet<_> = keys.into_iter().filter(|(_, active)| *active).map(|((app, _), _)| app).collect();
    let enforcing = enforces.into_iter().filter(|(_, enforces)| *enforces).map(|(id, _)| id);
    enforcing.filter(|id| !provided.contains(id)).cloned().collect()
}

/// Puts a new key pair in the place of the one in use, which stays good for the overlap.
pub fn rotation(
    app: &AppRecord,
    (kid, material): (KeyId, DecryptionMaterial),
    overlap: Duration,
    now: Timestamp,
) -> Vec<Change> {
    let id = &app.settings.client_id;
    let state = if overlap.is_zero() { KeyState::Retired } else { KeyState::Retiring(now.after(overlap)) };
    let active = app.encryption_keys.iter().filter(|k| k.state == KeyState::Active);
    let retire = active.map(|k| Change::SetEncryptionKeyState { app: id.clone(), kid: k.kid.clone(), state });
    let add = Change::AddEncryptionKey { app: id.clone(), kid, material, state: KeyState::Active };
    std::iter::once(add).chain(retire).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::AppNumber;
    use crate::registry::conformance::{client_id, settings};
    use crate::registry::{AppSettings, EncryptionKeyRecord, KeyNumber};

    fn key(kid: &str) -> (KeyId, DecryptionMaterial) {
        (KeyId::new(kid).unwrap(), DecryptionMaterial::generate(EncryptionKind::P256).unwrap())
    }

    fn app(id: &str, enforce_jwe: bool, keys: &[(&str, KeyState)]) -> AppRecord {
        let record = |(number, (kid, state)): (i64, &(&str, KeyState))| {
            let (kid, material) = key(kid);
            let created_at = Timestamp::default();
            EncryptionKeyRecord { number: KeyNumber(number), kid, material, state: *state, created_at }
        };
        AppRecord {
            number: AppNumber(1),
            settings: AppSettings { enforce_jwe, ..settings(id, "default", &[]) },
            keys: Vec::new(),
            encryption_keys: (1..).zip(keys).map(record).collect(),
            grants: Vec::new(),
            table_grants: Vec::new(),
            installations: Vec::new(),
            credential_version: 1,
        }
    }

    #[test]
    fn an_app_that_has_to_encrypt_and_has_no_usable_key_lacks_one() {
        let put = |app: &AppRecord| Change::PutApp { settings: app.settings.clone(), is_new: false };
        let active = app("c", true, &[("k", KeyState::Active)]);
        let bare = app("c", true, &[("k", KeyState::Retired)]);
        let off = app("c", false, &[]);
        let (kid, material) = key("k");
        let id = client_id("c");
        let add = Change::AddEncryptionKey {
            app: id.clone(),
            kid: KeyId::new("k2").unwrap(),
            material,
            state: KeyState::Active,
        };
        let delete = Change::DeleteEncryptionKey { app: id.clone(), kid: kid.clone() };
        let retire = Change::SetEncryptionKeyState { app: id.clone(), kid, state: KeyState::Retired };
        let cases = [
            (None, vec![put(&bare)], true),
            (None, vec![put(&off)], false),
            (None, vec![put(&bare), add.clone()], false),
            (Some(&off), vec![put(&bare)], true),
            (Some(&active), vec![put(&bare)], false),
            (Some(&active), vec![delete.clone()], true),
            (Some(&active), vec![retire, add.clone()], false),
            (Some(&active), vec![put(&off), delete], false),
            (Some(&bare), vec![], true),
            (Some(&bare), vec![Change::DeleteApp(id.clone())], false),
        ];
        for (stored, changes, lacks) in cases {
            let mut registry = Registry::default();
            registry.apps.extend(stored.map(|app| (app.settings.client_id.clone(), app.clone())));
            let lacking = lacking_encryption_keys(&registry, &changes);
            assert_eq!(lacking, if lacks { vec![id.clone()] } else { vec![] }, "{stored:?} {changes:?}");
        }
    }

    #[test]
    fn a_rotation_retires_what_was_in_use_and_leaves_what_retires_already() {
        let now = Timestamp::from_secs(100);
        let earlier = KeyState::Retiring(Timestamp::from_secs(150));
        let app = app("c", true, &[("old", KeyState::Active), ("older", earlier)]);
        for (overlap, state) in [(0, KeyState::Retired), (60, KeyState::Retiring(Timestamp::from_secs(160)))] {
            let changes = rotation(&app, key("new"), Duration::from_secs(overlap), now);
            assert!(matches!(&changes[0], Change::AddEncryptionKey { kid, .. } if kid.as_str() == "new"));
            let retired = Change::SetEncryptionKeyState { app: client_id("c"), kid: KeyId::new("old").unwrap(), state };
            assert_eq!(changes[1..], [retired]);
        }
    }
}
