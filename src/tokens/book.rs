//! What requests ask: the state of every token that was issued or revoked, in memory.

use std::collections::HashSet;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::{AppTokens, Revocation, Standing, TokenVersion};
use crate::clock::Timestamp;
use crate::model::{AppNumber, Reason, Refusal, RegisteredClaims, TokenId};
use crate::registry::Sharded;

/// The tokens of one app, and its revocations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenStates {
    pub issued: AppTokens,
    /// Each with the time after which nothing that it covers can be good.
    pub revoked: Vec<(Revocation, Timestamp)>,
}

/// What changed between two versions: each app once and as it is now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenDelta {
    pub version: TokenVersion,
    pub apps: Vec<(AppNumber, TokenStates)>,
    /// Whether signing keys came or went.
    pub has_new_keys: bool,
}

/// The states of all tokens that were not forgotten. Read by every request without a lock; written by whoever follows the store.
#[derive(Default)]
pub struct TokenBook(ArcSwap<Edition>);

#[derive(Clone, Default)]
struct Edition {
    version: TokenVersion,
    apps: Sharded<AppNumber, Arc<Page>>,
}

/// The states of one app's tokens, for look-up: however many single tokens it has revoked, a request asks for one.
#[derive(Default)]
struct Page {
    issued: AppTokens,
    revoked: HashSet<TokenId>,
    wider: Vec<Revocation>,
}

impl Page {
    fn of(states: &TokenStates) -> Self {
        let mut page = Self { issued: states.issued.clone(), ..Self::default() };
        for (revocation, _) in &states.revoked {
            match revocation {
                Revocation::Token(jti) => _ = page.revoked.insert(jti.clone()),
                wider => page.wider.push(wider.clone()),
            }
        }
        page
    }
}

impl TokenBook {
    /// The version up to which the book was written.
    pub fn version(&self) -> TokenVersion {
        self.0.load().version
    }

    /// Takes over what changed. An older delta than what is there changes nothing.
    pub fn follow(&self, delta: &TokenDelta) {
        self.0.rcu(|edition| {
            if delta.version <= edition.version {
                return Arc::clone(edition);
            }
            let changes = delta
                .apps
                .iter()
                .map(|(app, states)| (*app, (*states != TokenStates::default()).then(|| Arc::new(Page::of(states)))));
            Arc::new(Edition { version: delta.version, apps: edition.apps.with(changes) })
        });
    }

    /// A token that we issued is good only as long as its app has it.
    ///
    /// # Errors
    /// `token.jti_required`, `token.superseded`, `token.revoked`.
    pub fn check_issued(&self, app: AppNumber, claims: &RegisteredClaims, now: Timestamp) -> Result<(), Refusal> {
        let jti = claims.token_id.as_deref().and_then(|jti| TokenId::new(jti).ok());
        let jti = jti.ok_or_else(|| Refusal::new(Reason::TokenJtiRequired))?;
        let edition = self.0.load();
        let standing = edition.apps.get(&app).map_or(Standing::Unknown, |page| page.issued.standing(&jti, now));
        match standing {
            Standing::Current | Standing::InGrace(_) => Ok(()),
            Standing::Superseded(since) => Err(Refusal::new(Reason::TokenSuperseded)
                .expected("the token that a refresh gave in its place")
                .found(format!("a token that was refreshed; its grace ended {since}"))),
            Standing::Unknown => Err(Refusal::new(Reason::TokenRevoked)
                .expected("a token that the app still has")
                .found("one that was invalidated, or is none of the app's")),
        }
    }

    /// A token that is on no record is good unless it was revoked.
    ///
    /// # Errors
    /// `token.revoked`.
    pub fn check_revoked(&self, app: AppNumber, claims: &RegisteredClaims) -> Result<(), Refusal> {
        let edition = self.0.load();
        let Some(page) = edition.apps.get(&app) else { return Ok(()) };
        let revoked = |found: String| Refusal::new(Reason::TokenRevoked).found(found);
        if claims.token_id.as_deref().is_some_and(|jti| page.revoked.contains(jti)) {
            return Err(revoked("revoked by its jti".into()));
        }
        match page.wider.iter().find(|revocation| revocation.covers(claims)) {
            None => Ok(()),
            Some(revocation) => Err(revoked(match revocation {
                Revocation::Token(_) => "revoked by its jti".into(),
                Revocation::Subject { issued_before, .. } => {
                    format!("revoked with all of its sub from before {issued_before}")
                }
                Revocation::IssuedBefore(then) => format!("revoked with all of the app's from before {then}"),
            })),
        }
    }
}
