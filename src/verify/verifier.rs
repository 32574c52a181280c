//! The checks in their order, with the cache in front of the costly ones.

use std::borrow::Cow;
use std::sync::Arc;

use super::cache::ProofKey;
use super::checks::Form;
use super::decryption::{self, Opened, hidden};
use super::{
    InstallationGrant, Issuance, IssuerKeyNumber, NothingIssued, Origin, ProofCache, Reach, SingleUse, TokenRules,
    checks, naming, spending, stranger,
};
use crate::clock::Timestamp;
use crate::jose::{self, Compact, Encrypted};
use crate::model::{AccountId, Algorithm, AppNumber, Reason, Refusal, RegisteredClaims};
use crate::registry::{App, Installation, KeyNumber, Snapshot};

/// Whose key made a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signer {
    /// One of the app's own.
    App(KeyNumber),
    /// One of ours.
    Issuer(IssuerKeyNumber),
}

/// What a signature proved: these claims of this app's token, by this key.
#[derive(Debug)]
pub struct Proof {
    pub client_id: Box<str>,
    pub algorithm: Algorithm,
    pub signer: Signer,
    /// The app's credential version under which the key was found.
    pub credential_version: i64,
    /// The key that opened the token, if it came encrypted.
    pub encryption_key: Option<KeyNumber>,
    pub token_type: Option<Box<str>>,
    pub claims: RegisteredClaims,
    /// What was granted with it, if it is one of ours for an installation.
    pub installation: Option<InstallationGrant>,
}

impl Proof {
    /// The key by its kid, or else by its number; one of ours as `ours:` and its number.
    pub fn signed_by<'a>(&self, app: &'a App) -> Cow<'a, str> {
        let number = match self.signer {
            Signer::App(number) => number,
            Signer::Issuer(number) => return format!("ours:{}", number.0).into(),
        };
        let kid = app.key(number).and_then(|key| key.kid.as_ref());
        kid.map_or_else(|| number.0.to_string().into(), |kid| kid.as_str().into())
    }

    /// Bytes of memory, about, with what the cache itself needs for an entry.
    pub(super) fn weight(&self) -> usize {
        let text = |t: &Option<Box<str>>| t.as_ref().map_or(0, |t| t.len());
        let claims = &self.claims;
        let texts = text(&claims.issuer) + text(&claims.subject) + text(&claims.token_id) + text(&claims.scope);
        let texts = texts + text(&self.token_type);
        let audiences: usize = claims.audience.0.iter().map(|a| a.len() + size_of::<Box<str>>()).sum();
        let granted = self.installation.as_ref().map_or(0, InstallationGrant::weight);
        size_of::<Self>() + self.client_id.len() + texts + audiences + granted + 200
    }
}

/// A token that is good now. Only a [`Verifier`] makes one.
#[derive(Debug)]
pub struct Verified {
    app: Arc<App>,
    proof: Arc<Proof>,
    installation: Option<Arc<Installation>>,
    single_use: Option<SingleUse>,
}

impl Verified {
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// The app's key that made the signature; none where it was one of ours.
    pub fn key(&self) -> Option<KeyNumber> {
        match self.proof.signer {
            Signer::App(key) => Some(key),
            Signer::Issuer(_) => None,
        }
    }

    /// What the signature proved.
    pub fn proof(&self) -> &Arc<Proof> {
        &self.proof
    }

    pub fn claims(&self) -> &RegisteredClaims {
        &self.proof.claims
    }

    /// What the token reaches, if it is one of ours for an installation.
    pub fn reach(&self) -> Option<Reach<'_>> {
        Some(Reach::new(self.installation.as_ref()?, self.proof.installation.as_ref()?))
    }

    /// The account in whose name the app calls: the installation's, or else its own.
    pub fn account(&self) -> &AccountId {
        self.installation.as_ref().map_or(&self.app.account, |installation| &installation.account)
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
    issuance: Arc<dyn Issuance>,
}

impl Verifier {
    /// `cache_bytes` bounds the memory of verified tokens; 0 keeps none.
    pub fn new(cache_bytes: u64) -> Self {
        Self { cache: ProofCache::new(cache_bytes), issuance: Arc::new(NothingIssued) }
    }

    /// One that knows what was issued and revoked.
    #[must_use]
    pub fn with_issuance(self, issuance: Arc<dyn Issuance>) -> Self {
        Self { issuance, ..self }
    }

    /// What was issued and revoked, for those who explain.
    pub fn issuance(&self) -> &dyn Issuance {
        &*self.issuance
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
        let judgement = Judgement { rules, snapshot, issuance: &*self.issuance, now };
        match self.begin(token, judgement)? {
            Begun::Verified(verified) => Ok(verified),
            Begun::Encrypted(key, encrypted) => self.conclude(key, judgement, judgement.prove_encrypted(&encrypted)?),
        }
    }

