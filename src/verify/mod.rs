//! Is this token good, now? No HTTP type and no clock: `now` is an argument.
//!
//! The order of checks: form, app, key and algorithm, signature, type, times, audience and issuer, single use. What the
//! signature proved is kept in a [`ProofCache`]; a hit skips base64, JSON and signature, and nothing else.

mod cache;
mod checks;
mod rules;
#[cfg(test)]
mod tests;
mod verifier;

pub use cache::ProofCache;
pub use checks::{SingleUse, check_length, check_parties, check_times, check_type, find_app, parse, prove, single_use};
pub use rules::{Leeway, SingleUsePolicy, TokenRules, TokenSettings};
pub use verifier::{Proof, Unverified, Verified, Verifier};
