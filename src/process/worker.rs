//! A worker: a thread with a runtime, a listener and a pool of its own.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hyper::body::Incoming;
use tokio::runtime::Builder;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::gateway::forward::Forward;
use crate::gateway::{Gate, Own, OwnAnswers, stack};
use crate::net::{Connections, Listener, ServerSettings, Shutdown, Socket, serve, told_to_stop};

/// After the drain: for responses that say so to be written.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

pub(super) struct Worker {
    pub gate: Gate,
    pub forward: Forward<Incoming>,
    pub answers: Arc<dyn OwnAnswers>,
    pub settings: ServerSettings,
    pub drain: Duration,
    pub open: Connections,
    pub shutdown: Shutdown,
    /// They end together: a connection of one may carry calls of another.
    pub together: Arc<Barrier>,
}

impl Worker {
    pub fn spawn(self, number: usize, sockets: Vec<Socket>) -> io::Result<JoinHandle<()>> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (together, drain) = (Arc::clone(&self.together), self.drain);
        let run = move || {
            let listen = || sockets.into_iter().map(Listener::new).collect::<io::Result<Vec<_>>>();
            match runtime.block_on(async { listen() }) {
                Ok(listeners) => runtime.block_on(async {
                    self.run(listeners).await;
                    _ = tokio::time::timeout(drain, together.wait()).await;
                }),
                Err(error) => tracing::error!(%error, "a worker lost its listener"),
            }
        };
        thread::Builder::new().name(format!("worker-{number}")).spawn(run)
    }

    async fn run(self, listeners: Vec<Listener>) {
        let service = stack(&self.gate, Own::new(self.answers, self.forward));
        let stop = self.shutdown.clone();
        let drain = self.drain;
        let deadline = async move {
            told_to_stop(stop).await;
            tokio::time::sleep(drain).await;
        };
        let mut served = JoinSet::new();
        for listener in listeners {
            let (settings, open) = (self.settings.clone(), Arc::clone(&self.open));
            served.spawn(serve(listener, settings, open, service.clone(), self.shutdown.clone()));
        }
        let mut served = pin!(served.join_all());
        tokio::select! {
            _ = &mut served => {}
            () = deadline => {
                tracing::warn!(?drain, "calls were still in hand when the drain time was over");
                _ = tokio::time::timeout(LAST_ANSWERS, served).await;
            }
        }
    }
}
