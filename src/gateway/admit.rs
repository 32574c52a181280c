//! The last check: a token of single use is used up here, so that a call refused for another reason burns no jti.

use std::sync::Arc;

use super::{Ask, Authorized, Caller, Gate, Metered, Refused, WaitingStep};
use crate::model::Reason;
use crate::replay::{Answer, FirstUse, ReplayMemory};

#[derive(Clone)]
pub struct Admit {
    replay: Arc<dyn ReplayMemory>,
}

impl Admit {
    pub fn new(gate: &Gate) -> Self {
        Self { replay: Arc::clone(&gate.replay) }
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
    /// None for a token that may be used again.
    type Answer = Option<FirstUse>;

    fn ask(&self, metered: &Metered<B>) -> Ask<Option<FirstUse>> {
        let authenticated = metered.authorized().authenticated();
        let Caller::App(verified) = authenticated.caller() else { return Ask::Now(None) };
        let Some(single) = verified.single_use() else { return Ask::Now(None) };
        let now = authenticated.matched().call().now;
        match self.replay.first_use(verified.app().number, &single.jti, single.until, now) {
            Answer::Now(answer) => Ask::Now(Some(answer)),
            Answer::Later(answer) => Ask::Later(Box::pin(async { Some(answer.await) })),
        }
    }

    fn take(&self, metered: Metered<B>, answer: Option<FirstUse>) -> Result<Admitted<B>, Refused> {
        let reason = match answer {
            None | Some(FirstUse::Recorded) => return Ok(Admitted(metered)),
            Some(FirstUse::Replayed) => Reason::TokenReplayed,
            Some(FirstUse::Ended) => Reason::TokenExpired,
            Some(FirstUse::Full) => Reason::ReplayFull,
            Some(FirstUse::Unavailable) => Reason::ReplayUnavailable,
        };
        Err(metered.authorized().authenticated().matched().place().refused(reason))
    }
}
