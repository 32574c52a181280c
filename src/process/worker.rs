//! A worker: a thread with a runtime, a listener and a pool of its own.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio::runtime::Builder;

use crate::gateway::forward::Forward;
use crate::gateway::{Gate, Own, OwnAnswers, stack};
use crate::net::{Connections, ServerSettings, Shutdown, serve, told_to_stop};

pub(super) struct Worker {
    pub gate: Gate,
    pub forward: Forward<Incoming>,
    pub answers: Arc<dyn OwnAnswers>,
    pub settings: ServerSettings,
    pub drain: Duration,
    pub open: Connections,
    pub shutdown: Shutdown,
}

impl Worker {
    pub fn spawn(self, number: usize, listener: TcpListener) -> io::Result<JoinHandle<()>> {
        // The listener was bound under the control runtime, and is to be polled by this worker's.
        let listener = listener.into_std()?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let run = move || {
            let served = runtime.block_on(async { TcpListener::from_std(listener).map(|l| self.run(l)) });
            match served {
                Ok(run) => runtime.block_on(run),
                Err(error) => tracing::error!(%error, "a worker lost its listener"),
            }
        };
        thread::Builder::new().name(format!("worker-{number}")).spawn(run)
    }

    async fn run(self, listener: TcpListener) {
        let service = stack(&self.gate, Own::new(self.answers, self.forward));
        let stop = self.shutdown.clone();
        let drain = self.drain;
        let deadline = async move {
            told_to_stop(stop).await;
            tokio::time::sleep(drain).await;
        };
        tokio::select! {
            () = serve(listener, self.settings, self.open, service, self.shutdown) => {}
            () = deadline => tracing::warn!(?drain, "calls were still in hand when the drain time was over"),
        }
    }
}
