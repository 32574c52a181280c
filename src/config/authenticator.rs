//! `[authenticator.NAME]`: how a kind of route is authenticated.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use serde::Deserialize;

use super::time::Span;
use super::tokens::OauthSettings;
use crate::model::{Algorithm, AlgorithmSet, AuthenticatorName, ClaimNames, is_same_media_type};
use crate::policy::{Authenticator, AuthenticatorKind, ErrorFormat, JwtAuthenticator};
use crate::registry::TakenTokens;
use crate::verify::{
    IDENTITY_TYPE, LONGEST_LEEWAY, Leeway, Origin, OwnAudience, SingleUsePolicy, TokenRules, TokenSettings,
};

/// What clocks that NTP keeps differ by, amply.
const LEEWAY: Duration = Duration::from_secs(30);

/// A jti has to be remembered for as long as its token is good.
const SINGLE_USE_LIFETIME: Duration = Duration::from_secs(24 * 3600);
const SINGLE_USE_LIFETIMES: RangeInclusive<Span> =
    Span::of(Duration::from_secs(1))..=Span::of(Duration::from_secs(366 * 24 * 3600));

/// Every key may be absent, so that a file can change single keys of a profile's authenticator.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AuthenticatorSection {
    kind: Option<Kind>,
    header: Option<String>,
    scheme: Option<SchemeKey>,
    prefix: Option<String>,
    websocket_protocol: Option<String>,
    issued: Option<IssuedKey>,
    app_claims: Option<Vec<String>>,
    app_numbers: Option<bool>,
    subject_claims: Option<Vec<String>>,
    jti_claims: Option<Vec<String>>,
    boolean_claims: Option<Vec<String>>,
    algorithms: Option<Vec<Algorithm>>,
    grantable_algorithms: Option<Vec<Algorithm>>,
    token_types: Option<Vec<String>>,
    audiences: Option<Vec<String>>,
    issuers: Option<Vec<String>>,
    require_exp: Option<bool>,
    require_iat: Option<bool>,
    leeway: Option<LeewayKey>,
    max_lifetime: Option<Span>,
    single_use: Option<SingleUseKey>,
    single_use_lifetime: Option<Span>,
    max_token_bytes: Option<usize>,
    encrypted: Option<EncryptedKey>,
    method_first: Option<bool>,
    method_override: Option<bool>,
    encoded_slashes: Option<EncodingKey>,
    error_format: Option<ErrorFormatKey>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Jwt,
    Basic,
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
    Khoros,
    Icr,
    Oauth,
}

/// What becomes of an encoding that upstreams may read in different ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum EncodingKey {
    Refuse,
    Keep,
}

impl EncodingKey {
    pub fn is_kept(self) -> bool {
        self == Self::Keep
    }
}

/// One scheme, or several of which the first is the one that is told.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "expected a scheme, or a list of schemes")]
enum SchemeKey {
    One(String),
    Many(Vec<String>),
}

