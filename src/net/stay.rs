use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::serve::Place;
use super::{Shutdown, told_to_stop};

/// A connection's place among the open ones. It stands in the extensions of requests that ask for an upgrade: whoever
/// serves the connection from then on holds it until the end, and leaves when the listeners are told to stop.
#[derive(Clone)]
pub struct Stay {
    _place: Arc<(Place, mpsc::Sender<Infallible>)>,
    shutdown: Shutdown,
}

impl Stay {
    pub(super) fn new(place: Place, alive: mpsc::Sender<Infallible>, shutdown: Shutdown) -> Self {
        Self { _place: Arc::new((place, alive)), shutdown }
    }

    pub(super) fn shutdown(&self) -> Shutdown {
        self.shutdown.clone()
    }

    /// Waits until the listeners are told to stop.
    pub async fn told_to_stop(&self) {
        told_to_stop(self.shutdown()).await;
    }
}

impl fmt::Debug for Stay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stay")
    }
}
