//! Connections to one upstream: the last one used is the first one used again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::Body;
use rustls::ClientConfig;

use super::address::Address;
use super::connection::{Connection, Exclusive};
use super::fault::Fault;
use super::http2::Multiplexed;
use super::{Protocol, Upstream};
use crate::clock::instant;
use crate::net::{ConnectError, TlsTarget, connect, connections_are_scarce};

/// The connections that take another call. Those of HTTP/1.1 that carry one belong to its answer, which gives them back.
pub(super) struct Pool<B> {
    upstream: Arc<Upstream>,
    slots: Mutex<Vec<Slot<B>>>,
}

/// Those to one address.
struct Slot<B> {
    address: Arc<Address>,
    idle: VecDeque<Idle<B>>,
    multiplexed: Vec<Shared<B>>,
    /// Whether the server chose HTTP/2 before: then the next calls wait for one connection, instead of making many.
    is_multiplexed: bool,
    connecting: Arc<Turns>,
}

/// One call at a time makes a connection that many will share; what it failed by is the answer to those who waited.
type Turns = tokio::sync::Mutex<Option<(Instant, ConnectError)>>;

struct Idle<B> {
    connection: Exclusive<B>,
    since: Instant,
}

struct Shared<B> {
    connection: Multiplexed<B>,
    used: Instant,
}

/// A connection for a call.
pub(super) struct Obtained<B> {
    pub connection: Connection<B>,
    /// Used before: the upstream may have closed it by now.
    pub is_kept: bool,
}

impl<B> Obtained<B> {
    fn fresh(connection: Connection<B>) -> Self {
        Self { connection, is_kept: false }
    }

    fn kept(connection: Connection<B>) -> Self {
        Self { connection, is_kept: true }
    }
}

impl<B> Slot<B> {
    fn new(address: &Arc<Address>, is_multiplexed: bool) -> Self {
        let (idle, multiplexed, connecting) = (VecDeque::new(), Vec::new(), Arc::default());
        Self { address: Arc::clone(address), idle, multiplexed, is_multiplexed, connecting }
    }

    fn sweep(&mut self, upstream: &Upstream, now: Instant) {
        let idle = upstream.settings.timeouts.idle;
        while self.idle.front().is_some_and(|i| now.duration_since(i.since) > idle) {
            self.idle.pop_front();
        }
        self.multiplexed.retain(|shared| {
            let is_unused = shared.connection.streams() == 0 && now.duration_since(shared.used) > idle;
            !shared.connection.is_closed() && !is_unused
        });
    }
}

fn is_too_old(upstream: &Upstream, born: Instant, now: Instant) -> bool {
    upstream.settings.timeouts.lifetime.is_some_and(|lifetime| now.duration_since(born) > lifetime)
}

impl<B> Pool<B> {
    pub fn upstream(&self) -> &Arc<Upstream> {
        &self.upstream
    }

    fn slots(&self) -> MutexGuard<'_, Vec<Slot<B>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes back a connection whose answer is complete.
    pub fn give_back(&self, address: &Arc<Address>, connection: Exclusive<B>) {
        let (now, upstream) = (instant(), &self.upstream);
        if connection.io.is_broken() || is_too_old(upstream, connection.born, now) || connections_are_scarce() {
            return;
        }
        let mut slots = self.slots();
        let Some(slot) = slots.iter_mut().find(|slot| Arc::ptr_eq(&slot.address, address)) else { return };
        if slot.idle.len() < upstream.settings.max_idle {
            slot.idle.push_back(Idle { connection, since: now });
        }
    }

    /// A connection that is there already; else whether to wait for one that somebody makes.
    fn take(&self, address: &Arc<Address>) -> Result<Obtained<B>, Option<Arc<Turns>>> {
        let (now, upstream) = (instant(), &*self.upstream);
        let mut slots = self.slots();
        let Some(slot) = slots.iter_mut().find(|slot| Arc::ptr_eq(&slot.address, address)) else {
            let slot = Slot::new(address, upstream.settings.protocol == Protocol::Http2);
            let connecting = slot.is_multiplexed.then(|| Arc::clone(&slot.connecting));
            slots.push(slot);
            return Err(connecting);
        };
        if let Some(Idle { connection, since }) = slot.idle.pop_back()
            && now.duration_since(since) <= upstream.settings.timeouts.idle
            && !is_too_old(upstream, connection.born, now)
        {
            return Ok(Obtained::kept(Connection::Exclusive(connection)));
        }
        if !slot.multiplexed.is_empty() {
            slot.sweep(upstream, now);
        }
        let most = upstream.settings.max_streams;
        let fits = |shared: &&mut Shared<B>| {
            shared.connection.streams() < shared.connection.most(most)
                && !is_too_old(upstream, shared.connection.born(), now)
        };
        if let Some(shared) = slot.multiplexed.iter_mut().find(fits) {
            shared.used = now;
            return Ok(Obtained::kept(shared.connection.take()));
        }
        Err(slot.is_multiplexed.then(|| Arc::clone(&slot.connecting)))
    }

