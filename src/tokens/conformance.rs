//! What every store of tokens has to do: one function a promise, run over each implementation.

use std::future::Future;
use std::time::Duration;

use super::{
    AppTokens, IssuedToken, LifecycleError, NewSigningKey, Revocation, Standing, TokenBook, TokenDelta, TokenError,
    TokenRepository, TokenVersion,
};
use crate::clock::Timestamp;
use crate::jose::IssuingMaterial;
use crate::model::{Algorithm, AppNumber, KeyId, Reason, RegisteredClaims, TokenId};
use crate::registry::Actor;

const NOON: Timestamp = Timestamp::from_secs(1_795_348_800);
const LIFE: Duration = Duration::from_secs(90 * 86_400);
const GRACE: Duration = Duration::from_secs(600);

/// A place for a store with two apps in it.
pub trait Fixture: Sync {
    type Store: TokenRepository + Clone + 'static;

    /// Opens the place, with the apps' numbers; twice gives two stores that share what is in it.
    fn open(&self) -> impl Future<Output = (Self::Store, AppNumber, AppNumber)> + Send;
}

/// A test for each promise, over the places that an expression makes.
macro_rules! token_conformance_tests {
    ($fixture:expr) => {
        $crate::tokens::conformance::token_conformance_tests! { $fixture;
            a_life_is_kept_step_by_step_and_seen_by_other_stores
            of_fifty_simultaneous_first_tokens_one_is_issued
            of_many_simultaneous_refreshes_one_has_a_successor
            a_refused_step_changes_nothing
            an_invalidation_ends_the_tokens_of_its_app_alone
            revocations_are_kept_and_followed
            a_revocation_is_forgotten_once_it_can_cover_no_good_token
            a_revoked_token_is_not_refreshed
            an_app_that_is_not_there_has_no_tokens
            signing_keys_come_back_as_they_went_in_and_are_followed
            of_nodes_that_rotate_at_once_one_adds_a_key
        }
    };
    ($fixture:expr; $($promise:ident)*) => {$(
        #[tokio::test]
        async fn $promise() {
            $crate::tokens::conformance::$promise(&$fixture).await;
        }
    )*};
}
pub(crate) use token_conformance_tests;

fn id(jti: &str) -> TokenId {
    TokenId::new(jti).unwrap()
}

fn token(jti: &str, issued_at: Timestamp) -> IssuedToken {
    IssuedToken { jti: id(jti), issued_at, expires_at: issued_at.after(LIFE) }
}

fn at(at: Timestamp) -> Actor {
    Actor { name: "cli:ana@host".into(), why: Some("a test".into()), at }
}

fn claims(jti: &str) -> RegisteredClaims {
    RegisteredClaims { token_id: Some(jti.into()), issued_at: Some(NOON), ..RegisteredClaims::default() }
}

