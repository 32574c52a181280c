//! The token endpoint (RFC 6749 sections 4.4 and 5, RFC 7523 section 2.1).

use std::collections::BTreeSet;

use http::StatusCode;
use serde_json::{Map, json};

use super::super::{Answer, Call, Endpoints, json, of_token};
use super::client::check_client_id;
use super::form::Form;
use crate::model::{Reason, Refusal, quoted};
use crate::policy::{Authority, Bearer};
use crate::registry::App;
use crate::tokens::{Holder, TokenError, TokenRepository};
use crate::verify::{Origin, Verified};

const CLIENT_CREDENTIALS: &str = "client_credentials";
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
pub const GRANTS: [&str; 2] = [CLIENT_CREDENTIALS, JWT_BEARER];

/// Who gets a token, for whom, and what that costs.
struct Granted {
    subject: Box<str>,
    /// The assertion that names the app.
    assertion: Verified,
    /// The assertion that is exchanged, where it is another.
    exchanged: bool,
    /// By what the client authenticates besides.
    client: Option<Verified>,
}

impl<R: TokenRepository> Endpoints<R> {
    pub(super) async fn grant(&self, call: &Call, authority: &Authority) -> Answer {
        let form = Form::of(call)?;
        let granted = match form.require("grant_type")? {
            CLIENT_CREDENTIALS => self.client_credentials(call, authority, &form).await?,
            JWT_BEARER => self.jwt_bearer(call, authority, &form).await?,
            other => {
                let refusal = Refusal::new(Reason::OauthGrantUnsupported).expected(GRANTS.join(" or "));
                return Err(refusal.found(quoted(other)));
            }
        };
        let app = granted.assertion.app();
        let scope = scope(app, form.get("scope"))?;
        if let Some(client) = &granted.client {
            self.use_up(client, call).await?;
        }
        let used = self.use_up(&granted.assertion, call).await;
        used.map_err(|refusal| if granted.exchanged { refusal.of_grant() } else { refusal })?;
        let mut claims = Map::new();
        claims.insert("iss".into(), authority.issuer.as_ref().into());
        claims.insert("aud".into(), authority.audience.as_ref().into());
        claims.insert("sub".into(), (&*granted.subject).into());
        claims.insert("client_id".into(), app.client_id.as_str().into());
        if !scope.is_empty() {
            claims.insert("scope".into(), scope.as_str().into());
        }
        let holder = Holder { app: app.number, client_id: app.client_id.clone(), claims };
        let token = self.tokens.mint(Origin::Access, &holder, authority.life, call.now);
        let token = token.map_err(|error| of_token(&TokenError::from(error)))?;
        let mut answer = json!({
            "access_token": String::from_utf8_lossy(token.token.expose()),
            "token_type": "Bearer",
            "expires_in": token.expires_at.secs() - token.issued_at.secs(),
        });
        if !scope.is_empty() {
            answer["scope"] = scope.into();
        }
        Ok(json(StatusCode::OK, &answer))
    }

    /// For the app itself.
    async fn client_credentials(&self, call: &Call, authority: &Authority, form: &Form) -> Result<Granted, Refusal> {
        let assertion = self.client(call, authority, form).await?;
        Ok(Granted { subject: assertion.app().client_id.as_str().into(), assertion, exchanged: false, client: None })
    }

    /// For whomever the app vouches for with an assertion. It is enough that the app signed it: the client need not
    /// authenticate (RFC 7521 section 4.1).
    async fn jwt_bearer(&self, call: &Call, authority: &Authority, form: &Form) -> Result<Granted, Refusal> {
        let assertion = form.require("assertion")?;
        let client = match form.get("client_assertion") {
            Some(_) => Some(self.client(call, authority, form).await?),
            None => None,
        };
        let assertion = self.assertion(call, authority, assertion).await.map_err(Refusal::of_grant)?;
        check_client_id(&assertion, form).map_err(Refusal::of_grant)?;
        let app = assertion.app();
        if let Some(other) = client.as_ref().filter(|client| client.app().number != app.number) {
            let refusal = Refusal::new(Reason::OauthClientMismatch).of_grant();
            return Err(refusal
                .expected(format!("an assertion of {}, the client", other.app().client_id))
                .found(format!("one of {}", app.client_id)));
        }
        let Some(subject) = assertion.claims().subject.clone() else {
            let refusal = Refusal::new(Reason::TokenClaimInvalid).of_claim("sub").of_grant();
            return Err(refusal.expected("sub: for whom the token is").found("no sub"));
        };
        Ok(Granted { subject, assertion, exchanged: true, client })
    }
}

/// The scopes that a token is for: those that are asked for, or all that the app holds, on any of its bots. Permissions on
/// tables and views go with [`TABLES_SCOPE`](crate::policy::TABLES_SCOPE), which is asked for as the others are.
///
/// # Errors
/// `oauth.scope_invalid`.
fn scope(app: &App, asked: Option<&str>) -> Result<String, Refusal> {
    let held: BTreeSet<_> = Bearer::from(app).scopes().into_iter().collect();
    let Some(asked) = asked else { return Ok(held.into_iter().collect::<Vec<_>>().join(" ")) };
    let asked: BTreeSet<_> = asked.split(' ').filter(|scope| !scope.is_empty()).collect();
    if let Some(lacking) = asked.iter().find(|scope| !held.contains(*scope)) {
        let held = if held.is_empty() { "none".to_owned() } else { held.into_iter().collect::<Vec<_>>().join(" ") };
        return Err(Refusal::new(Reason::OauthScopeInvalid).expected(format!("of {held}")).found(quoted(lacking)));
    }
    Ok(asked.into_iter().collect::<Vec<_>>().join(" "))
}
