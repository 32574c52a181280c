//! One address of an upstream, and a call's ticket to it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use http::HeaderValue;
use http::uri::{Authority, Scheme};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::UpstreamSettings;
use super::circuit::{Admission, Cause, Change, Circuit, Ejection};
use super::fault::Fault;
use crate::clock::instant;
use crate::net::{Remote, TlsTarget};

/// Where calls go, shared by all workers.
pub struct Address {
    pub remote: Remote,
    /// Its text, for each line of the log.
    pub(in super::super) label: Box<str>,
    pub authority: Authority,
    /// What it is asked for with HTTP/1.1.
    pub(super) host: HeaderValue,
    pub tls: Option<TlsTarget>,
    /// Which of the upstream's URLs it stands for.
    pub(super) origin: usize,
    pub(super) circuit: Circuit,
    calls: AtomicUsize,
    places: Option<Arc<Semaphore>>,
    waiting: AtomicUsize,
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.remote, f)
    }
}

impl Address {
    pub(super) fn new(
        remote: Remote,
        authority: Authority,
        tls: Option<TlsTarget>,
        origin: usize,
        limit: Option<usize>,
    ) -> Self {
        let host = HeaderValue::from_str(authority.as_str()).unwrap_or(HeaderValue::from_static("localhost"));
        let label = remote.to_string().into();
        let places = limit.map(|limit| Arc::new(Semaphore::new(limit)));
        Self {
            remote,
            label,
            authority,
            host,
            tls,
            origin,
            circuit: Circuit::default(),
            calls: AtomicUsize::new(0),
            places,
            waiting: AtomicUsize::new(0),
        }
    }

    pub(super) fn scheme(&self) -> Scheme {
        if self.tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP }
    }

    /// Calls in hand, and those that wait for their turn.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// Whether it would be sent a call now.
    pub fn is_in_service(&self) -> bool {
        self.circuit.is_open(instant())
    }
}

/// A call that goes to an address, counted until it is over.
pub(in super::super) struct Ticket {
    address: Arc<Address>,
    admission: Admission,
    is_settled: bool,
    place: Option<OwnedSemaphorePermit>,
}

impl Ticket {
    /// None while the address is out of service.
    pub fn take(address: &Arc<Address>, now: Instant) -> Option<Self> {
        let admission = address.circuit.admit(now)?;
        address.calls.fetch_add(1, Ordering::Relaxed);
        Some(Self { address: Arc::clone(address), admission, is_settled: false, place: None })
    }

    pub fn address(&self) -> &Arc<Address> {
        &self.address
    }

    /// Waits for a place among the calls that the address takes at once.
    pub(super) async fn enter(&mut self, settings: &UpstreamSettings) -> Result<(), Fault> {
        let Some(places) = &self.address.places else { return Ok(()) };
        if let Ok(place) = Arc::clone(places).try_acquire_owned() {
            self.place = Some(place);
            return Ok(());
        }
        let limit = settings.timeouts.queue;
        let Some(_waiting) = Waiting::begin(&self.address, settings.max_queue) else {
            return Err(Fault::QueueFull(settings.max_queue));
        };
        match tokio::time::timeout(limit, Arc::clone(places).acquire_owned()).await {
            Ok(Ok(place)) => {
                self.place = Some(place);
                Ok(())
            }
            Ok(Err(_)) | Err(_) => Err(Fault::QueuedTooLong(limit)),
        }
    }

    /// Whether the call is to show that the address works again.
    pub fn is_trial(&self) -> bool {
        matches!(self.admission, Admission::Trial(_))
    }

    /// There is a connection for it that was made just now.
    pub fn reached(&self) {
        if self.is_trial() && self.address.circuit.reached(self.admission, instant()) == Some(Change::Returned) {
            self.tell_return();
        }
    }

    pub fn succeeded(&mut self) {
        if !std::mem::replace(&mut self.is_settled, true)
            && self.address.circuit.succeeded(self.admission, instant()) == Some(Change::Returned)
        {
            self.tell_return();
        }
    }

    fn tell_return(&self) {
        tracing::info!(address = %self.address.remote, "an address of an upstream is back in service");
    }

