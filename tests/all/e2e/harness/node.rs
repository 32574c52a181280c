//! A gateway in this process, with a clock that the test moves: the real composition, over real sockets and a real store.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use metrics_exporter_prometheus::PrometheusBuilder;
use scopegate::clock::{Clock, ManualClock, Timestamp};
use scopegate::config::{self, RegistryFile};
use scopegate::process::{ConfigSource, Parts, Prepared};
use scopegate::registry::{Actor, Plan, PlanOptions, Repository as _};
use scopegate::store::{Store, StoreSettings};
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::{Call, Reply, eventually};
use crate::support::Log;
use crate::support::log::Line;

/// A running gateway. Nodes of one folder are nodes of one gateway.
pub struct Node {
    pub address: SocketAddr,
    pub telemetry: SocketAddr,
    pub clock: Arc<ManualClock>,
    log: Arc<Log>,
    place: Place,
    control: tokio::runtime::Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What survives a node.
#[derive(Clone)]
struct Place {
    /// Goes with the last node.
    folder: Arc<TempDir>,
    configuration: String,
    clock: Clock,
}

/// What a started thread tells.
struct Started {
    address: SocketAddr,
    telemetry: SocketAddr,
    control: tokio::runtime::Handle,
}

impl Node {
    /// `top` are the keys before any section; the registry file may be empty but for its version.
    pub fn start(top: &str, sections: &str, registry: &str, now: Timestamp) -> Self {
        Self::start_on("127.0.0.1:0", top, sections, registry, now)
    }

    /// On a port that others have to know before it starts.
    pub fn start_on(listen: &str, top: &str, sections: &str, registry: &str, now: Timestamp) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let store = folder.path().join("scopegate.db");
        let configuration = format!(
            "{top}\n[proxy]\nlisten = {listen:?}\nworkers = 1\nreason_header = true\n[telemetry]\nlisten = \"127.0.0.1:0\"\n\
             [store]\nurl = \"sqlite://{}\"\n[replay]\nurl = \"memory://\"\n{sections}",
            store.display()
        );
        let (clock, hands) = Clock::manual(now);
        Self::of(Place { folder, configuration, clock }, hands, Some(registry.to_owned()))
    }

    /// Another node of the same gateway, with the same clock.
    pub fn another(&self) -> Self {
        Self::of(self.place.clone(), Arc::clone(&self.clock), None)
    }

    /// Stops the node and starts it anew.
    pub fn restart(mut self) -> Self {
        self.end();
        Self::of(self.place.clone(), Arc::clone(&self.clock), None)
    }

    fn of(place: Place, hands: Arc<ManualClock>, registry: Option<String>) -> Self {
        let (log, (stop, stopped), (tell, told)) = (Arc::<Log>::default(), oneshot::channel(), mpsc::channel());
        let (kept, logged) = (place.clone(), Arc::clone(&log));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(run(kept, registry, logged, tell, stopped));
        });
        let Started { address, telemetry, control } = told.recv().unwrap();
        Self { address, telemetry, clock: hands, log, place, control, stop: Some(stop), thread: Some(thread) }
    }

    pub fn clock_time(&self) -> Timestamp {
        self.place.clock.now()
    }

    /// Seconds since 1970.
    pub fn clock_now(&self) -> i64 {
        self.clock_time().secs()
    }

    /// Where clients of their own reach it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn call(&self, call: &Call) -> Reply {
        call.to(self.address)
    }

    /// What the log says of a call.
    pub fn logged(&self, reply: &Reply) -> Line {
        let id = reply.request_id().to_owned();
        eventually("a line of the log", || self.log.take().into_iter().find(|line| line.request_id == id))
    }

    /// The log's line of the call to a path whose id the caller does not know.
    pub fn logged_of(&self, path: &str) -> Line {
        eventually("a line of the log", || self.log.take().into_iter().find(|line| line.uri == path))
    }

    /// The file of the store.
    pub fn store_path(&self) -> PathBuf {
        self.place.folder.path().join("scopegate.db")
    }

    /// Applies a registry file; requests see it when this returns.
    pub fn apply(&self, registry: &str) {
        let (place, registry) = (self.place.clone(), registry.to_owned());
        self.with_store(move |store| async move { apply(&store, &place, &registry).await });
        // Followed within a second; a test that asks at once would race.
        super::rest(std::time::Duration::from_millis(600));
    }

    /// Does something with the store of this gateway.
    pub fn with_store<F, T>(&self, work: impl FnOnce(Store) -> F + Send + 'static) -> T
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        let (place, (tell, told)) = (self.place.clone(), mpsc::channel());
        self.control.spawn(async move {
            let store = open(&place).await;
            tell.send(work(store.clone()).await).unwrap();
            store.close().await;
        });
        told.recv().unwrap()
    }

    fn end(&mut self) {
        _ = self.stop.take().map(|stop| stop.send(()));
        _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.end();
    }
}

async fn run(
    place: Place,
    registry: Option<String>,
    log: Arc<Log>,
    tell: mpsc::Sender<Started>,
    stopped: oneshot::Receiver<()>,
) {
    let store = open(&place).await;
    if let Some(registry) = registry {
        apply(&store, &place, &registry).await;
    }
    let config = config::parse("the test's configuration", &place.configuration).unwrap();
    let metrics = PrometheusBuilder::new().build_recorder().handle();
    let parts = Parts { config, source: ConfigSource::Own, store: store.clone(), metrics, clock: place.clock.clone() };
    let prepared = Prepared::new(parts, |_, _| log).await.unwrap();
    let running = prepared.start().unwrap();
    let (address, telemetry) = (running.address().unwrap(), running.telemetry);
    tell.send(Started { address, telemetry, control: tokio::runtime::Handle::current() }).unwrap();
    _ = stopped.await;
    running.stop().await;
    store.close().await;
}

async fn open(place: &Place) -> Store {
    let config = config::parse("the test's configuration", &place.configuration).unwrap();
    Store::open(&StoreSettings { url: config.store.url, key_file: None, create: true }).await.unwrap()
}

async fn apply(store: &Store, place: &Place, registry: &str) {
    let config = config::parse("the test's configuration", &place.configuration).unwrap();
    let file = RegistryFile::parse("the test's registry", registry).unwrap();
    let stored = store.load().await.unwrap().1;
    let plan = Plan::new(&stored, file.desired(), &config.grants, PlanOptions::default()).unwrap();
    let actor = Actor { name: "test".into(), why: None, at: place.clock.now() };
    store.commit(&plan.0, &actor).await.unwrap();
}
