//! The last check: a token of single use is used up here, so that a call refused for another reason burns no jti.

use std::sync::Arc;

use super::{Authorized, Caller, Gate, Refused, Step};
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
pub struct Admitted<B>(Authorized<B>);

impl<B> Admitted<B> {
    pub(super) fn into_inner(self) -> Authorized<B> {
        self.0
    }
}

impl<B> Step<Authorized<B>> for Admit {
    type Out = Admitted<B>;

    fn take(&self, authorized: Authorized<B>) -> Result<Admitted<B>, Refused> {
        let matched = authorized.authenticated().matched();
        let Caller::App(verified) = authorized.authenticated().caller() else { return Ok(Admitted(authorized)) };
        let Some(single) = verified.single_use() else { return Ok(Admitted(authorized)) };
        let reason = match self.replay.first_use(verified.app().number, &single.jti, single.until, matched.call().now) {
            FirstUse::Recorded => return Ok(Admitted(authorized)),
            FirstUse::Replayed => Reason::TokenReplayed,
            FirstUse::Full => Reason::ReplayFull,
        };
        Err(matched.place().refused(reason))
    }
}
