//! Keys: which of the stored ones a wanted one is, and what has to become of it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Desired, DesiredEncryptionKey, DesiredKey, Planner};
use crate::jose::KeyMaterial;
use crate::model::{AlgorithmSet, ClientId};
use crate::registry::{AppRecord, Change, KeyNumber, KeyRecord, KeyState, Registry};

/// The stored key that each wanted one means, by its place in the file.
pub(super) struct KeyMatches<'a> {
    stored: Vec<Option<&'a KeyRecord>>,
    meant: BTreeSet<KeyNumber>,
    /// Apps for which the file names a secret without kid or material: it may be any of those that are stored so.
    unclear: BTreeSet<&'a ClientId>,
}

impl<'a> KeyMatches<'a> {
    /// Keys are the same by their kid, else by what they are. Unnamed secrets that are left out mean the stored unnamed
    /// secrets in their order, as an export writes them.
    pub fn of(stored: &'a Registry, desired: &'a Desired) -> Self {
        let mut by_app: BTreeMap<&ClientId, Vec<(usize, &DesiredKey)>> = BTreeMap::new();
        for (i, key) in desired.keys.iter().enumerate() {
            by_app.entry(&key.app).or_default().push((i, key));
        }
        let mut matches =
            Self { stored: vec![None; desired.keys.len()], meant: BTreeSet::new(), unclear: BTreeSet::new() };
        for (app, wanted) in by_app {
            if let Some(record) = stored.apps.get(app) {
                matches.match_app(app, record, &wanted);
            }
        }
        matches
    }

    fn match_app(&mut self, app: &'a ClientId, record: &'a AppRecord, wanted: &[(usize, &DesiredKey)]) {
        let (left_out, given): (Vec<_>, Vec<_>) =
            wanted.iter().partition(|(_, key)| key.kid.is_none() && key.material.is_none());
        for (i, key) in given {
            let is_same = |stored: &&KeyRecord| match (&key.kid, &key.material) {
                (None, Some(material)) => stored.kid.is_none() && stored.material == *material,
                (kid, _) => stored.kid == *kid,
            };
            self.set(i, record.keys.iter().find(is_same));
        }
        if left_out.is_empty() {
            return;
        }
        self.unclear.insert(app);
        let is_free = |key: &&KeyRecord| is_unnamed_secret(key) && !self.meant.contains(&key.number);
        let free: Vec<_> = record.keys.iter().filter(is_free).collect();
        for ((i, _), key) in left_out.into_iter().zip(free) {
            self.set(i, Some(key));
        }
    }

    fn set(&mut self, place: usize, key: Option<&'a KeyRecord>) {
        self.stored[place] = key;
        self.meant.extend(key.map(|key| key.number));
    }

    /// Whether the file means this stored key, or may mean it.
    pub fn keeps(&self, app: &ClientId, key: &KeyRecord) -> bool {
        self.meant.contains(&key.number) || is_unnamed_secret(key) && self.unclear.contains(app)
    }
}

fn is_unnamed_secret(key: &KeyRecord) -> bool {
    key.kid.is_none() && matches!(key.material, KeyMaterial::Secret(_))
}

