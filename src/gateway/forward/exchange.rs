//! One call and its answer: attempts until one succeeds, or until another would not be safe.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http_body::Body;

use super::super::{Call, Inbound, Refused, hygiene, tunnel};
use super::address::{Address, Ticket};
use super::connection::{Connection, NotSent};
use super::fault::Fault;
use super::payload::Payload;
use super::pool::{Obtained, Pool};
use super::retry::{head, is_idempotent};
use super::wire::fit;
use super::{Answer, Protocol, Upstream, UpstreamBody};
use crate::model::{Reason, Refusal};
use crate::policy::reads_as;

type Sendable<B> = Request<Payload<Inbound<B>>>;

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

/// An attempt that failed, and the request if it may be sent again: since it was never sent, or may be done twice.
struct Failed<B> {
    fault: Fault,
    again: Option<Sendable<B>>,
}

impl<B> From<Fault> for Failed<B> {
    fn from(fault: Fault) -> Self {
        Self { fault, again: None }
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
        let (is_break, is_our_own) = (fault.is_break(), fault.is_our_own());
        tried.push(Arc::clone(&address));
        worst.take(fault, address);
        let may_again = !is_our_own
            && tried.len() <= usize::try_from(retries.attempts).unwrap_or(usize::MAX)
            && call.ledger.body_fault.get().is_none()
            // An address that can't be reached is not asked again at once.
            && (is_break || upstream.has_others(&tried));
        match again {
            Some(again) if may_again && upstream.budget.spend() => {
                metrics::counter!("scopegate_upstream_retries_total").increment(1);
                call.ledger.retries.fetch_add(1, Ordering::Relaxed);
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

/// One attempt at one address. A request that a kept connection gave back unsent, since the upstream had closed it, goes out
/// on another: that is no fault of anybody's.
async fn attempt<B>(
    pool: &Arc<Pool<Payload<Inbound<B>>>>,
    mut ticket: Ticket,
    mut request: Sendable<B>,
    upgrade: &mut Option<Box<tunnel::Asked>>,
    call: &Call,
) -> Result<Answer<B>, Failed<B>>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: std::fmt::Display,
{
    let settings = &pool.upstream().settings;
    let is_head = request.method() == Method::HEAD;
    loop {
        let obtained = if upgrade.is_some() && settings.protocol == Protocol::ByAlpn {
            pool.obtain_http1(ticket.address()).await
        } else {
            pool.obtain(ticket.address()).await
        };
        let Obtained { mut connection, is_kept, is_warm } = match obtained {
            Ok(obtained) => obtained,
            Err(fault) => {
                settle(&mut ticket, call, pool.upstream(), &fault);
                return Err(Failed { fault, again: Some(request) });
            }
        };
        if upgrade.is_some() && matches!(connection, Connection::Multiplexed { .. }) {
            // RFC 8441 would take a CONNECT of its own kind.
            return Err(Fault::Invalid("HTTP/2, which upgrades nothing").into());
        }
        fit(&mut request, ticket.address(), &connection)?;
        let spare = spare(&request, call, pool.upstream(), is_warm);
        let fault = match in_time(connection.send(request), call, settings.timeouts.response).await {
            Some(Ok(mut response)) => {
                let is_switch = response.status() == StatusCode::SWITCHING_PROTOCOLS;
                if let Some(asked) = upgrade.take_if(|_| is_switch) {
                    return match tunnel::agree(&mut response, *asked, ticket, &call.ledger) {
                        Ok(()) => Ok(response.map(|body| UpstreamBody::of_upgrade(body, Arc::clone(&call.ledger)))),
                        Err(why) => Err(Fault::Invalid(why).into()),
                    };
                }
                match clean(&mut response, is_head, call.ledger.claimed()) {
                    Ok(()) => {
                        ticket.succeeded();
                        let (pool, ledger) = (Arc::clone(pool), Arc::clone(&call.ledger));
                        return Ok(response.map(|body| UpstreamBody::new(body, connection, ticket, pool, ledger)));
                    }
                    Err(why) => Fault::Invalid(why),
                }
            }
            Some(Err(NotSent { unsent: Some(unsent), .. })) if is_kept => {
                request = unsent;
                continue;
            }
            Some(Err(NotSent { error, unsent })) => {
                let fault = Fault::Broken(error);
                if connection.is_lost_first() {
                    settle(&mut ticket, call, pool.upstream(), &fault);
                }
                let spare = spare.filter(|_| fault.is_break()).map(|spare| spare.map(|()| Payload::Empty));
                return Err(Failed { fault, again: unsent.or(spare) });
            }
            None => {
                if call.ledger.waits_for_caller.load(Ordering::Relaxed) {
                    _ = call.ledger.body_fault.set(Reason::RequestTimeout);
                }
                Fault::NoAnswer(settings.timeouts.response)
            }
        };
        settle(&mut ticket, call, pool.upstream(), &fault);
        return Err(fault.into());
    }
}

/// A copy to send again if the connection breaks, of a request that may be done twice. On a connection that worked a moment
/// ago the only address of an upstream fails at this very call, and a copy of each call would be for nothing.
fn spare<B>(request: &Sendable<B>, call: &Call, upstream: &Upstream, is_warm: bool) -> Option<Request<()>> {
    let may_again = upstream.settings.retries.attempts > 0
        && matches!(request.body(), Payload::Empty)
        && is_idempotent(request.method())
        // A token that is good for one call is good for one attempt.
        && !call.ledger.is_single_use.load(Ordering::Relaxed)
        && (!is_warm || upstream.has_several());
    may_again.then(|| head(request))
}

/// Holds a failure against the address, where it is to blame. How it took one call counts only while others are in service:
/// nobody may bring an upstream down for all by calls that it does not bear.
fn settle(ticket: &mut Ticket, call: &Call, upstream: &Upstream, fault: &Fault) {
    let is_callers = call.ledger.body_fault.get().is_some();
    let counts = fault.is_of_address() || fault.is_of_call() && upstream.has_others_in_service(ticket.address());
    if counts && !is_callers {
        ticket.failed(&upstream.settings.ejection);
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

/// Waits for an answer, as long as the request's body moves and for the limit after that.
async fn in_time<F: Future>(sent: F, call: &Call, limit: Duration) -> Option<F::Output> {
    let mut sent = std::pin::pin!(sent);
    let mut seen = call.ledger.bytes_in();
    loop {
        match tokio::time::timeout(limit, sent.as_mut()).await {
            Ok(answer) => return Some(answer),
            Err(_) if call.ledger.bytes_in() != seen => seen = call.ledger.bytes_in(),
            Err(_) => return None,
        }
    }
}

/// Checks an answer's framing and cleans its header. The length that a HEAD or a 304 tells is kept: it frames nothing.
fn clean<B>(response: &mut Response<B>, is_head: bool, claimed: &[HeaderName]) -> Result<(), &'static str> {
    let status = response.status();
    if status.is_informational() {
        return Err("an answer that is none yet");
    }
    // The upstream's version is its own affair: an answer of HTTP/1.0 would end the caller's connection.
    *response.version_mut() = Version::HTTP_11;
    let keep_length = is_head || matches!(status, StatusCode::NOT_MODIFIED | StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    if !hygiene::is_plainly_framed(headers) {
        return Err("an answer with a transfer coding other than chunked");
    }
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let length = lengths.next().cloned();
    if lengths.next().is_some() || length.as_ref().is_some_and(|l| !l.as_bytes().iter().all(u8::is_ascii_digit)) {
        return Err("an answer with a Content-Length that is no number");
    }
    if length.is_some() && headers.contains_key(header::TRANSFER_ENCODING) {
        return Err("an answer with Content-Length and Transfer-Encoding");
    }
    hygiene::clean_response(headers, claimed);
    if let Some(length) = length.filter(|_| keep_length) {
        headers.insert(header::CONTENT_LENGTH, length);
    }
    Ok(())
}