    fn is_multiplexed(&self, address: &Arc<Address>) -> bool {
        self.slots().iter().any(|slot| Arc::ptr_eq(&slot.address, address) && slot.is_multiplexed)
    }

    /// Lets other calls have their part in a connection of HTTP/2.
    fn share(&self, address: &Arc<Address>, connection: &Multiplexed<B>) {
        let mut slots = self.slots();
        if let Some(slot) = slots.iter_mut().find(|slot| Arc::ptr_eq(&slot.address, address)) {
            slot.is_multiplexed = true;
            slot.multiplexed.push(Shared { connection: connection.clone(), used: instant() });
        }
    }

    /// Closes what nobody used for long, and whatever leads to addresses that are gone.
    fn sweep(&self) {
        let (now, addresses) = (instant(), self.upstream.addresses());
        let mut slots = self.slots();
        slots.retain(|slot| addresses.iter().any(|address| Arc::ptr_eq(address, &slot.address)));
        for slot in slots.iter_mut() {
            slot.sweep(&self.upstream, now);
        }
    }
}

impl<B: Send + 'static> Pool<B> {
    /// A pool that sweeps itself as long as it is in use.
    pub fn start(upstream: Arc<Upstream>) -> Arc<Self> {
        let every = (upstream.settings.timeouts.idle / 2).clamp(Duration::from_millis(100), Duration::from_secs(10));
        let pool = Arc::new(Self { upstream, slots: Mutex::default() });
        let weak = Arc::downgrade(&pool);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(every).await;
                let Some(pool) = weak.upgrade() else { break };
                pool.sweep();
            }
        });
        pool
    }
}

impl<B> Pool<B>
where
    B: Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + Unpin + 'static,
{
    /// A kept connection, or a new one.
    pub async fn obtain(&self, address: &Arc<Address>) -> Result<Obtained<B>, Fault> {
        let connecting = match self.take(address) {
            Ok(obtained) => return Ok(obtained),
            Err(connecting) => connecting,
        };
        let Some(connecting) = connecting else {
            return self.connect(address).await.map(Obtained::fresh);
        };
        // With HTTP/2, one call makes the connection and the others get their part in it.
        let (since, limit) = (instant(), self.upstream.settings.timeouts.connect);
        let turn = tokio::time::timeout(limit, connecting.lock()).await;
        let mut turn = turn.map_err(|_| Fault::Connect(ConnectError::Timeout(limit)))?;
        if let Ok(obtained) = self.take(address) {
            return Ok(obtained);
        }
        if let Some((at, error)) = &*turn
            && *at >= since
        {
            return Err(Fault::Connect(error.clone()));
        }
        let made = self.connect(address).await;
        if let Err(Fault::Connect(error)) = &made {
            *turn = Some((instant(), error.clone()));
        }
        made.map(Obtained::fresh)
    }

    /// A new one, since a kept one was closed already; of HTTP/2, which many share, one that others may have made by now.
    pub async fn obtain_fresh(&self, address: &Arc<Address>) -> Result<Obtained<B>, Fault> {
        if self.is_multiplexed(address) {
            return self.obtain(address).await;
        }
        self.connect(address).await.map(Obtained::fresh)
    }

    /// A new one of HTTP/1.1, where either could be spoken: nothing is upgraded on a connection that others share.
    pub async fn obtain_http1(&self, address: &Address) -> Result<Obtained<B>, Fault> {
        let offering = |(config, name): &TlsTarget| {
            let mut config = ClientConfig::clone(config);
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            (Arc::new(config), name.clone())
        };
        let tls = address.tls.as_ref().map(offering);
        self.connect_with(address, tls.as_ref()).await.map(Obtained::fresh)
    }

    /// A new one, in which others get their part if it can be shared.
    async fn connect(&self, address: &Arc<Address>) -> Result<Connection<B>, Fault> {
        let connection = self.connect_with(address, address.tls.as_ref()).await?;
        if let Connection::Multiplexed { share, .. } = &connection {
            self.share(address, share);
        }
        Ok(connection)
    }

    async fn connect_with(&self, address: &Address, tls: Option<&TlsTarget>) -> Result<Connection<B>, Fault> {
        metrics::counter!("scopegate_upstream_connections_total").increment(1);
        let (protocol, limit) = (self.upstream.settings.protocol, self.upstream.settings.timeouts.connect);
        let connected = connect(&address.remote, tls, limit).await.map_err(Fault::Connect)?;
        let begun = Connection::begin(connected, protocol, self.upstream.settings.header_bounds);
        tokio::time::timeout(limit, begun).await.unwrap_or(Err(Fault::Connect(ConnectError::Timeout(limit))))
    }
}
