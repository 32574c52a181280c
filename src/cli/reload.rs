use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::Failure;
use super::open::{ConfigArgument, actor, now, open_store};
use crate::config::positive_duration;

/// Make the running gateway read its configuration again
///
/// Goes through the store that the configuration names, so it reaches every gateway that uses it. A bad file is reported
/// here and changes nothing.
#[derive(Debug, Args)]
pub(super) struct Reload {
    #[command(flatten)]
    config: ConfigArgument,
    /// How long to wait for answers
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = positive_duration)]
    wait: Duration,
}

impl Reload {
    pub async fn run(self) -> Result<ExitCode, Failure> {
        // What can't be used here is not sent to anybody.
        let config = self.config.load()?;
        let store = open_store(&config).await?;
        let request = store.request_reload(&actor(None).name, now()).await?;
        let outcomes = tokio::time::timeout(self.wait, async {
            loop {
                let outcomes = store.reload_outcomes(request).await?;
                if !outcomes.is_empty() {
                    return Ok::<_, Failure>(outcomes);
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        let outcomes = outcomes.await.map_err(|_| {
            Failure::new(format!("no gateway answered within {:?}: is one running on this store?", self.wait))
        })??;
        let mut all_good = true;
        for outcome in outcomes {
            println!("{}: {}{}", outcome.node, if outcome.ok { "" } else { "not reloaded: " }, outcome.message);
            all_good &= outcome.ok;
        }
        Ok(if all_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
