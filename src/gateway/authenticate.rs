//! Who calls: the credential, then verify.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::HeaderValue;

use super::blocking::Displaced;
use super::ledger::Doubt;
use super::sign_in::{Denied, SignedIn};
use super::{Ask, Blocking, Gate, Matched, Refused, SignIns, WaitingStep};
use crate::clock::Timestamp;
use crate::model::{Reason, Refusal};
use crate::policy::{
    AuthenticatorKind, Case, JwtAuthenticator, State, WEBSOCKET, credential, name_and_password, offered_token, upgrade,
};
use crate::registry::{ServiceAccount, UsageBook};
use crate::verify::{Glance, TokenRules, Unverified, Verified, Verifier};

/// Who was found to call.
#[derive(Debug)]
pub enum Caller {
    /// An app, by a token that is good now.
    App(Verified),
    /// A service account, by its password.
    Service(Arc<ServiceAccount>),
    /// Anybody: the route asks for no credential.
    Anonymous,
}

#[derive(Clone)]
pub struct Authenticate {
    verifier: Arc<Verifier>,
    blocking: Arc<Blocking>,
    sign_ins: Arc<SignIns>,
    usage: Arc<UsageBook>,
}

impl Authenticate {
    pub fn new(gate: &Gate) -> Self {
        Self {
            verifier: Arc::clone(&gate.verifier),
            blocking: Arc::clone(&gate.blocking),
            sign_ins: Arc::clone(&gate.sign_ins),
            usage: Arc::clone(&gate.usage),
        }
    }
}

/// A request whose caller is known.
pub struct Authenticated<B> {
    matched: Matched<B>,
    caller: Caller,
}

impl<B> Authenticated<B> {
    pub(super) fn matched(&self) -> &Matched<B> {
        &self.matched
    }

    pub(super) fn caller(&self) -> &Caller {
        &self.caller
    }

    pub(super) fn into_parts(self) -> (Matched<B>, Caller) {
        (self.matched, self.caller)
    }
}

type Verdict = Result<Verified, Unverified>;

/// What was found out about a caller.
pub enum Finding {
    /// No credential is asked for.
    Nobody,
    Token(Verdict),
    SignIn(SignedIn),
}

impl<B> WaitingStep<Matched<B>> for Authenticate {
    type Out = Authenticated<B>;
    type Answer = Finding;

    /// An encrypted token is waited for, and a password, if it is not known from before.
    fn ask(&self, matched: &Matched<B>) -> Ask<Finding> {
        let (place, headers) = (matched.place(), matched.request().headers());
        match &place.route.authenticator.kind {
            AuthenticatorKind::Anonymous => Ask::Now(Finding::Nobody),
            AuthenticatorKind::Basic => match name_and_password(headers) {
                Ok(given) => self.sign_ins.ask(given, matched.call().client.address, &place.state).map(Finding::SignIn),
                Err(refusal) => Ask::Now(Finding::SignIn(Err(refusal.into()))),
            },
            AuthenticatorKind::Jwt(jwt) => self.ask_verifier(matched, jwt).map(Finding::Token),
        }
    }

    fn take(&self, matched: Matched<B>, finding: Finding) -> Result<Authenticated<B>, Refused> {
        match finding {
            Finding::Nobody => Ok(Authenticated { matched, caller: Caller::Anonymous }),
            Finding::Token(verdict) => self.take_verdict(matched, verdict),
            Finding::SignIn(Ok(account)) => {
                _ = matched.call().ledger.service.set(Arc::clone(&account));
                Ok(Authenticated { matched, caller: Caller::Service(account) })
            }
            Finding::SignIn(Err(Denied { refusal, retry_after })) => {
                let refused = matched.place().refused(refusal);
                Err(retry_after.into_iter().fold(refused, Refused::retrying_after))
            }
        }
    }
}

