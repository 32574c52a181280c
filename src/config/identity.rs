//! `[identity]`: how upstreams are told who calls.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use http::HeaderName;
use serde::Deserialize;

use super::time::Span;
use crate::model::UpstreamName;
use crate::policy::{Authenticator, Identity, IdentityHeaders, IdentityToken, has_other_meaning, reads_as};

const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct IdentitySection {
    headers: HeadersKey,
    jwt: Option<JwtKey>,
}

/// A name each; "" for none.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct HeadersKey {
    app: Option<String>,
    account: Option<String>,
    bot: Option<String>,
    scopes: Option<String>,
    subject: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct JwtKey {
    audience: Option<String>,
    header: Option<String>,
    lifetime: Option<Span>,
    issuer: Option<String>,
    #[serde(default)]
    plain: bool,
}

/// Stands for the upstream's name.
const UPSTREAM: &str = "{upstream}";

/// The upstreams, and the audience that each sets for itself.
pub(super) type Audiences = BTreeMap<UpstreamName, Option<Box<str>>>;

/// The path of a key within the section, and what is wrong with it.
type Fault = ([&'static str; 2], String);

impl IdentitySection {
    /// `issuer` is as whom we issue tokens, if we do; the upstreams are told with the audience of their own, if they have one.
    ///
    /// # Errors
    /// What is wrong, and with which key.
    pub fn resolve<'a>(
        &self,
        issuer: Option<&str>,
        upstreams: &Audiences,
        authenticators: impl Iterator<Item = &'a Authenticator> + Clone,
    ) -> Result<Identity, Fault> {
        let mut names = Names { taken: Vec::new(), authenticators };
        let HeadersKey { app, account, bot, scopes, subject } = &self.headers;
        let own = IdentityHeaders::default();
        let headers = IdentityHeaders {
            app: names.read(["headers", "app"], app.as_deref(), own.app)?,
            account: names.read(["headers", "account"], account.as_deref(), own.account)?,
            bot: names.read(["headers", "bot"], bot.as_deref(), own.bot)?,
            scopes: names.read(["headers", "scopes"], scopes.as_deref(), own.scopes)?,
            subject: names.read(["headers", "subject"], subject.as_deref(), own.subject)?,
        };
        let token = self.jwt.as_ref().map(|jwt| jwt.resolve(issuer, upstreams, &mut names)).transpose()?;
        Ok(Identity::new(headers, token))
    }
}

impl JwtKey {
    fn resolve<'a>(
        &self,
        issuer: Option<&str>,
        upstreams: &Audiences,
        names: &mut Names<impl Iterator<Item = &'a Authenticator> + Clone>,
    ) -> Result<IdentityToken, Fault> {
        let own = HeaderName::from_static("x-scopegate-identity");
        let Some(header) = names.read(["jwt", "header"], self.header.as_deref(), Some(own))? else {
            return Err((["jwt", "header"], "the token needs a header: leave the key out for the usual one".into()));
        };
        let lifetime = self.lifetime.unwrap_or(Span::of(60 * SECOND));
        let bounds = Span::of(5 * SECOND)..=Span::of(3600 * SECOND);
        let lifetime = lifetime.within(&bounds).map_err(|why| (["jwt", "lifetime"], why))?;
        let issuer = self.issuer.as_deref().or(issuer).unwrap_or("scopegate");
        for (key, text) in [("audience", self.audience.as_deref().unwrap_or(UPSTREAM)), ("issuer", issuer)] {
            if text.is_empty() {
                return Err((["jwt", key], "upstreams compare it with what they expect: it can't be empty".into()));
            }
        }
        let audiences = self.audiences(upstreams)?;
        Ok(IdentityToken { header, issuer: issuer.into(), audiences, lifetime, plain: self.plain })
    }

    /// One for each upstream. Two may share one only where both say so themselves.
    fn audiences(&self, upstreams: &Audiences) -> Result<HashMap<UpstreamName, Box<str>>, Fault> {
        let pattern = self.audience.as_deref().unwrap_or(UPSTREAM);
        let mut audiences: HashMap<UpstreamName, Box<str>> = HashMap::new();
        for (name, own) in upstreams {
            let audience = own.clone().unwrap_or_else(|| pattern.replace(UPSTREAM, name.as_str()).into());
            let shares = |other: &UpstreamName| own.is_some() && upstreams.get(other).is_some_and(Option::is_some);
            let mut same = audiences.iter().filter(|(_, taken)| **taken == audience);
            if let Some((other, _)) = same.next().filter(|(other, _)| !shares(other)) {
                let why = format!(
                    "upstreams {other} and {name} would have the same audience, {audience:?}, and each could use the other's \
                     tokens: write {UPSTREAM:?} in it, leave it out, or set identity_audience of each upstream"
                );
                return Err((["jwt", "audience"], why));
            }
            audiences.insert(name.clone(), audience);
        }
        Ok(audiences)
    }
}

/// The names so far.
struct Names<A> {
    taken: Vec<HeaderName>,
    authenticators: A,
}

impl<'a, A: Iterator<Item = &'a Authenticator> + Clone> Names<A> {
    fn read(
        &mut self,
        key: [&'static str; 2],
        text: Option<&str>,
        own: Option<HeaderName>,
    ) -> Result<Option<HeaderName>, Fault> {
        let name = match text {
            Some("") => return Ok(None),
            Some(text) => text.parse().map_err(|_| (key, format!("{text:?} is no header name")))?,
            None => match own {
                Some(own) => own,
                None => return Ok(None),
            },
        };
        let is_it = |other: &HeaderName| reads_as(other.as_str(), name.as_str());
        if has_other_meaning(name.as_str()) {
            let why = "has a meaning of its own, by which messages are framed, routed, cached or authenticated";
            return Err((key, format!("{name:?} {why}: use another name, such as \"x-caller-app\"")));
        }
        let carries = |one: &&Authenticator| one.credential().is_some_and(|(header, _)| is_it(header));
        if let Some(other) = self.authenticators.clone().find(carries) {
            return Err((key, format!("{name:?} carries the credential of authenticator {}", other.name)));
        }
        if self.taken.iter().any(is_it) {
            return Err((key, format!("{name:?} is taken already: each header says one thing")));
        }
        self.taken.push(name.clone());
        Ok(Some(name))
    }
}
