//! File descriptors: what the system lets this process have open, and how it is divided.
//!
//! Each client connection may need a connection to an upstream, so either side gets a half of what is left when the
//! listeners, the stores, the configuration's files and the telemetry have their part.

use std::fs::File;
use std::io;
use std::net::{Ipv6Addr, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// For the stores' files, the configuration's, and look-ups of names.
const FILES: usize = 64;
/// Questions to the telemetry listener at once.
const TELEMETRY: usize = 64;
/// A listener, an epoll and what wakes it.
const PER_WORKER: usize = 4;

/// How many connections this process may have to others.
static UPSTREAMS: Budget = Budget::unlimited();

/// How the descriptors of this process are divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DescriptorPlan {
    /// What the system lets it have open.
    pub limit: usize,
    pub clients: usize,
    pub upstreams: usize,
    pub telemetry: usize,
}

impl DescriptorPlan {
    /// Raises the limit as far as the system lets us, divides it, and bounds the connections to others from now on.
    pub fn apply(clients: usize, workers: usize) -> Self {
        let plan = Self::new(raise_limit(), count_open(), clients, workers);
        UPSTREAMS.set_limit(plan.upstreams);
        plan
    }

    fn new(limit: usize, open: usize, clients: usize, workers: usize) -> Self {
        // Where there are few, everything gets fewer.
        let telemetry = TELEMETRY.min(limit / 8).max(1);
        let reserved = (open + FILES + TELEMETRY + PER_WORKER * workers).min(limit / 2);
        let rest = limit - reserved;
        let clients = clients.min(rest / 2).max(1);
        Self { limit, clients, upstreams: (rest - clients.min(rest)).max(1), telemetry }
    }

    /// The limit at which so many clients could connect.
    pub fn needed(&self, clients: usize) -> usize {
        self.limit.saturating_add(clients.saturating_sub(self.clients).saturating_mul(2))
    }
}

/// The soft limit becomes the hard one: nothing here uses `select`, which is what the soft one is low for.
fn raise_limit() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    let reached = if setrlimit(Resource::Nofile, raised).is_ok() { raised } else { limit };
    reached.current.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX)
}

fn count_open() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(32, Iterator::count)
}

/// What the gateway itself has none of, so that it can't connect. No upstream is to blame for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exhausted {
    Descriptors,
    Ports,
    Memory,
}

impl Exhausted {
    pub(super) fn of(error: &io::Error) -> Option<Self> {
        use rustix::io::Errno;
        match Errno::from_io_error(error)? {
            Errno::MFILE | Errno::NFILE => Some(Self::Descriptors),
            Errno::ADDRINUSE | Errno::ADDRNOTAVAIL => Some(Self::Ports),
            Errno::NOBUFS | Errno::NOMEM => Some(Self::Memory),
            _ => None,
        }
    }

    /// For look-ups of names, which do not say so.
    pub(super) fn of_descriptors_now() -> Option<Self> {
        File::open("/dev/null").err().and_then(|error| Self::of(&error))
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Descriptors => "the gateway has no file descriptor left: raise its limit of open files",
            Self::Ports => "the gateway has no free port left for another connection",
            Self::Memory => "the system has no memory left for another connection",
        }
    }
}

/// Without IPv6, connecting to one of its addresses fails as it does without a free port.
pub(super) fn has_ipv6() -> bool {
    UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

/// Takes a place for a connection to another server.
pub(super) fn connection() -> Option<Place> {
    UPSTREAMS.take()
}

/// Whether few places are left, so that no connection should be kept that is not in use.
pub fn connections_are_scarce() -> bool {
    UPSTREAMS.is_scarce()
}

struct Budget {
    used: AtomicUsize,
    limit: AtomicUsize,
}

impl Budget {
    const fn unlimited() -> Self {
        Self { used: AtomicUsize::new(0), limit: AtomicUsize::new(usize::MAX) }
    }

    fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    fn take(&'static self) -> Option<Place> {
        let place = Place(self);
        (self.used.fetch_add(1, Ordering::Relaxed) < self.limit.load(Ordering::Relaxed)).then_some(place)
    }

    /// Three in four are taken.
    fn is_scarce(&self) -> bool {
        let limit = self.limit.load(Ordering::Relaxed);
        self.used.load(Ordering::Relaxed) >= limit - limit / 4
    }
}

/// A connection's part of the descriptors.
pub(super) struct Place(&'static Budget);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.used.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_side_has_a_half_where_there_are_few_descriptors() {
        let plan = DescriptorPlan::new(1024, 20, 10_000, 2);
        assert_eq!(plan, DescriptorPlan { limit: 1024, clients: 434, upstreams: 434, telemetry: 64 });
        let needed = plan.needed(10_000);
        assert_eq!(DescriptorPlan::new(needed, 20, 10_000, 2).clients, 10_000);
        assert_eq!(DescriptorPlan::new(needed - 2, 20, 10_000, 2).clients, 9_999);
    }

    #[test]
    fn all_clients_are_taken_where_there_are_many_descriptors() {
        for limit in [524_288, usize::MAX] {
            let plan = DescriptorPlan::new(limit, 20, 10_000, 2);
            assert_eq!((plan.clients, plan.upstreams), (10_000, limit - 156 - 10_000));
            assert_eq!(plan.needed(10_000), limit);
        }
    }

    #[test]
    fn there_is_one_of_each_however_few_descriptors_there_are() {
        for limit in 0..64 {
            let plan = DescriptorPlan::new(limit, 20, 10_000, 2);
            assert!(plan.clients >= 1 && plan.upstreams >= 1 && plan.telemetry >= 1, "{plan:?}");
        }
    }

    #[test]
    fn a_place_is_free_again_when_its_connection_is_gone() {
        static BUDGET: Budget = Budget::unlimited();
        BUDGET.set_limit(4);
        let mut taken: Vec<_> = (0..4).map(|_| BUDGET.take().unwrap()).collect();
        assert!(BUDGET.take().is_none() && BUDGET.take().is_none() && BUDGET.is_scarce());
        taken.truncate(2);
        assert!(!BUDGET.is_scarce());
        assert!(BUDGET.take().is_some());
    }

    #[test]
    fn what_the_system_has_none_of_is_known_by_its_number() {
        let of = |code| Exhausted::of(&io::Error::from_raw_os_error(code));
        assert_eq!([24, 23].map(of), [Some(Exhausted::Descriptors); 2]);
        assert_eq!([98, 99].map(of), [Some(Exhausted::Ports); 2]);
        assert_eq!([105, 12].map(of), [Some(Exhausted::Memory); 2]);
        assert_eq!([111, 113, 104, 13].map(of), [None; 4]);
        assert_eq!(Exhausted::of(&io::Error::other("no number")), None);
        assert_eq!(Exhausted::of_descriptors_now(), None);
    }
}
