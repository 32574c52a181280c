//! The agent that keeps a token fresh, with a clock, a gateway and chance of the tests' own.

mod gateway;
mod icr;
mod khoros;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use scopegate::cli::agent::{Issuer, Keeper, Parts, Schedule, Step, TokenFile};
use scopegate::clock::{Clock, ManualClock};
use tempfile::TempDir;

use self::gateway::Gateway;
use crate::support::now;

const DAY: Duration = Duration::from_secs(86_400);
const SCHEDULE: Schedule = Schedule { refresh_below: None, exit_below: None };

/// A keeper of one token in a folder of its own.
struct Bench {
    keeper: Keeper<Gateway>,
    gateway: Gateway,
    folder: TempDir,
    /// Of the keeper's machine and, apart from what tests do to it, of the gateway.
    hands: Arc<ManualClock>,
}

impl Bench {
    fn new(issuer: Issuer, schedule: Schedule) -> Self {
        let (clock, hands) = Clock::manual(now());
        let gateway = Gateway::new(clock.clone());
        let folder = tempfile::tempdir().unwrap();
        let keeper = Self::keeper(issuer, schedule, folder.path(), clock, &gateway);
        Self { keeper, gateway, folder, hands }
    }

    fn keeper(issuer: Issuer, schedule: Schedule, folder: &Path, clock: Clock, gateway: &Gateway) -> Keeper<Gateway> {
        let (file, transport) = (TokenFile::new(folder.join("token")), gateway.clone());
        Keeper::new(Parts { issuer, file, schedule, clock, transport, draw: Box::new(|| 0.5) })
    }

    fn write(&self, text: &str) {
        std::fs::write(self.folder.path().join("token"), text).unwrap();
    }

    /// The file, as its readers find it.
    fn read(&self) -> String {
        let text = std::fs::read_to_string(self.folder.path().join("token")).unwrap();
        text.strip_suffix('\n').unwrap_or(&text).to_owned()
    }

    async fn step(&mut self) -> Step {
        self.keeper.step().await.unwrap()
    }

    /// What was said since the last call of this.
    fn said(&mut self) -> String {
        let events: Vec<_> = self.keeper.take_events().iter().map(ToString::to_string).collect();
        events.join("\n")
    }

    /// How long the keeper waits now.
    async fn waits(&mut self) -> Duration {
        match self.step().await {
            Step::Wait(until) => self.gateway.clock().now().until(until),
            Step::GiveUp => panic!("it gave up: {}", self.said()),
        }
    }
}
