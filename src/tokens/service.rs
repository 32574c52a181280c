//! The service over all of this: makes tokens, and takes each step of their lives in the store before anybody hears of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::{
    Issued, IssuedToken, NewSigningKey, NoSigningKey, Revocation, RotationSettings, TokenError, TokenRepository,
};
use crate::clock::Timestamp;
use crate::jose::IssuingMaterial;
use crate::model::{AppNumber, ClientId, KeyId, TokenId};
use crate::registry::{Actor, StoreError};
use crate::secret::{Secret, random};
use crate::verify::{APP_NUMBER, LONGEST_LEEWAY, Origin};

/// How long tokens of a kind live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    pub life: Duration,
    /// How long a token stays good after it was refreshed.
    pub grace: Duration,
}

/// Whose tokens are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub app: AppNumber,
    pub client_id: ClientId,
    /// Claims beside those that every token of ours has.
    pub claims: Map<String, Value>,
}

/// A new token. It exists nowhere else: whoever loses it has to refresh or start over.
#[derive(Clone, Debug)]
pub struct NewToken {
    pub token: Secret,
    pub jti: TokenId,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
}

/// Issues, refreshes, invalidates; and rotates the keys that sign.
pub struct TokenService<R> {
    repository: R,
    issued: Issued,
    rotation: RotationSettings,
    /// Whether keys came or went that could not be read yet.
    lacks_keys: AtomicBool,
}

impl<R: TokenRepository> TokenService<R> {
    pub fn new(repository: R, issued: Issued, rotation: RotationSettings) -> Self {
        Self { repository, issued, rotation, lacks_keys: AtomicBool::new(false) }
    }

    /// What the verifier asks.
    pub fn issued(&self) -> &Issued {
        &self.issued
    }

    /// The first token of an app.
    ///
    /// # Errors
    /// When the app has one, and when the store can't be reached or there is no key.
    pub async fn issue(&self, holder: &Holder, lifetimes: Lifetimes, actor: &Actor) -> Result<NewToken, TokenError> {
        let token = self.mint(Origin::Held, holder, lifetimes.life, actor.at)?;
        let record = token.record();
        self.repository.issue(holder.app, record, actor).await?;
        self.follow_after("a token was issued").await;
        Ok(token)
    }

    /// A successor to the token of that id, which stays good for its grace.
    ///
    /// # Errors
    /// When the token is not the app's current one or has expired, and as [`TokenService::issue`].
    pub async fn refresh(
        &self,
        holder: &Holder,
        submitted: &TokenId,
        lifetimes: Lifetimes,
        actor: &Actor,
    ) -> Result<NewToken, TokenError> {
        let token = self.mint(Origin::Held, holder, lifetimes.life, actor.at)?;
        let record = token.record();
        let good_until = actor.at.after(lifetimes.grace);
        self.repository.refresh(holder.app, submitted, record, good_until, actor).await?;
        self.follow_after("a token was refreshed").await;
        Ok(token)
    }

    /// Ends all tokens of an app at once; the ids of those that were good.
    ///
    /// # Errors
    /// When there is no such app, or the store can't be reached.
    pub async fn invalidate(&self, app: AppNumber, actor: &Actor) -> Result<Vec<TokenId>, TokenError> {
        let ended = self.repository.invalidate(app, actor).await?;
        self.follow().await?;
        Ok(ended)
    }

    /// The token that an app has, which may have expired.
    ///
    /// # Errors
    /// When the store can't be reached.
    pub async fn current(&self, app: AppNumber) -> Result<Option<IssuedToken>, StoreError> {
        Ok(self.repository.tokens_of(app).await?.current)
    }

    /// After a step that the store has taken: the holder gets the token, which exists nowhere else, also where the store can't be
    /// read just now. It is good here as soon as that is made up for.
    async fn follow_after(&self, step: &str) {
        if let Err(error) = self.follow().await {
            tracing::warn!(%error, "{step}, and this node does not know it yet");
        }
    }

    /// Takes over what changed in the store, by this node or another.
    ///
    /// # Errors
    /// When the store can't be reached or read. What was revoked is followed also where keys can't be read; these are tried
    /// again the next time.
    pub async fn follow(&self) -> Result<(), StoreError> {
        let delta = self.repository.token_changes_since(self.issued.book.version()).await?;
        let has_new_keys = self.lacks_keys.swap(false, Ordering::SeqCst) | delta.has_new_keys;
        self.issued.book.follow(&delta);
        if !has_new_keys {
            return Ok(());
        }
        let followed = self.follow_keys().await;
        if followed.is_err() {
            self.lacks_keys.store(true, Ordering::SeqCst);
        }
        followed
    }

