//! Who calls: the credential, then verify.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::ledger::Doubt;
use super::{Gate, Matched, Refused, Step};
use crate::policy::{AuthenticatorKind, Case, credential};
use crate::registry::UsageBook;
use crate::verify::{Verified, Verifier};

/// Who was found to call.
#[derive(Debug)]
pub enum Caller {
    /// An app, by a token that is good now.
    App(Verified),
    /// Anybody: the route asks for no credential.
    Anonymous,
}

#[derive(Clone)]
pub struct Authenticate {
    verifier: Arc<Verifier>,
    usage: Arc<UsageBook>,
}

impl Authenticate {
    pub fn new(gate: &Gate) -> Self {
        Self { verifier: Arc::clone(&gate.verifier), usage: Arc::clone(&gate.usage) }
    }
}

/// A request whose caller is known.
pub struct Authenticated<B> {
    matched: Matched<B>,
    caller: Caller,
}

impl<B> Authenticated<B> {
    pub(super) fn matched(&self) -> &Matched<B> {
        &self.matched
    }

    pub(super) fn caller(&self) -> &Caller {
        &self.caller
    }

    pub(super) fn into_parts(self) -> (Matched<B>, Caller) {
        (self.matched, self.caller)
    }
}

impl<B> Step<Matched<B>> for Authenticate {
    type Out = Authenticated<B>;

    fn take(&self, matched: Matched<B>) -> Result<Authenticated<B>, Refused> {
        let place = matched.place();
        let AuthenticatorKind::Jwt(jwt) = &place.route.authenticator.kind else {
            return Ok(Authenticated { matched, caller: Caller::Anonymous });
        };
        let (headers, call) = (matched.request().headers(), matched.call());
        let keep = |refused: Refused| {
            call.ledger.keep(headers);
            refused
        };
        let token = credential(headers, jwt).map_err(|refusal| keep(place.refused(refusal)))?;
        match self.verifier.verify(token, &jwt.rules, &place.state.registry, call.now) {
            Ok(verified) => {
                _ = call.ledger.app.set(Arc::clone(verified.app()));
                call.ledger.is_verified.store(true, Ordering::Relaxed);
                call.ledger.is_single_use.store(verified.single_use().is_some(), Ordering::Relaxed);
                _ = call.ledger.proof.set(Arc::clone(verified.proof()));
                if let Some(used) = verified.app().key_use(verified.key(), call.now) {
                    self.usage.note(used);
                }
                Ok(Authenticated { matched, caller: Caller::App(verified) })
            }
            Err(unverified) => {
                if let Some(app) = unverified.claimed {
                    _ = call.ledger.app.set(app);
                }
                if Case::is_open(unverified.refusal.reason) {
                    let (state, credential) = (Arc::clone(&place.state), headers.get(&jwt.header).cloned());
                    _ = call.ledger.doubt.set(Doubt { state, credential });
                }
                Err(keep(place.refused(unverified.refusal)))
            }
        }
    }
}
