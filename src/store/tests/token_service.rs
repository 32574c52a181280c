//! The token service over a real store.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::Folder;
use crate::clock::Timestamp;
use crate::jose::{Compact, read_registered};
use crate::model::{Algorithm, AppNumber, ClaimNames, RegisteredClaims, TokenId};
use crate::registry::conformance::{Fixture as _, actor, client_id, put_app, settings};
use crate::registry::{Actor, Repository as _, StoreError};
use crate::secret::Secret;
use crate::store::Store;
use crate::tokens::{
    AppTokens, Holder, Issued, IssuedToken, LifecycleError, Lifetimes, NewSigningKey, NewToken, Revocation,
    RotationSettings, SigningKeyRecord, TokenDelta, TokenError, TokenRepository, TokenService, TokenVersion,
};

const DAY: Duration = Duration::from_secs(86_400);
const LIFETIMES: Lifetimes = Lifetimes { life: Duration::from_secs(90 * 86_400), grace: Duration::from_secs(600) };
const NOON: Timestamp = Timestamp::from_secs(1_795_348_800);

fn at(at: Timestamp) -> Actor {
    Actor { at, ..actor() }
}

/// A node: the service, with what its requests ask.
struct Node {
    service: TokenService<Store>,
    issued: Issued,
}

impl Node {
    async fn new(folder: &Folder) -> Self {
        let rotation = RotationSettings {
            algorithm: Algorithm::EdDsa,
            every: 30 * DAY,
            lead: Duration::from_secs(3600),
            longest_life: LIFETIMES.life,
        };
        let issued = Issued::default();
        let service = TokenService::new(folder.open().await, issued.clone(), rotation);
        service.rotate(&at(NOON)).await.unwrap();
        service.follow().await.unwrap();
        Self { service, issued }
    }

    /// What a good token says.
    fn claims(&self, token: &NewToken, now: Timestamp) -> RegisteredClaims {
        let compact = Compact::parse(token.token.expose(), 4096).unwrap();
        let (_, key) = self.issued.ring.verifying(compact.header.key_id.as_deref().unwrap(), now).unwrap();
        assert!(key.verifies(compact.signing_input, &compact.signature));
        read_registered(&compact.claims, &ClaimNames::default()).unwrap()
    }
}

async fn holder(folder: &Folder) -> Holder {
    let store = folder.open().await;
    store.commit(&[put_app(settings("a", "default", &[]))], &actor()).await.unwrap();
    let app = store.load().await.unwrap().1.apps[&client_id("a")].number;
    let claims = Map::from_iter([("companyKey".to_owned(), json!("acme"))]);
    Holder { app, client_id: client_id("a"), claims }
}

#[tokio::test]
async fn a_token_is_good_at_once_here_and_on_other_nodes_as_soon_as_they_follow() {
    let folder = Folder::new();
    let holder = holder(&folder).await;
    let (here, there) = (Node::new(&folder).await, Node::new(&folder).await);
    let token = here.service.issue(&holder, LIFETIMES, &at(NOON)).await.unwrap();
    assert_eq!(token.expires_at, NOON.after(LIFETIMES.life));
    let claims = here.claims(&token, NOON);
    assert_eq!((claims.expires, claims.issued_at), (Some(token.expires_at), Some(NOON)));
    here.issued.book.check_issued(holder.app, &claims, NOON).unwrap();
    there.issued.book.check_issued(holder.app, &claims, NOON).unwrap_err();
    there.service.follow().await.unwrap();
    assert_eq!(there.claims(&token, NOON).token_id, claims.token_id, "one key for all nodes");
    there.issued.book.check_issued(holder.app, &claims, NOON).unwrap();
    there.service.invalidate(holder.app, &at(NOON)).await.unwrap();
    there.issued.book.check_issued(holder.app, &claims, NOON).unwrap_err();
}

