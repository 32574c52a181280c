//! What apps and grants have to obey, and every way in which a grant can be refused.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{AppRecord, AppSettings, Grant, GrantTarget, ScopeCatalogue};
use crate::model::{AccountId, Algorithm, AlgorithmSet, AuthenticatorName, BotId, ClientId, Level, ScopeId};

/// What apps and their grants have to obey: the declared scopes, what each authenticator takes, and which algorithms an
/// app may have that is granted any scope.
#[derive(Clone, Debug, Default)]
pub struct GrantRules {
    pub catalogue: ScopeCatalogue,
    /// By authenticator; one that is not listed allows all.
    pub grantable: BTreeMap<AuthenticatorName, AlgorithmSet>,
    /// The authenticators that take tokens. Where none takes such as apps sign, apps may name any and sign with anything.
    pub authenticators: BTreeMap<AuthenticatorName, TakenTokens>,
}

/// The tokens that an authenticator takes, as far as it depends on the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TakenTokens {
    /// What apps may sign with; nothing where the tokens are those that we issue.
    pub algorithms: AlgorithmSet,
    /// Whether it takes tokens that have no `exp`, if the app does.
    pub without_exp: bool,
    /// Whether a token may come encrypted.
    pub encrypted: bool,
}

/// Why a grant can't be as it is wanted; each says what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrantError {
    /// The app does not act on this bot.
    NotOfBot {
        app: ClientId,
        bot: BotId,
    },
    NotOfAccount {
        app: ClientId,
        own: AccountId,
        account: AccountId,
    },
    /// A grant on a bot to an app of an account, or the other way round.
    OtherLevel {
        app: ClientId,
        level: Level,
    },
    /// The app acts on several bots, and none was named.
    WhichBot {
        app: ClientId,
        bots: BTreeSet<BotId>,
    },
    /// Nobody declares the scope at this level.
    UnknownScope {
        scope: ScopeId,
        level: Level,
        at_other: bool,
        near: Option<ScopeId>,
    },
    /// The app signs with an algorithm that scopes are not for.
    NotGrantable {
        app: ClientId,
        algorithm: Algorithm,
        allowed: AlgorithmSet,
        authenticator: AuthenticatorName,
    },
    /// There is no such version to go back to.
    NoVersion {
        app: ClientId,
        target: GrantTarget,
        version: i64,
        latest: i64,
    },
}

impl fmt::Display for GrantError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOfBot { app, bot } => write!(f, "app {app} is not an app of bot {bot}"),
            Self::NotOfAccount { app, own, account } => {
                write!(f, "app {app} belongs to account {own}, not to {account}")
            }
            Self::OtherLevel { app, level: Level::Bot } => {
                write!(f, "app {app} is of level bot: a grant to it is on one of its bots, not on an account")
            }
            Self::OtherLevel { app, level: Level::Account } => {
                write!(
                    f,
                    "app {app} is of level account: a grant to it is on its account and holds for every bot there"
                )
            }
            Self::WhichBot { app, bots } if bots.is_empty() => write!(f, "app {app} acts on no bot"),
            Self::WhichBot { app, bots } => {
                let bots: Vec<_> = bots.iter().map(BotId::as_str).collect();
                write!(f, "app {app} acts on several bots: name one of {} with --bot", bots.join(", "))
            }
            Self::UnknownScope { scope, level, at_other, near } => {
                write!(f, "no scope {scope} is declared at level {level}")?;
                match near {
                    _ if *at_other => write!(f, "; it exists at level {}", level.other()),
                    Some(near) => write!(f, "; did you mean {near}?"),
                    None => Ok(()),
                }
            }
            Self::NotGrantable { app, algorithm, allowed, authenticator } => write!(
                f,
                "app {app} signs with {algorithm}, and only apps that sign with {allowed} can be granted scopes of \
                 authenticator {authenticator}; change the app's algorithms or authenticators"
            ),
            Self::NoVersion { app, target, latest: 0, .. } => {
                write!(f, "nothing was ever published for app {app} on {target}")
            }
            Self::NoVersion { app, target, version, latest } => {
                write!(f, "app {app} on {target} has no version {version}: there are 1 to {latest}")
            }
        }
    }
}

