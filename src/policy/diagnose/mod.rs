//! What is behind a refusal that the checks themselves can't tell: whose mistake made this signature, what stands where
//! a client id should, which route was meant.
//!
//! **Never on a request's way.** It costs far more than a verification, and how long it takes depends on what is found.
//! The log asks when the answer has been handed over, on a thread of its own and a few times a second; `explain` asks
//! for an operator. Whatever the reason, the same work is done for a token: how busy that thread is tells no more than
//! the answer did.

mod claim;
mod path;
mod signature;
#[cfg(test)]
mod tests;

use std::fmt;
use std::hint::black_box;
use std::sync::Arc;

use http::Method;

pub use path::{Near, nearest};
pub use signature::is_placeholder;

pub(super) use claim::Holder;
pub(super) use signature::Maker;

use super::{AuthenticatorKind, Route, State};
use crate::jose::Compact;
use crate::model::{Reason, Refusal};
use crate::registry::Snapshot;
use crate::secret::Secret;
use crate::verify::{self, TokenRules};

/// A refused call that is over, to be looked into. It holds the token: no longer than until [`Case::solve`].
pub struct Case {
    pub refusal: Refusal,
    pub state: Arc<State>,
    pub call: Unsolved,
}

/// What is known of the call.
pub enum Unsolved {
    Token { route: Arc<Route>, token: Secret },
    Path { host: String, method: Method, path: String },
}

impl Case {
    /// Whether a token that is refused for this reason is to be looked into: all of those that get the one answer
    /// `token.invalid`, so that they are dealt with alike.
    pub fn is_open(reason: Reason) -> bool {
        reason.public() == Reason::TokenInvalid
    }

    /// The refusal with what is behind it, where there is more to say than it says by itself.
    pub fn solve(self) -> Refusal {
        match &self.call {
            Unsolved::Path { host, method, path } => match nearest(&self.state.routes, host, method, path) {
                Some(near) => self.refusal.expected(near.to_string()),
                None => self.refusal,
            },
            Unsolved::Token { route, token } => {
                let AuthenticatorKind::Jwt(jwt) = &route.authenticator.kind else { return self.refusal };
                let Ok(compact) = Compact::parse(token.expose(), jwt.rules.max_token_bytes) else {
                    return self.refusal;
                };
                match diagnose(self.refusal.reason, &compact, &jwt.rules, &self.state.registry) {
                    Some(diagnosis) => diagnosis.tell(self.refusal),
                    None => self.refusal,
                }
            }
        }
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Case({})", self.refusal.reason)
    }
}

/// What was found out about a token.
pub(super) enum Diagnosis {
    /// What made the signature.
    Signed(Maker),
    /// What stands in place of a client id.
    Named(Holder),
}

impl Diagnosis {
    /// Puts what is behind it into the refusal.
    pub fn tell(&self, refusal: Refusal) -> Refusal {
        match self {
            Self::Signed(maker) if refusal.expected.is_some() => refusal.found(maker.to_string()),
            Self::Signed(maker) => refusal.expected("a signature by one of the app's keys").found(maker.to_string()),
            Self::Named(holder) => refusal.found(holder.to_string()),
        }
    }

    pub fn hint(&self) -> String {
        match self {
            Self::Signed(maker) => maker.hint().to_owned(),
            Self::Named(holder) => holder.hint(),
        }
    }
}

/// Does all there is to do, whatever the reason is, and answers for this one.
pub(super) fn diagnose(
    reason: Reason,
    compact: &Compact<'_>,
    rules: &TokenRules,
    registry: &Snapshot,
) -> Option<Diagnosis> {
    let claimed = rules.app_claims.iter().find_map(|name| compact.claims.get(name));
    let claimed: String = claimed.and_then(|raw| serde_json::from_str(raw).ok()).unwrap_or_default();
    let app = verify::named_app(&compact.claims, rules, registry);
    let maker = black_box(signature::maker(compact, app.map(|app| &**app)));
    let holder = black_box(claim::holder(&claimed, compact, registry));
    match reason {
        Reason::TokenSignatureInvalid => maker.map(Diagnosis::Signed),
        // An algorithm that the app does not have is told by the refusal itself, but for the one attack.
        Reason::TokenAlgorithmNotAllowed => maker.filter(|m| *m == Maker::PublicKey).map(Diagnosis::Signed),
        Reason::AppUnknown => holder.map(Diagnosis::Named),
        _ => None,
    }
}
