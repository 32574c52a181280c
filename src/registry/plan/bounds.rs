//! What holds of an app's keys once all changes are carried out: not too many, and not none where public keys were.

use std::collections::BTreeMap;

use super::Planner;
use crate::clock::Timestamp;
use crate::jose::KeyMaterial;
use crate::model::ClientId;
use crate::registry::{AppRecord, AppSettings, Change, KeyNumber, KeyRecord, KeyState, MAX_KEYS, Registry};

/// An app that signs with private keys of its own: whoever takes its last public key takes what only its owner can give back.
pub fn has_public_keys_alone(app: &AppRecord) -> bool {
    let mut living = app.keys.iter().filter(|key| key.state != KeyState::Retired).peekable();
    living.peek().is_some() && living.all(|key| matches!(key.material, KeyMaterial::Public { .. }))
}

/// Until when some key of the app is good: for ever where one is active; not even at the beginning where none is.
pub fn good_until(settings: &AppSettings, keys: &[KeyRecord]) -> Timestamp {
    let usable = keys.iter().filter(|key| settings.algorithms.iter().any(|a| key.material.can(*a)));
    let ends = usable.map(|key| match key.state {
        KeyState::Active => Timestamp::MAX,
        KeyState::Retiring(until) => until,
        KeyState::Retired => Timestamp::default(),
    });
    ends.max().unwrap_or_default()
}

impl Planner<'_> {
    pub(super) fn bounds(&mut self) {
        let mut errors = Vec::new();
        for (id, keys) in keys_after(self.stored, &self.changes) {
            let stored = self.stored.apps.get(id);
            let is_active = |key: &&KeyRecord| key.state == KeyState::Active;
            let active = keys.iter().filter(is_active).count();
            let before = stored.map_or(0, |app| app.keys.iter().filter(is_active).count());
            if active > MAX_KEYS && active > before {
                let place = self.desired.keys.iter().rposition(|key| key.app == *id).unwrap_or_default();
                errors.push(("key", place, format!(
                    "app {id} would have {active} active keys, and at most {MAX_KEYS} are tried for a token: retire one first \
                     (`scopegate key list {id}` tells which lie idle)"
                )));
            }
            let Some(settings) = self.settings_of(id).filter(|settings| settings.enabled) else { continue };
            let lasted = |app: &&AppRecord| good_until(&app.settings, &app.keys) == Timestamp::MAX;
            if stored.filter(lasted).is_some_and(has_public_keys_alone) && good_until(settings, &keys) < Timestamp::MAX
            {
                let (table, place) = self.place_of_keys(id);
                errors.push((table, place, format!(
                    "app {id} would be left without a key that lasts, and all its calls be refused: an app with public keys \
                     keeps one. Give it another one, or enabled = false"
                )));
            }
        }
        for (table, index, message) in errors {
            self.error(table, index, message);
        }
    }

    /// The entry that says what becomes of the keys of an app.
    fn place_of_keys(&self, app: &ClientId) -> (&'static str, usize) {
        match self.desired.keys.iter().rposition(|key| key.app == *app) {
            Some(place) => ("key", place),
            None => {
                let place = self.desired.apps.iter().position(|wanted| wanted.0.client_id == *app);
                ("app", place.unwrap_or_default())
            }
        }
    }
}

/// The keys of each app of which one changes, as they will be.
fn keys_after<'a>(stored: &Registry, changes: &'a [Change]) -> BTreeMap<&'a ClientId, Vec<KeyRecord>> {
    let mut after: BTreeMap<&ClientId, Vec<KeyRecord>> = BTreeMap::new();
    for change in changes {
        let (Change::AddKey { app, .. }
        | Change::ReplaceKey { app, .. }
        | Change::SetKeyState { app, .. }
        | Change::DeleteKey { app, .. }) = change
        else {
            continue;
        };
        let stored = || stored.apps.get(app).map(|app| app.keys.clone()).unwrap_or_default();
        apply(change, after.entry(app).or_insert_with(stored));
    }
    after
}

fn apply(change: &Change, keys: &mut Vec<KeyRecord>) {
    let place = |number: &KeyNumber| keys.iter().position(|key| key.number == *number);
    match change {
        Change::AddKey { kid, material, state, .. } => {
            keys.push(KeyRecord { number: KeyNumber(0), kid: kid.clone(), material: material.clone(), state: *state });
        }
        Change::ReplaceKey { key, material, .. } => {
            if let Some(place) = place(key) {
                keys[place].material = material.clone();
            }
        }
        Change::SetKeyState { key, state, .. } => {
            if let Some(place) = place(key) {
                keys[place].state = *state;
            }
        }
        Change::DeleteKey { key, .. } => keys.retain(|known| known.number != *key),
        _ => {}
    }
}