impl Authenticate {
    fn ask_verifier<B>(&self, matched: &Matched<B>, jwt: &JwtAuthenticator) -> Ask<Verdict> {
        let (place, now) = (matched.place(), matched.call().now);
        let glance = presented(matched, jwt)
            .map_err(unverified)
            .and_then(|token| Ok((token, self.verifier.glance(token, &jwt.rules, &place.state.registry, now)?)));
        match glance {
            Ok((_, Glance::Verified(verified))) => Ask::Now(Ok(verified)),
            Ok((token, Glance::Encrypted { owner })) => {
                let work =
                    Decryption { token: token.into(), rules: jwt.rules.clone(), state: Arc::clone(&place.state), now };
                let verifier = Arc::clone(&self.verifier);
                let (client, overloaded) = (matched.call().client.address.into(), self.overloaded());
                match self.blocking.submit_from(owner, client, move || work.run(&verifier)) {
                    Some(verdict) => Ask::Later(Box::pin(async move {
                        let verdict = verdict.await.map_err(|_| unverified(Reason::GatewayInternal))?;
                        verdict.unwrap_or_else(|Displaced| Err(unverified(overloaded)))
                    })),
                    None => Ask::Now(Err(unverified(overloaded))),
                }
            }
            Err(unverified) => Ask::Now(Err(unverified)),
        }
    }

    fn take_verdict<B>(&self, matched: Matched<B>, verdict: Verdict) -> Result<Authenticated<B>, Refused> {
        let call = matched.call();
        match verdict {
            Ok(verified) => {
                _ = call.ledger.app.set(Arc::clone(verified.app()));
                call.ledger.is_verified.store(true, Ordering::Relaxed);
                call.ledger.is_single_use.store(verified.single_use().is_some(), Ordering::Relaxed);
                _ = call.ledger.proof.set(Arc::clone(verified.proof()));
                if let Some(used) = verified.key().and_then(|key| verified.app().key_use(key, call.now)) {
                    self.usage.note(used);
                }
                Ok(Authenticated { matched, caller: Caller::App(verified) })
            }
            Err(unverified) => {
                if let Some(app) = unverified.claimed {
                    _ = call.ledger.app.set(app);
                }
                let (headers, place) = (matched.request().headers(), matched.place());
                if Case::is_open(unverified.refusal.reason)
                    && let AuthenticatorKind::Jwt(jwt) = &place.route.authenticator.kind
                {
                    let (state, credential) = (Arc::clone(&place.state), in_a_header(&matched, jwt));
                    _ = call.ledger.doubt.set(Doubt { state, credential });
                }
                call.ledger.keep(headers);
                Err(place.refused(unverified.refusal))
            }
        }
    }

    fn overloaded(&self) -> Refusal {
        let limit = self.blocking.limit();
        let expected = format!(
            "at most {limit} encrypted tokens that wait for decryption, a quarter of them of one app, and these evenly from its clients"
        );
        Refusal::new(Reason::GatewayOverloaded).expected(expected)
    }
}

/// The token in the header that is meant for it, or else where a browser can put one that opens a WebSocket.
fn presented<'m, B>(matched: &'m Matched<B>, jwt: &JwtAuthenticator) -> Result<&'m [u8], Refusal> {
    offered(matched, jwt)?.map_or_else(|| credential(matched.request().headers(), jwt), Ok)
}

/// None where the call is no WebSocket, or has the header.
fn offered<'m, B>(matched: &'m Matched<B>, jwt: &JwtAuthenticator) -> Result<Option<&'m [u8]>, Refusal> {
    let (request, route) = (matched.request(), &matched.place().route);
    let (method, version, headers) = (request.method(), request.version(), request.headers());
    let may_offer = jwt.websocket_protocol.is_some() && !headers.contains_key(&jwt.header);
    if may_offer && upgrade(route, method, version, headers) == Some(WEBSOCKET) {
        return offered_token(headers, jwt);
    }
    Ok(None)
}

/// The token as it stands in its header, or would.
fn in_a_header<B>(matched: &Matched<B>, jwt: &JwtAuthenticator) -> Option<HeaderValue> {
    match offered(matched, jwt) {
        Ok(Some(token)) => {
            let token = String::from_utf8_lossy(token);
            HeaderValue::try_from(format!("{} {}{token}", jwt.scheme, jwt.prefix).trim_start()).ok()
        }
        _ => matched.request().headers().get(&jwt.header).cloned(),
    }
}

fn unverified(refusal: impl Into<Refusal>) -> Unverified {
    Unverified { refusal: refusal.into(), claimed: None }
}

/// All that a thread elsewhere needs for a verdict on an encrypted token.
struct Decryption {
    token: Box<[u8]>,
    rules: TokenRules,
    state: Arc<State>,
    now: Timestamp,
}

impl Decryption {
    fn run(&self, verifier: &Verifier) -> Verdict {
        verifier.verify(&self.token, &self.rules, &self.state.registry, self.now)
    }
}
