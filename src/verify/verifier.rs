//! The checks in their order, with the cache in front of the costly ones.

use std::sync::Arc;

use super::cache::ProofKey;
use super::{ProofCache, SingleUse, TokenRules, checks};
use crate::clock::Timestamp;
use crate::jose::{self, Compact};
use crate::model::{Algorithm, Reason, Refusal, RegisteredClaims};
use crate::registry::{App, KeyNumber, Snapshot};

/// What a signature proved: these claims, by this key of this app.
#[derive(Debug)]
pub struct Proof {
    pub client_id: Box<str>,
    pub algorithm: Algorithm,
    pub key: KeyNumber,
    /// The app's credential version under which the key was found.
    pub credential_version: i64,
    pub token_type: Option<Box<str>>,
    pub claims: RegisteredClaims,
}

impl Proof {
    /// Bytes of memory, about, with what the cache itself needs for an entry.
    pub(super) fn weight(&self) -> usize {
        let text = |t: &Option<Box<str>>| t.as_ref().map_or(0, |t| t.len());
        let claims = &self.claims;
        let texts = text(&claims.issuer) + text(&claims.subject) + text(&claims.token_id) + text(&self.token_type);
        let audiences: usize = claims.audience.0.iter().map(|a| a.len() + size_of::<Box<str>>()).sum();
        size_of::<Self>() + self.client_id.len() + texts + audiences + 200
    }
}

/// A token that is good now. Only a [`Verifier`] makes one.
#[derive(Debug)]
pub struct Verified {
    app: Arc<App>,
    proof: Arc<Proof>,
    single_use: Option<SingleUse>,
}

impl Verified {
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// The key that made the signature.
    pub fn key(&self) -> KeyNumber {
        self.proof.key
    }

    /// What the signature proved.
    pub fn proof(&self) -> &Arc<Proof> {
        &self.proof
    }

    pub fn claims(&self) -> &RegisteredClaims {
        &self.proof.claims
    }

    /// To be recorded as used before the call goes on.
    pub fn single_use(&self) -> Option<&SingleUse> {
        self.single_use.as_ref()
    }
}

/// A token that is not good, and the app that it named, if there is one: for the log, nothing may be built on it.
#[derive(Debug)]
pub struct Unverified {
    pub refusal: Refusal,
    pub claimed: Option<Arc<App>>,
}

/// Verifies tokens. Shared by all workers.
pub struct Verifier {
    cache: ProofCache,
}

impl Verifier {
    /// `cache_bytes` bounds the memory of verified tokens; 0 keeps none.
    pub fn new(cache_bytes: u64) -> Self {
        Self { cache: ProofCache::new(cache_bytes) }
    }

    /// About how many verified tokens are remembered.
    pub fn remembered(&self) -> u64 {
        self.cache.entries()
    }

    /// Whether the token is good at `now` under these rules, for an app of this snapshot.
    ///
    /// # Errors
    /// The reason of the first check that failed, in the order of the module's documentation.
    pub fn verify(
        &self,
        token: &[u8],
        rules: &TokenRules,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Result<Verified, Unverified> {
        checks::check_length(token, rules).map_err(|refusal| Unverified { refusal, claimed: None })?;
        let key = ProofKey::of(token, rules);
        let known = self.cache.get(&key).and_then(|proof| {
            let app = snapshot.app(&proof.client_id)?;
            let holds = app.credential_version == proof.credential_version
                && app.key(proof.key).is_some_and(|k| k.state.usable_at(now))
                && app.enabled
                && app.algorithms.contains(proof.algorithm)
                && app.may_use(&rules.authenticator);
            holds.then(|| (Arc::clone(app), proof))
        });
        let (app, proof, is_new) = match known {
            Some((app, proof)) => (app, proof, false),
            None => {
                let (app, proof) = prove(token, rules, snapshot, now)?;
                (app, Arc::new(proof), true)
            }
        };
        let judged = checks::check_type(proof.token_type.as_deref(), rules)
            .and_then(|()| checks::check_times(&proof.claims, &app, rules, now))
            .and_then(|()| checks::check_parties(&proof.claims, rules))
            .and_then(|()| checks::single_use(&proof.claims, &app, rules, now));
        match judged {
            Ok(single_use) => {
                if is_new && single_use.is_none() {
                    self.cache.insert(key, Arc::clone(&proof));
                }
                Ok(Verified { app, proof, single_use })
            }
            Err(refusal) => Err(Unverified { refusal, claimed: Some(app) }),
        }
    }
}

/// From the token's bytes to what its signature proves.
fn prove(
    token: &[u8],
    rules: &TokenRules,
    snapshot: &Snapshot,
    now: Timestamp,
) -> Result<(Arc<App>, Proof), Unverified> {
    let unclaimed = |refusal| Unverified { refusal, claimed: None };
    let compact = checks::parse(token, rules).map_err(unclaimed)?;
    let app = match checks::find_app(&compact.claims, rules, snapshot) {
        Ok(app) => app,
        Err(refusal) => {
            spend_as_much(&compact, rules);
            return Err(unclaimed(refusal));
        }
    };
    let claimed = |refusal| Unverified { refusal, claimed: Some(Arc::clone(app)) };
    let (algorithm, key) = checks::prove(&compact, app, rules, now).map_err(|refusal| {
        if !matches!(refusal.reason, Reason::TokenSignatureInvalid | Reason::KeyRetired) {
            spend_as_much(&compact, rules);
        }
        claimed(refusal)
    })?;
    let proof = Proof {
        client_id: app.client_id.as_str().into(),
        algorithm,
        key: key.number,
        credential_version: app.credential_version,
        token_type: compact.header.token_type,
        claims: jose::read_registered(&compact.claims, &rules.claim_names).map_err(claimed)?,
    };
    Ok((Arc::clone(app), proof))
}

/// The time of a verification, where none was made: how long a refusal takes tells neither whether an app exists, nor
/// which algorithms and key names it has. An algorithm that the route takes from nobody costs nothing for anybody.
fn spend_as_much(compact: &Compact<'_>, rules: &TokenRules) {
    if let Some(algorithm) = compact.header.algorithm.parse().ok().filter(|a| rules.algorithms.contains(*a)) {
        jose::spend_a_verification(algorithm, compact.signing_input, &compact.signature);
    }
}
