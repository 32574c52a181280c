//! Where an app's calls may come from.

use std::net::IpAddr;

use crate::model::{Reason, Refusal};
use crate::registry::App;

/// How many networks are named in a log.
const SHOWN: usize = 5;

/// Whether the app's calls may come from there. A caller without an address, as on a Unix socket, is in no network.
///
/// # Errors
/// `app.wrong_network`.
pub fn check_network(app: &App, from: Option<IpAddr>) -> Result<(), Refusal> {
    if app.networks.is_empty() || from.is_some_and(|from| app.networks.iter().any(|network| network.contains(from))) {
        return Ok(());
    }
    let found = from.map_or_else(|| "a caller without an address".to_owned(), |from| from.to_canonical().to_string());
    Err(Refusal::new(Reason::AppWrongNetwork).expected(listed(app)).found(found))
}

/// The first few of the app's networks.
pub(super) fn listed(app: &App) -> String {
    let shown: Vec<_> = app.networks.iter().take(SHOWN).map(ToString::to_string).collect();
    match app.networks.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