    /// The same, but for an encrypted token that is not remembered: that one takes a decryption, which the caller may
    /// want to leave to another thread, by calling [`Verifier::verify`] there.
    ///
    /// # Errors
    /// As `verify`.
    pub fn glance(
        &self,
        token: &[u8],
        rules: &TokenRules,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Result<Glance, Unverified> {
        Ok(match self.begin(token, Judgement { rules, snapshot, issuance: &*self.issuance, now })? {
            Begun::Verified(verified) => Glance::Verified(verified),
            Begun::Encrypted(_, encrypted) => {
                let named = encrypted.header.key_id.as_deref().and_then(|kid| snapshot.encryption_key(kid));
                Glance::Encrypted { owner: named.map(|(app, _)| app.number) }
            }
        })
    }

    /// Whether a token that was good for a call is so still, while the call lasts: by what the registry holds and what was
    /// revoked since. A token of single use stays good for the call that used it. `app` is the one that called: one
    /// that was made anew under its client id is another.
    ///
    /// # Errors
    /// What ended it.
    pub fn review(
        &self,
        app: AppNumber,
        proof: &Arc<Proof>,
        rules: &TokenRules,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Result<Verified, Refusal> {
        let judgement = Judgement { rules, snapshot, issuance: &*self.issuance, now };
        let app = snapshot.app(&proof.client_id).filter(|found| found.number == app).ok_or(Reason::AppUnknown)?;
        judgement.stands(app, proof)?;
        let installation = judgement.check(app, proof)?;
        Ok(Verified { app: Arc::clone(app), proof: Arc::clone(proof), installation, single_use: None })
    }

    fn begin<'t>(&self, token: &'t [u8], judgement: Judgement<'_>) -> Result<Begun<'t>, Unverified> {
        let rules = judgement.rules;
        checks::check_length(token, rules).map_err(unclaimed)?;
        let key = ProofKey::of(token, rules);
        if let Some((app, proof)) = self.cache.get(&key).and_then(|proof| Some((judgement.still_holds(&proof)?, proof)))
        {
            return judgement.judge(app, proof).map(Begun::Verified);
        }
        match checks::read(token, rules).map_err(unclaimed)? {
            Form::Signed(compact) => {
                let proved = judgement.prove(compact, None)?;
                self.conclude(key, judgement, proved).map(Begun::Verified)
            }
            Form::Encrypted(encrypted) => Ok(Begun::Encrypted(key, encrypted)),
        }
    }

    /// Judges what was proved just now, and remembers it.
    fn conclude(
        &self,
        key: ProofKey,
        judgement: Judgement<'_>,
        (app, proof): (Arc<App>, Proof),
    ) -> Result<Verified, Unverified> {
        let verified = judgement.judge(app, Arc::new(proof))?;
        if verified.single_use.is_none() {
            self.cache.insert(key, Arc::clone(&verified.proof));
        }
        Ok(verified)
    }
}

/// What can be said of a token at once.
#[derive(Debug)]
pub enum Glance {
    Verified(Verified),
    /// It has to be decrypted first, and names a key of this app; or of none.
    Encrypted {
        owner: Option<AppNumber>,
    },
}

enum Begun<'t> {
    Verified(Verified),
    Encrypted(ProofKey, Box<Encrypted<'t>>),
}

/// By what a token is judged.
#[derive(Clone, Copy)]
struct Judgement<'a> {
    rules: &'a TokenRules,
    snapshot: &'a Snapshot,
    issuance: &'a dyn Issuance,
    now: Timestamp,
}

impl Judgement<'_> {
    /// The app, where nothing has happened since to what the proof stands on.
    fn still_holds(self, proof: &Proof) -> Option<Arc<App>> {
        let app = self.snapshot.app(&proof.client_id)?;
        let holds = app.credential_version == proof.credential_version && self.stands(app, proof).is_ok();
        holds.then(|| Arc::clone(app))
    }

    /// What the proof stands on: the app and its keys.
    fn stands(self, app: &App, proof: &Proof) -> Result<(), Reason> {
        let opens = |number| app.encryption_key(number).is_some_and(|k| k.state.usable_at(self.now));
        if !app.enabled {
            Err(Reason::AppDisabled)
        } else if !self.is_good(app, proof.signer) || !proof.encryption_key.is_none_or(opens) {
            Err(Reason::KeyRetired)
        } else if !self.may_sign(app, proof.algorithm) {
            Err(Reason::TokenAlgorithmNotAllowed)
        } else if !app.may_use(&self.rules.authenticator) {
            Err(Reason::AppWrongAuthenticator)
        } else {
            Ok(())
        }
    }

