//! Our own signing keys: one signs, those before it verify until the last token that they signed has ended.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use aws_lc_rs::error::Unspecified;
use serde_json::{Value, json};

use crate::clock::Timestamp;
use crate::jose::{IssuingKey, IssuingMaterial, KeyError, PreparedKey};
use crate::model::{Algorithm, KeyId};

/// A signing key as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKeyRecord {
    pub number: i64,
    pub kid: KeyId,
    pub material: IssuingMaterial,
    pub created_at: Timestamp,
    /// Until then it is published and does not sign, so that everybody knows it when it does.
    pub signs_from: Timestamp,
}

/// When keys are made, and how long they are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RotationSettings {
    pub algorithm: Algorithm,
    /// How long a key signs.
    pub every: Duration,
    /// How long a key is published before it signs.
    pub lead: Duration,
    /// The longest life of a token of ours: so long a key verifies after its successor has begun to sign.
    pub longest_life: Duration,
}

impl RotationSettings {
    /// When the next key has to begin to sign, if it is time to make it. The first begins at once, and so does one of
    /// another algorithm than was configured before.
    pub fn due(&self, keys: &[SigningKeyRecord], now: Timestamp) -> Option<Timestamp> {
        // One that is published and waits for its time, unless a clock ran ahead when it was made.
        let horizon = now.after(self.every).after(self.lead);
        let is_waiting = |key: &SigningKeyRecord| now < key.signs_from && key.signs_from <= horizon;
        if keys.iter().any(|key| key.material.algorithm() == self.algorithm && is_waiting(key)) {
            return None;
        }
        let newest = keys.iter().filter(|key| key.signs_from <= horizon).max_by_key(|key| key.signs_from);
        match newest {
            Some(key) if key.material.algorithm() == self.algorithm => {
                let ends = key.signs_from.after(self.every);
                (ends <= now.after(self.lead)).then(|| ends.max(now.after(self.lead)))
            }
            Some(_) => Some(now.after(self.lead)),
            None => Some(now),
        }
    }

    /// The end of each key: with its successor's beginning begins the last life of what it signed. The newest has none.
    pub fn ends(&self, keys: &[SigningKeyRecord]) -> Vec<Option<Timestamp>> {
        let successor = |key: &SigningKeyRecord| {
            let later = keys.iter().filter(|k| (k.signs_from, k.number) > (key.signs_from, key.number));
            later.map(|k| k.signs_from).min()
        };
        keys.iter().map(|key| successor(key).map(|from| from.after(self.longest_life))).collect()
    }
}

/// The keys, ready to sign and to verify. Read by every request without a lock.
#[derive(Default)]
pub struct KeyRing(ArcSwap<Vec<RingKey>>);

struct RingKey {
    number: i64,
    kid: KeyId,
    signs_from: Timestamp,
    ends: Option<Timestamp>,
    signing: IssuingKey,
    verifying: Arc<PreparedKey>,
}

/// No token can be signed: there is no key, or the library failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSigningKey;

impl fmt::Display for NoSigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no key to sign tokens with")
    }
}

impl std::error::Error for NoSigningKey {}

impl From<Unspecified> for NoSigningKey {
    fn from(_: Unspecified) -> Self {
        Self
    }
}

impl KeyRing {
    /// Takes over the keys that are kept now.
    ///
    /// # Errors
    /// When one of them is no key; the ring stays as it was.
    pub fn follow(&self, records: &[SigningKeyRecord], settings: &RotationSettings) -> Result<(), KeyError> {
        let ends = settings.ends(records);
        let keys: Result<Vec<_>, _> =
            records.iter().zip(ends).map(|(record, ends)| RingKey::new(record, ends)).collect();
        let mut keys = keys?;
        keys.sort_by_key(|key| (key.signs_from, key.number));
        self.0.store(Arc::new(keys));
        Ok(())
    }

    /// A compact token with these claims, by the key that signs now.
    ///
    /// # Errors
    /// When there is no key.
    pub fn sign(&self, token_type: &str, payload: &str, now: Timestamp) -> Result<String, NoSigningKey> {
        let keys = self.0.load();
        let key = signing(&keys, now).ok_or(NoSigningKey)?;
        Ok(key.signing.sign(token_type, key.kid.as_str(), payload)?)
    }

    /// The number of the key that signs now, if there is one.
    pub fn signer(&self, now: Timestamp) -> Option<i64> {
        signing(&self.0.load(), now).map(|key| key.number)
    }

    /// The key of that name to verify with, and its number, if its time is not over.
    pub fn verifying(&self, kid: &str, now: Timestamp) -> Option<(i64, Arc<PreparedKey>)> {
        let keys = self.0.load();
        let key = keys.iter().find(|key| key.kid.as_str() == kid)?;
        key.is_good(now).then(|| (key.number, Arc::clone(&key.verifying)))
    }

    /// Whether the key of that number still verifies.
    pub fn is_good(&self, number: i64, now: Timestamp) -> bool {
        self.0.load().iter().any(|key| key.number == number && key.is_good(now))
    }

    /// The public halves of the keys that verify now or will (RFC 7517 section 5), the newest first.
    pub fn jwks(&self, now: Timestamp) -> Value {
        let keys = self.0.load();
        let keys = keys.iter().rev().filter(|key| key.is_good(now));
        json!({ "keys": keys.map(|key| key.signing.jwk(key.kid.as_str())).collect::<Vec<_>>() })
    }
}

