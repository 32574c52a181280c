//! One call and its answer: attempts until one succeeds, or until another would not be safe.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use http_body::Body;

use super::super::{Call, Inbound, Refused, hygiene, tunnel};
use super::address::Address;
use super::attempt::{Failed, Sendable, attempt, count_retry};
use super::fault::Fault;
use super::payload::Payload;
use super::pool::Pool;
use super::wire::note_host;
use super::{Answer, Upstream};
use crate::model::{Reason, Refusal};
use crate::policy::reads_as;

/// Sends a request to an address of the upstream, and to another one where that is safe and the first fails.
///
/// # Errors
/// The refusal, which names the upstream for the log.
pub(super) async fn send<B>(
    pool: &Arc<Pool<Payload<Inbound<B>>>>,
    request: Request<Inbound<B>>,
    upgrade: Option<Box<tunnel::Asked>>,
    call: Call,
) -> Result<Answer<B>, Refused>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: std::fmt::Display,
{
    let upstream = pool.upstream();
    _ = call.ledger.upstream.set(Arc::clone(upstream));
    let mut request = request.map(Payload::of);
    if matches!(request.body(), Payload::Empty) {
        call.ledger.body_is_whole.store(true, Ordering::Release);
    }
    note_host(&mut request, upstream.settings.host, call.ledger.authority.get());
    inject(request.headers_mut(), &upstream.settings.headers);
    if let Some(asked) = &upgrade {
        tunnel::ask(request.headers_mut(), asked);
    }
    attempts(pool, request, upgrade, &call).await.map_err(|fault| refused(&call, upstream, &fault))
}

/// Sets the upstream's own headers, in place of whatever some server would read as one of them.
fn inject(headers: &mut HeaderMap, injected: &[(HeaderName, HeaderValue)]) {
    if injected.is_empty() {
        return;
    }
    let is_one = |name: &HeaderName| injected.iter().any(|(own, _)| reads_as(name.as_str(), own.as_str()));
    hygiene::remove(headers, is_one);
    for (name, value) in injected {
        headers.insert(name, value.clone());
    }
}

async fn attempts<B>(
    pool: &Arc<Pool<Payload<Inbound<B>>>>,
    mut request: Sendable<B>,
    mut upgrade: Option<Box<tunnel::Asked>>,
    call: &Call,
) -> Result<Answer<B>, Fault>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: std::fmt::Display,
{
    let upstream = pool.upstream();
    let retries = upstream.settings.retries;
    let (mut tried, mut worst) = (Vec::new(), Worst::default());
    upstream.budget.earn();
    loop {
        let mut ticket = match upstream.ticket(&tried).await {
            Ok(ticket) => ticket,
            Err(fault) => return Err(worst.or(fault, call)),
        };
        let address = Arc::clone(ticket.address());
        if let Err(fault) = ticket.enter(&upstream.settings).await {
            return Err(worst.or(fault, call));
        }
        let Failed { fault, again } = match attempt(pool, ticket, request, &mut upgrade, call).await {
            Ok(answer) => {
                _ = call.ledger.address.set(address);
                return Ok(answer);
            }
            Err(failed) => failed,
        };
        let (is_break, is_our_own) = (fault.is_break() && !fault.is_refused(), fault.is_our_own());
        tried.push(Arc::clone(&address));
        worst.take(fault, address);
        let may_again = !is_our_own
            && tried.len() <= usize::try_from(retries.attempts).unwrap_or(usize::MAX)
            && call.ledger.body_fault.get().is_none()
            // An address that can't be reached, or takes no more calls, is not asked again at once.
            && (is_break || upstream.has_others(&tried));
        match again {
            Some(again) if may_again && upstream.budget.spend() => {
                count_retry(call);
                request = again;
            }
            _ => return Err(worst.or(Fault::OutOfService(tried.len()), call)),
        }
    }
}

/// Of the attempts that failed, the one that came farthest.
#[derive(Default)]
struct Worst(Option<(Fault, Arc<Address>)>);

impl Worst {
    fn take(&mut self, fault: Fault, address: Arc<Address>) {
        if self.0.as_ref().is_none_or(|(known, _)| fault.progress() >= known.progress()) {
            self.0 = Some((fault, address));
        }
    }

    /// What the call failed by: this, where nothing was attempted.
    fn or(self, fault: Fault, call: &Call) -> Fault {
        let Some((fault, address)) = self.0 else { return fault };
        _ = call.ledger.address.set(address);
        fault
    }
}

/// In the format of the call's route, and naming the upstream for the log.
fn refused(call: &Call, upstream: &Upstream, fault: &Fault) -> Refused {
    let name = &upstream.name;
    // Where the caller's body was at fault, the caller is told that.
    let of_body = call.ledger.body_fault.get().filter(|_| fault.was_attempted());
    let reason = of_body.copied().unwrap_or_else(|| fault.reason());
    let expected = match fault {
        Fault::NoAnswer(limit) if reason == Reason::UpstreamTimeout => {
            format!("an answer of upstream {name} within {limit:?}")
        }
        _ => format!("upstream {name}"),
    };
    call.refused(Refusal::new(reason).expected(expected).found(fault.to_string()))
}
