//! Our own signing keys: made when their time comes.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::policy::{AuthenticatorKind, Live, RouteTable, Target};
use crate::registry::{Actor, StoreError};
use crate::store::Store;
use crate::tokens::TokenService;
use crate::verify::Origin;

/// Keys sign for days.
const INTERVAL: Duration = Duration::from_secs(30);

/// Whether any route has to do with tokens of ours; a gateway without one makes no keys.
pub(super) fn is_wanted(routes: &RouteTable) -> bool {
    routes.identity().token().is_some()
        || routes.routes().iter().any(|route| {
            let takes =
                matches!(&route.authenticator.kind, AuthenticatorKind::Jwt(jwt) if jwt.rules.origin != Origin::App);
            takes || matches!(route.target, Target::Endpoint(_))
        })
}

/// Makes the next key, if it is time.
pub(super) async fn rotate_once(tokens: &TokenService<Store>, clock: &Clock) -> Result<(), StoreError> {
    let why = Some("rotation of signing keys".to_owned());
    tokens.rotate(&Actor { name: "gateway".to_owned(), why, at: clock.now() }).await
}

/// Sees to it that routes which want a key find one when they come into force. Where that fails their calls are refused,
/// until [`rotate`] succeeds.
pub(super) async fn prepare(routes: &RouteTable, tokens: &TokenService<Store>, clock: &Clock) {
    if is_wanted(routes)
        && tokens.issued().ring.signer(clock.now()).is_none()
        && let Err(error) = rotate_once(tokens, clock).await
    {
        tracing::error!(%error, "there is no signing key, and none can be made yet");
    }
}

/// Rotates for ever, while there are routes that want it.
pub(super) async fn rotate(tokens: Arc<TokenService<Store>>, live: Arc<Live>, clock: Clock) {
    // The start has looked already.
    loop {
        tokio::time::sleep(INTERVAL).await;
        if is_wanted(&live.load().routes)
            && let Err(error) = rotate_once(&tokens, &clock).await
        {
            tracing::error!(%error, "signing keys can't be rotated; the newest goes on signing");
        }
    }
}
