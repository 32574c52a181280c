//! What a kind of route asks of a token.

use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use super::{Origin, OwnAudience};
use crate::model::{AlgorithmSet, AuthenticatorName, ClaimNames};

/// The most that any authenticator may allow for clocks that differ. So long after its `exp` a token may still be taken, at
/// another authenticator or after a reload; and so long it matters that it was used or revoked.
pub const LONGEST_LEEWAY: Duration = Duration::from_secs(300);

/// The settings of a `jwt` authenticator, made ready. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TokenRules {
    settings: Arc<TokenSettings>,
    fingerprint: u64,
    own_audience: Option<Arc<OwnAudience>>,
}

impl TokenRules {
    pub fn new(settings: TokenSettings) -> Self {
        let mut hasher = DefaultHasher::new();
        settings.hash(&mut hasher);
        Self { settings: Arc::new(settings), fingerprint: hasher.finish(), own_audience: None }
    }

    /// The same, for tokens that are not meant for our token service; where the settings name audiences, these decide alone.
    #[must_use]
    pub fn apart_from(self, own_audience: Option<Arc<OwnAudience>>) -> Self {
        let mut hasher = DefaultHasher::new();
        (self.fingerprint, &own_audience).hash(&mut hasher);
        Self { own_audience, fingerprint: hasher.finish(), ..self }
    }

    /// The audiences that no token may name, where none are configured that it has to name.
    pub(super) fn refused_audience(&self) -> Option<&OwnAudience> {
        self.own_audience.as_deref().filter(|_| self.audiences.is_empty() && self.origin == Origin::App)
    }

    /// Differs where the settings or the audiences of our token service differ: what was proved under others is not found
    /// again.
    pub(super) fn fingerprint(&self) -> u64 {
        self.fingerprint
    }
}

impl Deref for TokenRules {
    type Target = TokenSettings;

    fn deref(&self) -> &TokenSettings {
        &self.settings
    }
}

/// The settings of a `jwt` authenticator, resolved.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TokenSettings {
    pub authenticator: AuthenticatorName,
    pub origin: Origin,
    /// The first of these claims that is present names the app.
    pub app_claims: Vec<Box<str>>,
    /// Whether it may do so by the app's number, as a JSON number or its digits, too.
    pub app_numbers: bool,
    pub claim_names: ClaimNames,
    pub algorithms: AlgorithmSet,
    /// Besides an absent `typ`, which tokens of ours may not have; compared as media types.
    pub token_types: Vec<Box<str>>,
    /// If any, the token has to name one of them.
    pub audiences: Vec<Box<str>>,
    /// If any, the token has to come from one of them.
    pub issuers: Vec<Box<str>>,
    pub require_exp: bool,
    pub require_iat: bool,
    pub leeway: Leeway,
    /// How far `exp` may lie ahead of now.
    pub max_lifetime: Option<Duration>,
    pub single_use: SingleUsePolicy,
    /// How far `exp` may lie ahead of a token of single use.
    pub single_use_lifetime: Option<Duration>,
    /// For how long after `exp` a use is remembered: the largest leeway that any authenticator may ever give, so
    /// that a token used here is good nowhere else afterwards.
    pub single_use_memory: Duration,
    pub max_token_bytes: usize,
    /// Whether a token may be encrypted; where it may not, one that is counts as malformed.
    pub encrypted: bool,
}

/// Allowance for clocks that differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Leeway {
    pub exp: Duration,
    pub nbf: Duration,
    pub iat: Duration,
}

/// When a `jti` is used up by its first use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SingleUsePolicy {
    /// Where the app enforces it.
    #[default]
    Enforced,
    /// Wherever it is present.
    Present,
}
