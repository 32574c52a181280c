use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// Sends operational events to standard error: as JSON lines, or as text on a terminal. `SCOPEGATE_LOG` sets the level,
/// as in `debug` or `scopegate::net=debug`. Does nothing the second time.
pub fn install_logs() {
    let filter = EnvFilter::try_from_env("SCOPEGATE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    // Somebody who embeds us may have a subscriber of their own; it stays.
    _ = if std::io::stderr().is_terminal() {
        builder.try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    };
}
