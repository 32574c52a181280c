//! Logs, metrics and the listener that shows them.

mod access_log;
mod line;
mod listener;
mod log_file;
mod logs;
mod metrics;
mod printable;
mod throttle;

pub use access_log::{JsonLog, NoLog};
pub use line::LoggedCall;
pub use listener::{Health, NOT_READY, READY, Status};
pub use logs::{install_logs, report_left_out};
pub use metrics::{MetricsError, install_metrics};