fn lifecycle<T: std::fmt::Debug>(result: Result<T, TokenError>) -> LifecycleError {
    match result {
        Err(TokenError::Lifecycle(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// A book that follows a store.
async fn book(store: &impl TokenRepository) -> TokenBook {
    let book = TokenBook::default();
    book.follow(&store.token_changes_since(TokenVersion::default()).await.unwrap());
    book
}

pub async fn a_life_is_kept_step_by_step_and_seen_by_other_stores(fixture: &impl Fixture) {
    let (store, app, other) = fixture.open().await;
    let (reader, ..) = fixture.open().await;
    assert_eq!(reader.tokens_of(app).await.unwrap(), AppTokens::default());
    assert_eq!(reader.token_changes_since(TokenVersion::default()).await.unwrap(), TokenDelta::default());
    store.issue(app, token("a", NOON), &at(NOON)).await.unwrap();
    store.issue(other, token("x", NOON), &at(NOON)).await.unwrap();
    let first = reader.token_changes_since(TokenVersion::default()).await.unwrap();
    assert_eq!(first.apps.iter().map(|(app, _)| *app).collect::<Vec<_>>(), [app, other]);
    let now = NOON.after(GRACE);
    store.refresh(app, &id("a"), token("b", now), now.after(GRACE), &at(now)).await.unwrap();
    store.refresh(app, &id("b"), token("c", now), now.after(GRACE), &at(now)).await.unwrap();
    let tokens = reader.tokens_of(app).await.unwrap();
    assert_eq!(tokens.current, Some(token("c", now)));
    assert_eq!(tokens.superseded.iter().map(|s| s.token.jti.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    let delta = reader.token_changes_since(first.version).await.unwrap();
    assert_eq!(delta.apps.len(), 1, "the other app's did not change");
    assert_eq!((delta.apps[0].0, &delta.apps[0].1.issued), (app, &tokens));
    assert_eq!(reader.token_changes_since(delta.version).await.unwrap().apps, []);
    let book = book(&reader).await;
    for jti in ["a", "b", "c"] {
        book.check_issued(app, &claims(jti), now).unwrap();
        book.check_issued(other, &claims(jti), now).unwrap_err();
    }
    let ended = book.check_issued(app, &claims("a"), now.after(GRACE)).unwrap_err();
    assert_eq!(ended.reason, Reason::TokenSuperseded);
}

pub async fn of_fifty_simultaneous_first_tokens_one_is_issued(fixture: &impl Fixture) {
    let (one, app, _) = fixture.open().await;
    let (two, ..) = fixture.open().await;
    let tries = (0..50).map(|n| {
        let store = if n % 2 == 0 { one.clone() } else { two.clone() };
        tokio::spawn(async move { store.issue(app, token(&format!("t{n}"), NOON), &at(NOON)).await })
    });
    let mut issued = 0;
    for tried in tries.collect::<Vec<_>>() {
        match tried.await.unwrap() {
            Ok(()) => issued += 1,
            refused => assert_eq!(lifecycle(refused), LifecycleError::Exists),
        }
    }
    assert_eq!(issued, 1);
}

pub async fn of_many_simultaneous_refreshes_one_has_a_successor(fixture: &impl Fixture) {
    let (one, app, _) = fixture.open().await;
    let (two, ..) = fixture.open().await;
    one.issue(app, token("a", NOON), &at(NOON)).await.unwrap();
    let tries = (0..20).map(|n| {
        let store = if n % 2 == 0 { one.clone() } else { two.clone() };
        let successor = token(&format!("t{n}"), NOON);
        tokio::spawn(async move { store.refresh(app, &id("a"), successor, NOON.after(GRACE), &at(NOON)).await })
    });
    let mut refreshed = 0;
    for tried in tries.collect::<Vec<_>>() {
        match tried.await.unwrap() {
            Ok(()) => refreshed += 1,
            refused => assert_eq!(lifecycle(refused), LifecycleError::AlreadyRefreshed),
        }
    }
    assert_eq!(refreshed, 1);
    assert_eq!(one.tokens_of(app).await.unwrap().superseded.len(), 1);
}

pub async fn a_refused_step_changes_nothing(fixture: &impl Fixture) {
    let (store, app, _) = fixture.open().await;
    store.issue(app, token("a", NOON), &at(NOON)).await.unwrap();
    let before = store.token_changes_since(TokenVersion::default()).await.unwrap();
    let late = NOON.after(LIFE);
    let refused = store.refresh(app, &id("a"), token("b", late), late.after(GRACE), &at(late)).await;
    assert_eq!(lifecycle(refused), LifecycleError::Expired);
    let refused = store.refresh(app, &id("x"), token("b", NOON), NOON.after(GRACE), &at(NOON)).await;
    assert_eq!(lifecycle(refused), LifecycleError::Unknown);
    assert_eq!(store.token_changes_since(TokenVersion::default()).await.unwrap(), before);
}

pub async fn an_invalidation_ends_the_tokens_of_its_app_alone(fixture: &impl Fixture) {
    let (store, app, other) = fixture.open().await;
    store.issue(app, token("a", NOON), &at(NOON)).await.unwrap();
    store.issue(other, token("x", NOON), &at(NOON)).await.unwrap();
    store.refresh(app, &id("a"), token("b", NOON), NOON.after(GRACE), &at(NOON)).await.unwrap();
    assert_eq!(store.invalidate(app, &at(NOON)).await.unwrap(), [id("b"), id("a")]);
    assert_eq!(store.invalidate(app, &at(NOON)).await.unwrap(), []);
    let book = book(&store).await;
    for jti in ["a", "b"] {
        assert_eq!(book.check_issued(app, &claims(jti), NOON).unwrap_err().reason, Reason::TokenRevoked);
    }
    book.check_issued(other, &claims("x"), NOON).unwrap();
    store.issue(app, token("c", NOON), &at(NOON)).await.unwrap();
    assert_eq!(store.tokens_of(app).await.unwrap().standing(&id("c"), NOON), Standing::Current);
}

pub async fn revocations_are_kept_and_followed(fixture: &impl Fixture) {
    let (store, app, other) = fixture.open().await;
    let later = NOON.after(GRACE);
    let revocations = [
        Revocation::Token(id("zwölf \n")),
        Revocation::Subject { subject: "ana".into(), issued_before: later },
        Revocation::IssuedBefore(NOON),
    ];
    let followed = TokenBook::default();
    for revocation in &revocations {
        store.revoke(app, revocation, later, &at(NOON)).await.unwrap();
        followed.follow(&store.token_changes_since(followed.version()).await.unwrap());
    }
    let delta = store.token_changes_since(TokenVersion::default()).await.unwrap();
    let kept = revocations.clone().map(|revocation| (revocation, later));
    assert_eq!(delta.apps[0].1.revoked, kept);
    let of_ana = |issued_at| RegisteredClaims {
        subject: Some("ana".into()),
        issued_at: Some(issued_at),
        ..RegisteredClaims::default()
    };
    for book in [&followed, &book(&store).await] {
        book.check_revoked(app, &claims("zwölf \n")).unwrap_err();
        book.check_revoked(app, &of_ana(NOON)).unwrap_err();
        book.check_revoked(app, &of_ana(later)).unwrap();
        book.check_revoked(app, &claims("a")).unwrap();
        book.check_revoked(app, &RegisteredClaims::default()).unwrap_err();
        book.check_revoked(other, &RegisteredClaims::default()).unwrap();
    }
}

pub async fn a_revocation_is_forgotten_once_it_can_cover_no_good_token(fixture: &impl Fixture) {
    let (store, app, _) = fixture.open().await;
    let (first, second) = (Revocation::Token(id("a")), Revocation::Token(id("b")));
    let end = NOON.after(GRACE);
    store.revoke(app, &first, end, &at(NOON)).await.unwrap();
    store.revoke(app, &second, Timestamp::MAX, &at(end)).await.unwrap();
    let revoked = |delta: TokenDelta| delta.apps[0].1.revoked.len();
    assert_eq!(revoked(store.token_changes_since(TokenVersion::default()).await.unwrap()), 2);
    store.revoke(app, &second, Timestamp::MAX, &at(end.after(Duration::from_millis(1)))).await.unwrap();
    let delta = store.token_changes_since(TokenVersion::default()).await.unwrap();
    assert!(delta.apps[0].1.revoked.iter().all(|(revocation, _)| *revocation == second), "{delta:?}");
}

/// Whoever is faster than the nodes that follow does not escape a revocation.
pub async fn a_revoked_token_is_not_refreshed(fixture: &impl Fixture) {
    let (store, app, other) = fixture.open().await;
    let later = NOON.after(GRACE);
    for (app, revocation) in [(app, Revocation::Token(id("a"))), (other, Revocation::IssuedBefore(later))] {
        store.issue(app, token("a", NOON), &at(NOON)).await.unwrap();
        store.revoke(app, &revocation, Timestamp::MAX, &at(NOON)).await.unwrap();
        let refreshed = store.refresh(app, &id("a"), token("b", later), later, &at(NOON)).await;
        assert!(matches!(refreshed, Err(TokenError::Lifecycle(LifecycleError::Unknown))), "{refreshed:?}");
        assert_eq!(store.tokens_of(app).await.unwrap().standing(&id("b"), NOON), Standing::Unknown);
    }
}

pub async fn an_app_that_is_not_there_has_no_tokens(fixture: &impl Fixture) {
    let (store, ..) = fixture.open().await;
    let nobody = AppNumber(999);
    let issued = store.issue(nobody, token("a", NOON), &at(NOON)).await;
    assert!(matches!(issued, Err(TokenError::NoApp)));
    assert_eq!(store.tokens_of(nobody).await.unwrap(), AppTokens::default());
}

fn signing_key(kid: &str) -> NewSigningKey {
    let material = IssuingMaterial::generate(Algorithm::EdDsa).unwrap();
    NewSigningKey { kid: KeyId::new(kid).unwrap(), material, signs_from: NOON }
}

pub async fn signing_keys_come_back_as_they_went_in_and_are_followed(fixture: &impl Fixture) {
    let (store, ..) = fixture.open().await;
    let (reader, ..) = fixture.open().await;
    assert_eq!(reader.signing_keys().await.unwrap(), []);
    let (first, second) = (signing_key("k-1"), signing_key("k-2"));
    assert!(store.rotate(None, &first, &[], &at(NOON)).await.unwrap());
    let keys = reader.signing_keys().await.unwrap();
    let shown: Vec<_> = keys.iter().map(|k| (k.kid.clone(), k.material.clone(), k.signs_from, k.created_at)).collect();
    assert_eq!(shown, [(first.kid, first.material, NOON, NOON)]);
    let delta = reader.token_changes_since(TokenVersion::default()).await.unwrap();
    assert!(delta.has_new_keys && delta.apps.is_empty());
    assert!(store.rotate(Some(keys[0].number), &second, &[keys[0].number], &at(NOON)).await.unwrap());
    let kept: Vec<_> = reader.signing_keys().await.unwrap().into_iter().map(|key| key.kid).collect();
    assert_eq!(kept, [second.kid], "the one whose time was over is gone");
    assert!(reader.token_changes_since(delta.version).await.unwrap().has_new_keys);
}

pub async fn of_nodes_that_rotate_at_once_one_adds_a_key(fixture: &impl Fixture) {
    let (one, ..) = fixture.open().await;
    let (two, ..) = fixture.open().await;
    let tries = (0..10).map(|n| {
        let (store, key) = (if n % 2 == 0 { one.clone() } else { two.clone() }, signing_key(&format!("k-{n}")));
        tokio::spawn(async move { store.rotate(None, &key, &[], &at(NOON)).await.unwrap() })
    });
    let mut added = 0;
    for tried in tries.collect::<Vec<_>>() {
        added += usize::from(tried.await.unwrap());
    }
    assert_eq!((added, one.signing_keys().await.unwrap().len()), (1, 1));
}