#[tokio::test]
async fn a_token_says_whose_it_is_and_is_unlike_any_other() {
    let folder = Folder::new();
    let holder = holder(&folder).await;
    let node = Node::new(&folder).await;
    let first = node.service.issue(&holder, LIFETIMES, &at(NOON)).await.unwrap();
    let compact = Compact::parse(first.token.expose(), 4096).unwrap();
    let claims: Value = serde_json::from_str(compact.claims.as_json()).unwrap();
    assert_eq!((&claims["appId"], &claims["companyKey"]), (&json!("a"), &json!("acme")));
    let jti = node.claims(&first, NOON).token_id.unwrap();
    let submitted = (*jti).to_owned().try_into().unwrap();
    let second = node.service.refresh(&holder, &submitted, LIFETIMES, &at(NOON)).await.unwrap();
    assert_ne!(second.token, first.token);
    assert_ne!(node.claims(&second, NOON).token_id, Some(jti));
    let again = node.service.refresh(&holder, &submitted, LIFETIMES, &at(NOON)).await;
    assert!(matches!(again, Err(TokenError::Lifecycle(LifecycleError::AlreadyRefreshed))));
}

#[tokio::test]
async fn keys_rotate_under_living_tokens() {
    let folder = Folder::new();
    let holder = holder(&folder).await;
    let node = Node::new(&folder).await;
    let token = node.service.issue(&holder, LIFETIMES, &at(NOON)).await.unwrap();
    let mut now = NOON;
    while now < token.expires_at {
        node.service.rotate(&at(now)).await.unwrap();
        let claims = node.claims(&token, now);
        node.issued.book.check_issued(holder.app, &claims, now).unwrap();
        now = now.after(DAY);
    }
    let kids = |now| node.issued.ring.jwks(now)["keys"].as_array().unwrap().len();
    assert_eq!(kids(now), 3, "one that signs, and those whose tokens may live");
    for _ in 0..365 {
        now = now.after(DAY);
        node.service.rotate(&at(now)).await.unwrap();
    }
    assert!(kids(now) <= 5);
    assert!(folder.open().await.signing_keys().await.unwrap().len() <= 6, "those whose time is over are deleted");
}