impl std::error::Error for GrantError {}

impl GrantRules {
    /// Whether an app may be granted all of these scopes there.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self, app: &AppSettings, target: &GrantTarget, scopes: &BTreeSet<ScopeId>) -> Result<(), GrantError> {
        app.check_target(target)?;
        for scope in scopes {
            self.catalogue.check(scope, app.level)?;
        }
        if scopes.is_empty() { Ok(()) } else { self.check_algorithms(app) }
    }

    /// Whether an app may be granted any scope at all.
    ///
    /// # Errors
    /// [`GrantError::NotGrantable`].
    pub fn check_algorithms(&self, app: &AppSettings) -> Result<(), GrantError> {
        for (authenticator, allowed) in &self.grantable {
            let used = app.authenticators.is_empty() || app.authenticators.contains(authenticator);
            if let Some(algorithm) = app.algorithms.iter().find(|a| used && !allowed.contains(**a)) {
                return Err(GrantError::NotGrantable {
                    app: app.client_id.clone(),
                    algorithm: *algorithm,
                    allowed: *allowed,
                    authenticator: authenticator.clone(),
                });
            }
        }
        Ok(())
    }
}

impl ScopeCatalogue {
    /// Whether the scope is declared at this level.
    ///
    /// # Errors
    /// If not, with what may have been meant.
    pub fn check(&self, scope: &ScopeId, level: Level) -> Result<(), GrantError> {
        if self.get(scope.as_str(), level).is_some() {
            return Ok(());
        }
        let at_other = self.get(scope.as_str(), level.other()).is_some();
        let near = self.nearest(scope.as_str(), level).cloned();
        Err(GrantError::UnknownScope { scope: scope.clone(), level, at_other, near })
    }
}

impl AppSettings {
    /// Whether a grant to the app on this target has any effect.
    ///
    /// # Errors
    /// Why it has none.
    pub fn check_target(&self, target: &GrantTarget) -> Result<(), GrantError> {
        let app = || self.client_id.clone();
        match target {
            target if target.level() != self.level => Err(GrantError::OtherLevel { app: app(), level: self.level }),
            GrantTarget::Bot(bot) if !self.bots.contains(bot) => {
                Err(GrantError::NotOfBot { app: app(), bot: bot.clone() })
            }
            GrantTarget::Account(account) if *account != self.account => {
                Err(GrantError::NotOfAccount { app: app(), own: self.account.clone(), account: account.clone() })
            }
            _ => Ok(()),
        }
    }

    /// What a new grant to the app is on: its account, or the bot that is named, or its only one.
    ///
    /// # Errors
    /// When the app does not act on the bot, or it is not clear which one is meant.
    pub fn target(&self, bot: Option<&BotId>) -> Result<GrantTarget, GrantError> {
        let target = match (self.level, bot) {
            (_, Some(bot)) => GrantTarget::Bot(bot.clone()),
            (Level::Account, None) => GrantTarget::Account(self.account.clone()),
            (Level::Bot, None) => match self.bots.first().filter(|_| self.bots.len() == 1) {
                Some(only) => GrantTarget::Bot(only.clone()),
                None => return Err(GrantError::WhichBot { app: self.client_id.clone(), bots: self.bots.clone() }),
            },
        };
        self.check_target(&target).map(|()| target)
    }
}

impl AppRecord {
    /// What a grant that is there is on, even if it has no effect any more; else as for a new one.
    ///
    /// # Errors
    /// As for a new one.
    pub fn target(&self, bot: Option<&BotId>) -> Result<GrantTarget, GrantError> {
        let on = |grant: &&Grant| bot.is_some() && grant.target.bot() == bot;
        match self.grants.iter().find(on) {
            Some(grant) => Ok(grant.target.clone()),
            None => self.settings.target(bot),
        }
    }
}
