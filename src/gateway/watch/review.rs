//! Whether a call that was let through would be let through again.

use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::Uri;
use tokio::time::{Instant, Sleep, sleep};

use super::super::Gate;
use super::super::ledger::Ledger;
use crate::clock::{Clock, Timestamp};
use crate::model::{AccountId, Reason, Refusal};
use crate::policy::{self, AuthenticatorKind, JwtAuthenticator, Live, Params, Route, State};
use crate::registry::{App, ServiceAccount};
use crate::verify::{Proof, Verifier};

/// How long what was taken back may go unnoticed. A token's end is not looked for but known.
const INTERVAL: Duration = Duration::from_secs(1);

/// By what calls are judged again.
pub(super) struct Judges {
    live: Arc<Live>,
    verifier: Arc<Verifier>,
    clock: Clock,
}

impl Judges {
    pub fn new(gate: &Gate) -> Self {
        Self { live: Arc::clone(&gate.live), verifier: Arc::clone(&gate.verifier), clock: gate.clock.clone() }
    }
}

/// Where a call went, as far as it was judged by that.
#[derive(Debug)]
pub(in super::super) struct Spot {
    /// Which of the route's patterns.
    pub pattern: usize,
    pub params: Params,
    pub uri: Uri,
    /// The judged path, where it differs from that of the URI.
    pub decoded: Option<String>,
    /// The account that alone owns the host.
    pub host_account: Option<AccountId>,
    /// Whence the client calls, where that is known.
    pub from: Option<IpAddr>,
}

impl Spot {
    fn path(&self) -> &str {
        self.decoded.as_deref().unwrap_or_else(|| self.uri.path())
    }
}

/// A call under watch. Routes that a reload changes are for new calls; this one is judged by its own.
pub(in super::super) struct Review {
    judges: Arc<Judges>,
    ledger: Arc<Ledger>,
    timer: Pin<Box<Sleep>>,
}

impl Review {
    /// None for a caller who needed no credential. What changed since the call came is found at once.
    pub(super) fn new(judges: &Arc<Judges>, ledger: &Arc<Ledger>) -> Option<Self> {
        let has_credential = ledger.proof.get().is_some() || ledger.service.get().is_some();
        let is_placed = ledger.spot.get().is_some();
        (has_credential && is_placed).then(|| {
            let timer = Box::pin(sleep(Duration::ZERO));
            Self { judges: Arc::clone(judges), ledger: Arc::clone(ledger), timer }
        })
    }

    /// Waits until the call would be refused.
    pub async fn ended(&mut self) -> Refusal {
        poll_fn(|cx| self.poll_ended(cx)).await
    }

    pub fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<Refusal> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let now = self.judges.clock.now();
            if let Err(refusal) = self.judge(now) {
                return Poll::Ready(refusal);
            }
            let pause = self.expiry().map_or(INTERVAL, |end| now.until(end).min(INTERVAL));
            self.timer.as_mut().reset(Instant::now() + pause.max(Duration::from_millis(1)));
        }
    }

    /// Puts on record why the answer ended.
    pub(super) fn conclude(&self, refusal: Refusal) {
        self.ledger.end(refusal);
    }

    fn judge(&self, now: Timestamp) -> Result<(), Refusal> {
        let ledger = &self.ledger;
        let (Some(route), Some(spot)) = (ledger.route.get(), ledger.spot.get()) else {
            return Err(Reason::GatewayInternal.into());
        };
        let state = self.judges.live.load();
        match &route.authenticator.kind {
            AuthenticatorKind::Anonymous => Ok(()),
            AuthenticatorKind::Jwt(jwt) => match (ledger.app.get(), ledger.proof.get()) {
                (Some(app), Some(proof)) => self.judge_app(jwt, app, proof, (route, spot), &state, now),
                _ => Err(Reason::GatewayInternal.into()),
            },
            AuthenticatorKind::Basic => match ledger.service.get() {
                Some(service) => judge_service(service, route, spot, &state),
                None => Err(Reason::GatewayInternal.into()),
            },
        }
    }

    fn judge_app(
        &self,
        jwt: &JwtAuthenticator,
        app: &App,
        proof: &Arc<Proof>,
        (route, spot): (&Route, &Spot),
        state: &State,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let registry = &state.registry;
        let verified = self.judges.verifier.review(app.number, proof, &jwt.rules, registry, now)?;
        policy::check_network(verified.app(), spot.from)?;
        let (pattern, account) = (&route.patterns[spot.pattern], spot.host_account.as_ref());
        policy::authorize(&verified, route, pattern, &spot.params, spot.path(), account, registry).map(|_| ())
    }

    /// From when on the token is not good any more, with what clocks may differ by.
    fn expiry(&self) -> Option<Timestamp> {
        let AuthenticatorKind::Jwt(jwt) = &self.ledger.route.get()?.authenticator.kind else { return None };
        Some(self.ledger.proof.get()?.claims.expires?.after(jwt.rules.leeway.exp))
    }
}

/// The same account, with the password that it signed in with.
fn judge_service(service: &ServiceAccount, route: &Route, spot: &Spot, state: &State) -> Result<(), Refusal> {
    let found = state.registry.service_account(service.name.as_str());
    let found = found.filter(|f| f.enabled && f.credential_version == service.credential_version);
    let found = found.ok_or(Reason::CredentialInvalid)?;
    policy::authorize_service(found, route, spot.host_account.as_ref())
}
