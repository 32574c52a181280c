use std::sync::Arc;

use arc_swap::ArcSwap;

use super::RouteTable;
use crate::registry::{ScopeCatalogue, Snapshot};

/// All that a request is judged by, of one moment.
#[derive(Default)]
pub struct State {
    pub routes: Arc<RouteTable>,
    pub scopes: Arc<ScopeCatalogue>,
    pub registry: Snapshot,
}

/// The one pointer to the state, loaded once per request.
#[derive(Default)]
pub struct Live(ArcSwap<State>);

impl Live {
    pub fn new(state: State) -> Self {
        Self(ArcSwap::from_pointee(state))
    }

    pub fn load(&self) -> Arc<State> {
        self.0.load_full()
    }

    /// Replaces the state by one made of it; requests that begin after this see the new one. `next` may be called again
    /// when another update comes between.
    pub fn update(&self, next: impl Fn(&State) -> State) {
        self.0.rcu(|state| next(state));
    }
}
