//! Tokens that are asked about (RFC 7662), or given back (RFC 7009).

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use serde_json::{Map, Value, json};

use super::super::{Answer, Call, Endpoints, json, of_token};
use super::form::Form;
use crate::clock::Timestamp;
use crate::jose::Compact;
use crate::model::{Reason, Refusal, TokenId, is_same_media_type};
use crate::policy::{AuthenticatorKind, Authority, Bearer, State};
use crate::registry::Repository;
use crate::tokens::{Revocation, TokenRepository};
use crate::verify::{Origin, TokenRules, Verified};

impl<R: Repository + TokenRepository> Endpoints<R> {
    /// Whether a token that we issued would be taken now, and what it says. Of all others nothing is told: of those that apps
    /// sign, and of those of other accounts.
    pub(super) async fn introspect(&self, call: &Call, authority: &Authority) -> Answer {
        let form = Form::of(call)?;
        let client = self.client(call, authority, &form).await?;
        let token = form.require("token")?;
        self.use_up(&client, call).await?;
        let good = match self.issued(token, call, authority).await {
            Err(refusal) if refusal.reason == Reason::InstallationSuspended => None,
            good => good?,
        };
        let told = good.filter(|(_, good)| good.app().account == client.app().account);
        let told = told.map_or_else(|| json!({ "active": false }), |(_, good)| Value::Object(describe(&good)));
        Ok(json(StatusCode::OK, &told))
    }

    /// Ends a token that we issued to the client. One that is no longer good, or that nobody knows, is as good as ended.
    pub(super) async fn revoke(&self, call: &Call, authority: &Authority) -> Answer {
        let form = Form::of(call)?;
        let client = self.client(call, authority, &form).await?;
        let token = form.require("token")?;
        self.use_up(&client, call).await?;
        let Some((origin, good)) = self.issued(token, call, authority).await? else {
            return if is_of_others(token) { Err(Reason::OauthTokenUnsupported.into()) } else { Ok(done()) };
        };
        let (app, claims) = (good.app(), good.claims());
        if app.number != client.app().number {
            let refusal = Refusal::new(Reason::OauthTokenForeign);
            return Err(refusal.expected(format!("one of {}", client.app().client_id)));
        }
        let actor = call.actor("revocation by the client");
        let actor = crate::registry::Actor { name: format!("app:{}", app.client_id), ..actor };
        let id = claims.token_id.as_deref().and_then(|jti| TokenId::new(jti).ok());
        match (origin, id, claims.expires) {
            (Origin::Held, ..) => _ = self.tokens.invalidate(app.number, &actor).await.map_err(|e| of_token(&e))?,
            (_, Some(id), Some(until)) => {
                let revoked = self.tokens.revoke(app.number, &Revocation::Token(id), until, &actor).await;
                revoked.map_err(|error| of_token(&error))?;
            }
            // All that we sign have both.
            (_, None, _) | (_, _, None) => return Err(Reason::OauthTokenUnsupported.into()),
        }
        Ok(done())
    }

    /// The token, if it is one of ours that some route would take now.
    ///
    /// # Errors
    /// `installation.suspended`, of a token that may be good again; and where it could not be found out.
    async fn issued(
        &self,
        token: &str,
        call: &Call,
        authority: &Authority,
    ) -> Result<Option<(Origin, Verified)>, Refusal> {
        for (prefix, rules) in ways(&call.state, authority) {
            let Some(token) = token.strip_prefix(prefix) else { continue };
            match self.verifying.verify(token, rules, call).await {
                Ok(verified) => return Ok(Some((rules.origin, verified))),
                Err(refusal) if refusal.reason.status() >= 500 => return Err(refusal),
                Err(refusal) if refusal.reason == Reason::InstallationSuspended => return Err(refusal),
                Err(_) => {}
            }
        }
        Ok(None)
    }
}

/// By what tokens of ours are verified, and what stands before each: access tokens by the authority's rules, which may be
/// those of no route, since other services take them, too.
fn ways<'s>(state: &'s State, authority: &'s Authority) -> Vec<(&'s str, &'s TokenRules)> {
    let mut ways = vec![("", &authority.access)];
    for route in state.routes.routes() {
        let AuthenticatorKind::Jwt(jwt) = &route.authenticator.kind else { continue };
        let rules = &jwt.rules;
        if rules.origin != Origin::App && ways.iter().all(|(_, known)| known.authenticator != rules.authenticator) {
            ways.push((&jwt.prefix, rules));
        }
    }
    ways
}

/// Whether it is a token, of a kind that we never issue.
fn is_of_others(token: &str) -> bool {
    let ours = [Origin::Held, Origin::Access, Origin::Installation];
    let Ok(compact) = Compact::parse(token.as_bytes(), token.len()) else { return false };
    let typ = compact.header.token_type.as_deref();
    ours.into_iter().filter_map(Origin::token_type).all(|own| !typ.is_some_and(|typ| is_same_media_type(typ, own)))
}

/// RFC 7662 section 2.2. The scope is what the token is good for now: less than it says, where grants were taken back. For an
/// installation it is the permissions, as the upstream is told them.
fn describe(good: &Verified) -> Map<String, Value> {
    let (app, claims) = (good.app(), good.claims());
    let bearer = Bearer::from(good);
    let scopes = match bearer.reach {
        Some(reach) => Some(reach.permissions()).filter(|held| !held.is_empty()).map(|held| held.to_string()),
        None => Some(bearer.scopes().join(" ")).filter(|scopes| !scopes.is_empty()),
    };
    let text = |text: &Option<Box<str>>| text.as_deref().map(Value::from);
    let seconds = |time: Option<Timestamp>| time.map(|time| Value::from(time.secs()));
    let audience = match &claims.audience.0[..] {
        [] => None,
        [one] => Some(Value::from(&**one)),
        several => Some(several.iter().map(|one| &**one).collect()),
    };
    let members = [
        ("active", Some(true.into())),
        ("scope", scopes.map(Value::from)),
        ("client_id", Some(app.client_id.as_str().into())),
        ("token_type", Some("Bearer".into())),
        ("exp", seconds(claims.expires)),
        ("iat", seconds(claims.issued_at)),
        ("nbf", seconds(claims.not_before)),
        ("sub", text(&claims.subject)),
        ("aud", audience),
        ("iss", text(&claims.issuer)),
        ("jti", text(&claims.token_id)),
    ];
    members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// Nothing more is to be said (RFC 7009 section 2.2).
fn done() -> Response<Full<Bytes>> {
    Response::new(Full::default())
}
