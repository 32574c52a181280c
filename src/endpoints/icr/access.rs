//! Tokens for installations: issued to the app, taken back by whoever holds one.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::{Answer, Call, Endpoints, json, of_token};
use super::{installations, shapes};
use crate::model::{Reason, Refusal, TokenId};
use crate::registry::{
    App, Installation, PermissionFault, PermissionSet, Repositories, Repository, SelectedRepository,
};
use crate::tokens::{Holder, Revocation, TokenError, TokenRepository};
use crate::verify::{GrantedRepositories, InstallationGrant, Origin, Reach, RepositoryRef, check_suspension};

/// Stands before each token, so that a leaked one is recognised.
const PREFIX: &str = "ghs_";
const MAX_REPOSITORIES: usize = 500;
/// What the profile's routes take, and fits beside other fields into a request's header.
const MAX_TOKEN_BYTES: usize = 12 << 10;

/// What a token is to be narrowed to; what is absent is not narrowed.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    repositories: Option<Vec<String>>,
    repository_ids: Option<Vec<i64>>,
    permissions: Option<BTreeMap<String, String>>,
}

impl<R: Repository + TokenRepository> Endpoints<R> {
    pub(super) fn icr_access_token(&self, call: &Call) -> Answer {
        let (app, _) = call.app()?;
        let installation = installations::find(call, app, call.param("installation_id"))?;
        check_suspension(installation)?;
        let grant = Wanted::read(&call.body)?.of(installation)?;
        let claims = serde_json::to_value(&grant).ok().and_then(|claims| claims.as_object().cloned());
        let token = self.icr_token(app, claims.unwrap_or_default(), call)?;
        let mut body = json!({
            "token": token.text,
            "expires_at": shapes::time(token.expires_at),
            "permissions": grant.permissions,
        });
        let reached = Reach::of(&grant, app, &call.state.registry)?.repositories();
        body["repository_selection"] = if reached.is_some() { "selected" } else { "all" }.into();
        if let Some(reached) = reached {
            let shown = reached.into_iter().map(|(id, name)| shapes::repository(installation, id, name));
            body["repositories"] = shown.collect();
        }
        Ok(json(StatusCode::CREATED, &body))
    }

    fn icr_token(&self, app: &App, claims: Map<String, Value>, call: &Call) -> Result<Issued, Refusal> {
        let holder = Holder { app: app.number, client_id: app.client_id.clone(), claims };
        let minted = self.tokens.mint(Origin::Installation, &holder, self.settings.icr.token_lifetime, call.now);
        let minted = minted.map_err(|error| of_token(&TokenError::from(error)))?;
        let text = format!("{PREFIX}{}", String::from_utf8_lossy(minted.token.expose()));
        if text.len() > MAX_TOKEN_BYTES {
            let found = format!("names for which the token would have {} bytes", text.len());
            let expected = format!("fewer repositories: a token has at most {MAX_TOKEN_BYTES} bytes");
            return Err(Refusal::new(Reason::RepositoriesTooMany).expected(expected).found(found));
        }
        Ok(Issued { text, expires_at: minted.expires_at })
    }

    /// Ends the token of the call, and no other.
    pub(super) async fn icr_revocation(&self, call: &Call) -> Answer {
        let (app, proof) = call.app()?;
        let jti = proof.claims.token_id.as_deref().and_then(|jti| TokenId::new(jti).ok());
        let (Some(jti), Some(until)) = (jti, proof.claims.expires) else {
            return Err(Reason::TokenJtiRequired.into());
        };
        let actor = call.actor("DELETE by a holder of the token");
        let revoked = self.tokens.revoke(app.number, &Revocation::Token(jti), until, &actor).await;
        revoked.map_err(|error| of_token(&error))?;
        let mut response = Response::new(Full::from(Bytes::new()));
        *response.status_mut() = StatusCode::NO_CONTENT;
        Ok(response)
    }
}

struct Issued {
    text: String,
    expires_at: crate::clock::Timestamp,
}

