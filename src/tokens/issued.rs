//! What the verifier is told of our tokens.

use std::sync::Arc;

use super::{KeyRing, TokenBook};
use crate::clock::Timestamp;
use crate::jose::PreparedKey;
use crate::model::{AppNumber, Refusal, RegisteredClaims};
use crate::verify::{Issuance, IssuerKeyNumber, Origin};

/// The book and the ring, as the verifier asks them.
#[derive(Clone, Default)]
pub struct Issued {
    pub book: Arc<TokenBook>,
    pub ring: Arc<KeyRing>,
}

impl Issuance for Issued {
    fn verifying(&self, kid: &str, now: Timestamp) -> Option<(IssuerKeyNumber, Arc<PreparedKey>)> {
        self.ring.verifying(kid, now).map(|(number, key)| (IssuerKeyNumber(number), key))
    }

    fn is_good(&self, key: IssuerKeyNumber, now: Timestamp) -> bool {
        self.ring.is_good(key.0, now)
    }

    fn check_state(
        &self,
        app: AppNumber,
        origin: Origin,
        claims: &RegisteredClaims,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        if origin == Origin::Held {
            self.book.check_issued(app, claims, now)?;
        }
        self.book.check_revoked(app, claims)
    }
}
