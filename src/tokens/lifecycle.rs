//! The life of a token that we issue to an app: one is current; one that was refreshed is good for a while longer.

use std::fmt;

use crate::clock::Timestamp;
use crate::model::TokenId;

/// Superseded tokens whose grace is over and that are still named, so that their holder can be told which token is old.
const REMEMBERED: usize = 8;

/// Superseded tokens that are good at once: refreshing faster than a grace ends the oldest of them early.
const MOST_IN_GRACE: usize = 16;

/// What is kept of a token that we issued; the token itself is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedToken {
    pub jti: TokenId,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
}

/// A token that was refreshed: good until the end of its grace, or its own end if that is sooner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Superseded {
    pub token: IssuedToken,
    pub at: Timestamp,
    pub good_until: Timestamp,
}

/// All that was issued to an app and is not forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppTokens {
    pub current: Option<IssuedToken>,
    /// Oldest first.
    pub superseded: Vec<Superseded>,
}

/// What a token is among those of its app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Current,
    /// Refreshed, and still good until then.
    InGrace(Timestamp),
    /// Refreshed, and no longer good since then.
    Superseded(Timestamp),
    /// Invalidated, or never issued.
    Unknown,
}

/// A step that a token's life does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LifecycleError {
    /// The app has a token, which may have expired: it is refreshed, invalidated or reset, never issued over.
    Exists,
    /// The token was refreshed already; its one successor stays.
    AlreadyRefreshed,
    /// The token has expired.
    Expired,
    /// The token is none of the app's.
    Unknown,
}

impl AppTokens {
    /// The first token of an app, or the first after an invalidation.
    ///
    /// # Errors
    /// [`LifecycleError::Exists`].
    pub fn issue(&mut self, token: IssuedToken) -> Result<(), LifecycleError> {
        if self.current.is_some() {
            return Err(LifecycleError::Exists);
        }
        self.current = Some(token);
        Ok(())
    }

    /// Puts a successor in the place of the current token, which stays good until `good_until`, or until so many more were
    /// refreshed that there would be too many good ones.
    ///
    /// # Errors
    /// All but [`LifecycleError::Exists`]; nothing is changed then.
    pub fn refresh(
        &mut self,
        submitted: &TokenId,
        successor: IssuedToken,
        good_until: Timestamp,
        now: Timestamp,
    ) -> Result<(), LifecycleError> {
        match self.standing(submitted, now) {
            Standing::Current => {}
            Standing::InGrace(_) | Standing::Superseded(_) => return Err(LifecycleError::AlreadyRefreshed),
            Standing::Unknown => return Err(LifecycleError::Unknown),
        }
        let Some(token) = self.current.take_if(|token| now < token.expires_at) else {
            return Err(LifecycleError::Expired);
        };
        let good_until = good_until.min(token.expires_at);
        self.superseded.push(Superseded { token, at: now, good_until });
        self.current = Some(successor);
        self.end_surplus(now);
        self.forget(now);
        Ok(())
    }

    /// Ends all tokens at once; the ids of those that were good.
    pub fn invalidate(&mut self, now: Timestamp) -> Vec<TokenId> {
        let Self { current, superseded } = std::mem::take(self);
        let in_grace = superseded.into_iter().filter(|s| now < s.good_until).map(|s| s.token);
        current.into_iter().chain(in_grace).map(|token| token.jti).collect()
    }

    pub fn standing(&self, jti: &TokenId, now: Timestamp) -> Standing {
        if self.current.as_ref().is_some_and(|token| token.jti == *jti) {
            return Standing::Current;
        }
        match self.superseded.iter().rfind(|s| s.token.jti == *jti) {
            Some(s) if now < s.good_until => Standing::InGrace(s.good_until),
            Some(s) => Standing::Superseded(s.good_until),
            None => Standing::Unknown,
        }
    }

    /// Ends the oldest of those that are good, where there are too many.
    fn end_surplus(&mut self, now: Timestamp) {
        let in_grace = self.superseded.iter().filter(|s| now < s.good_until).count();
        let oldest = self.superseded.iter_mut().filter(|s| now < s.good_until);
        oldest.take(in_grace.saturating_sub(MOST_IN_GRACE)).for_each(|s| s.good_until = now);
    }

    /// Forgets the oldest of those whose grace is over. One that is good is never forgotten.
    fn forget(&mut self, now: Timestamp) {
        let ended = self.superseded.iter().filter(|s| s.good_until <= now).count();
        let mut surplus = ended.saturating_sub(REMEMBERED);
        self.superseded.retain(|s| {
            let goes = surplus > 0 && s.good_until <= now;
            surplus -= usize::from(goes);
            !goes
        });
    }
}

impl fmt::Display for LifecycleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exists => "the app has a token already",
            Self::AlreadyRefreshed => "the token was refreshed already",
            Self::Expired => "the token has expired",
            Self::Unknown => "the token is none of the app's",
        })
    }
}

impl std::error::Error for LifecycleError {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const NOON: Timestamp = Timestamp::from_secs(1_795_348_800);
    const LIFE: Duration = Duration::from_secs(90 * 86_400);
    const GRACE: Duration = Duration::from_secs(600);

    fn id(jti: &str) -> TokenId {
        TokenId::new(jti).unwrap()
    }

    fn token(jti: &str, issued_at: Timestamp) -> IssuedToken {
        IssuedToken { jti: id(jti), issued_at, expires_at: issued_at.after(LIFE) }
    }

    fn refresh(tokens: &mut AppTokens, old: &str, new: &str, now: Timestamp) -> Result<(), LifecycleError> {
        tokens.refresh(&id(old), token(new, now), now.after(GRACE), now)
    }

