//! Tells the upstream who calls: in headers, or in a token that we sign.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use moka::sync::Cache;
use serde::Serialize;

use super::Caller;
use super::identity_value::header_value;
use crate::clock::Timestamp;
use crate::model::UpstreamName;
use crate::policy::{Authorization, Bearer, IdentityHeaders, IdentityToken};
use crate::tokens::{KeyRing, NoSigningKey};
use crate::verify::IDENTITY_TYPE;

/// Bytes of signed tokens that are kept, about.
const KEPT: u64 = 16 << 20;

/// Who calls, as upstreams are told.
pub(super) struct Told<'a> {
    app: Option<&'a str>,
    account: &'a str,
    bot: Option<&'a str>,
    scopes: Cow<'a, str>,
    subject: Option<&'a str>,
    /// When the caller's own proof ends.
    until: Option<Timestamp>,
}

impl<'a> Told<'a> {
    /// Nothing where anybody may call.
    pub fn of(caller: &'a Caller, authorization: Option<&'a Authorization>) -> Option<Self> {
        let verified = match caller {
            Caller::App(verified) => verified,
            Caller::Service(service) => {
                let (account, subject) = (service.account.as_str(), Some(service.name.as_str()));
                return Some(Self { app: None, account, bot: None, scopes: "".into(), subject, until: None });
            }
            Caller::Anonymous => return None,
        };
        let bot = authorization?.bot.as_ref().map(|bot| bot.as_str());
        let (claims, account) = (verified.claims(), verified.account().as_str());
        let app = Some(verified.app().client_id.as_str());
        Some(match verified.reach() {
            // Such a token is for an account, and for no bot and no user.
            Some(reach) => {
                let scopes = reach.permissions().to_string().into();
                Self { app, account, bot: None, scopes, subject: None, until: claims.expires }
            }
            None => {
                let scopes = Bearer::from(verified).scopes_on(bot);
                Self { app, account, bot, scopes, subject: claims.subject.as_deref(), until: claims.expires }
            }
        })
    }

    /// Each value as it is, or percent-encoded where a header could not hold it unchanged.
    pub fn put(&self, headers: &mut HeaderMap, names: &IdentityHeaders) {
        let mut insert = |name: &Option<HeaderName>, value: Option<&str>| {
            if let (Some(name), Some(value)) = (name, value) {
                headers.insert(name, header_value(value));
            }
        };
        insert(&names.app, self.app);
        insert(&names.account, Some(self.account));
        insert(&names.bot, self.bot);
        insert(&names.scopes, Some(&*self.scopes).filter(|scopes| !scopes.is_empty()));
        insert(&names.subject, self.subject);
    }

    /// What the token says beside its times, and without the brace at its end.
    fn claims(&self, rules: &IdentityToken, upstream: &UpstreamName) -> String {
        let claims = Claims {
            iss: &rules.issuer,
            aud: rules.audience(upstream),
            sub: self.subject,
            client_id: self.app,
            account: self.account,
            bot: self.bot,
            scope: Some(&*self.scopes).filter(|scopes| !scopes.is_empty()),
        };
        let mut text = serde_json::to_string(&claims).unwrap_or_default();
        text.pop();
        text
    }

    /// When a token made now ends, in whole seconds: never after the caller's own, but where that one is taken by the
    /// allowance for clocks alone, and for the rest of its last second.
    fn end(&self, lifetime: Duration, now: Timestamp) -> i64 {
        let own = self.until.map_or(i64::MAX, Timestamp::secs);
        now.after(lifetime).secs().min(own).max(now.secs() + 1)
    }
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    account: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    bot: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
}

/// Signs who calls, and keeps what it signed: shared by all workers, none of which waits for another.
///
/// What is kept is found by all that it says, so that whatever changes about a caller gives a new token; and it is used for
/// half of its life, by the key that signs now, and for nobody whose own proof ends before it.
pub struct IdentityTokens {
    ring: Arc<KeyRing>,
    kept: Cache<Arc<str>, Arc<Signed>>,
}

struct Signed {
    token: HeaderValue,
    /// The number of the key.
    signer: i64,
    /// In seconds since 1970.
    issued: i64,
    ends: i64,
}