impl Planner<'_> {
    pub(super) fn keys(&mut self) {
        let desired = self.desired;
        let mut seen = BTreeSet::new();
        for (i, key) in desired.keys.iter().enumerate() {
            if key.kid.is_some() && !seen.insert((&key.app, &key.kid)) {
                self.error("key", i, "two keys of one app have the same kid");
                continue;
            }
            let stored = self.keys.stored[i];
            match self.check_key(key, stored).and_then(|()| key_changes(key, stored)) {
                Ok(changes) => self.changes.extend(changes),
                Err(message) => self.error("key", i, message),
            }
        }
    }

    pub(super) fn encryption_keys(&mut self) {
        let desired = self.desired;
        let mut seen = BTreeSet::new();
        for (i, key) in desired.encryption_keys.iter().enumerate() {
            if seen.insert(&key.kid) {
                match self.encryption_key_changes(key) {
                    Ok(change) => self.changes.extend(change),
                    Err(message) => self.error("encryption_key", i, message),
                }
            } else {
                self.error("encryption_key", i, format!("encryption key {} stands twice", key.kid));
            }
        }
    }

    fn encryption_key_changes(&self, key: &DesiredEncryptionKey) -> Result<Option<Change>, String> {
        let (app, kid, material) = (key.app.clone(), key.kid.clone(), key.material.clone());
        self.settings_of(&app).ok_or_else(|| format!("app {app} does not exist"))?;
        let stored = self.stored.apps.get(&app).and_then(|a| a.encryption_keys.iter().find(|k| k.kid == kid));
        let Some(stored) = stored else {
            return Ok(Some(Change::AddEncryptionKey {
                app,
                kid,
                material,
                state: key.state.unwrap_or(KeyState::Active),
            }));
        };
        if stored.material != material {
            return Err(format!("another key is stored as {kid}: give this one another kid"));
        }
        let state = key.state.filter(|state| *state != stored.state);
        Ok(state.map(|state| Change::SetEncryptionKeyState { app, kid, state }))
    }

    /// A key that is retired may be of a kind that the app has left behind.
    fn check_key(&self, key: &DesiredKey, stored: Option<&KeyRecord>) -> Result<(), String> {
        let app = self.settings_of(&key.app).ok_or_else(|| format!("app {} does not exist", key.app))?;
        let Some(material) = &key.material else { return Ok(()) };
        let kept = stored.filter(|stored| stored.material == *material).map(|stored| stored.state);
        let usable = app.algorithms.iter().any(|a| material.can(*a));
        if usable || key.state.or(kept) == Some(KeyState::Retired) {
            return Ok(());
        }
        if app.algorithms.is_empty() {
            let why = "an app with keys needs at least one algorithm, for example algorithms = [\"HS256\"], or `scopegate app set \
                       ID --alg HS256`";
            return Err(why.into());
        }
        let algorithms: AlgorithmSet = app.algorithms.iter().copied().collect();
        Err(format!("{} can't be used with the app's algorithms {algorithms}", material.family()))
    }
}

fn key_changes(key: &DesiredKey, stored: Option<&KeyRecord>) -> Result<Vec<Change>, String> {
    let (app, kid) = (key.app.clone(), key.kid.clone());
    let Some(stored) = stored else {
        let Some(material) = key.material.clone() else {
            return Err("no such key is stored: give secret, secret_file, secret_env, public_key or jwk".into());
        };
        return Ok(vec![Change::AddKey { app, kid, material, state: key.state.unwrap_or(KeyState::Active) }]);
    };
    let replaced = key.material.as_ref().filter(|material| stored.material != **material);
    // What a key was retired for is gone with its material.
    let wanted = key.state.unwrap_or(if replaced.is_some() { KeyState::Active } else { stored.state });
    let number = stored.number;
    let replace =
        replaced.map(|material| Change::ReplaceKey { app: app.clone(), key: number, kid, material: material.clone() });
    let set = (wanted != stored.state).then_some(Change::SetKeyState { app, key: number, state: wanted });
    Ok(replace.into_iter().chain(set).collect())
}

#[cfg(test)]
mod tests {
    use super::super::{DesiredApp, Plan, PlanOptions};
    use super::*;
    use crate::model::{AppNumber, KeyId};
    use crate::registry::GrantRules;
    use crate::registry::conformance::{client_id, materials, secret, settings};

    const PRUNE: PlanOptions = PlanOptions { prune: true, draft: false };

