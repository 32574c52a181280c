//! Tokens that come in bodies, verified apart from the runtime of the endpoints: whoever floods an endpoint with bad ones, or with
//! encrypted ones, holds up nobody but those who wait there.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::Call;
use crate::model::{Reason, Refusal};
use crate::verify::{TokenRules, Verified, Verifier};

/// How many threads verify at once.
const THREADS: usize = 2;

/// The stack's own verifier, so that what is remembered or revoked there is so here.
pub struct Verifying {
    verifier: Arc<Verifier>,
    threads: Arc<Semaphore>,
}

impl Verifying {
    pub fn new(verifier: Arc<Verifier>) -> Self {
        Self { verifier, threads: Arc::new(Semaphore::new(THREADS)) }
    }

    /// Whether the token is good at the time of the call. Those who wait are no more than the
    /// calls that the endpoints take at once.
    ///
    /// # Errors
    /// As [`Verifier::verify`].
    pub(super) async fn verify(&self, token: &str, rules: &TokenRules, call: &Call) -> Result<Verified, Refusal> {
        let broken = || Refusal::new(Reason::GatewayInternal);
        let permit = Arc::clone(&self.threads).acquire_owned().await.map_err(|_| broken())?;
        let (verifier, rules, state, now) =
            (Arc::clone(&self.verifier), rules.clone(), Arc::clone(&call.state), call.now);
        let token = token.to_owned();
        let verdict = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            verifier.verify(token.as_bytes(), &rules, &state.registry, now)
        });
        verdict.await.map_err(|_| broken())?.map_err(|unverified| unverified.refusal)
    }
}