    fn is_good(self, app: &App, signer: Signer) -> bool {
        match signer {
            Signer::App(key) => app.key(key).is_some_and(|k| k.usable_at(self.now)),
            Signer::Issuer(key) => self.issuance.is_good(key, self.now),
        }
    }

    /// What the app may sign with says nothing about tokens of ours.
    fn may_sign(self, app: &App, algorithm: Algorithm) -> bool {
        self.rules.origin != Origin::App || app.algorithms.contains(algorithm)
    }

    /// All that is checked at each call, whether the signature was verified for it or before, but for the use itself.
    fn check(self, app: &App, proof: &Proof) -> Result<Option<Arc<Installation>>, Refusal> {
        let Self { rules, now, .. } = self;
        checks::check_type(proof.token_type.as_deref(), rules)?;
        checks::check_encryption(proof.encryption_key.is_some(), app, rules)?;
        checks::check_times(&proof.claims, app, rules, now)?;
        checks::check_parties(&proof.claims, rules)?;
        self.issuance.check_state(app.number, rules.origin, &proof.claims, now)?;
        self.find_installation(app, proof)
    }

    fn judge(self, app: Arc<App>, proof: Arc<Proof>) -> Result<Verified, Unverified> {
        let judged = self.check(&app, &proof).and_then(|installation| {
            Ok((installation, checks::single_use(&proof.claims, &app, self.rules, self.now)?))
        });
        match judged {
            Ok((installation, single_use)) => Ok(Verified { app, proof, installation, single_use }),
            Err(refusal) => Err(Unverified { refusal, claimed: Some(app) }),
        }
    }

    /// A token for an installation is good while the app has it and it is not suspended.
    fn find_installation(self, app: &App, proof: &Proof) -> Result<Option<Arc<Installation>>, Refusal> {
        let reach = proof.installation.as_ref().map(|grant| Reach::of(grant, app, self.snapshot)).transpose()?;
        Ok(reach.map(|reach| Arc::clone(reach.installation())))
    }

    fn prove_encrypted(self, encrypted: &Encrypted<'_>) -> Result<(Arc<App>, Proof), Unverified> {
        let opened = decryption::open(encrypted, self.snapshot, self.now).map_err(unclaimed)?;
        let compact = decryption::inner(&opened.text, self.rules).map_err(unclaimed)?;
        self.prove(compact, Some(&opened))
    }

    /// From a token's parts to what its signature proves.
    fn prove(self, compact: Compact<'_>, opened: Option<&Opened<'_>>) -> Result<(Arc<App>, Proof), Unverified> {
        let Self { rules, snapshot, issuance, now } = self;
        let hide = |refusal| if opened.is_some() { hidden(refusal) } else { refusal };
        let app = naming::find_app(&compact.claims, rules, snapshot).and_then(|app| match opened {
            Some(opened) => decryption::check_owner(opened, app).map(|()| app),
            None => Ok(app),
        });
        let app = app.map_err(|refusal| {
            let claimed = naming::named_app(&compact.claims, rules, snapshot).cloned();
            let refusal = match &claimed {
                Some(app) if refusal.reason == Reason::AppDisabled => {
                    stranger::of_disabled(refusal, app, &compact, rules, now)
                }
                _ => {
                    spending::spend_as_much(&compact, rules);
                    refusal
                }
            };
            Unverified { refusal: hide(refusal), claimed }
        })?;
        let claimed = |refusal| Unverified { refusal, claimed: Some(Arc::clone(app)) };
        let proved = match rules.origin {
            Origin::App => {
                checks::prove(&compact, app, rules, now).map(|(algorithm, key)| (algorithm, Signer::App(key.number)))
            }
            _ => checks::prove_issued(&compact, rules, issuance, now)
                .map(|(algorithm, key)| (algorithm, Signer::Issuer(key))),
        };
        let (algorithm, signer) = proved.map_err(|refusal| {
            spending::spend_unless_spent(&refusal, &compact, rules);
            claimed(hide(stranger::veiled(refusal, app, rules)))
        })?;
        checks::check_number(&compact.claims, app, rules).map_err(&claimed)?;
        let proof = Proof {
            client_id: app.client_id.as_str().into(),
            algorithm,
            signer,
            credential_version: app.credential_version,
            encryption_key: opened.map(|o| o.key.number),
            token_type: compact.header.token_type,
            claims: jose::read_registered(&compact.claims, &rules.claim_names).map_err(&claimed)?,
            installation: (rules.origin == Origin::Installation)
                .then(|| InstallationGrant::read(&compact.claims))
                .transpose()
                .map_err(&claimed)?,
        };
        Ok((Arc::clone(app), proof))
    }
}

fn unclaimed(refusal: Refusal) -> Unverified {
    Unverified { refusal, claimed: None }
}
