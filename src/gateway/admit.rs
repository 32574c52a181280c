//! The last check: a token of single use is used up here, so that a call refused for another reason burns no jti.

use std::sync::Arc;

use super::{Ask, Authenticated, Authorized, Caller, Gate, IdentityTokens, Metered, Refused, WaitingStep};
use crate::model::Reason;
use crate::policy::Target;
use crate::replay::{Answer, FirstUse, ReplayMemory};

#[derive(Clone)]
pub struct Admit {
    replay: Arc<dyn ReplayMemory>,
    tokens: Arc<IdentityTokens>,
}

impl Admit {
    pub fn new(gate: &Gate) -> Self {
        Self { replay: Arc::clone(&gate.replay), tokens: Arc::clone(&gate.identity) }
    }
}

/// A request that goes on.
pub struct Admitted<B>(Metered<B>);

impl<B> Admitted<B> {
    pub(super) fn into_inner(self) -> Authorized<B> {
        self.0.into_inner()
    }
}

impl<B> WaitingStep<Metered<B>> for Admit {
    type Out = Admitted<B>;
    /// Why not, if not.
    type Answer = Option<Reason>;

    fn ask(&self, metered: &Metered<B>) -> Ask<Option<Reason>> {
        let authenticated = metered.authorized().authenticated();
        if self.lacks_a_key(authenticated) {
            return Ask::Now(Some(Reason::KeysUnavailable));
        }
        let Caller::App(verified) = authenticated.caller() else { return Ask::Now(None) };
        let Some(single) = verified.single_use() else { return Ask::Now(None) };
        let now = authenticated.matched().call().now;
        match self.replay.first_use(verified.app().number, &single.jti, single.until, now) {
            Answer::Now(answer) => Ask::Now(reason_of(answer)),
            Answer::Later(answer) => Ask::Later(Box::pin(async { reason_of(answer.await) })),
        }
    }

    fn take(&self, metered: Metered<B>, refused: Option<Reason>) -> Result<Admitted<B>, Refused> {
        match refused {
            None => Ok(Admitted(metered)),
            Some(reason) => Err(metered.authorized().authenticated().matched().place().refused(reason)),
        }
    }
}

impl Admit {
    /// Whether the upstream could not be told who calls: nothing is used up for a call that can't go on.
    fn lacks_a_key<B>(&self, authenticated: &Authenticated<B>) -> bool {
        let (call, place) = (authenticated.matched().call(), authenticated.matched().place());
        let is_told = place.state.routes.identity().token().is_some()
            && matches!(place.route.target, Target::Upstream(_))
            && !matches!(authenticated.caller(), Caller::Anonymous);
        is_told && !self.tokens.can_sign(call.now)
    }
}

fn reason_of(answer: FirstUse) -> Option<Reason> {
    match answer {
        FirstUse::Recorded => None,
        FirstUse::Replayed => Some(Reason::TokenReplayed),
        FirstUse::Ended => Some(Reason::TokenExpired),
        FirstUse::Full => Some(Reason::ReplayFull),
        FirstUse::Unavailable => Some(Reason::ReplayUnavailable),
    }
}
