//! Revocations of tokens that apps signed themselves: such a token is nobody's record, so what it says decides.

use crate::clock::Timestamp;
use crate::model::{RegisteredClaims, TokenId};

/// Tokens of one app that are good no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// The one with this `jti`.
    Token(TokenId),
    /// Those of this `sub` that were issued before then.
    Subject { subject: Box<str>, issued_before: Timestamp },
    /// All that were issued before then.
    IssuedBefore(Timestamp),
}

impl Revocation {
    /// Whether it means a token with these claims. A token that does not say when it was issued was issued before any time.
    pub fn covers(&self, claims: &RegisteredClaims) -> bool {
        let is_older = |than: Timestamp| claims.issued_at.is_none_or(|iat| iat < than);
        match self {
            Self::Token(jti) => claims.token_id.as_deref() == Some(jti.as_str()),
            Self::Subject { subject, issued_before } => {
                claims.subject.as_deref() == Some(&**subject) && is_older(*issued_before)
            }
            Self::IssuedBefore(then) => is_older(*then),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_secs(1_795_348_800);

    fn claims(jti: Option<&str>, subject: Option<&str>, issued_at: Option<i64>) -> RegisteredClaims {
        RegisteredClaims {
            token_id: jti.map(Into::into),
            subject: subject.map(Into::into),
            issued_at: issued_at.map(|ahead| Timestamp::from_secs(NOON.secs() + ahead)),
            ..RegisteredClaims::default()
        }
    }

    #[test]
    fn a_jti_means_one_token() {
        let revocation = Revocation::Token(TokenId::new("a").unwrap());
        assert!(revocation.covers(&claims(Some("a"), None, None)));
        assert!(!revocation.covers(&claims(Some("A"), None, None)));
        assert!(!revocation.covers(&claims(None, Some("a"), None)));
    }

    #[test]
    fn a_subject_means_its_tokens_until_then_and_those_that_do_not_say_when() {
        let revocation = Revocation::Subject { subject: "ana".into(), issued_before: NOON };
        let covered = [Some(-1), Some(0), Some(1), None].map(|at| revocation.covers(&claims(None, Some("ana"), at)));
        assert_eq!(covered, [true, false, false, true]);
        assert!(!revocation.covers(&claims(None, Some("bob"), Some(-1))));
        assert!(!revocation.covers(&claims(None, None, None)), "nobody is not ana");
    }

    #[test]
    fn a_time_means_all_that_were_issued_before_it_or_do_not_say_when() {
        let covered =
            [Some(-1), Some(0), None].map(|at| Revocation::IssuedBefore(NOON).covers(&claims(None, None, at)));
        assert_eq!(covered, [true, false, true]);
    }
}
