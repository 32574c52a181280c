//! Who a client is (RFC 7521 section 4.2, RFC 7523 section 2.2).

use super::super::{Call, Endpoints};
use super::form::Form;
use crate::model::{Reason, Refusal, quoted};
use crate::policy::{Authority, check_network};
use crate::replay::FirstUse;
use crate::verify::Verified;

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

impl<R> Endpoints<R> {
    /// The client that sent the form, by its assertion, which is not used up yet.
    ///
    /// # Errors
    /// `oauth.client_unproved`, `oauth.client_mismatch`, `oauth.request_invalid`, and all for which a token may be refused.
    pub(super) async fn client(&self, call: &Call, authority: &Authority, form: &Form) -> Result<Verified, Refusal> {
        let Some(assertion) = form.get("client_assertion") else {
            let refusal = Refusal::new(Reason::OauthClientUnproved).expected("client_assertion");
            let is_password = form.get("client_secret").is_some();
            return Err(refusal.found(if is_password { "a client_secret" } else { "none" }));
        };
        let assertion_type = form.require("client_assertion_type")?;
        if assertion_type != ASSERTION_TYPE {
            let refusal = Refusal::new(Reason::OauthClientUnproved);
            return Err(refusal
                .expected(format!("client_assertion_type {ASSERTION_TYPE}"))
                .found(quoted(assertion_type)));
        }
        let client = self.assertion(call, authority, assertion).await?;
        let subject = client.claims().subject.as_deref();
        if subject != Some(client.app().client_id.as_str()) {
            let refusal = Refusal::new(Reason::OauthClientMismatch).expected(format!("sub {}", client.app().client_id));
            return Err(
                refusal.found(subject.map_or_else(|| "no sub".to_owned(), |sub| format!("sub {}", quoted(sub))))
            );
        }
        check_client_id(&client, form)?;
        Ok(client)
    }

    /// An assertion of an app: good now, and not used up yet.
    ///
    /// # Errors
    /// All for which a token may be refused, and `oauth.client_mismatch` if it names another issuer than its app, or the app
    /// is of another account than the host, and `app.wrong_network`.
    pub(super) async fn assertion(&self, call: &Call, authority: &Authority, token: &str) -> Result<Verified, Refusal> {
        let verified = self.verifying.verify(token, &authority.assertions, call).await?;
        let (app, issuer) = (verified.app(), verified.claims().issuer.as_deref());
        check_network(app, call.from)?;
        if authority.one_audience && verified.claims().audience_is_list {
            let refusal = Refusal::new(Reason::TokenAudienceMismatch);
            let expected =
                format!("aud {:?} as a string, since oauth.assertion_audiences is \"issuer\"", authority.issuer);
            return Err(refusal.expected(expected).found("a list"));
        }
        if issuer != Some(app.client_id.as_str()) {
            let refusal = Refusal::new(Reason::OauthClientMismatch).expected(format!("iss {}", app.client_id));
            return Err(refusal.found(issuer.map_or_else(|| "no iss".to_owned(), |iss| format!("iss {}", quoted(iss)))));
        }
        if let Some(owner) = call.host_account.as_ref().filter(|owner| **owner != app.account) {
            let refusal = Refusal::new(Reason::OauthClientMismatch);
            let expected = format!("an app of account {owner}, which owns the host");
            return Err(refusal.expected(expected).found(format!("an app of account {}", app.account)));
        }
        if let Some(used) = verified.key().and_then(|key| app.key_use(key, call.now)) {
            self.usage.note(used);
        }
        Ok(verified)
    }

    /// Uses the assertion up, if it is one of single use: after all that can be checked of the form, so that one that is
    /// refused burns no jti, and before anything is done or told.
    ///
    /// # Errors
    /// `token.replayed`, `replay.full`, `replay.unavailable`.
    pub(super) async fn use_up(&self, assertion: &Verified, call: &Call) -> Result<(), Refusal> {
        let Some(single) = assertion.single_use() else { return Ok(()) };
        let used = self.replay.first_use(assertion.app().number, &single.jti, single.until, call.now);
        match used.wait().await {
            FirstUse::Recorded => Ok(()),
            FirstUse::Replayed => Err(Reason::TokenReplayed.into()),
            FirstUse::Ended => Err(Reason::TokenExpired.into()),
            FirstUse::Full => Err(Reason::ReplayFull.into()),
            FirstUse::Unavailable => Err(Reason::ReplayUnavailable.into()),
        }
    }
}

/// A `client_id` need not be sent; one that is has to be that of the assertion's app.
///
/// # Errors
/// `oauth.client_mismatch`.
pub(super) fn check_client_id(assertion: &Verified, form: &Form) -> Result<(), Refusal> {
    let ours = assertion.app().client_id.as_str();
    match form.get("client_id").filter(|theirs| *theirs != ours) {
        Some(theirs) => Err(Refusal::new(Reason::OauthClientMismatch)
            .expected(format!("client_id {ours}"))
            .found(format!("client_id {}", quoted(theirs)))),
        None => Ok(()),
    }
}
