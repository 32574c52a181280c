//! Threads for work that would hold up a worker: few of them, and a bounded queue before them.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::sync::oneshot;

use crate::model::AppNumber;

/// Jobs that may wait for a thread. At less than a millisecond each, the last of them waits for a tenth of a second.
const QUEUE_PER_THREAD: usize = 128;
/// What one owner may have of the queue.
const SHARE: usize = 4;

/// Whose a job is; the jobs of nobody share one place.
pub type Owner = Option<AppNumber>;

/// The network that a job comes from: an IPv4 address, or the first 64 bits of an IPv6 one. Clients without a known address
/// share one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ClientNetwork(u128);

impl From<Option<IpAddr>> for ClientNetwork {
    fn from(address: Option<IpAddr>) -> Self {
        Self(match address.map(|address| address.to_canonical()) {
            None => 0,
            Some(IpAddr::V4(address)) => u128::from(address.to_ipv6_mapped()),
            Some(IpAddr::V6(address)) => u128::from(address) >> 64 << 64,
        })
    }
}

/// Another client's job took the place of this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Displaced;

/// What a job gives, or that it lost its place.
pub type Turn<T> = Result<T, Displaced>;

/// Runs jobs on threads of its own, which are made with the first job and end with the last copy of the pool.
///
/// A flood meets three bounds: the queue is never longer than its limit; no owner fills more than a quarter of it, so that
/// a flood for one app's key, or for unknown keys, does not keep the jobs of others out; and where an owner's part, or
/// all of it, is full, its clients share it evenly, so that a flood from one address keeps out that address alone.
pub struct Blocking {
    threads: usize,
    shared: Arc<Shared>,
}

struct Shared {
    queue: Mutex<Queue>,
    /// There is a job, or the end.
    stirred: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<(Place, Job)>,
    waiting: HashMap<Owner, Share>,
    clients: Clients,
    threads: usize,
    is_closed: bool,
}

/// Runs, or is told that it lost its place.
type Job = Box<dyn FnOnce(Turn<()>) + Send>;
type Place = (Owner, ClientNetwork);

/// An owner's part of the queue.
#[derive(Default)]
struct Share {
    jobs: usize,
    clients: Clients,
}

/// How many jobs each client has.
#[derive(Default)]
struct Clients(HashMap<ClientNetwork, usize>);

impl Clients {
    fn add(&mut self, client: ClientNetwork) {
        *self.0.entry(client).or_default() += 1;
    }

    fn remove(&mut self, client: ClientNetwork) {
        if let Some(jobs) = self.0.get_mut(&client) {
            *jobs -= 1;
            if *jobs == 0 {
                self.0.remove(&client);
            }
        }
    }

    /// The client with the most jobs, where it has more than this one would have with one more.
    fn greediest(&self, client: ClientNetwork) -> Option<ClientNetwork> {
        let most = self.0.iter().max_by_key(|(_, jobs)| **jobs)?;
        (*most.1 > self.0.get(&client).copied().unwrap_or(0) + 1).then_some(*most.0)
    }
}

impl Queue {
    fn enter(&mut self, (owner, client): Place, job: Job) {
        self.jobs.push_back(((owner, client), job));
        let share = self.waiting.entry(owner).or_default();
        share.jobs += 1;
        share.clients.add(client);
        self.clients.add(client);
    }

    fn leave(&mut self, (owner, client): Place) {
        self.clients.remove(client);
        let Some(share) = self.waiting.get_mut(&owner) else { return };
        share.jobs -= 1;
        share.clients.remove(client);
        if share.jobs == 0 {
            self.waiting.remove(&owner);
        }
    }

    /// Takes the newest job of the greediest client out, to make room for one of another: in the owner's share where that is
    /// full, or else in the whole queue.
    fn displace(&mut self, (owner, client): Place, is_share_full: bool) -> Option<Job> {
        let clients = if is_share_full { &self.waiting.get(&owner)?.clients } else { &self.clients };
        let greediest = clients.greediest(client)?;
        let is_of_it = |place: &Place| place.1 == greediest && (place.0 == owner || !is_share_full);
        let at = self.jobs.iter().rposition(|(place, _)| is_of_it(place))?;
        let (place, job) = self.jobs.remove(at)?;
        self.leave(place);
        Some(job)
    }
}

impl Blocking {
    /// With so many threads, one at least.
    pub fn new(threads: usize) -> Self {
        let shared = Shared { queue: Mutex::default(), stirred: Condvar::new() };
        Self { threads: threads.max(1), shared: Arc::new(shared) }
    }

    /// With a thread for every other core: half of the machine is left to those whose calls need none of this.
    pub fn for_this_machine() -> Self {
        Self::new(thread::available_parallelism().map_or(1, |cores| cores.get() / 2))
    }

    /// Jobs that may wait at once.
    pub fn limit(&self) -> usize {
        self.threads * QUEUE_PER_THREAD
    }