    fn issued() -> AppTokens {
        let mut tokens = AppTokens::default();
        tokens.issue(token("a", NOON)).unwrap();
        tokens
    }

    #[test]
    fn a_second_token_is_not_issued_also_after_the_first_has_expired() {
        let mut tokens = issued();
        assert_eq!(tokens.issue(token("b", NOON)), Err(LifecycleError::Exists));
        assert_eq!(tokens.issue(token("b", NOON.after(2 * LIFE))), Err(LifecycleError::Exists));
        assert_eq!(tokens, issued());
    }

    #[test]
    fn a_refreshed_token_is_good_for_its_grace_and_its_successor_for_all_its_life() {
        let mut tokens = issued();
        let now = NOON.after(Duration::from_secs(1));
        refresh(&mut tokens, "a", "b", now).unwrap();
        let end = now.after(GRACE);
        assert_eq!(tokens.standing(&id("b"), now), Standing::Current);
        assert_eq!(tokens.standing(&id("a"), end.before(Duration::from_millis(1))), Standing::InGrace(end));
        assert_eq!(tokens.standing(&id("a"), end), Standing::Superseded(end));
        assert_eq!(tokens.standing(&id("c"), end), Standing::Unknown);
    }

    #[test]
    fn a_grace_does_not_outlive_the_token() {
        let mut tokens = issued();
        let end = NOON.after(LIFE);
        refresh(&mut tokens, "a", "b", end.before(Duration::from_secs(1))).unwrap();
        assert_eq!(tokens.standing(&id("a"), end.before(Duration::from_millis(1))), Standing::InGrace(end));
        assert_eq!(tokens.standing(&id("a"), end), Standing::Superseded(end));
    }

    #[test]
    fn a_token_is_refreshed_once_and_before_its_end() {
        let mut tokens = issued();
        assert_eq!(refresh(&mut tokens, "a", "b", NOON.after(LIFE)), Err(LifecycleError::Expired));
        assert_eq!(tokens, issued(), "a refused refresh changes nothing");
        refresh(&mut tokens, "a", "b", NOON).unwrap();
        let before = tokens.clone();
        for now in [NOON, NOON.after(GRACE), NOON.after(LIFE)] {
            assert_eq!(refresh(&mut tokens, "a", "c", now), Err(LifecycleError::AlreadyRefreshed));
        }
        assert_eq!(refresh(&mut tokens, "x", "c", NOON), Err(LifecycleError::Unknown));
        assert_eq!(tokens, before, "the one successor stays");
    }

    #[test]
    fn refreshing_faster_than_a_grace_keeps_the_newest_predecessors() {
        let mut tokens = issued();
        let name = |n: usize| if n == 0 { "a".to_owned() } else { format!("t{n}") };
        for n in 0..400 {
            let now = NOON.after(Duration::from_millis(n as u64));
            refresh(&mut tokens, &name(n), &name(n + 1), now).unwrap();
            assert!(tokens.superseded.len() <= MOST_IN_GRACE + REMEMBERED);
        }
        let now = NOON.after(Duration::from_millis(399));
        let standing = |n: usize| tokens.standing(&id(&name(n)), now);
        assert_eq!(standing(400), Standing::Current);
        for n in 400 - MOST_IN_GRACE..400 {
            assert!(matches!(standing(n), Standing::InGrace(_)), "{n}");
        }
        assert!(matches!(standing(399 - MOST_IN_GRACE), Standing::Superseded(_)));
        assert_eq!(standing(0), Standing::Unknown);
    }

    #[test]
    fn an_invalidation_ends_all_and_clears_the_way_for_a_new_first_token() {
        let mut tokens = issued();
        refresh(&mut tokens, "a", "b", NOON).unwrap();
        refresh(&mut tokens, "b", "c", NOON.after(GRACE)).unwrap();
        assert_eq!(tokens.invalidate(NOON.after(GRACE)), [id("c"), id("b")]);
        for jti in ["a", "b", "c"] {
            assert_eq!(tokens.standing(&id(jti), NOON), Standing::Unknown);
        }
        tokens.issue(token("d", NOON)).unwrap();
    }

    proptest! {
        /// Whatever the order of refreshes: one token is current, what is in grace is known, and the rest is bounded.
        #[test]
        fn no_token_in_grace_is_forgotten_and_the_memory_is_bounded(pauses in prop::collection::vec(0u64..1200, 1..60)) {
            let mut tokens = issued();
            let (mut now, mut history) = (NOON, vec![("a".to_owned(), NOON)]);
            for (n, pause) in pauses.into_iter().enumerate() {
                now = now.after(Duration::from_secs(pause));
                let (old, new) = (history.last().unwrap().0.clone(), format!("t{n}"));
                refresh(&mut tokens, &old, &new, now).unwrap();
                history.last_mut().unwrap().1 = now;
                history.push((new, now));
            }
            let (current, refreshed) = history.split_last().unwrap();
            prop_assert_eq!(tokens.standing(&id(&current.0), now), Standing::Current);
            let mut in_grace = 0;
            for (jti, at) in refreshed {
                let end = at.after(GRACE);
                if now < end {
                    in_grace += 1;
                    prop_assert_eq!(tokens.standing(&id(jti), now), Standing::InGrace(end));
                } else {
                    prop_assert!(!matches!(tokens.standing(&id(jti), now), Standing::Current | Standing::InGrace(_)));
                }
            }
            prop_assert!(tokens.superseded.len() <= in_grace + REMEMBERED);
        }
    }
}
