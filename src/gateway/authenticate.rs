//! Who calls: the credential, then verify.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::ledger::Doubt;
use super::{Ask, Blocking, Gate, Matched, Refused, WaitingStep};
use crate::clock::Timestamp;
use crate::model::{Reason, Refusal};
use crate::policy::{AuthenticatorKind, Case, State, credential};
use crate::registry::UsageBook;
use crate::verify::{Glance, TokenRules, Unverified, Verified, Verifier};

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
    blocking: Arc<Blocking>,
    usage: Arc<UsageBook>,
}

impl Authenticate {
    pub fn new(gate: &Gate) -> Self {
        Self {
            verifier: Arc::clone(&gate.verifier),
            blocking: Arc::clone(&gate.blocking),
            usage: Arc::clone(&gate.usage),
        }
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

type Verdict = Result<Verified, Unverified>;

impl<B> WaitingStep<Matched<B>> for Authenticate {
    type Out = Authenticated<B>;
    /// None where no credential is asked for.
    type Answer = Option<Verdict>;

    /// Only an encrypted token that is not remembered is waited for.
    fn ask(&self, matched: &Matched<B>) -> Ask<Option<Verdict>> {
        let place = matched.place();
        let AuthenticatorKind::Jwt(jwt) = &place.route.authenticator.kind else { return Ask::Now(None) };
        let now = matched.call().now;
        let glance = credential(matched.request().headers(), jwt)
            .map_err(unverified)
            .and_then(|token| Ok((token, self.verifier.glance(token, &jwt.rules, &place.state.registry, now)?)));
        match glance {
            Ok((_, Glance::Verified(verified))) => Ask::Now(Some(Ok(verified))),
            Ok((token, Glance::Encrypted { owner })) => {
                let work =
                    Decryption { token: token.into(), rules: jwt.rules.clone(), state: Arc::clone(&place.state), now };
                let verifier = Arc::clone(&self.verifier);
                match self.blocking.submit(owner, move || work.run(&verifier)) {
                    Some(verdict) => Ask::Later(Box::pin(async move {
                        Some(verdict.await.unwrap_or_else(|_| Err(unverified(Reason::GatewayInternal))))
                    })),
                    None => Ask::Now(Some(Err(unverified(self.overloaded())))),
                }
            }
            Err(unverified) => Ask::Now(Some(Err(unverified))),
        }
    }

    fn take(&self, matched: Matched<B>, verdict: Option<Verdict>) -> Result<Authenticated<B>, Refused> {
        let call = matched.call();
        match verdict {
            None => Ok(Authenticated { matched, caller: Caller::Anonymous }),
            Some(Ok(verified)) => {
                _ = call.ledger.app.set(Arc::clone(verified.app()));
                call.ledger.is_verified.store(true, Ordering::Relaxed);
                call.ledger.is_single_use.store(verified.single_use().is_some(), Ordering::Relaxed);
                _ = call.ledger.proof.set(Arc::clone(verified.proof()));
                if let Some(used) = verified.app().key_use(verified.key(), call.now) {
                    self.usage.note(used);
                }
                Ok(Authenticated { matched, caller: Caller::App(verified) })
            }
            Some(Err(unverified)) => {
                if let Some(app) = unverified.claimed {
                    _ = call.ledger.app.set(app);
                }
                let (headers, place) = (matched.request().headers(), matched.place());
                if Case::is_open(unverified.refusal.reason)
                    && let AuthenticatorKind::Jwt(jwt) = &place.route.authenticator.kind
                {
                    let (state, credential) = (Arc::clone(&place.state), headers.get(&jwt.header).cloned());
                    _ = call.ledger.doubt.set(Doubt { state, credential });
                }
                call.ledger.keep(headers);
                Err(place.refused(unverified.refusal))
            }
        }
    }
}

impl Authenticate {
    fn overloaded(&self) -> Refusal {
        let limit = self.blocking.limit();
        let expected =
            format!("at most {limit} encrypted tokens that wait for decryption, a quarter of them of one app");
        Refusal::new(Reason::GatewayOverloaded).expected(expected)
    }
}

fn unverified(refusal: impl Into<Refusal>) -> Unverified {
    Unverified { refusal: refusal.into(), claimed: None }
}

/// All that a thread elsewhere needs for a verdict on an encrypted token.
struct Decryption {
    token: Box<[u8]>,
    rules: TokenRules,
    state: Arc<State>,
    now: Timestamp,
}

impl Decryption {
    fn run(&self, verifier: &Verifier) -> Verdict {
        verifier.verify(&self.token, &self.rules, &self.state.registry, self.now)
    }
}
