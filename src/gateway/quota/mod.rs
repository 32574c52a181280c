//! Has this caller calls left? Counted when a call may be made, so that one that may not uses up nothing.

mod key;
mod limiter;

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::HeaderValue;

pub(super) use self::key::network;
use self::key::{Key, Keys, key_text};
pub(super) use self::limiter::Limiter;
use super::{Authorized, Caller, Gate, Refused, Step};
use crate::clock::Clock;
use crate::model::{Reason, Refusal};
use crate::policy::{Live, Quota};
use crate::replay::ReplayMemory;

/// Counts calls against their route's quota.
#[derive(Clone)]
pub struct Meter {
    quotas: Arc<Quotas>,
    replay: Arc<dyn ReplayMemory>,
}

impl Meter {
    pub fn new(gate: &Gate) -> Self {
        Self { quotas: Arc::clone(&gate.quotas), replay: Arc::clone(&gate.replay) }
    }
}

/// A request that was counted, or whose route has no quota.
pub struct Metered<B>(Authorized<B>);

impl<B> Metered<B> {
    pub(super) fn authorized(&self) -> &Authorized<B> {
        &self.0
    }

    pub(super) fn into_inner(self) -> Authorized<B> {
        self.0
    }
}

impl<B> Step<Authorized<B>> for Meter {
    type Out = Metered<B>;

    fn take(&self, authorized: Authorized<B>) -> Result<Metered<B>, Refused> {
        let matched = authorized.authenticated().matched();
        let Some(quota) = &matched.place().route.quota else { return Ok(Metered(authorized)) };
        // Whoever got hold of a token that was used can't use up the quota of the app with it.
        if let Caller::App(verified) = authorized.authenticated().caller()
            && let Some(single) = verified.single_use()
            && self.replay.is_used(verified.app().number, &single.jti, matched.call().now)
        {
            return Err(matched.place().refused(Reason::TokenReplayed));
        }
        let key = self.quotas.keys.of(&quota.key, &authorized);
        let count = self.quotas.take(quota, key);
        _ = matched.call().ledger.standing.set(count.standing);
        let Some(exceeded) = count.exceeded else { return Ok(Metered(authorized)) };
        metrics::counter!("scopegate_quota_refusals_total", "quota" => quota.name.as_str().to_owned()).increment(1);
        let by = key_text(&quota.key, &authorized);
        let window = quota.windows.get(exceeded.window).map(ToString::to_string).unwrap_or_default();
        let refusal = Refusal::new(Reason::QuotaExceeded)
            .expected(format!("at most {window} (quota {}){by}", quota.name))
            .found(format!("none left; the next in {} s", exceeded.retry_after));
        Err(matched.place().refused(refusal).retrying_after(exceeded.retry_after))
    }
}

/// Where a caller stands, for the header of its answer (draft-ietf-httpapi-ratelimit-headers-10).
#[derive(Debug)]
pub(super) struct Standing {
    /// RateLimit-Policy
    pub policy: HeaderValue,
    /// RateLimit
    pub left: HeaderValue,
}

/// What came of counting a call.
pub(super) struct Count {
    standing: Standing,
    pub exceeded: Option<Exceeded>,
}

/// The call is one too many, and was not counted.
pub(super) struct Exceeded {
    /// The window that opens last.
    window: usize,
    /// In whole seconds, at least one: when a call would be let through if none came before it.
    pub retry_after: u64,
}

/// The counts of all quotas, shared by all workers. A quota that a reload left as it was keeps its counts; one that it
/// changed in any way begins anew. Each process counts for itself.
pub struct Quotas {
    clock: Clock,
    keys: Keys,
    limiters: ArcSwap<HashMap<Arc<Quota>, Arc<Limiter>>>,
}

impl Quotas {
    pub fn new(clock: Clock) -> Self {
        Self { clock, keys: Keys::default(), limiters: ArcSwap::default() }
    }

    fn take(&self, quota: &Arc<Quota>, key: Key) -> Count {
        if let Some(limiter) = self.limiters.load().get(quota) {
            return limiter.take(key);
        }
        let fresh = Arc::new(Limiter::new(quota, &self.clock));
        let added = |known: &Arc<HashMap<Arc<Quota>, Arc<Limiter>>>| {
            let mut limiters = HashMap::clone(known);
            limiters.entry(Arc::clone(quota)).or_insert_with(|| Arc::clone(&fresh));
            limiters
        };
        self.limiters.rcu(added);
        // Where several workers met the quota at once, one limiter stayed.
        let limiters = self.limiters.load();
        limiters.get(quota).unwrap_or(&fresh).take(key)
    }

    /// Forgets the keys that have all of their calls again, and quotas that no route names any more. To be called every
    /// second or so: memory is bounded by the keys that were used of late.
    pub fn sweep(&self, live: &Live) {
        let state = live.load();
        let is_named = |quota: &Arc<Quota>| state.routes.routes().iter().any(|r| r.quota.as_ref() == Some(quota));
        let limiters = self.limiters.load();
        if !limiters.keys().all(is_named) {
            self.limiters.rcu(|known| {
                let named = known.iter().filter(|(quota, _)| is_named(quota));
                named.map(|(quota, limiter)| (Arc::clone(quota), Arc::clone(limiter))).collect::<HashMap<_, _>>()
            });
        }
        limiters.values().for_each(|limiter| limiter.sweep());
    }

    /// How many keys are remembered, each once for each window.
    pub fn len(&self) -> usize {
        self.limiters.load().values().map(|limiter| limiter.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
