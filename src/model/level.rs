use std::fmt;

use serde::{Deserialize, Serialize};

/// How far an app and its scopes reach.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The bots that the app names.
    Bot,
    /// Every bot of the app's account, and the account itself.
    Account,
}

impl Level {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bot => "bot",
            Self::Account => "account",
        }
    }

    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Bot => Self::Account,
            Self::Account => Self::Bot,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