impl Wanted {
    /// An empty body wants all that the installation has.
    fn read(body: &[u8]) -> Result<Self, Refusal> {
        let invalid = |found: String| {
            let expected = "a JSON object with any of repositories, repository_ids and permissions, or no body";
            Refusal::new(Reason::RequestInvalid).expected(expected).found(found)
        };
        if body.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        let wanted: Self = serde_json::from_slice(body).map_err(|error| invalid(error.to_string()))?;
        let is_empty = |length: Option<usize>| length == Some(0);
        // Whoever asks for nothing may have meant nothing, or all.
        if is_empty(wanted.permissions.as_ref().map(BTreeMap::len)) {
            return Err(invalid("permissions without one: leave the member out for all of them".into()));
        }
        let named = [wanted.repositories.as_ref().map(Vec::len), wanted.repository_ids.as_ref().map(Vec::len)];
        if named.iter().flatten().count() > 0 && named.iter().flatten().sum::<usize>() == 0 {
            return Err(invalid("a list without a repository: leave it out for all of them".into()));
        }
        Ok(wanted)
    }

    fn of(&self, installation: &Installation) -> Result<InstallationGrant, Refusal> {
        let (permissions, repositories) = (self.permissions(installation)?, self.repositories(installation)?);
        Ok(InstallationGrant { installation: installation.id, permissions, repositories })
    }

    fn permissions(&self, installation: &Installation) -> Result<PermissionSet, Refusal> {
        let held = &installation.permissions;
        let Some(wanted) = &self.permissions else { return Ok(held.clone()) };
        let wanted = wanted.iter().map(|(name, level)| (name.as_str(), level.as_str()));
        held.narrow(wanted).map_err(|faults| {
            let found = listed(faults.iter().map(PermissionFault::to_string));
            Refusal::new(Reason::PermissionsNotGranted).expected(format!("of {held}")).found(found)
        })
    }

    fn repositories(&self, installation: &Installation) -> Result<GrantedRepositories, Refusal> {
        let names = self.repositories.as_deref().unwrap_or_default();
        let ids = self.repository_ids.as_deref().unwrap_or_default();
        let count = names.len() + ids.len();
        if count == 0 {
            return Ok(GrantedRepositories::All);
        }
        if count > MAX_REPOSITORIES {
            let refusal = Refusal::new(Reason::RepositoriesTooMany).expected(format!("at most {MAX_REPOSITORIES}"));
            return Err(refusal.found(count.to_string()));
        }
        let granted = match &installation.repositories {
            Repositories::All => by_name(names, ids),
            Repositories::Selected(selected) => of_selection(selected, names, ids),
        };
        let these = granted.map_err(|(expected, faults)| {
            Refusal::new(Reason::RepositoriesNotGranted).expected(expected).found(listed(faults.into_iter()))
        })?;
        Ok(GrantedRepositories::These(these.into_iter().collect()))
    }
}

/// What would be right, and every repository that is wrong.
type Faults = (&'static str, Vec<String>);

/// On all repositories an installation has whichever is named, but which id means which of them is not known here.
fn by_name(names: &[String], ids: &[i64]) -> Result<BTreeSet<RepositoryRef>, Faults> {
    if !ids.is_empty() {
        let expected = "names: for an installation on all repositories no list with their ids is kept";
        return Err((expected, ids.iter().map(ToString::to_string).collect()));
    }
    let fault = |name: &String| {
        Repositories::selected(vec![SelectedRepository { id: 1, name: name.clone() }])
            .err()
            .map(|_| format!("{name:?}"))
    };
    let faults: Vec<_> = names.iter().filter_map(fault).collect();
    if !faults.is_empty() {
        return Err(("names of repositories, without an owner before them", faults));
    }
    Ok(names.iter().map(|name| RepositoryRef::Name(name.clone())).collect())
}

/// Names are the same in any case.
fn of_selection(
    selected: &[SelectedRepository],
    names: &[String],
    ids: &[i64],
) -> Result<BTreeSet<RepositoryRef>, Faults> {
    let (mut found, mut faults) = (BTreeSet::new(), Vec::new());
    for name in names {
        match selected.iter().find(|r| r.name.eq_ignore_ascii_case(name)) {
            Some(repository) => _ = found.insert(RepositoryRef::Id(repository.id)),
            None => faults.push(format!("{name:?}")),
        }
    }
    for id in ids {
        match selected.iter().find(|r| r.id == *id) {
            Some(repository) => _ = found.insert(RepositoryRef::Id(repository.id)),
            None => faults.push(id.to_string()),
        }
    }
    if faults.is_empty() { Ok(found) } else { Err(("repositories of the installation's selection", faults)) }
}

/// For the log, which has no room for thousands.
fn listed(faults: impl Iterator<Item = String>) -> String {
    let text = faults.collect::<Vec<_>>().join("; ");
    if text.chars().count() <= 1000 { text } else { text.chars().take(1000).chain("…".chars()).collect() }
}