#[tokio::test]
async fn over_many_rotations_each_key_is_known_everywhere_before_it_signs_and_until_its_last_token_has_ended() {
    let folder = Folder::new();
    let nodes = [Node::new(&folder).await, Node::new(&folder).await];
    let [lead, hour] = [Duration::from_secs(3600); 2];
    let kids_of = |node: &Node, now| {
        let jwks = node.issued.ring.jwks(now);
        let keys = jwks["keys"].as_array().unwrap().clone();
        keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    // When each key was first published by both nodes, and the tokens that live.
    let (mut published, mut tokens, mut signers) = (BTreeMap::new(), Vec::new(), BTreeSet::new());
    let end_of_first = NOON.after(30 * DAY).after(LIFETIMES.life);
    let first_kid = kids_of(&nodes[0], NOON).remove(0);
    published.insert(first_kid.clone(), NOON);
    // An hour before the end of each day, and at its end.
    let moments = (1..=150).flat_map(|day| [NOON.after(day * DAY).before(hour), NOON.after(day * DAY)]);
    for (i, now) in moments.enumerate() {
        // Now one node is the faster one, now the other.
        let [first, second] = if i % 4 < 2 { [&nodes[0], &nodes[1]] } else { [&nodes[1], &nodes[0]] };
        first.service.rotate(&at(now)).await.unwrap();
        second.service.follow().await.unwrap();
        assert_eq!(kids_of(first, now), kids_of(second, now));
        for kid in kids_of(first, now) {
            published.entry(kid).or_insert(now);
        }
        let token = Secret::from(second.issued.ring.sign("at+jwt", "{}", now).unwrap());
        let (jti, expires_at) = (TokenId::new("t").unwrap(), now.after(LIFETIMES.life));
        let token = NewToken { token, jti, issued_at: now, expires_at };
        let kid = Compact::parse(token.token.expose(), 4096).unwrap().header.key_id.unwrap();
        let since = published[&*kid];
        assert!(since == NOON || since.after(lead) <= now, "{kid} signs at {now} and is known since {since}");
        signers.insert(kid);
        tokens.push(token);
        tokens.retain(|token| now < token.expires_at);
        for token in tokens.iter().step_by(20) {
            for node in [first, second] {
                node.claims(token, now);
            }
        }
        let is_known = nodes.each_ref().map(|node| node.issued.ring.verifying(&first_kid, now).is_some());
        assert_eq!(is_known, [now < end_of_first; 2], "until the last token that it may have signed has ended: {now}");
    }
    assert_eq!(signers.len(), 6, "one a month, and one for the last moment");
}

#[tokio::test]
async fn no_token_outlives_the_time_for_which_keys_are_kept() {
    let folder = Folder::new();
    let holder = holder(&folder).await;
    let node = Node::new(&folder).await;
    let forever = Lifetimes { life: 400 * DAY, ..LIFETIMES };
    let token = node.service.issue(&holder, forever, &at(NOON)).await.unwrap();
    assert_eq!(token.expires_at, NOON.after(LIFETIMES.life));
}

#[tokio::test]
async fn after_hundreds_of_refreshes_a_handful_of_rows_are_kept_in_their_order() {
    let folder = Folder::new();
    let holder = holder(&folder).await;
    let node = Node::new(&folder).await;
    let id = |token: &NewToken| token.jti.clone();
    let mut jtis = vec![id(&node.service.issue(&holder, LIFETIMES, &at(NOON)).await.unwrap())];
    for n in 0..100 {
        let now = NOON.after(Duration::from_millis(n));
        let submitted = jtis.last().unwrap().clone();
        jtis.push(id(&node.service.refresh(&holder, &submitted, LIFETIMES, &at(now)).await.unwrap()));
    }
    let tokens = folder.open().await.tokens_of(holder.app).await.unwrap();
    assert!(tokens.superseded.len() <= 24, "{}", tokens.superseded.len());
    let kept: Vec<_> =
        tokens.superseded.iter().map(|s| &s.token).chain(&tokens.current).map(|t| t.jti.clone()).collect();
    assert_eq!(kept, jtis[jtis.len() - kept.len()..], "the newest, oldest first");
}

/// A store that takes steps and then can't be read.
#[derive(Clone)]
struct Unreadable(Store);

impl TokenRepository for Unreadable {
    async fn tokens_of(&self, app: AppNumber) -> Result<AppTokens, StoreError> {
        self.0.tokens_of(app).await
    }

    async fn issue(&self, app: AppNumber, token: IssuedToken, actor: &Actor) -> Result<(), TokenError> {
        self.0.issue(app, token, actor).await
    }

    async fn refresh(
        &self,
        app: AppNumber,
        submitted: &TokenId,
        successor: IssuedToken,
        good_until: Timestamp,
        actor: &Actor,
    ) -> Result<(), TokenError> {
        self.0.refresh(app, submitted, successor, good_until, actor).await
    }

    async fn invalidate(&self, app: AppNumber, actor: &Actor) -> Result<Vec<TokenId>, TokenError> {
        self.0.invalidate(app, actor).await
    }

    async fn revoke(&self, app: AppNumber, what: &Revocation, until: Timestamp, by: &Actor) -> Result<(), TokenError> {
        self.0.revoke(app, what, until, by).await
    }

    async fn token_changes_since(&self, _: TokenVersion) -> Result<TokenDelta, StoreError> {
        Err(StoreError::Unavailable("on purpose".into()))
    }

    async fn signing_keys(&self) -> Result<Vec<SigningKeyRecord>, StoreError> {
        self.0.signing_keys().await
    }

    async fn rotate(
        &self,
        newest: Option<i64>,
        next: &NewSigningKey,
        over: &[i64],
        by: &Actor,
    ) -> Result<bool, StoreError> {
        self.0.rotate(newest, next, over, by).await
    }
}

#[tokio::test]
async fn an_issued_token_reaches_its_holder_also_where_the_store_cannot_be_read_afterwards() {
    let folder = Folder::new();
    let holder = holder(&folder).await;
    let node = Node::new(&folder).await;
    let rotation =
        RotationSettings { algorithm: Algorithm::EdDsa, every: 30 * DAY, lead: DAY, longest_life: LIFETIMES.life };
    // The same keys and the same book: the node follows when the store can be read again.
    let service = TokenService::new(Unreadable(folder.open().await), node.issued.clone(), rotation);
    let first = service.issue(&holder, LIFETIMES, &at(NOON)).await.unwrap();
    let second = service.refresh(&holder, &first.jti, LIFETIMES, &at(NOON)).await.unwrap();
    let claims = node.claims(&second, NOON);
    node.issued.book.check_issued(holder.app, &claims, NOON).unwrap_err();
    node.service.follow().await.unwrap();
    node.issued.book.check_issued(holder.app, &claims, NOON).unwrap();
    assert!(service.invalidate(holder.app, &at(NOON)).await.is_err(), "what is to be taken back is not taken back yet");
}