    pub(super) fn failed(&mut self, cause: Cause, rules: &Ejection) {
        if std::mem::replace(&mut self.is_settled, true) {
            return;
        }
        if let Some(Change::Ejected(span)) = self.address.circuit.failed(self.admission, cause, rules, instant()) {
            metrics::counter!("scopegate_upstream_ejections_total").increment(1);
            tracing::warn!(address = %self.address.remote, ?span, "an address of an upstream is out of service: calls to it failed");
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.is_trial() && !self.is_settled {
            self.address.circuit.give_up(self.admission);
        }
        self.address.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A place in the queue, for as long as this lives.
struct Waiting<'a>(&'a Address);

impl<'a> Waiting<'a> {
    fn begin(address: &'a Address, most: usize) -> Option<Self> {
        let waiting = Self(address);
        (address.waiting.fetch_add(1, Ordering::Relaxed) < most).then_some(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The less busy of two addresses taken at random, of those that are in service and were not tried before.
pub(super) fn choose(addresses: &[Arc<Address>], tried: &[Arc<Address>], dice: &Dice) -> Option<Ticket> {
    let now = instant();
    if let [only] = addresses {
        return Ticket::take(only, now);
    }
    let random = dice.roll();
    let count = addresses.len();
    let at = |random: u64, count: usize| usize::try_from(random % count.max(1) as u64).unwrap_or(0);
    let one = at(random & u64::from(u32::MAX), count);
    let other = (one + 1 + at(random >> 32, count.saturating_sub(1))) % count.max(1);
    let load = |i: usize| addresses.get(i).map_or(usize::MAX, |address| address.calls());
    let (first, second) = if load(other) < load(one) { (other, one) } else { (one, other) };
    let is_new = |address: &&Arc<Address>| !tried.iter().any(|tried| Arc::ptr_eq(tried, address));
    let all = || [first, second].into_iter().chain((1..=count).map(|i| (first + i) % count)).map(|i| &addresses[i]);
    let untried = || all().filter(is_new).find_map(|address| Ticket::take(address, now));
    // Where each was tried, the same one may still give a better answer.
    if count == 0 { None } else { untried().or_else(|| all().find_map(|address| Ticket::take(address, now))) }
}

/// Numbers that nobody outside can foresee, without a lock.
#[derive(Debug, Default)]
pub(super) struct Dice {
    key: std::hash::RandomState,
    count: AtomicUsize,
}

impl Dice {
    pub fn roll(&self) -> u64 {
        use std::hash::BuildHasher as _;
        self.key.hash_one(self.count.fetch_add(1, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn address(port: u16, limit: Option<usize>) -> Arc<Address> {
        let remote = Remote::Tcp(([127, 0, 0, 1], port).into());
        Arc::new(Address::new(remote, Authority::from_static("a"), None, 0, limit))
    }

    const RULES: Ejection = Ejection { failures: 1, least: Duration::from_secs(3600), most: Duration::from_secs(3600) };

    #[test]
    fn the_less_busy_of_two_is_taken() {
        let addresses = [address(1, None), address(2, None)];
        let dice = Dice::default();
        let tickets: Vec<_> = (0..100).map(|_| choose(&addresses, &[], &dice).unwrap()).collect();
        assert_eq!([addresses[0].calls(), addresses[1].calls()], [50, 50]);
        drop(tickets);
        assert_eq!([addresses[0].calls(), addresses[1].calls()], [0, 0]);
    }

    #[test]
    fn a_busy_one_among_many_gets_far_less_than_its_share() {
        let addresses: Vec<_> = (1..=5).map(|port| address(port, None)).collect();
        let busy: Vec<_> = (0..1000).filter_map(|_| Ticket::take(&addresses[0], instant())).collect();
        let dice = Dice::default();
        let tickets: Vec<_> = (0..1000).map(|_| choose(&addresses, &[], &dice).unwrap()).collect();
        assert_eq!(addresses[0].calls(), busy.len(), "whatever it is paired with is less busy");
        assert!(addresses[1..].iter().all(|a| a.calls() > 150), "{:?}", addresses.iter().map(|a| a.calls()));
        drop((busy, tickets));
    }

    #[test]
    fn what_is_out_of_service_is_passed_over_and_what_was_tried_comes_last() {
        let addresses = [address(1, None), address(2, None), address(3, None)];
        Ticket::take(&addresses[0], instant()).unwrap().failed(Cause::Unreachable, &RULES);
        let dice = Dice::default();
        for _ in 0..50 {
            let ticket = choose(&addresses, &[Arc::clone(&addresses[1])], &dice).unwrap();
            assert!(Arc::ptr_eq(ticket.address(), &addresses[2]));
        }
        let tried = [Arc::clone(&addresses[1]), Arc::clone(&addresses[2])];
        assert!(choose(&addresses, &tried, &dice).is_some());
        for address in &addresses[1..] {
            Ticket::take(address, instant()).unwrap().failed(Cause::Unreachable, &RULES);
        }
        assert!(choose(&addresses, &[], &dice).is_none());
        assert!(choose(&[], &[], &dice).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn calls_beyond_the_limit_wait_and_then_are_told() {
        let address = address(1, Some(1));
        let mut settings = UpstreamSettings { max_calls: Some(1), max_queue: 1, ..UpstreamSettings::default() };
        settings.timeouts.queue = Duration::from_secs(2);
        let ticket = || Ticket::take(&address, instant()).unwrap();
        let mut first = ticket();
        first.enter(&settings).await.unwrap();
        let started = tokio::time::Instant::now();
        let (mut second, mut third) = (ticket(), ticket());
        let (waited, refused) = tokio::join!(second.enter(&settings), third.enter(&settings));
        assert!(matches!(refused, Err(Fault::QueueFull(1))), "{refused:?}");
        assert!(matches!(waited, Err(Fault::QueuedTooLong(_))), "{waited:?}");
        assert_eq!(started.elapsed(), Duration::from_secs(2));
        let mut fourth = ticket();
        let (entered, ()) = tokio::join!(fourth.enter(&settings), async { drop(first) });
        assert!(entered.is_ok());
    }
}
