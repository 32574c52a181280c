use std::time::Duration;

use crate::tokens::Lifetimes;

/// How the endpoints behave, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSettings {
    pub khoros: KhorosSettings,
    pub icr: IcrSettings,
}

impl EndpointSettings {
    /// The longest life of any token that is issued.
    pub fn longest_life(&self) -> Duration {
        self.khoros.lifetimes.life.max(self.icr.token_lifetime)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KhorosSettings {
    pub lifetimes: Lifetimes,
    pub unknown_owner: UnknownOwner,
    /// How many apps are created in the name of one service account.
    pub unknown_owner_limit: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IcrSettings {
    /// Of a token for an installation.
    pub token_lifetime: Duration,
}

impl Default for IcrSettings {
    fn default() -> Self {
        Self { token_lifetime: Duration::from_secs(3600) }
    }
}

/// What becomes of a request for a token of an app that is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownOwner {
    /// The app is created: on the platform, tokens come before registration.
    #[default]
    Create,
    Refuse,
}

impl Default for KhorosSettings {
    fn default() -> Self {
        let (life, grace) = (Duration::from_secs(90 * 86_400), Duration::from_secs(600));
        let (lifetimes, unknown_owner) = (Lifetimes { life, grace }, UnknownOwner::default());
        Self { lifetimes, unknown_owner, unknown_owner_limit: 1000 }
    }
}
