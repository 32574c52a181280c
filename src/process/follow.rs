//! Keeps what requests see in step with the store.

use std::sync::Arc;
use std::time::Duration;

use crate::health::Fault;
use crate::policy::{Followed, Live};
use crate::registry::StoreError;
use crate::store::Store;
use crate::tokens::TokenService;

const INTERVAL: Duration = Duration::from_millis(200);
const AFTER_ERROR: Duration = Duration::from_secs(2);
const TRIALS: Duration = Duration::from_secs(1);

/// Follows the change log of the store, for ever: what is committed there is seen by requests within a second. While the store can't be read, requests see what was read last.
pub async fn follow(store: Store, live: Arc<Live>, tokens: Arc<TokenService<Store>>) {
    follow_telling(store, live, tokens, Fault::default()).await;
}

/// The same; the fault is set while the store can't be followed.
pub(super) async fn follow_telling(store: Store, live: Arc<Live>, tokens: Arc<TokenService<Store>>, fault: Fault) {
    let mut watcher = store.watch();
    let mut is_behind = true;
    loop {
        let step = async {
            is_behind |= watcher.changed().await?;
            if is_behind {
                catch_up(&store, &live, &tokens).await?;
                is_behind = false;
            }
            Ok::<_, StoreError>(())
        };
        let pause = match step.await {
            Ok(()) => {
                if fault.clear() {
                    tracing::info!("the registry is followed again");
                }
                INTERVAL
            }
            Err(error) => {
                is_behind = true;
                tell(&error, &fault);
                AFTER_ERROR
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// Finds out, for ever, whether the store can be written, where a transaction broke off.
pub(super) async fn try_writing(store: Store) {
    loop {
        tokio::time::sleep(TRIALS).await;
        store.try_writing().await;
    }
}

fn tell(error: &StoreError, fault: &Fault) {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    let what = cause.as_ref().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
    if fault.set(format!("the registry can't be followed: {what}")) {
        tracing::error!(%error, cause, "the registry can't be followed; the last version stays in force");
    }
}

async fn catch_up(store: &Store, live: &Live, tokens: &TokenService<Store>) -> Result<(), StoreError> {
    // Each is followed also where the other can't be: a damaged row of one holds up no revocation of the other.
    let (registry, tokens) = (live.follow(store).await, tokens.follow().await);
    if let Some(Followed { version, changed }) = registry? {
        tracing::info!(version = version.0, changed, "registry followed");
    }
    tokens
}