/// A clock that was set back finds the oldest key rather than none.
fn signing(keys: &[RingKey], now: Timestamp) -> Option<&RingKey> {
    keys.iter().rfind(|key| key.signs_from <= now).or_else(|| keys.first())
}

impl RingKey {
    fn new(record: &SigningKeyRecord, ends: Option<Timestamp>) -> Result<Self, KeyError> {
        let signing = record.material.prepare()?;
        let verifying = Arc::new(signing.public()?.prepare(signing.algorithm())?);
        let (number, kid, signs_from) = (record.number, record.kid.clone(), record.signs_from);
        Ok(Self { number, kid, signs_from, ends, signing, verifying })
    }

    fn is_good(&self, now: Timestamp) -> bool {
        self.ends.is_none_or(|end| now < end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::Compact;

    const NOON: Timestamp = Timestamp::from_secs(1_795_348_800);
    const DAY: Duration = Duration::from_secs(86_400);
    const HOUR: Duration = Duration::from_secs(3600);

    fn settings() -> RotationSettings {
        RotationSettings { algorithm: Algorithm::EdDsa, every: 30 * DAY, lead: HOUR, longest_life: 90 * DAY }
    }

    fn key(number: i64, signs_from: Timestamp) -> SigningKeyRecord {
        SigningKeyRecord {
            number,
            kid: KeyId::new(&format!("k-{number}")).unwrap(),
            material: IssuingMaterial::generate(Algorithm::EdDsa).unwrap(),
            created_at: signs_from,
            signs_from,
        }
    }

    fn kid_of(token: &str) -> String {
        Compact::parse(token.as_bytes(), 4096).unwrap().header.key_id.unwrap().into()
    }

    #[test]
    fn the_first_key_signs_at_once_and_the_next_is_published_before_it_signs() {
        let (settings, first) = (settings(), key(1, NOON));
        assert_eq!(settings.due(&[], NOON), Some(NOON));
        let end = NOON.after(30 * DAY);
        let due = |now| settings.due(std::slice::from_ref(&first), now);
        assert_eq!(due(NOON), None);
        assert_eq!(due(end.before(HOUR).before(Duration::from_millis(1))), None);
        assert_eq!(due(end.before(HOUR)), Some(end));
        assert_eq!(due(end.after(DAY)), Some(end.after(DAY).after(HOUR)), "a late one is published first all the same");
        assert_eq!(settings.due(&[first.clone(), key(2, end)], end.before(HOUR)), None, "it was made");
    }

    #[test]
    fn a_change_of_the_algorithm_makes_a_key_of_the_new_one() {
        let settings = RotationSettings { algorithm: Algorithm::Rs256, ..settings() };
        assert_eq!(settings.due(&[key(1, NOON)], NOON), Some(NOON.after(HOUR)));
    }

    #[test]
    fn the_key_whose_time_has_come_signs_and_old_tokens_stay_verifiable_until_they_have_ended() {
        let (ring, second) = (KeyRing::default(), NOON.after(30 * DAY));
        ring.follow(&[key(2, second), key(1, NOON)], &settings()).unwrap();
        let kid = |now| kid_of(&ring.sign("JWT", "{}", now).unwrap());
        assert_eq!(kid(NOON), "k-1");
        assert_eq!(kid(second.before(Duration::from_millis(1))), "k-1");
        assert_eq!(kid(second), "k-2");
        assert_eq!(kid(NOON.before(DAY)), "k-1", "a clock that was set back");
        let old = ring.sign("JWT", "{}", second.before(Duration::from_millis(1))).unwrap();
        let old = Compact::parse(old.as_bytes(), 4096).unwrap();
        let end = second.after(90 * DAY);
        let (number, public) = ring.verifying("k-1", end.before(Duration::from_millis(1))).unwrap();
        assert!(number == 1 && public.verifies(old.signing_input, &old.signature));
        assert!(ring.is_good(1, end.before(Duration::from_millis(1))) && !ring.is_good(1, end));
        assert!(ring.verifying("k-1", end).is_none() && ring.verifying("k-2", end).is_some());
        assert!(ring.verifying("k-3", NOON).is_none());
    }

    #[test]
    fn the_key_set_shows_what_verifies_and_what_will_sign() {
        let (ring, second) = (KeyRing::default(), NOON.after(30 * DAY));
        ring.follow(&[key(1, NOON), key(2, second)], &settings()).unwrap();
        let kids = |now| {
            let jwks = ring.jwks(now);
            jwks["keys"].as_array().unwrap().iter().map(|k| k["kid"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(kids(NOON), ["k-2", "k-1"]);
        assert_eq!(kids(second.after(90 * DAY)), ["k-2"]);
    }

    #[test]
    fn an_empty_ring_signs_nothing_and_a_damaged_key_leaves_the_ring_as_it_was() {
        let ring = KeyRing::default();
        assert_eq!(ring.sign("JWT", "{}", NOON), Err(NoSigningKey));
        assert_eq!(ring.jwks(NOON), json!({ "keys": [] }));
        ring.follow(&[key(1, NOON)], &settings()).unwrap();
        let material = IssuingMaterial::from_pkcs8(Algorithm::EdDsa, crate::secret::Secret::new("no key"));
        ring.follow(&[SigningKeyRecord { material, ..key(2, NOON) }], &settings()).unwrap_err();
        assert_eq!(kid_of(&ring.sign("JWT", "{}", NOON).unwrap()), "k-1");
    }
}