/// The tokens of ours that are taken, where it is not those that apps sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum IssuedKey {
    Held,
    Access,
    Installation,
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
            prefix: self.prefix.or(base.prefix),
            websocket_protocol: self.websocket_protocol.or(base.websocket_protocol),
            issued: self.issued.or(base.issued),
            app_claims: self.app_claims.or(base.app_claims),
            app_numbers: self.app_numbers.or(base.app_numbers),
            subject_claims: self.subject_claims.or(base.subject_claims),
            jti_claims: self.jti_claims.or(base.jti_claims),
            boolean_claims: self.boolean_claims.or(base.boolean_claims),
            algorithms: self.algorithms.or(base.algorithms),
            grantable_algorithms: self.grantable_algorithms.or(base.grantable_algorithms),
            token_types: self.token_types.or(base.token_types),
            audiences: self.audiences.or(base.audiences),
            issuers: self.issuers.or(base.issuers),
            require_exp: self.require_exp.or(base.require_exp),
            require_iat: self.require_iat.or(base.require_iat),
            leeway: self.leeway.or(base.leeway),
            max_lifetime: self.max_lifetime.or(base.max_lifetime),
            single_use: self.single_use.or(base.single_use),
            single_use_lifetime: self.single_use_lifetime.or(base.single_use_lifetime),
            max_token_bytes: self.max_token_bytes.or(base.max_token_bytes),
            encrypted: self.encrypted.or(base.encrypted),
            method_first: self.method_first.or(base.method_first),
            method_override: self.method_override.or(base.method_override),
            encoded_slashes: self.encoded_slashes.or(base.encoded_slashes),
            error_format: self.error_format.or(base.error_format),
        }
    }

    /// Puts `[oauth]` in the place of `{oauth.issuer}` and `{oauth.audience}`, and `endpoints` in that of `{oauth.endpoints}`;
    /// whether nothing was left to put there.
    pub fn fill_in(&mut self, oauth: Option<&OauthSettings>, endpoints: &[String]) -> bool {
        if let (Some(_), Some(audiences)) = (oauth, &mut self.audiences)
            && let Some(at) = audiences.iter().position(|text| text == "{oauth.endpoints}")
        {
            audiences.splice(at..=at, endpoints.iter().cloned());
        }
        let lists = [&mut self.audiences, &mut self.issuers];
        let texts = || lists.into_iter().flatten().flatten().filter(|text| text.contains("{oauth."));
        match oauth {
            None => texts().next().is_none(),
            Some(OauthSettings { issuer, audience, .. }) => {
                for text in texts() {
                    *text = text.replace("{oauth.issuer}", issuer).replace("{oauth.audience}", audience);
                }
                true
            }
        }
    }

    /// The algorithms that an app may have which is granted scopes; none named means any.
    pub fn grantable(&self) -> Option<AlgorithmSet> {
        self.grantable_algorithms.as_deref().map(AlgorithmSet::of)
    }

    /// What an app's tokens have to be like to be taken; none where no token is.
    pub fn taken(&self) -> Option<TakenTokens> {
        let is_of_apps = self.issued.is_none();
        let algorithms = self.algorithms.as_deref().filter(|_| is_of_apps).map(AlgorithmSet::of).unwrap_or_default();
        let without_exp = is_of_apps && self.require_exp == Some(false) && self.max_lifetime.is_none();
        let encrypted = is_of_apps && self.takes_encrypted();
        (self.kind == Some(Kind::Jwt)).then_some(TakenTokens { algorithms, without_exp, encrypted })
    }

    /// Whether encrypted tokens are taken: only where it is said, since each that is not known costs a decryption.
    fn takes_encrypted(&self) -> bool {
        self.encrypted == Some(EncryptedKey::Allowed)
    }

    /// # Errors
    /// What is wrong, and with which key.
    pub fn resolve(
        &self,
        name: &AuthenticatorName,
        own: Option<&Arc<OwnAudience>>,
    ) -> Result<Authenticator, (&'static str, String)> {
        let kind = match self.kind {
            None => return Err(("kind", "kind is missing: write kind = \"jwt\", \"basic\" or \"anonymous\"".into())),
            Some(Kind::Anonymous) => AuthenticatorKind::Anonymous,
            Some(Kind::Basic) => AuthenticatorKind::Basic,
            Some(Kind::Jwt) => AuthenticatorKind::Jwt(Box::new(self.jwt(name, own)?)),
        };
        let error_format = match self.error_format {
            Some(ErrorFormatKey::Kore) => ErrorFormat::Kore,
            Some(ErrorFormatKey::Khoros) => ErrorFormat::Khoros,
            Some(ErrorFormatKey::Icr) if self.origin() == Origin::Installation => ErrorFormat::IcrInstallation,
            Some(ErrorFormatKey::Icr) => ErrorFormat::Icr,
            Some(ErrorFormatKey::Oauth) => ErrorFormat::Oauth,
            Some(ErrorFormatKey::Problem) | None => ErrorFormat::Problem,
        };
        let (method_first, method_override) =
            (self.method_first.unwrap_or(false), self.method_override.unwrap_or(false));
        let encoded_slashes = self.encoded_slashes.is_some_and(EncodingKey::is_kept);
        Ok(Authenticator { name: name.clone(), kind, method_first, method_override, encoded_slashes, error_format })
    }

    fn jwt(
        &self,
        name: &AuthenticatorName,
        own: Option<&Arc<OwnAudience>>,
    ) -> Result<JwtAuthenticator, (&'static str, String)> {
        let header = self.header.as_deref().unwrap_or("authorization");
        let header = header.parse::<HeaderName>().map_err(|_| ("header", format!("{header:?} is no header name")))?;
        let (scheme, other_schemes) = self.schemes()?;
        let prefix = self.prefix.clone().unwrap_or_default();
        if !prefix.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            return Err(("prefix", format!("{prefix:?}: use letters, digits, - and _")));
        }
        let origin = self.origin();
        let ours = (origin != Origin::App).then(|| AlgorithmSet::of(&[Algorithm::EdDsa, Algorithm::Rs256]));
        let algorithms = self.algorithms.as_deref().map(AlgorithmSet::of).or(ours).unwrap_or_default();
        if algorithms.is_empty() {
            return Err((
                "algorithms",
                "name the algorithms that are taken, for example algorithms = [\"HS256\"]".into(),
            ));
        }
        let app_claims = match origin {
            Origin::App => texts(self.app_claims.as_deref(), &["appId", "iss"]),
            _ if self.app_claims.is_some() => {
                return Err(("app_claims", "in tokens of ours it is always appId".into()));
            }
            _ => vec!["appId".into()],
        };
        if app_claims.is_empty() {
            return Err(("app_claims", "name at least one claim that holds the app's client id".into()));
        }
        if origin != Origin::App && self.app_numbers == Some(true) {
            return Err(("app_numbers", "tokens of ours name their app by its client id".into()));
        }
        if origin != Origin::App && self.jti_claims.is_some() {
            return Err(("jti_claims", "in tokens of ours it is always jti".into()));
        }
        let token_id = texts(self.jti_claims.as_deref(), &["jti"]);
        if token_id.is_empty() {
            return Err(("jti_claims", "name at least one claim that holds the token's id".into()));
        }
        let max_token_bytes = self.max_token_bytes.unwrap_or(8192);
        if !(256..=65_536).contains(&max_token_bytes) {
            return Err(("max_token_bytes", format!("{max_token_bytes} is out of range: 256 to 65536")));
        }
        let settings = TokenSettings {
            authenticator: name.clone(),
            origin,
            app_claims,
            app_numbers: self.app_numbers.unwrap_or(false),
            claim_names: ClaimNames {
                subject: texts(self.subject_claims.as_deref(), &["sub"]),
                token_id,
                booleans: texts(self.boolean_claims.as_deref(), &[]),
                numeric_issuer: self.app_numbers.unwrap_or(false),
                scope: (origin == Origin::Access).then(|| "scope".into()),
            },
            algorithms,
            token_types: match origin.token_type() {
                Some(_) if self.token_types.is_some() => {
                    return Err(("token_types", "tokens of ours have types of their own".into()));
                }
                Some(own) => vec![own.into()],
                None => self.token_types()?,
            },
            audiences: texts(self.audiences.as_deref(), &[]),
            issuers: texts(self.issuers.as_deref(), &[]),
            require_exp: self.require_exp.unwrap_or(true),
            require_iat: self.require_iat.unwrap_or(false),
            leeway: self.leeway()?,
            max_lifetime: self.max_lifetime.map(Span::positive).transpose().map_err(|why| ("max_lifetime", why))?,
            single_use: match self.single_use {
                Some(SingleUseKey::Present) => SingleUsePolicy::Present,
                Some(SingleUseKey::Enforced) | None => SingleUsePolicy::Enforced,
            },
            single_use_lifetime: Some(
                self.single_use_lifetime
                    .unwrap_or(Span::of(SINGLE_USE_LIFETIME))
                    .within(&SINGLE_USE_LIFETIMES)
                    .map_err(|why| ("single_use_lifetime", why))?,
            ),
            single_use_memory: LONGEST_LEEWAY,
            max_token_bytes,
            encrypted: self.takes_encrypted(),
        };
        let (websocket_protocol, rules) =
            (self.websocket_protocol()?, TokenRules::new(settings).apart_from(own.cloned()));
        Ok(JwtAuthenticator { header, scheme, other_schemes, prefix, websocket_protocol, rules })
    }

    /// A dot ends it where it stands before a token.
    fn websocket_protocol(&self) -> Result<Option<Box<str>>, (&'static str, String)> {
        match self.websocket_protocol.as_deref() {
            None | Some("") => Ok(None),
            Some(name) if name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') => {
                Ok(Some(name.into()))
            }
            Some(name) => Err(("websocket_protocol", format!("{name:?}: use letters, digits, - and _"))),
        }
    }

    fn token_types(&self) -> Result<Vec<Box<str>>, (&'static str, String)> {
        let types = texts(self.token_types.as_deref(), &["JWT"]);
        match types.iter().find(|one| is_same_media_type(one, IDENTITY_TYPE)) {
            Some(own) => {
                Err(("token_types", format!("{own:?} is what upstreams are told who calls by, and calls nobody")))
            }
            None => Ok(types),
        }
    }

    fn origin(&self) -> Origin {
        match self.issued {
            None => Origin::App,
            Some(IssuedKey::Held) => Origin::Held,
            Some(IssuedKey::Access) => Origin::Access,
            Some(IssuedKey::Installation) => Origin::Installation,
        }
    }

    /// The first, and the others.
    fn schemes(&self) -> Result<(String, Vec<String>), (&'static str, String)> {
        let mut schemes = match &self.scheme {
            None => vec!["Bearer".to_owned()],
            Some(SchemeKey::One(one)) => vec![one.clone()],
            Some(SchemeKey::Many(many)) => many.clone(),
        };
        let is_fit = |s: &String| s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if let Some(unfit) = schemes.iter().find(|s| !is_fit(s)) {
            let why = format!("{unfit:?} is no scheme; use letters, digits and -, or \"\" for a bare token");
            return Err(("scheme", why));
        }
        if schemes.is_empty() || schemes.len() > 1 && schemes.contains(&String::new()) {
            return Err(("scheme", "name one scheme, several, or \"\" alone for a bare token".into()));
        }
        let others = schemes.split_off(1);
        Ok((schemes.remove(0), others))
    }

    fn leeway(&self) -> Result<Leeway, (&'static str, String)> {
        let bounded = |span: Option<Span>| match span {
            Some(span) if span.0 > LONGEST_LEEWAY => {
                Err(("leeway", format!("{span} is too much: clocks that differ by more than 5m need mending")))
            }
            span => Ok(span.map(|span| span.0).unwrap_or_default()),
        };
        let leeway = match self.leeway {
            None => Leeway { exp: LEEWAY, nbf: LEEWAY, iat: LEEWAY },
            Some(LeewayKey::All(all)) => {
                let all = bounded(Some(all))?;
                Leeway { exp: all, nbf: all, iat: all }
            }
            Some(LeewayKey::Each(each)) => {
                Leeway { exp: bounded(each.exp)?, nbf: bounded(each.nbf)?, iat: bounded(each.iat)? }
            }
        };
        Ok(leeway)
    }
}

