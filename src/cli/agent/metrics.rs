//! What is known of the token, in Prometheus' text form, for a collector that reads files.

use std::fmt::Write as _;

use super::keeper::Numbers;
use crate::clock::Timestamp;

const DAY: f64 = 86_400.0;

/// `name` is the app's or the installation's; `now` the gateway's time.
pub fn render(name: &str, numbers: &Numbers, now: Timestamp) -> String {
    let label = name.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
    let mut text = String::new();
    let mut line = |metric: &str, kind: &str, help: &str, value: f64| {
        let name = format!("scopegate_agent_{metric}");
        _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name}{{app=\"{label}\"}} {value}");
    };
    if let Some(until) = numbers.until {
        let days = (seconds(until) - seconds(now)).max(0.0) / DAY;
        line("token_days_left", "gauge", "Days until the token in the file ends.", days);
        line("token_expires_timestamp_seconds", "gauge", "When the token in the file ends.", seconds(until));
    }
    if let Some(at) = numbers.last_success {
        line("last_success_timestamp_seconds", "gauge", "When the token was last refreshed.", seconds(at));
    }
    line("refreshes_total", "counter", "Refreshes that succeeded since the start.", count(numbers.refreshes));
    line("failures_total", "counter", "Refreshes that failed since the start.", count(numbers.failures));
    #[expect(clippy::cast_precision_loss, reason = "a clock that is wrong by millions of years may be shown roughly")]
    line("clock_skew_seconds", "gauge", "This machine's clock less the gateway's.", numbers.skew_secs as f64);
    text
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds are exact for 200,000 years")]
fn seconds(at: Timestamp) -> f64 {
    at.millis() as f64 / 1000.0
}

#[expect(clippy::cast_precision_loss, reason = "no agent counts to 2^53")]
fn count(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f057_the_days_that_are_left_are_a_metric() {
        let now = Timestamp::from_secs(1_795_348_800);
        let numbers = Numbers {
            refreshes: 2,
            failures: 1,
            last_success: Some(now),
            until: Some(Timestamp::from_secs(1_795_348_800 + 45 * 86_400)),
            skew_secs: -3,
        };
        let text = render("my \"bot\"", &numbers, now);
        for line in [
            "# TYPE scopegate_agent_token_days_left gauge",
            "scopegate_agent_token_days_left{app=\"my \\\"bot\\\"\"} 45",
            "scopegate_agent_last_success_timestamp_seconds{app=\"my \\\"bot\\\"\"} 1795348800",
            "scopegate_agent_refreshes_total{app=\"my \\\"bot\\\"\"} 2",
            "scopegate_agent_failures_total{app=\"my \\\"bot\\\"\"} 1",
            "scopegate_agent_clock_skew_seconds{app=\"my \\\"bot\\\"\"} -3",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
        let late = render("x", &numbers, Timestamp::MAX);
        assert!(late.contains("token_days_left{app=\"x\"} 0\n"), "never below nothing");
        assert!(!render("x", &Numbers::default(), now).contains("days_left"));
    }
}