    /// App `c` with these keys, numbered from 1.
    fn stored(keys: &[(Option<&str>, &str, KeyState)]) -> Registry {
        let key = |(number, (name, text, state)): (i64, &(Option<&str>, &str, KeyState))| KeyRecord {
            number: KeyNumber(number),
            kid: kid(*name),
            material: secret(text),
            state: *state,
        };
        let keys = (1..).zip(keys).map(key).collect();
        let (number, settings) = (AppNumber(1), settings("c", "default", &[]));
        let (grants, table_grants) = (Vec::new(), Vec::new());
        let record = AppRecord {
            number,
            settings,
            keys,
            encryption_keys: Vec::new(),
            grants,
            table_grants,
            installations: Vec::new(),
            credential_version: 1,
        };
        Registry { apps: BTreeMap::from([(client_id("c"), record)]), ..Registry::default() }
    }

    fn kid(name: Option<&str>) -> Option<KeyId> {
        name.map(|name| KeyId::new(name).unwrap())
    }

    fn wanted(name: Option<&str>, text: Option<&str>, state: Option<KeyState>) -> DesiredKey {
        DesiredKey { app: client_id("c"), kid: kid(name), material: text.map(secret), state }
    }

    fn plan(stored: &Registry, keys: Vec<DesiredKey>, options: PlanOptions) -> Result<Vec<String>, String> {
        let apps = vec![DesiredApp(settings("c", "default", &[]))];
        let desired = Desired { apps, keys, ..Desired::default() };
        match Plan::new(stored, &desired, &GrantRules::default(), options) {
            Ok(plan) => Ok(plan.0.iter().map(ToString::to_string).collect()),
            Err(errors) => Err(errors[0].message.clone()),
        }
    }

    #[test]
    fn secrets_without_name_that_a_file_leaves_out_are_met_in_their_order() {
        let registry = stored(&[(None, "a", KeyState::Active), (None, "b", KeyState::Retired)]);
        let left_out = |state| wanted(None, None, state);
        assert_eq!(plan(&registry, vec![left_out(None), left_out(Some(KeyState::Retired))], PRUNE), Ok(vec![]));
        let second = plan(&registry, vec![left_out(None), left_out(Some(KeyState::Active))], PRUNE).unwrap();
        assert_eq!(second, ["change key number 2 of app c: active"]);
        // Which of the two one entry means is not clear, so none is deleted.
        assert_eq!(plan(&registry, vec![left_out(None)], PRUNE), Ok(vec![]));
        let third = plan(&registry, vec![left_out(None), left_out(None), left_out(None)], PRUNE).unwrap_err();
        assert!(third.contains("no such key is stored"), "{third}");
        // What the file does name is not met a second time.
        let named = vec![wanted(None, Some("a"), None), left_out(Some(KeyState::Active))];
        assert_eq!(plan(&registry, named, PRUNE).unwrap(), ["change key number 2 of app c: active"]);
        assert_eq!(
            plan(&registry, vec![wanted(None, Some("a"), None)], PRUNE).unwrap(),
            ["delete key number 2 of app c"]
        );
    }

    #[test]
    fn a_state_stays_unless_the_file_has_one_or_other_material() {
        let registry = stored(&[(Some("k"), "a", KeyState::Retired)]);
        let keys = |text, state| plan(&registry, vec![wanted(Some("k"), text, state)], PlanOptions::default()).unwrap();
        assert!(keys(None, None).is_empty() && keys(Some("a"), None).is_empty());
        assert_eq!(keys(None, Some(KeyState::Active)), ["change key number 1 of app c: active"]);
        assert_eq!(keys(Some("b"), None), ["change key k of app c", "change key number 1 of app c: active"]);
        assert_eq!(keys(Some("b"), Some(KeyState::Retired)), ["change key k of app c"]);
    }

    #[test]
    fn a_retired_key_may_be_of_a_kind_that_the_app_has_left() {
        let registry = stored(&[]);
        let public = |state| DesiredKey { material: materials().pop(), ..wanted(Some("old"), None, state) };
        let unfit = plan(&registry, vec![public(None)], PRUNE).unwrap_err();
        assert!(unfit.contains("can't be used with the app's algorithms HS256"), "{unfit}");
        assert_eq!(
            plan(&registry, vec![public(Some(KeyState::Retired))], PRUNE).unwrap(),
            ["add key old of app c: retired"]
        );
    }
}