impl Signed {
    fn serves(&self, signer: i64, ends: i64, now: i64) -> bool {
        let half = self.issued + (self.ends - self.issued) / 2;
        self.signer == signer && self.ends <= ends && (self.issued..=half).contains(&now)
    }
}

impl Default for IdentityTokens {
    /// Without a key, and so without a token.
    fn default() -> Self {
        Self::new(Arc::default())
    }
}

impl IdentityTokens {
    pub fn new(ring: Arc<KeyRing>) -> Self {
        let weigh = |claims: &Arc<str>, signed: &Arc<Signed>| {
            u32::try_from(claims.len() + signed.token.len() + 200).unwrap_or(u32::MAX)
        };
        Self { ring, kept: Cache::builder().max_capacity(KEPT).weigher(weigh).build() }
    }

    /// Whether there is a key to sign with.
    pub(super) fn can_sign(&self, now: Timestamp) -> bool {
        self.ring.signer(now).is_some()
    }

    pub(super) fn sign(
        &self,
        told: &Told<'_>,
        (rules, upstream): (&IdentityToken, &UpstreamName),
        now: Timestamp,
    ) -> Result<HeaderValue, NoSigningKey> {
        let signer = self.ring.signer(now).ok_or(NoSigningKey)?;
        let (claims, issued, ends) = (told.claims(rules, upstream), now.secs(), told.end(rules.lifetime, now));
        if let Some(signed) = self.kept.get(claims.as_str()).filter(|signed| signed.serves(signer, ends, issued)) {
            return Ok(signed.token.clone());
        }
        let payload = format!("{claims},\"iat\":{issued},\"exp\":{ends}}}");
        let token = self.ring.sign(IDENTITY_TYPE, &payload, now)?;
        let mut token = HeaderValue::try_from(token).map_err(|_| NoSigningKey)?;
        token.set_sensitive(true);
        let signed = Signed { token: token.clone(), signer, issued, ends };
        self.kept.insert(claims.into(), Arc::new(signed));
        Ok(token)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::jose::{Compact, IssuingMaterial};
    use crate::model::{Algorithm, KeyId};
    use crate::tokens::{RotationSettings, SigningKeyRecord};

    const NOON: Timestamp = Timestamp::from_secs(1_795_348_800);
    const MINUTE: Duration = Duration::from_secs(60);

    fn rules() -> IdentityToken {
        IdentityToken {
            header: HeaderName::from_static("x-scopegate-identity"),
            issuer: "https://id.example".into(),
            audiences: HashMap::new(),
            lifetime: MINUTE,
            plain: false,
        }
    }

    fn bots() -> UpstreamName {
        UpstreamName::new("bots").unwrap()
    }

    fn told(scopes: &str) -> Told<'_> {
        let (app, account, bot, subject) = (Some("cs-1"), "acme", Some("st-1"), Some("a \"b\"\n"));
        Told { app, account, bot, scopes: scopes.into(), subject, until: None }
    }

    /// Keys that begin to sign at these times.
    fn follow(ring: &KeyRing, from: &[Timestamp]) {
        let record = |(number, signs_from): (i64, &Timestamp)| SigningKeyRecord {
            number,
            kid: KeyId::new(&format!("k-{number}")).unwrap(),
            material: IssuingMaterial::generate(Algorithm::EdDsa).unwrap(),
            created_at: *signs_from,
            signs_from: *signs_from,
        };
        let records: Vec<_> = (1..).zip(from).map(record).collect();
        let (every, lead, longest_life) = (30 * MINUTE, MINUTE, MINUTE);
        let settings = RotationSettings { algorithm: Algorithm::EdDsa, every, lead, longest_life };
        ring.follow(&records, &settings).unwrap();
    }

    fn tokens(from: &[Timestamp]) -> IdentityTokens {
        let tokens = IdentityTokens::default();
        follow(&tokens.ring, from);
        tokens
    }

    fn claim(token: &HeaderValue, name: &str) -> Option<String> {
        Compact::parse(token.as_bytes(), 8192).unwrap().claims.get(name).map(str::to_owned)
    }

