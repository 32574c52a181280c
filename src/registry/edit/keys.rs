//! Keys by command: added, rotated, and taken away without locking the app out unnoticed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{EditError, Edited, Editor, refuse};
use crate::clock::Timestamp;
use crate::jose::{KeyMaterial, Validity};
use crate::model::{Algorithm, ClientId, Family, KeyId};
use crate::registry::plan::{good_until, has_public_keys_alone};
use crate::registry::{
    AppRecord, AppSettings, Change, Desired, DesiredApp, DesiredKey, KeyNumber, KeyRecord, KeyState,
};

/// How long a key has to lie idle, and a newer one to be in use, before it may go.
const IDLE: Duration = Duration::from_secs(24 * 3600);

/// What becomes of an app's last key that lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastKey {
    /// It stays as it is.
    Stays,
    /// It ends, unless public keys are all that the app has.
    Ends,
    /// It ends, and the app is disabled with it.
    EndsWithTheApp,
}

#[derive(Clone, Debug)]
pub struct NewKey {
    pub kid: Option<KeyId>,
    pub material: KeyMaterial,
}

impl NewKey {
    pub(super) fn desired(self, app: &ClientId) -> DesiredKey {
        let state = Some(KeyState::Active);
        DesiredKey { app: app.clone(), kid: self.kid, material: Some(self.material), state }
    }
}

impl Editor<'_> {
    /// # Errors
    /// When there is no such app, or it has such a key, or can't use one of this kind.
    pub fn add_key(&self, app: &ClientId, key: NewKey) -> Edited {
        check_is_new(self.app(app)?, &key)?;
        check_is_good(&key, self.now)?;
        self.plan(&Desired { keys: vec![key.desired(app)], ..Desired::default() })
    }

    /// Whether a key that comes without material is a shared secret to be made; else a public key has to be given.
    ///
    /// # Errors
    /// When there is no such app.
    pub fn takes_a_secret(&self, app: &ClientId, algorithm: Option<Algorithm>) -> Result<bool, EditError> {
        let record = self.app(app)?;
        if let Some(algorithm) = algorithm {
            return Ok(algorithm.family() == Family::Hmac);
        }
        let newest = record.keys.iter().filter(|key| key.state != KeyState::Retired).max_by_key(|key| key.number);
        Ok(match newest {
            Some(key) => key.material.family() == Family::Hmac,
            None => record.settings.algorithms.iter().any(|a| a.family() == Family::Hmac),
        })
    }

    /// A new key in place of all others, which stay good for the overlap. With an algorithm the app signs with that one
    /// from now on, and with its former ones as long as keys overlap.
    ///
    /// # Errors
    /// As for `add_key`, and when the app may not have the algorithm.
    pub fn rotate(&self, app: &ClientId, key: NewKey, algorithm: Option<Algorithm>, overlap: Duration) -> Edited {
        let record = self.app(app)?;
        check_is_new(record, &key)?;
        check_is_good(&key, self.now)?;
        let mut settings = record.settings.clone();
        if let Some(algorithm) = algorithm {
            if overlap.is_zero() {
                settings.algorithms.clear();
            }
            settings.algorithms.insert(algorithm);
            if !key.material.can(algorithm) {
                return refuse(format!("{} can't be used with {algorithm}", key.material.family()));
            }
        }
        let (apps, keys) = (vec![DesiredApp(settings)], vec![key.desired(app)]);
        let end = self.now.after(overlap);
        let last = |state| match state {
            KeyState::Active => Some(end),
            KeyState::Retiring(until) if until > end => Some(end),
            KeyState::Retiring(_) | KeyState::Retired => None,
        };
        let ending = record.keys.iter().filter_map(|key| {
            let end = last(key.state)?;
            let state = if overlap.is_zero() { KeyState::Retired } else { KeyState::Retiring(end) };
            Some(Change::SetKeyState { app: app.clone(), key: key.number, state })
        });
        self.plan_then(&Desired { apps, keys, ..Desired::default() }, ending.collect())
    }

    /// Ends a key at a time that is to come.
    ///
    /// # Errors
    /// When there is no such key or it is retired, the time is past, or it is the last one and has to stay.
    pub fn retire_key(&self, app: &ClientId, key: &str, at: Timestamp, last: LastKey) -> Edited {
        let record = self.app(app)?;
        let key = find(record, key)?;
        if at <= self.now {
            return refuse(format!("{at} is past; `scopegate key revoke` ends a key at once"));
        }
        if key.state == KeyState::Retired {
            return refuse(format!("{} is retired, and no key comes back: add a new one", named(key)));
        }
        self.end(record, key, Some(KeyState::Retiring(at)), last)
    }

    /// Ends a key at once; it stays, so that the log can tell whose tokens were signed with it.
    ///
    /// # Errors
    /// When there is no such key, or it is the last one and has to stay.
    pub fn revoke_key(&self, app: &ClientId, key: &str, last: LastKey) -> Edited {
        let record = self.app(app)?;
        self.end(record, find(record, key)?, Some(KeyState::Retired), last)
    }

    /// # Errors
    /// When there is no such key, or it is the last one and has to stay.
    pub fn delete_key(&self, app: &ClientId, key: &str, last: LastKey) -> Edited {
        let record = self.app(app)?;
        self.end(record, find(record, key)?, None, last)
    }

    /// Gives a key its last state, or none at all, unless that unexpectedly ends what the app can do.
    fn end(&self, record: &AppRecord, key: &KeyRecord, state: Option<KeyState>, last: LastKey) -> Edited {
        let app = record.settings.client_id.clone();
        let mut changes = Vec::new();
        if let Some(end) = self.locked_out_from(record, key, state) {
            match (last, has_public_keys_alone(record)) {
                (LastKey::EndsWithTheApp, _) => {
                    let settings = AppSettings { enabled: false, ..record.settings.clone() };
                    changes.push(Change::PutApp { settings, is_new: false });
                }
                (LastKey::Ends, false) => {}
                (LastKey::Stays, false) => {
                    return refuse(format!(
                        "{} is the last key of app {app} that lasts: without it all its calls are refused {end}. Add another \
                         first (`scopegate key rotate {app}`), or say --force",
                        named(key)
                    ));
                }
                (LastKey::Stays | LastKey::Ends, true) => {
                    return refuse(format!(
                        "{} is the last key of app {app} that lasts, and an app with public keys keeps one: without it all its \
                         calls are refused {end}. Add another first (`scopegate key add {app} --public-key FILE`); if it \
                         leaked, `scopegate key revoke {app} '#{}' --disable-app` ends it at once and disables the app",
                        named(key),
                        key.number.0
                    ));
                }
            }
        }
        match state {
            Some(state) if state == key.state => {}
            Some(state) => changes.push(Change::SetKeyState { app, key: key.number, state }),
            None => changes.push(Change::DeleteKey { app, key: key.number, kid: key.kid.clone() }),
        }
        Ok(changes)
    }

    /// From when on none of the calls of an enabled app is taken any more, if that is since this key ends.
    fn locked_out_from(&self, record: &AppRecord, key: &KeyRecord, state: Option<KeyState>) -> Option<String> {
        // A certificate that has ended does for nothing, whatever state its key has.
        let is_good = |k: &KeyRecord| !matches!(k.material.validity(self.now), Validity::Over(_));
        let all: Vec<_> = record.keys.iter().filter(|k| is_good(k)).cloned().collect();
        let others = all.iter().filter(|k| k.number != key.number).cloned();
        let changed = state.map(|state| KeyRecord { state, ..key.clone() }).filter(is_good);
        let left: Vec<_> = others.chain(changed).collect();
        let before = good_until(&record.settings, &all);
        let after = good_until(&record.settings, &left);
        let is_locked_out = record.settings.enabled && after < before && before > self.now;
        is_locked_out.then(|| if after > self.now { format!("from {after} on") } else { "from now on".to_owned() })
    }
}

