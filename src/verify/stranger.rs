//! What is told to a caller that has proved nothing, where a platform's words tell more than that its token is invalid.

use super::checks::prove;
use super::{Origin, TokenRules, spending};
use crate::clock::Timestamp;
use crate::jose::Compact;
use crate::model::{Reason, Refusal};
use crate::registry::App;

/// The details of a platform are for strangers only where the app names the authenticator as its own: an app that is not of
/// that platform is as unknown there.
pub(super) fn veiled(refusal: Refusal, app: &App, rules: &TokenRules) -> Refusal {
    if rules.origin == Origin::App && !app.authenticators.contains(&rules.authenticator) {
        return refusal.told_as(Reason::AppUnknown);
    }
    refusal
}

/// That an app is disabled is told to who holds its key; others are told what they would be of an app that is not. Costs as much
/// as the proof.
pub(super) fn of_disabled(
    refusal: Refusal,
    app: &App,
    compact: &Compact<'_>,
    rules: &TokenRules,
    now: Timestamp,
) -> Refusal {
    if rules.origin != Origin::App {
        spending::spend_as_much(compact, rules);
        return refusal;
    }
    match prove(compact, app, rules, now) {
        Ok(_) => refusal,
        Err(other) => {
            spending::spend_unless_spent(&other, compact, rules);
            veiled(refusal.told_as(other.reason), app, rules)
        }
    }
}
