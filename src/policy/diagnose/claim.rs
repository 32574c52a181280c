//! What stands in the app claim, where it is no client id.

use std::fmt;

use crate::jose::{Compact, KeyMaterial};
use crate::model::ClientId;
use crate::registry::{App, Snapshot};
use crate::secret::Secret;

/// Whose it is, or what.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in super::super) enum Holder {
    Bot,
    /// The name of this app.
    Name(ClientId),
    /// A shared secret of this app: told, and never shown.
    Secret(ClientId),
    /// The secret that signed the token, whoever's it is.
    Signer,
    /// This app's client id but for case, spaces or quotes.
    Misspelt(ClientId),
    Account,
}

impl Holder {
    pub fn hint(&self) -> String {
        match self {
            Self::Bot => "holds a bot's id; put the app's client id there.".to_owned(),
            Self::Account => "holds an account's id; put the app's client id there.".to_owned(),
            Self::Name(app) => format!("holds the app's name; put its client id there: {app}."),
            Self::Secret(app) => format!(
                "holds the secret of app {app}, which whoever sees the token can read: rotate it, put the client id \
                 there, and sign with the new secret."
            ),
            Self::Signer => {
                "holds the secret that the token is signed with, which whoever sees the token can read: rotate it, and put \
                 the app's client id there."
                    .to_owned()
            }
            Self::Misspelt(app) => format!("is compared exactly: write {app}."),
        }
    }
}

/// As the log's `found`.
impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bot => f.write_str("a bot's id"),
            Self::Account => f.write_str("an account's id"),
            Self::Name(app) => write!(f, "the name of app {app}"),
            Self::Secret(app) => write!(f, "the secret of app {app}"),
            Self::Signer => f.write_str("the secret that the token is signed with"),
            Self::Misspelt(app) => write!(f, "the client id {app} but for case, spaces or quotes"),
        }
    }
}

/// Looks through the whole registry, also after a match.
pub(super) fn holder(claimed: &str, compact: &Compact<'_>, registry: &Snapshot) -> Option<Holder> {
    let as_secret = Secret::new(claimed.trim());
    let of_apps = registry.apps().filter_map(|app| of_app(claimed, &as_secret, app)).min_by_key(rank);
    let of_token = (is_signed_with(compact, as_secret) && !claimed.is_empty()).then_some(Holder::Signer);
    let of_bot = registry.account_of_bot(claimed).map(|_| Holder::Bot);
    let of_account = registry.accounts().any(|account| account.id.as_str() == claimed).then_some(Holder::Account);
    let looks_like_bot = claimed.starts_with("st-").then_some(Holder::Bot);
    [of_apps, of_token, of_bot, of_account, looks_like_bot].into_iter().flatten().min_by_key(rank)
}

fn is_signed_with(compact: &Compact<'_>, secret: Secret) -> bool {
    let prepared = |algorithm| KeyMaterial::Secret(secret).prepare(algorithm).ok();
    let key = compact.header.algorithm.parse().ok().and_then(prepared);
    key.is_some_and(|key| key.verifies(compact.signing_input, &compact.signature))
}

fn of_app(claimed: &str, as_secret: &Secret, app: &App) -> Option<Holder> {
    let is_secret = |material: &KeyMaterial| match material {
        KeyMaterial::Secret(secret) => secret == as_secret,
        KeyMaterial::Public { .. } => false,
    };
    let id = || app.client_id.clone();
    if app.keys().iter().any(|key| is_secret(&key.material)) {
        Some(Holder::Secret(id()))
    } else if bare(claimed).eq_ignore_ascii_case(bare(app.client_id.as_str())) {
        Some(Holder::Misspelt(id()))
    } else if app.name == claimed {
        Some(Holder::Name(id()))
    } else {
        None
    }
}

/// What is most needed to be told comes first.
fn rank(holder: &Holder) -> u8 {
    match holder {
        Holder::Secret(_) => 0,
        Holder::Signer => 1,
        Holder::Misspelt(_) => 2,
        Holder::Bot => 3,
        Holder::Name(_) => 4,
        Holder::Account => 5,
    }
}

fn bare(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\''))
}