fn check_is_new(record: &AppRecord, key: &NewKey) -> Result<(), EditError> {
    let app = &record.settings.client_id;
    if let Some(kid) = key.kid.as_ref().filter(|kid| record.keys.iter().any(|k| k.kid.as_ref() == Some(kid))) {
        return refuse(format!("app {app} has a key {kid} already: take another kid"));
    }
    match record.keys.iter().find(|k| k.material == key.material) {
        Some(known) => refuse(format!("app {app} has this key already: it is {} and {}", named(known), known.state)),
        None => Ok(()),
    }
}

/// A key whose certificate has ended would be refused from its first use on.
pub(super) fn check_is_good(key: &NewKey, now: Timestamp) -> Result<(), EditError> {
    match key.material.validity(now) {
        Validity::Over(at) => refuse(format!("the certificate ended at {at}: give the renewed one")),
        Validity::Good | Validity::NotYet(_) => Ok(()),
    }
}

/// A key by its kid or its number; `#7` is a number and never a kid.
fn find<'r>(record: &'r AppRecord, text: &str) -> Result<&'r KeyRecord, EditError> {
    let app = &record.settings.client_id;
    let number = text.strip_prefix('#').unwrap_or(text).parse().ok().map(KeyNumber);
    let by_number = record.keys.iter().find(|key| Some(key.number) == number);
    let by_kid = record.keys.iter().find(|key| key.kid.as_ref().is_some_and(|kid| kid.as_str() == text));
    match (by_kid, by_number) {
        (Some(kid), Some(other)) if kid.number != other.number => refuse(format!(
            "{text} is the kid of key number {} and the number of another key: write #{} or #{}",
            kid.number.0, kid.number.0, other.number.0
        )),
        (Some(key), _) | (None, Some(key)) => Ok(key),
        (None, None) if record.keys.is_empty() => refuse(format!("app {app} has no keys")),
        (None, None) => {
            let known: Vec<_> = record.keys.iter().map(named).collect();
            refuse(format!("app {app} has no key {text}; it has {}", known.join(", ")))
        }
    }
}

fn named(key: &KeyRecord) -> String {
    match &key.kid {
        Some(kid) => format!("key {kid} (number {})", key.number.0),
        None => format!("key number {}", key.number.0),
    }
}

/// The keys that nobody would miss: still good, idle for a day, while a newer one that stays was in use.
pub fn safe_to_retire(
    keys: &[KeyRecord],
    uses: &BTreeMap<KeyNumber, Timestamp>,
    now: Timestamp,
) -> BTreeSet<KeyNumber> {
    let is_used = |key: &&KeyRecord| uses.get(&key.number).is_some_and(|at| *at > now.before(IDLE));
    let is_used_newer = |key: &KeyRecord| {
        keys.iter().any(|newer| newer.number > key.number && newer.state == KeyState::Active && is_used(&newer))
    };
    let is_good = |key: &&KeyRecord| key.state.usable_at(now) && key.material.validity(now) == Validity::Good;
    let idle = keys.iter().filter(|key| is_good(key) && !is_used(key) && is_used_newer(key));
    idle.map(|key| key.number).collect()
}
