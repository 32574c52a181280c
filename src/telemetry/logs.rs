use std::io::IsTerminal as _;
use std::panic;
use std::sync::OnceLock;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::printable::Printable;
use super::throttle::LogThrottle;

static THROTTLE: OnceLock<LogThrottle> = OnceLock::new();

/// Sends operational events to standard error: as JSON lines, or as text on a terminal. `SCOPEGATE_LOG` sets the level,
/// as in `debug` or `scopegate::net=debug`. Does nothing the second time.
pub fn install_logs() {
    let filter = EnvFilter::try_from_env("SCOPEGATE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let throttle = THROTTLE.get_or_init(LogThrottle::default).clone();
    let subscriber = tracing_subscriber::registry().with(filter).with(throttle);
    // Without colours, whose escapes could not be told from those of a value.
    let lines = tracing_subscriber::fmt::layer().with_target(false).with_ansi(false);
    // Somebody who embeds us may have a subscriber of their own; it stays.
    let installed = if std::io::stderr().is_terminal() {
        subscriber.with(lines.with_writer(|| Printable::text(std::io::stderr()))).try_init()
    } else {
        subscriber.with(lines.with_writer(|| Printable::json(std::io::stderr())).json().flatten_event(true)).try_init()
    };
    if installed.is_ok() {
        // A panic is a line like others, and as few of a kind.
        panic::set_hook(Box::new(|info| {
            let (place, thread) = (info.location().map(ToString::to_string), std::thread::current());
            let payload = info.payload();
            let text = payload.downcast_ref::<&str>().copied();
            let message = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or_default();
            tracing::error!(place, thread = thread.name(), panic = message, "something panicked: this is a bug");
        }));
    }
}

/// Tells how many lines were left out, since there were too many of a kind. To be called every second or so.
pub fn report_left_out() {
    if let Some(throttle) = THROTTLE.get() {
        throttle.report();
    }
}