    async fn follow_keys(&self) -> Result<(), StoreError> {
        let keys = self.repository.signing_keys().await?;
        let followed = self.issued.ring.follow(&keys, &self.rotation);
        followed.map_err(|error| StoreError::Unreadable(format!("a signing key: {error}")))
    }

    /// Makes the next signing key when its time has come, and forgets those whose time is over. To be called every now
    /// and then; of several nodes one succeeds, and the others follow.
    ///
    /// # Errors
    /// When the store can't be reached, or the system gives no random bytes.
    pub async fn rotate(&self, actor: &Actor) -> Result<(), StoreError> {
        let keys = self.repository.signing_keys().await?;
        let Some(signs_from) = self.rotation.due(&keys, actor.at) else { return Ok(()) };
        let unable = |what: &str| StoreError::Unavailable(what.into());
        let material = IssuingMaterial::generate(self.rotation.algorithm).map_err(|_| unable("no key can be made"))?;
        let kid = random_id().map_err(|_| unable("the system gives no random bytes"))?;
        let kid = KeyId::new(&kid).map_err(|error| StoreError::Unavailable(error.into()))?;
        let ends = self.rotation.ends(&keys);
        let is_over = |end: &Option<Timestamp>| end.is_some_and(|end| end <= actor.at);
        let over: Vec<_> = keys.iter().zip(&ends).filter(|(_, end)| is_over(end)).map(|(key, _)| key.number).collect();
        let next = NewSigningKey { kid, material, signs_from };
        self.repository.rotate(keys.last().map(|key| key.number), &next, &over, actor).await?;
        self.follow().await
    }

    /// How long a key is published before it signs.
    pub fn lead(&self) -> Duration {
        self.rotation.lead
    }

    /// A token that is on no record, nobody has it yet: good until its end, or until it is revoked. It lives no longer than
    /// keys are kept for.
    ///
    /// # Errors
    /// When there is no key, or the system gives no random bytes.
    pub fn mint(
        &self,
        origin: Origin,
        holder: &Holder,
        life: Duration,
        now: Timestamp,
    ) -> Result<NewToken, NoSigningKey> {
        let jti = TokenId::new(&random_id()?).map_err(|_| NoSigningKey)?;
        let life = life.min(self.rotation.longest_life);
        // NumericDates of ours are whole seconds, and so is what is told of them.
        let (issued_at, expires_at) = (Timestamp::from_secs(now.secs()), Timestamp::from_secs(now.after(life).secs()));
        let mut claims = holder.claims.clone();
        claims.insert("appId".into(), holder.client_id.as_str().into());
        claims.insert(APP_NUMBER.into(), holder.app.0.into());
        claims.insert("jti".into(), jti.as_str().into());
        claims.insert("iat".into(), issued_at.secs().into());
        claims.insert("exp".into(), expires_at.secs().into());
        let token_type = origin.token_type().unwrap_or("JWT");
        let token = self.issued.ring.sign(token_type, &Value::Object(claims).to_string(), now)?;
        Ok(NewToken { token: Secret::from(token), jti, issued_at, expires_at })
    }

    /// Takes back tokens that are on no record and end at `until`, on this node at once. That is remembered for as long as
    /// any authenticator could take them. See [`TokenRepository::revoke`].
    ///
    /// # Errors
    /// When there is no such app, or the store can't be reached.
    pub async fn revoke(
        &self,
        app: AppNumber,
        revocation: &Revocation,
        until: Timestamp,
        actor: &Actor,
    ) -> Result<(), TokenError> {
        self.repository.revoke(app, revocation, until.after(LONGEST_LEEWAY), actor).await?;
        Ok(self.follow().await?)
    }
}

impl NewToken {
    fn record(&self) -> IssuedToken {
        IssuedToken { jti: self.jti.clone(), issued_at: self.issued_at, expires_at: self.expires_at }
    }
}

/// 128 random bits as 22 characters.
fn random_id() -> Result<String, NoSigningKey> {
    Ok(URL_SAFE_NO_PAD.encode(random::<16>().map_err(|_| NoSigningKey)?))
}