    fn at(seconds: u64) -> Timestamp {
        NOON.after(Duration::from_secs(seconds))
    }

    #[test]
    fn a_token_says_all_of_it_and_is_of_a_type_of_its_own() {
        let token = tokens(&[NOON]).sign(&told("logs users"), (&rules(), &bots()), NOON).unwrap();
        let compact = Compact::parse(token.as_bytes(), 8192).unwrap();
        assert_eq!(compact.header.token_type.as_deref(), Some("identity+jwt"));
        let claims: Vec<_> = compact.claims.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut wanted = [
            r#"iss="https://id.example""#,
            r#"aud="bots""#,
            r#"sub="a \"b\"\n""#,
            r#"client_id="cs-1""#,
            r#"account="acme""#,
            r#"bot="st-1""#,
            r#"scope="logs users""#,
            "iat=1795348800",
            "exp=1795348860",
        ];
        wanted.sort_unstable();
        let mut found: Vec<&str> = claims.iter().map(String::as_str).collect();
        found.sort_unstable();
        assert_eq!(found, wanted);
        assert!(token.is_sensitive(), "no print shows it");
    }

    #[test]
    fn a_token_is_kept_for_half_of_its_life_and_for_what_it_says() {
        let tokens = tokens(&[NOON]);
        let sign = |scopes, seconds| tokens.sign(&told(scopes), (&rules(), &bots()), at(seconds)).unwrap();
        let first = sign("logs", 0);
        assert_eq!(sign("logs", 30), first);
        assert_ne!(sign("logs users", 30), first, "other grants");
        let second = sign("logs", 31);
        assert_ne!(second, first);
        assert_eq!(claim(&second, "exp").unwrap(), (at(91).secs()).to_string());
        let elsewhere = tokens.sign(&told("logs"), (&rules(), &UpstreamName::new("others").unwrap()), at(31)).unwrap();
        assert_eq!(claim(&elsewhere, "aud").unwrap(), "\"others\"", "each upstream has its own");
        let other = IdentityToken { audiences: HashMap::from([(bots(), "api".into())]), ..rules() };
        let named = tokens.sign(&told("logs"), (&other, &bots()), at(31)).unwrap();
        assert_eq!(claim(&named, "aud").unwrap(), "\"api\"");
        assert_ne!(
            tokens.sign(&told("logs"), (&rules(), &bots()), at(0)).unwrap(),
            second,
            "a clock that was set back"
        );
    }

    #[test]
    fn a_key_that_begins_to_sign_signs_at_once_and_without_a_key_there_is_no_token() {
        let tokens = tokens(&[NOON, at(10)]);
        let kid = |seconds| {
            let token = tokens.sign(&told("logs"), (&rules(), &bots()), at(seconds)).unwrap();
            Compact::parse(token.as_bytes(), 8192).unwrap().header.key_id.unwrap().to_string()
        };
        assert_eq!((kid(9), kid(10)), ("k-1".to_owned(), "k-2".to_owned()));
        let none = IdentityTokens::default();
        assert!(!none.can_sign(NOON) && none.sign(&told(""), (&rules(), &bots()), NOON).is_err());
        follow(&tokens.ring, &[]);
        assert!(tokens.sign(&told("logs"), (&rules(), &bots()), at(10)).is_err(), "also for what was signed before");
    }

    proptest! {
        #[test]
        fn no_token_outlives_its_lifetime_or_the_proof_of_its_caller(calls in prop::collection::vec((0_u64..90, 0_u64..200), 1..12)) {
            let tokens = tokens(&[NOON]);
            let mut seconds = 0;
            for (pause, left) in calls {
                seconds += pause;
                let now = at(seconds);
                let until = Some(now.after(Duration::from_secs(left)));
                let token = tokens.sign(&Told { until, ..told("logs") }, (&rules(), &bots()), now).unwrap();
                let exp: i64 = claim(&token, "exp").unwrap().parse().unwrap();
                prop_assert!(exp > now.secs());
                prop_assert!(exp <= now.after(MINUTE).secs());
                prop_assert!(exp <= now.secs() + i64::try_from(left).unwrap().max(1));
            }
        }
    }
}
