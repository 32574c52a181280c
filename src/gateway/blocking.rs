//! Threads for work that would hold up a worker: few of them, and a bounded queue before them.

use std::collections::{HashMap, VecDeque};
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

/// Runs jobs on threads of its own, which are made with the first job and end with the last copy of the pool.
///
/// A flood meets two bounds: the queue is never longer than its limit, and no owner fills more than a quarter of it, so
/// that whoever floods one app's key, or keys that nobody has, does not keep the jobs of others out.
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
    jobs: VecDeque<(Owner, Job)>,
    waiting: HashMap<Owner, usize>,
    threads: usize,
    is_closed: bool,
}

type Job = Box<dyn FnOnce() + Send>;

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

    /// Queues a job; none when the queue or the owner's share of it is full. What it gives is to be awaited: when the
    /// receiver is dropped before its turn comes, the job is left out; when the job panics, the sender is dropped.
    pub fn submit<T: Send + 'static>(
        &self,
        owner: Owner,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Option<oneshot::Receiver<T>> {
        let (sender, receiver) = oneshot::channel();
        let job = Box::new(move || {
            if !sender.is_closed() {
                _ = sender.send(job());
            }
        });
        let mut queue = self.shared.lock();
        let limit = self.limit();
        let share = queue.waiting.get(&owner).copied().unwrap_or(0);
        if queue.jobs.len() >= limit || share >= limit / SHARE || !self.has_threads(&mut queue) {
            return None;
        }
        queue.jobs.push_back((owner, job));
        queue.waiting.insert(owner, share + 1);
        drop(queue);
        self.shared.stirred.notify_one();
        Some(receiver)
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
            if catch_unwind(AssertUnwindSafe(job)).is_err() {
                tracing::error!("a job panicked; its call is refused");
            }
        }
    }

    fn next(&self) -> Option<Job> {
        let mut queue = self.lock();
        loop {
            if let Some((owner, job)) = queue.jobs.pop_front() {
                if let Some(waiting) = queue.waiting.get_mut(&owner) {
                    *waiting -= 1;
                    if *waiting == 0 {
                        queue.waiting.remove(&owner);
                    }
                }
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

    /// A pool whose one thread is held until this is dropped.
    type Hold = (mpsc::Sender<()>, oneshot::Receiver<()>);

    fn held() -> (Blocking, Hold) {
        let (pool, (release, held), (begun, started)) = (Blocking::new(1), mpsc::channel(), mpsc::channel());
        let job = pool.submit(Some(AppNumber(0)), move || {
            _ = begun.send(());
            _ = held.recv();
        });
        started.recv().unwrap();
        (pool, (release, job.unwrap()))
    }

    #[tokio::test]
    async fn jobs_are_done_in_their_order_and_give_their_answers() {
        let pool = Blocking::new(3);
        let answers: Vec<_> = (0..20).map(|n| pool.submit(Some(AppNumber(n % 2)), move || n * n).unwrap()).collect();
        for (n, answer) in (0..).zip(answers) {
            assert_eq!(answer.await.unwrap(), n * n);
        }
        assert_eq!(pool.waiting(), 0);
    }

    #[tokio::test]
    async fn no_owner_fills_more_than_a_quarter_and_all_together_no_more_than_the_queue() {
        let (pool, release) = held();
        let fill = |owner| {
            let jobs = std::iter::from_fn(|| pool.submit(owner, || ())).take(1000).collect::<Vec<_>>();
            (jobs.len(), jobs)
        };
        let quarter = pool.limit() / 4;
        let filled: Vec<_> = [None, ONE, Some(AppNumber(2)), Some(AppNumber(3)), OTHER].map(fill).into();
        assert_eq!(filled.iter().map(|(count, _)| *count).collect::<Vec<_>>(), [quarter, quarter, quarter, quarter, 0]);
        assert_eq!(pool.waiting(), pool.limit());
        drop(release);
        for answer in filled.into_iter().flat_map(|(_, jobs)| jobs) {
            answer.await.unwrap();
        }
        assert!(pool.submit(OTHER, || ()).is_some(), "there is room again");
    }

    #[tokio::test]
    async fn a_job_that_nobody_waits_for_any_more_is_left_out() {
        let (pool, release) = held();
        let (done, count) = mpsc::channel();
        let job = |n| {
            let done = done.clone();
            pool.submit(ONE, move || done.send(n)).unwrap()
        };
        let (left, awaited) = (job(1), job(2));
        drop(left);
        drop(release);
        awaited.await.unwrap().unwrap();
        drop(done);
        assert_eq!(count.into_iter().collect::<Vec<_>>(), [2]);
    }

    #[tokio::test]
    async fn a_job_that_panics_takes_no_other_with_it() {
        let pool = Blocking::new(1);
        let panicked = pool.submit(ONE, || panic!("on purpose")).unwrap();
        assert!(panicked.await.is_err());
        assert_eq!(pool.submit(ONE, || 7).unwrap().await.unwrap(), 7);
    }

    #[tokio::test]
    async fn jobs_that_wait_are_done_when_the_pool_goes() {
        let (pool, release) = held();
        let answer = pool.submit(ONE, || 7).unwrap();
        drop(pool);
        drop(release);
        assert_eq!(answer.await.unwrap(), 7);
    }
}
