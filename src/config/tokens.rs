//! `[tokens]`, `[khoros]`, `[icr]`, `[oauth]`: how tokens of our own are signed, and how long they live.

use std::net::IpAddr;
use std::time::Duration;

use http::Uri;
use serde::Deserialize;

use super::time::Span;
use crate::endpoints::{EndpointSettings, IcrSettings, KhorosSettings, UnknownOwner};
use crate::model::{Algorithm, port_of};
use crate::policy::is_host;
use crate::tokens::{Lifetimes, RotationSettings};

const DAY: Duration = Duration::from_secs(86_400);
const MINUTE: Span = Span::of(Duration::from_secs(60));

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TokensSection {
    algorithm: Option<Algorithm>,
    rotate_every: Option<Span>,
    publish_ahead: Option<Span>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct KhorosSection {
    token_lifetime: Option<Span>,
    grace: Option<Span>,
    unknown_owner: Option<UnknownOwnerKey>,
    unknown_owner_limit: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct IcrSection {
    token_lifetime: Option<Span>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum UnknownOwnerKey {
    Create,
    Refuse,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct OauthSection {
    issuer: Option<String>,
    audience: Option<String>,
    token_lifetime: Option<Span>,
    assertion_audiences: Option<AssertionAudiences>,
}

/// What an assertion may name as its audience.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum AssertionAudiences {
    /// The issuer, as one string: what the revision of RFC 7523 asks for.
    #[default]
    Issuer,
    /// The issuer or an endpoint, as a string or in a list: what older clients send.
    Endpoints,
}

/// As whom access tokens are issued.
#[derive(Clone, Debug)]
pub(super) struct OauthSettings {
    pub issuer: String,
    pub audience: String,
    pub life: Duration,
    pub assertion_audiences: AssertionAudiences,
}

/// A section, a key in it, and what is wrong with it.
pub(super) type Fault = ([&'static str; 2], String);

impl KhorosSection {
    fn resolve(&self) -> Result<KhorosSettings, Fault> {
        let default = KhorosSettings::default();
        let life = self.token_lifetime.unwrap_or(Span::of(default.lifetimes.life));
        let grace = self.grace.unwrap_or(Span::of(default.lifetimes.grace));
        life.within(&(MINUTE..=Span::of(366 * DAY))).map_err(|why| (["khoros", "token_lifetime"], why))?;
        if grace.0 >= life.0 {
            return Err((["khoros", "grace"], format!("{grace} is not less than the lifetime of a token, {life}")));
        }
        let (life, grace) = (life.0, grace.0);
        let unknown_owner = match self.unknown_owner {
            Some(UnknownOwnerKey::Refuse) => UnknownOwner::Refuse,
            Some(UnknownOwnerKey::Create) | None => UnknownOwner::Create,
        };
        let unknown_owner_limit = self.unknown_owner_limit.unwrap_or(default.unknown_owner_limit);
        if !(1..=1_000_000).contains(&unknown_owner_limit) {
            let why =
                format!("{unknown_owner_limit} is out of range: 1 to 1000000; unknown_owner = \"refuse\" creates none");
            return Err((["khoros", "unknown_owner_limit"], why));
        }
        Ok(KhorosSettings { lifetimes: Lifetimes { life, grace }, unknown_owner, unknown_owner_limit })
    }
}

impl IcrSection {
    fn resolve(&self) -> Result<IcrSettings, Fault> {
        let default = IcrSettings::default().token_lifetime;
        let token_lifetime = self.token_lifetime.unwrap_or(Span::of(default));
        let token_lifetime =
            token_lifetime.within(&(MINUTE..=Span::of(default))).map_err(|why| (["icr", "token_lifetime"], why))?;
        Ok(IcrSettings { token_lifetime })
    }
}

impl OauthSection {
    /// Nothing where no issuer is named.
    ///
    /// # Errors
    /// What is wrong, and with which key.
    pub fn resolve(&self) -> Result<Option<OauthSettings>, Fault> {
        let life = self.token_lifetime.unwrap_or(Span::of(Duration::from_secs(3600)));
        let life = life.within(&(MINUTE..=Span::of(DAY))).map_err(|why| (["oauth", "token_lifetime"], why))?;
        let audience = self.audience.clone();
        if audience.as_deref().is_some_and(str::is_empty) {
            return Err((["oauth", "audience"], "name the API that the tokens are for, or leave it out".into()));
        }
        let Some(issuer) = &self.issuer else { return Ok(None) };
        check_issuer(issuer).map_err(|why| (["oauth", "issuer"], format!("{issuer:?}: {why}")))?;
        let audience = audience.unwrap_or_else(|| issuer.clone());
        let assertion_audiences = self.assertion_audiences.unwrap_or_default();
        Ok(Some(OauthSettings { issuer: issuer.clone(), audience, life, assertion_audiences }))
    }
}

/// RFC 8414 section 2. A path would have to stand in the well-known path as well, and our endpoints have fixed ones.
fn check_issuer(issuer: &str) -> Result<(), &'static str> {
    const FORM: &str = "write the scheme, the host and the port alone, as callers write them: https://id.example.com";
    let uri: Uri = issuer.parse().map_err(|_| FORM)?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return Err(FORM) };
    let host = authority.host();
    if port_of(authority).is_err() {
        return Err("ports are 1 to 65535");
    }
    if !is_host(host) {
        return Err(FORM);
    }
    if format!("{scheme}://{authority}") != issuer || authority.as_str().contains('@') || host.is_empty() {
        return Err(FORM);
    }
    if issuer.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err("clients compare it letter by letter: write it in small letters");
    }
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    match scheme {
        "https" => Ok(()),
        "http" if host == "localhost" || address.is_ok_and(|address| address.is_loopback()) => Ok(()),
        _ => Err("use https; http only for a loopback address"),
    }
}

impl TokensSection {
    /// `longest_life` is that of any token of ours.
    ///
    /// # Errors
    /// What is wrong, and with which key.
    pub fn resolve(&self, longest_life: Duration) -> Result<RotationSettings, Fault> {
        let every = self.rotate_every.unwrap_or(Span::of(30 * DAY));
        let lead = self.publish_ahead.unwrap_or(Span::of(DAY));
        every.within(&(MINUTE..=Span::of(365_250 * DAY))).map_err(|why| (["tokens", "rotate_every"], why))?;
        if lead.0 >= every.0 {
            return Err((
                ["tokens", "publish_ahead"],
                format!("{lead} is not less than the time that a key signs, {every}"),
            ));
        }
        let (every, lead) = (every.0, lead.0);
        let algorithm = self.algorithm.unwrap_or(Algorithm::EdDsa);
        if !matches!(algorithm, Algorithm::EdDsa | Algorithm::Ed25519 | Algorithm::Rs256) {
            return Err((["tokens", "algorithm"], format!("{algorithm} is not one of EdDSA (or Ed25519) and RS256")));
        }
        Ok(RotationSettings { algorithm, every, lead, longest_life })
    }
}

/// The sections of what is answered here.
pub(super) fn endpoints(khoros: &KhorosSection, icr: &IcrSection) -> Result<EndpointSettings, Fault> {
    Ok(EndpointSettings { khoros: khoros.resolve()?, icr: icr.resolve()? })
}
