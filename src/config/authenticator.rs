//! `[authenticator.NAME]`: how a kind of route is authenticated.

use std::time::Duration;

use http::HeaderName;
use serde::Deserialize;

use super::time::Span;
use crate::model::{Algorithm, AlgorithmSet, AuthenticatorName};
use crate::policy::{Authenticator, AuthenticatorKind, ErrorFormat, JwtAuthenticator};
use crate::registry::TakenTokens;
use crate::verify::{Leeway, SingleUsePolicy, TokenRules, TokenSettings};

/// What clocks that NTP keeps differ by, amply.
const LEEWAY: Duration = Duration::from_secs(30);

/// A jti has to be remembered for as long as its token is good.
const SINGLE_USE_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// Every key may be absent, so that a file can change single keys of a profile's authenticator.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AuthenticatorSection {
    kind: Option<Kind>,
    header: Option<String>,
    scheme: Option<String>,
    app_claims: Option<Vec<String>>,
    algorithms: Option<Vec<Algorithm>>,
    grantable_algorithms: Option<Vec<Algorithm>>,
    token_types: Option<Vec<String>>,
    audiences: Option<Vec<String>>,
    issuers: Option<Vec<String>>,
    require_exp: Option<bool>,
    leeway: Option<LeewayKey>,
    max_lifetime: Option<Span>,
    single_use: Option<SingleUseKey>,
    single_use_lifetime: Option<Span>,
    max_token_bytes: Option<usize>,
    encrypted: Option<EncryptedKey>,
    method_first: Option<bool>,
    method_override: Option<bool>,
    error_format: Option<ErrorFormatKey>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Jwt,
    Anonymous,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SingleUseKey {
    Enforced,
    Present,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum EncryptedKey {
    Allowed,
    Refused,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ErrorFormatKey {
    Problem,
    Kore,
}

/// One allowance for all claims, or one for each.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged, expecting = "expected a duration such as \"30s\", or { exp = \"…\", nbf = \"…\", iat = \"…\" }")]
enum LeewayKey {
    All(Span),
    Each(EachLeeway),
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EachLeeway {
    exp: Option<Span>,
    nbf: Option<Span>,
    iat: Option<Span>,
}

impl AuthenticatorSection {
    /// This section's keys over another's.
    pub fn over(self, base: Self) -> Self {
        Self {
            kind: self.kind.or(base.kind),
            header: self.header.or(base.header),
            scheme: self.scheme.or(base.scheme),
            app_claims: self.app_claims.or(base.app_claims),
            algorithms: self.algorithms.or(base.algorithms),
            grantable_algorithms: self.grantable_algorithms.or(base.grantable_algorithms),
            token_types: self.token_types.or(base.token_types),
            audiences: self.audiences.or(base.audiences),
            issuers: self.issuers.or(base.issuers),
            require_exp: self.require_exp.or(base.require_exp),
            leeway: self.leeway.or(base.leeway),
            max_lifetime: self.max_lifetime.or(base.max_lifetime),
            single_use: self.single_use.or(base.single_use),
            single_use_lifetime: self.single_use_lifetime.or(base.single_use_lifetime),
            max_token_bytes: self.max_token_bytes.or(base.max_token_bytes),
            encrypted: self.encrypted.or(base.encrypted),
            method_first: self.method_first.or(base.method_first),
            method_override: self.method_override.or(base.method_override),
            error_format: self.error_format.or(base.error_format),
        }
    }

    /// The algorithms that an app may have which is granted scopes; none named means any.
    pub fn grantable(&self) -> Option<AlgorithmSet> {
        self.grantable_algorithms.as_deref().map(AlgorithmSet::of)
    }

    /// What an app's tokens have to be like to be taken; none where no token is.
    pub fn taken(&self) -> Option<TakenTokens> {
        let algorithms = self.algorithms.as_deref().map(AlgorithmSet::of).unwrap_or_default();
        let without_exp = self.require_exp == Some(false) && self.max_lifetime.is_none();
        (self.kind == Some(Kind::Jwt)).then_some(TakenTokens {
            algorithms,
            without_exp,
            encrypted: self.takes_encrypted(),
        })
    }

    /// Whether encrypted tokens are taken: only where it is said, since each that is not known costs a decryption.
    fn takes_encrypted(&self) -> bool {
        self.encrypted == Some(EncryptedKey::Allowed)
    }

    /// # Errors
    /// What is wrong, and with which key.
    pub fn resolve(&self, name: &AuthenticatorName) -> Result<Authenticator, (&'static str, String)> {
        let kind = match self.kind {
            None => return Err(("kind", "kind is missing: write kind = \"jwt\" or kind = \"anonymous\"".into())),
            Some(Kind::Anonymous) => AuthenticatorKind::Anonymous,
            Some(Kind::Jwt) => AuthenticatorKind::Jwt(Box::new(self.jwt(name)?)),
        };
        let error_format = match self.error_format {
            Some(ErrorFormatKey::Kore) => ErrorFormat::Kore,
            Some(ErrorFormatKey::Problem) | None => ErrorFormat::Problem,
        };
        let (method_first, method_override) =
            (self.method_first.unwrap_or(false), self.method_override.unwrap_or(false));
        Ok(Authenticator { name: name.clone(), kind, method_first, method_override, error_format })
    }

    fn jwt(&self, name: &AuthenticatorName) -> Result<JwtAuthenticator, (&'static str, String)> {
        let header = self.header.as_deref().unwrap_or("authorization");
        let header = header.parse::<HeaderName>().map_err(|_| ("header", format!("{header:?} is no header name")))?;
        let scheme = self.scheme.clone().unwrap_or_else(|| "Bearer".into());
        if !scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Err((
                "scheme",
                format!("{scheme:?} is no scheme; use letters, digits and -, or \"\" for a bare token"),
            ));
        }
        let algorithms = self.algorithms.as_deref().map(AlgorithmSet::of).unwrap_or_default();
        if algorithms.is_empty() {
            return Err((
                "algorithms",
                "name the algorithms that are taken, for example algorithms = [\"HS256\"]".into(),
            ));
        }
        let texts = |list: &Option<Vec<String>>, default: &[&str]| match list {
            Some(list) => list.iter().map(|t| t.as_str().into()).collect::<Vec<Box<str>>>(),
            None => default.iter().map(|t| (*t).into()).collect(),
        };
        let app_claims = texts(&self.app_claims, &["appId", "iss"]);
        if app_claims.is_empty() {
            return Err(("app_claims", "name at least one claim that holds the app's client id".into()));
        }
        let max_token_bytes = self.max_token_bytes.unwrap_or(8192);
        if !(256..=65_536).contains(&max_token_bytes) {
            return Err(("max_token_bytes", format!("{max_token_bytes} is out of range: 256 to 65536")));
        }
        let settings = TokenSettings {
            authenticator: name.clone(),
            app_claims,
            algorithms,
            token_types: texts(&self.token_types, &["JWT"]),
            audiences: texts(&self.audiences, &[]),
            issuers: texts(&self.issuers, &[]),
            require_exp: self.require_exp.unwrap_or(true),
            leeway: self.leeway()?,
            max_lifetime: self.max_lifetime.map(|s| s.0),
            single_use: match self.single_use {
                Some(SingleUseKey::Present) => SingleUsePolicy::Present,
                Some(SingleUseKey::Enforced) | None => SingleUsePolicy::Enforced,
            },
            single_use_lifetime: Some(self.single_use_lifetime.map_or(SINGLE_USE_LIFETIME, |s| s.0)),
            max_token_bytes,
            encrypted: self.takes_encrypted(),
        };
        Ok(JwtAuthenticator { header, scheme, rules: TokenRules::new(settings) })
    }

    fn leeway(&self) -> Result<Leeway, (&'static str, String)> {
        let leeway = match self.leeway {
            None => Leeway { exp: LEEWAY, nbf: LEEWAY, iat: LEEWAY },
            Some(LeewayKey::All(Span(all))) => Leeway { exp: all, nbf: all, iat: all },
            Some(LeewayKey::Each(each)) => {
                let of = |span: Option<Span>| span.map(|s| s.0).unwrap_or_default();
                Leeway { exp: of(each.exp), nbf: of(each.nbf), iat: of(each.iat) }
            }
        };
        let largest = leeway.exp.max(leeway.nbf).max(leeway.iat);
        if largest.as_secs() > 300 {
            return Err((
                "leeway",
                format!("{largest:?} is too much: clocks that differ by more than 5m need mending"),
            ));
        }
        Ok(leeway)
    }
}
