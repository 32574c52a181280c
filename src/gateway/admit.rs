//! The last check: a token of single use is used up here, so that a call refused for another reason burns no jti.

use std::sync::Arc;

use super::{Authorized, Caller, Gate, Metered, Refused, Step};
use crate::model::Reason;
use crate::replay::{FirstUse, ReplayMemory};

#[derive(Clone)]
pub struct Admit {
    replay: Arc<ReplayMemory>,
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

impl<B> Step<Metered<B>> for Admit {
    type Out = Admitted<B>;

    fn take(&self, metered: Metered<B>) -> Result<Admitted<B>, Refused> {
        let authenticated = metered.authorized().authenticated();
        let matched = authenticated.matched();
        let Caller::App(verified) = authenticated.caller() else { return Ok(Admitted(metered)) };
        let Some(single) = verified.single_use() else { return Ok(Admitted(metered)) };
        let reason = match self.replay.first_use(verified.app().number, &single.jti, single.until, matched.call().now) {
            FirstUse::Recorded => return Ok(Admitted(metered)),
            FirstUse::Replayed => Reason::TokenReplayed,
            FirstUse::Full => Reason::ReplayFull,
        };
        Err(matched.place().refused(reason))
    }
}
