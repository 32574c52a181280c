use std::sync::Arc;

use arc_swap::ArcSwap;

use super::RouteTable;
use crate::registry::{Repository, ScopeCatalogue, Snapshot, StoreError, Version};

/// All that a request is judged by, of one moment.
#[derive(Default)]
pub struct State {
    pub routes: Arc<RouteTable>,
    pub scopes: Arc<ScopeCatalogue>,
    pub registry: Snapshot,
}

/// How far the state came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Followed {
    pub version: Version,
    /// Accounts, bots, apps and service accounts.
    pub changed: usize,
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

    /// Takes over what was committed since; the numbers of what changed, if anything did.
    ///
    /// # Errors
    /// When the store can't be reached or read; the state stays as it was.
    pub async fn follow(&self, repository: &impl Repository) -> Result<Option<Followed>, StoreError> {
        let delta = repository.changes_since(self.load().registry.version()).await?;
        let version = delta.version;
        if version == self.load().registry.version() {
            return Ok(None);
        }
        let changed = delta.len();
        self.update(|state| {
            // Somebody else may have followed further in the meantime.
            let is_news = version > state.registry.version();
            let registry = if is_news { state.registry.with(delta.clone()) } else { state.registry.clone() };
            State { routes: Arc::clone(&state.routes), scopes: Arc::clone(&state.scopes), registry }
        });
        Ok(Some(Followed { version, changed }))
    }

    /// Replaces the state by one made of it; requests that begin after this see the new one. `next` may be called again
    /// when another update comes between.
    pub fn update(&self, next: impl Fn(&State) -> State) {
        self.0.rcu(|state| next(state));
    }
}
