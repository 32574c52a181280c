//! Refusals take as long as a verification, whatever they are for.

use super::TokenRules;
use crate::jose::{self, Compact};
use crate::model::{Reason, Refusal};

/// The time of a verification, where none was made: how long a refusal takes tells neither whether an app exists, nor
/// which algorithms and key names it has. An algorithm that the route never takes costs nothing.
pub(super) fn spend_as_much(compact: &Compact<'_>, rules: &TokenRules) {
    if let Some(algorithm) = compact.header.algorithm.parse().ok().filter(|a| rules.algorithms.contains(*a)) {
        jose::spend_a_verification(algorithm, compact.signing_input, &compact.signature);
    }
}

/// The same, but for a refusal that comes after a verification.
pub(super) fn spend_unless_spent(refusal: &Refusal, compact: &Compact<'_>, rules: &TokenRules) {
    let is_spent = matches!(
        refusal.reason,
        Reason::TokenSignatureInvalid | Reason::KeyRetired | Reason::KeyExpired | Reason::KeyNotYetValid
    );
    if !is_spent {
        spend_as_much(compact, rules);
    }
}
