//! This machine's clock beside a gateway's.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::super::Failure;
use super::super::call::{CallArguments, base_address};
use super::super::skew;
use crate::clock::Clock;
use crate::config::duration;

/// Compare this machine's clock with a gateway's
///
/// Any answer of the gateway tells its time, also a refusal. Exit status 1 when the clocks differ by more than --max.
#[derive(Debug, Args)]
pub(in super::super) struct CompareClock {
    /// An address of the gateway
    #[arg(value_name = "URL")]
    url: String,
    /// The difference that is taken
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    max: Duration,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    call: CallArguments,
}

impl CompareClock {
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let url = base_address(&self.url)?;
        let skew = skew::ask(&url, &self.call.caller(), &Clock::System).await?;
        let is_good = !skew.is_seen() || skew.size() <= self.max;
        if self.json {
            println!("{}", json!({ "skew_seconds": skew.secs(), "good": is_good }));
        } else {
            println!("this machine's clock: {skew}");
        }
        if is_good {
            return Ok(ExitCode::SUCCESS);
        }
        eprintln!(
            "scopegate: more than {}: set the clock, for example with NTP, or mint with --clock-from",
            humantime::format_duration(self.max)
        );
        Ok(ExitCode::FAILURE)
    }
}