    /// Jobs that wait now.
    pub fn waiting(&self) -> usize {
        self.shared.lock().jobs.len()
    }

    /// Queues a job of a client without an address; see [`Blocking::submit_from`]. When another takes its place, the sender is
    /// dropped.
    pub fn submit<T: Send + 'static>(
        &self,
        owner: Owner,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Option<oneshot::Receiver<T>> {
        let (sender, receiver) = oneshot::channel();
        let job = move |turn: Turn<()>| {
            if turn.is_ok() && !sender.is_closed() {
                _ = sender.send(job());
            }
        };
        self.enqueue((owner, ClientNetwork::default()), Box::new(job)).then_some(receiver)
    }

    /// Queues a job; none when the queue is full, or the owner's share of it, in which no other client has more. What it
    /// gives is to be awaited: when the receiver is dropped before its turn comes, the job is left out; when the job panics,
    /// the sender is dropped.
    pub fn submit_from<T: Send + 'static>(
        &self,
        owner: Owner,
        client: ClientNetwork,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Option<oneshot::Receiver<Turn<T>>> {
        let (sender, receiver) = oneshot::channel();
        let job = move |turn: Turn<()>| {
            if !sender.is_closed() {
                _ = sender.send(turn.map(|()| job()));
            }
        };
        self.enqueue((owner, client), Box::new(job)).then_some(receiver)
    }

    /// Whether the job has a place now.
    fn enqueue(&self, place: Place, job: Job) -> bool {
        let mut queue = self.shared.lock();
        let limit = self.limit();
        if !self.has_threads(&mut queue) {
            return false;
        }
        let share = queue.waiting.get(&place.0).map_or(0, |share| share.jobs);
        let is_share_full = share >= limit / SHARE;
        let is_full = is_share_full || queue.jobs.len() >= limit;
        let displaced = if is_full { queue.displace(place, is_share_full) } else { None };
        if is_full && displaced.is_none() {
            return false;
        }
        queue.enter(place, job);
        drop(queue);
        self.shared.stirred.notify_one();
        if let Some(job) = displaced {
            job(Err(Displaced));
        }
        true
    }

    fn has_threads(&self, queue: &mut Queue) -> bool {
        while queue.threads < self.threads {
            let shared = Arc::clone(&self.shared);
            let name = format!("blocking-{}", queue.threads);
            match thread::Builder::new().name(name).spawn(move || shared.work()) {
                Ok(_) => queue.threads += 1,
                Err(error) => {
                    tracing::error!(%error, "no thread for decryption");
                    break;
                }
            }
        }
        queue.threads > 0
    }
}