fn texts(list: Option<&[String]>, default: &[&str]) -> Vec<Box<str>> {
    match list {
        Some(list) => list.iter().map(|text| text.as_str().into()).collect(),
        None => default.iter().map(|text| (*text).into()).collect(),
    }
}

/// Names two authenticators under which one token could have two different ids, and the claims that differ. Uses are
/// remembered by id, so such a token would be good for one use at each of them.
pub(super) fn two_ids_for_one_token<'a>(
    authenticators: impl Iterator<Item = &'a Arc<Authenticator>>,
) -> Option<(&'a AuthenticatorName, String)> {
    let mut longest: Option<(&AuthenticatorName, &[Box<str>])> = None;
    for authenticator in authenticators {
        let AuthenticatorKind::Jwt(jwt) = &authenticator.kind else { continue };
        let ours = &jwt.rules.claim_names.token_id[..];
        let Some((other, theirs)) = longest else {
            longest = Some((&authenticator.name, ours));
            continue;
        };
        if let Some((a, b)) = ours.iter().zip(theirs).find(|(a, b)| a != b) {
            let why = format!(
                "a token with both {a:?} and {b:?} would be good for one use here and one more at authenticator \
                 {other}; name the same claim first in both"
            );
            return Some((&authenticator.name, why));
        }
        if ours.len() > theirs.len() {
            longest = Some((&authenticator.name, ours));
        }
    }
    None
}
