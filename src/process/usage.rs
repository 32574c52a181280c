//! Writes down when keys and scopes were last used.

use std::sync::Arc;
use std::time::Duration;

use crate::registry::UsageBook;
use crate::store::Store;

const INTERVAL: Duration = Duration::from_secs(1);
/// So that one write holds no other up for long.
const BATCH: usize = 1000;

/// For ever: what was noted is in the store a second later, or as soon as the store can be reached again.
pub(super) async fn write(store: Store, usage: Arc<UsageBook>) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        write_once(&store, &usage).await;
    }
}

pub(super) async fn write_once(store: &Store, usage: &UsageBook) {
    let uses = usage.take();
    for (number, batch) in uses.chunks(BATCH).enumerate() {
        if let Err(error) = store.record_uses(batch).await {
            tracing::warn!(%error, "last uses of keys and scopes could not be written; they wait");
            return usage.put_back(uses[number * BATCH..].to_vec());
        }
    }
}