impl Shared {
    /// Nothing panics under the lock.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        while let Some(job) = self.next() {
            if catch_unwind(AssertUnwindSafe(|| job(Ok(())))).is_err() {
                tracing::error!("a job panicked; its call is refused");
            }
        }
    }

    fn next(&self) -> Option<Job> {
        let mut queue = self.lock();
        loop {
            if let Some((place, job)) = queue.jobs.pop_front() {
                queue.leave(place);
                return Some(job);
            }
            if queue.is_closed {
                return None;
            }
            queue = self.stirred.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Blocking {
    /// Jobs that wait are still done.
    fn drop(&mut self) {
        self.shared.lock().is_closed = true;
        self.shared.stirred.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const OTHER: Owner = Some(AppNumber(4));
    const ONE: Owner = Some(AppNumber(1));
    const HERE: ClientNetwork = ClientNetwork(1);
    const THERE: ClientNetwork = ClientNetwork(2);
    const ELSEWHERE: ClientNetwork = ClientNetwork(3);

    /// A pool whose one thread is held until this is dropped.
    type Hold = (mpsc::Sender<()>, oneshot::Receiver<Turn<()>>);

    fn held() -> (Blocking, Hold) {
        let (pool, (release, held), (begun, started)) = (Blocking::new(1), mpsc::channel(), mpsc::channel());
        let job = pool.submit_from(Some(AppNumber(0)), HERE, move || {
            _ = begun.send(());
            _ = held.recv();
        });
        started.recv().unwrap();
        (pool, (release, job.unwrap()))
    }

    #[tokio::test]
    async fn jobs_are_done_in_their_order_and_give_their_answers() {
        let pool = Blocking::new(3);
        let answers: Vec<_> =
            (0..20).map(|n| pool.submit_from(Some(AppNumber(n % 2)), HERE, move || n * n).unwrap()).collect();
        for (n, answer) in (0..).zip(answers) {
            assert_eq!(answer.await.unwrap(), Ok(n * n));
        }
        assert_eq!(pool.waiting(), 0);
    }

    #[tokio::test]
    async fn no_owner_fills_more_than_a_quarter_and_all_together_no_more_than_the_queue() {
        let (pool, release) = held();
        let fill = |owner| {
            let jobs = std::iter::from_fn(|| pool.submit_from(owner, HERE, || ())).take(1000).collect::<Vec<_>>();
            (jobs.len(), jobs)
        };
        let quarter = pool.limit() / 4;
        let filled: Vec<_> = [None, ONE, Some(AppNumber(2)), Some(AppNumber(3)), OTHER].map(fill).into();
        assert_eq!(filled.iter().map(|(count, _)| *count).collect::<Vec<_>>(), [quarter, quarter, quarter, quarter, 0]);
        assert_eq!(pool.waiting(), pool.limit());
        drop(release);
        for answer in filled.into_iter().flat_map(|(_, jobs)| jobs) {
            answer.await.unwrap().unwrap();
        }
        assert!(pool.submit_from(OTHER, HERE, || ()).is_some(), "there is room again");
    }

    #[tokio::test]
    async fn a_flood_for_an_owner_from_one_address_keeps_no_other_address_out() {
        let (pool, release) = held();
        let share = pool.limit() / SHARE;
        let mut flood: Vec<_> = std::iter::from_fn(|| pool.submit_from(ONE, HERE, || "flood")).take(1000).collect();
        assert_eq!(flood.len(), share, "alone it may have all of the share");
        let others: Vec<_> = std::iter::from_fn(|| pool.submit_from(ONE, THERE, || "own")).take(1000).collect();
        assert_eq!(others.len(), share / 2, "and half of it where another client comes");
        assert!(pool.submit_from(ONE, HERE, || "flood").is_none());
        let late = pool.submit_from(ONE, ELSEWHERE, || "own").unwrap();
        assert_eq!(pool.waiting(), share);
        drop(release);
        assert_eq!(late.await.unwrap(), Ok("own"));
        let mut kept = 0;
        for answer in others {
            kept += usize::from(answer.await.unwrap() == Ok("own"));
        }
        let oldest = flood.remove(0);
        assert_eq!(oldest.await.unwrap(), Ok("flood"));
        let newest = flood.pop().unwrap();
        assert_eq!(newest.await.unwrap(), Err(Displaced), "the newest of the flood gave way");
        assert!(kept >= share / 2 - 1, "{kept}");
    }

    #[tokio::test]
    async fn a_flood_for_several_owners_from_one_address_keeps_no_other_owner_out() {
        let (pool, release) = held();
        let owners = [None, ONE, Some(AppNumber(2)), Some(AppNumber(3))];
        let flood: Vec<_> = owners
            .iter()
            .flat_map(|owner| std::iter::from_fn(|| pool.submit_from(*owner, HERE, || ())).take(999))
            .collect();
        assert_eq!((flood.len(), pool.waiting()), (pool.limit(), pool.limit()));
        assert!(pool.submit_from(OTHER, HERE, || ()).is_none());
        let others: Vec<_> = std::iter::from_fn(|| pool.submit_from(OTHER, THERE, || 7)).take(999).collect();
        assert_eq!(others.len(), pool.limit() / SHARE, "all of its share");
        assert_eq!(pool.waiting(), pool.limit());
        drop(release);
        for answer in others {
            assert_eq!(answer.await.unwrap(), Ok(7));
        }
    }

    #[test]
    fn a_network_of_ipv6_is_one_client_and_each_ipv4_address_is_another() {
        let client = |text: &str| ClientNetwork::from(Some(text.parse::<IpAddr>().unwrap()));
        assert_eq!(client("2001:db8::1"), client("2001:db8::2:3"));
        assert_ne!(client("2001:db8::1"), client("2001:db8:0:1::1"));
        assert_eq!(client("192.0.2.1"), client("::ffff:192.0.2.1"));
        assert_ne!(client("192.0.2.1"), client("192.0.2.2"));
        assert_ne!(ClientNetwork::from(None), client("192.0.2.1"));
    }

    #[tokio::test]
    async fn a_job_that_nobody_waits_for_any_more_is_left_out() {
        let (pool, release) = held();
        let (done, count) = mpsc::channel();
        let job = |n| {
            let done = done.clone();
            pool.submit_from(ONE, HERE, move || done.send(n)).unwrap()
        };
        let (left, awaited) = (job(1), job(2));
        drop(left);
        drop(release);
        awaited.await.unwrap().unwrap().unwrap();
        drop(done);
        assert_eq!(count.into_iter().collect::<Vec<_>>(), [2]);
    }

    #[tokio::test]
    async fn a_job_that_panics_takes_no_other_with_it() {
        let pool = Blocking::new(1);
        let panicked = pool.submit_from(ONE, HERE, || panic!("on purpose")).unwrap();
        assert!(panicked.await.is_err());
        assert_eq!(pool.submit_from(ONE, HERE, || 7).unwrap().await.unwrap(), Ok(7));
    }

    #[tokio::test]
    async fn jobs_that_wait_are_done_when_the_pool_goes() {
        let (pool, release) = held();
        let answer = pool.submit_from(ONE, HERE, || 7).unwrap();
        drop(pool);
        drop(release);
        assert_eq!(answer.await.unwrap(), Ok(7));
    }
}
