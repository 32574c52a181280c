//! Khoros' tokens: issued once to an app, refreshed with a grace, given up all at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::{Map, json};

use super::{Answer, Call, Caller, Endpoints, UnknownOwner, client_id, json, of_store, of_token};
use crate::model::{AccountId, AuthenticatorName, ClientId, Level, Reason, Refusal, TokenId};
use crate::registry::{Actor, App, AppSettings, Change, Repository, StoreError};
use crate::tokens::{Holder, NewToken, TokenRepository};

/// The authenticator of the routes that these tokens are for.
const AUTHENTICATOR: &str = "khoros";

impl<R: Repository + TokenRepository> Endpoints<R> {
    /// For service accounts: POST issues, GET tells, DELETE resets.
    pub(super) async fn khoros_token(&self, call: &Call) -> Answer {
        let Caller::Service { account, .. } = &call.caller else { return Err(Reason::CredentialMissing.into()) };
        let owner = client_id(call.param("ownerId"))?;
        let app = call.state.registry.app(owner.as_str()).cloned();
        if let Some(app) = &app {
            check_owner(app, account)?;
        }
        match call.method {
            Method::POST => {
                if app.as_ref().is_some_and(|app| !app.enabled) {
                    return Err(Reason::AppDisabled.into());
                }
                let app = match app {
                    Some(app) => app,
                    None => self.unknown_owner(call, owner, account).await?,
                };
                let actor = call.actor("POST of a first token");
                let lifetimes = self.settings.khoros.lifetimes;
                let token = self.tokens.issue(&holder(&app), lifetimes, &actor).await;
                let token = token.map_err(|error| of_token(&error))?;
                Ok(json(StatusCode::OK, &json!({ "status": "success", "data": data(&token) })))
            }
            Method::DELETE => {
                let app = app.ok_or(Refusal::new(Reason::TokenAbsent))?;
                let ended = self.tokens.invalidate(app.number, &call.actor("reset by a service account")).await;
                ended.map_err(|error| of_token(&error))?;
                Ok(json(StatusCode::OK, &json!({ "status": "success", "data": {} })))
            }
            _ => {
                let app = app.ok_or(Refusal::new(Reason::TokenAbsent))?;
                let current = self.tokens.current(app.number).await.map_err(|error| of_store(&error))?;
                let current = current.ok_or(Refusal::new(Reason::TokenAbsent))?;
                let is_expired = current.expires_at <= call.now;
                let expires = current.expires_at.millis();
                let data = json!({ "exists": true, "expired": is_expired, "expiresAtMillis": expires });
                Ok(json(StatusCode::OK, &json!({ "status": "success", "data": data })))
            }
        }
    }

    /// For whoever holds the app's token: PUT refreshes it, DELETE gives up all of them.
    pub(super) async fn khoros_renewal(&self, call: &Call) -> Answer {
        let (app, proof) = call.app()?;
        if call.method == Method::DELETE {
            let ended = self.tokens.invalidate(app.number, &call.actor("DELETE by a holder of the token")).await;
            ended.map_err(|error| of_token(&error))?;
            return Ok(json(StatusCode::OK, &json!({})));
        }
        let submitted = proof.claims.token_id.as_deref().and_then(|jti| TokenId::new(jti).ok());
        let submitted = submitted.ok_or(Refusal::new(Reason::TokenJtiRequired))?;
        let (lifetimes, actor) = (self.settings.khoros.lifetimes, call.actor("PUT by the holder of the token"));
        let token = self.tokens.refresh(&holder(app), &submitted, lifetimes, &actor).await;
        let token = token.map_err(|error| of_token(&error))?;
        Ok(json(StatusCode::OK, &json!({ "data": data(&token), "requestId": call.request_id })))
    }

    /// An app that nobody registered, in the account of whoever asks.
    async fn unknown_owner(&self, call: &Call, owner: ClientId, account: &AccountId) -> Result<Arc<App>, Refusal> {
        // Digits alone name apps by their numbers elsewhere: nobody creates an app that stands in the way of another.
        let is_number = owner.as_str().bytes().all(|b| b.is_ascii_digit());
        if is_number || self.settings.khoros.unknown_owner == UnknownOwner::Refuse {
            return Err(Refusal::new(Reason::OwnerUnknown).found(owner.to_string()));
        }
        let (_turn, actor) = (self.creating.lock().await, call.actor("POST of a first token"));
        self.check_created(&actor).await?;
        let new = Change::PutApp { settings: new_app(owner.clone(), account), is_new: true };
        match self.repository.commit(&[new], &actor).await {
            // Of several at once, one creates the app, and the others find it.
            Ok(_) | Err(StoreError::Conflict(_)) => {}
            Err(error) => return Err(of_store(&error)),
        }
        self.live.follow(&self.repository).await.map_err(|error| of_store(&error))?;
        let state = self.live.load();
        let app = state.registry.app(owner.as_str()).cloned().ok_or(Refusal::new(Reason::OwnerUnknown))?;
        check_owner(&app, account)?;
        Ok(app)
    }

    /// Whether one more app may be created in the name of the service account.
    async fn check_created(&self, actor: &Actor) -> Result<(), Refusal> {
        let limit = self.settings.khoros.unknown_owner_limit;
        let created = self.repository.apps_created_by(&actor.name).await.map_err(|error| of_store(&error))?;
        if created < u64::from(limit) {
            return Ok(());
        }
        let expected =
            format!("an app that is registered: {} has had {limit} created (khoros.unknown_owner_limit)", actor.name);
        Err(Refusal::new(Reason::OwnerUnknown).expected(expected))
    }
}

fn check_owner(app: &App, account: &AccountId) -> Result<(), Refusal> {
    if app.account != *account {
        let expected = format!("a service account of {}", app.account);
        return Err(Refusal::new(Reason::AppWrongAccount).expected(expected).found(account.to_string()));
    }
    let is_ours = AuthenticatorName::new(AUTHENTICATOR).is_ok_and(|name| app.may_use(&name));
    if is_ours { Ok(()) } else { Err(Refusal::new(Reason::AppWrongAuthenticator).expected(AUTHENTICATOR)) }
}

/// It has no keys: the tokens that it sends are ours.
fn new_app(client_id: ClientId, account: &AccountId) -> AppSettings {
    AppSettings {
        name: client_id.to_string(),
        client_id,
        account: account.clone(),
        level: Level::Account,
        bots: BTreeSet::new(),
        authenticators: AuthenticatorName::new(AUTHENTICATOR).into_iter().collect(),
        algorithms: BTreeSet::new(),
        enforce_jti: false,
        enforce_jwe: false,
        require_exp: false,
        max_lifetime: None,
        networks: BTreeSet::new(),
        enabled: true,
    }
}

fn holder(app: &App) -> Holder {
    let company = ("companyKey".to_owned(), app.account.as_str().into());
    Holder { app: app.number, client_id: app.client_id.clone(), claims: Map::from_iter([company]) }
}

/// Here the token itself is told, this once.
fn data(token: &NewToken) -> serde_json::Value {
    let text = String::from_utf8_lossy(token.token.expose());
    json!({ "token": text, "expiresAtMillis": token.expires_at.millis() })
}
