//! One attempt of a call, at one address.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use hyper::body::Incoming;

use super::super::{Call, Inbound, tunnel};
use super::address::Ticket;
use super::circuit::Cause;
use super::connection::{Connection, NotSent};
use super::fault::Fault;
use super::payload::Payload;
use super::pool::{Obtained, Pool};
use super::resend::{Again, Spare};
use super::response_head::clean;
use super::response_timeout::within;
use super::wire::fit;
use super::{Answer, Protocol, Upstream, UpstreamBody};

pub(super) type Sendable<B> = Request<Payload<Inbound<B>>>;

/// An attempt that failed, and the request if it may be sent again: since it was never sent, or may be done twice.
pub(super) struct Failed<B> {
    pub fault: Fault,
    pub again: Option<Sendable<B>>,
}

impl<B> From<Fault> for Failed<B> {
    fn from(fault: Fault) -> Self {
        Self { fault, again: None }
    }
}

/// How often one attempt sends again what the upstream refused and did nothing with.
const REFUSALS: u32 = 2;

/// What sending it once more has come to, within one attempt.
#[derive(Default)]
struct Resends {
    refused: u32,
    /// Whether it was sent again since a kept connection broke.
    is_repeated: bool,
}

impl Resends {
    /// Whether it is sent again at the same address, and whether that has to be on a new connection. None of this is a
    /// fault: the upstream closed a kept connection, or takes no more calls on this one.
    fn allow<B>(&mut self, again: &Again<B>, is_kept: bool) -> bool {
        match again {
            Again::Unsent(_) => is_kept,
            Again::Refused(_) => {
                self.refused += 1;
                self.refused <= REFUSALS
            }
            Again::Repeat(_) => is_kept && !std::mem::replace(&mut self.is_repeated, true),
        }
    }
}

/// A request that the upstream provably did nothing with goes out again, whatever its method; so does, once, one that may be
/// done twice and met a kept connection as the upstream closed it.
pub(super) async fn attempt<B>(
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
    let mut resends = Resends::default();
    loop {
        let obtained = if upgrade.is_some() && settings.protocol == Protocol::ByAlpn {
            pool.obtain_http1(ticket.address()).await
        } else if resends.is_repeated || ticket.is_trial() {
            pool.obtain_fresh(ticket.address()).await
        } else {
            pool.obtain(ticket.address()).await
        };
        let Obtained { mut connection, is_kept } = match obtained {
            Ok(obtained) => obtained,
            Err(fault) => {
                settle(&mut ticket, call, pool.upstream(), &fault);
                return Err(Failed { fault, again: Some(request) });
            }
        };
        if !is_kept {
            ticket.reached();
        }
        if upgrade.is_some() && matches!(connection, Connection::Multiplexed { .. }) {
            // RFC 8441 would take a CONNECT of its own kind.
            return Err(Fault::Invalid("HTTP/2, which upgrades nothing").into());
        }
        fit(&mut request, ticket.address(), &connection)?;
        let may_repeat = may_repeat(call, pool.upstream(), is_kept);
        let spare = Spare::of(&mut request, &connection, may_repeat);
        let fault = match within(settings.timeouts.response, connection.send(request), &call.ledger).await {
            Some(Ok(response)) => {
                spare.into_iter().for_each(Spare::forget);
                let answered = Answered { response, connection, ticket, is_head };
                return answered.into_answer(pool, upgrade, call).map_err(Failed::from);
            }
            Some(Err(NotSent { error, unsent })) => {
                let fault = broken(error, &connection, pool.upstream());
                let again = Again::of(unsent, spare, &connection, &fault, may_repeat);
                let again = match again {
                    Some(again) if call.ledger.body_fault.get().is_none() && resends.allow(&again, is_kept) => {
                        if !matches!(again, Again::Unsent(_)) {
                            count_retry(call);
                        }
                        request = again.into_request();
                        continue;
                    }
                    again => again.map(Again::into_request),
                };
                if connection.is_lost_first() {
                    settle(&mut ticket, call, pool.upstream(), &fault);
                }
                return Err(Failed { fault, again });
            }
            None => Fault::NoAnswer(settings.timeouts.response),
        };
        settle(&mut ticket, call, pool.upstream(), &fault);
        return Err(fault.into());
    }
}

pub(super) fn count_retry(call: &Call) {
    metrics::counter!("scopegate_upstream_retries_total").increment(1);
    call.ledger.retries.fetch_add(1, Ordering::Relaxed);
}

/// Whether a request that may be done twice may also be sent twice. A token that is good for one call is good for one
/// attempt; a kept connection that the upstream closes is none.
fn may_repeat(call: &Call, upstream: &Upstream, is_kept: bool) -> bool {
    upstream.settings.retries.attempts > 0 && (is_kept || !call.ledger.is_single_use.load(Ordering::Relaxed))
}

/// What the exchange failed by. A connection of HTTP/2 that takes no more calls is given none.
fn broken<B>(error: hyper::Error, connection: &Connection<B>, upstream: &Upstream) -> Fault {
    let bounds = upstream.settings.header_bounds;
    match connection {
        Connection::Exclusive(connection) => {
            Fault::of_exchange(error, bounds, || connection.io.has_more_fields_than(bounds.fields))
        }
        Connection::Multiplexed { share, .. } => {
            let fault = Fault::of_exchange(error, bounds, || false);
            if fault.is_goodbye() {
                share.retire();
            } else if fault.is_refused() {
                share.refused_one();
            }
            fault
        }
    }
}

/// An answer, with what it came by.
struct Answered<B> {
    response: Response<Incoming>,
    connection: Connection<Payload<Inbound<B>>>,
    ticket: Ticket,
    is_head: bool,
}

impl<B> Answered<B> {
    fn into_answer(
        self,
        pool: &Arc<Pool<Payload<Inbound<B>>>>,
        upgrade: &mut Option<Box<tunnel::Asked>>,
        call: &Call,
    ) -> Result<Answer<B>, Fault> {
        let Self { mut response, connection, mut ticket, is_head } = self;
        let (ledger, upstream) = (Arc::clone(&call.ledger), pool.upstream());
        let is_switch = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        if let Some(asked) = upgrade.take_if(|_| is_switch) {
            return match tunnel::agree(&mut response, *asked, ticket, &ledger) {
                Ok(()) => Ok(response.map(|body| UpstreamBody::of_upgrade(body, ledger))),
                Err(why) => Err(Fault::Invalid(why)),
            };
        }
        match clean(&mut response, is_head, ledger.claimed(), upstream.settings.header_bounds) {
            Ok(end) => {
                ticket.succeeded();
                let pool = Arc::clone(pool);
                Ok(response.map(|body| UpstreamBody::new(body, end, connection, ticket, pool, ledger)))
            }
            Err(fault) => {
                settle(&mut ticket, call, upstream, &fault);
                Err(fault)
            }
        }
    }
}

/// Holds a failure against the address, where it is to blame. How it took one call counts only while others are in service:
/// no client may take an upstream out of service for all by requests that it can't handle.
fn settle(ticket: &mut Ticket, call: &Call, upstream: &Upstream, fault: &Fault) {
    let cause = match fault {
        _ if call.ledger.body_fault.get().is_some() => None,
        fault if fault.is_of_address() => Some(Cause::Unreachable),
        fault if fault.is_of_call() && upstream.has_others_in_service(ticket.address()) => Some(Cause::Call),
        _ => None,
    };
    if let Some(cause) = cause {
        ticket.failed(cause, &upstream.settings.ejection);
    }
}
