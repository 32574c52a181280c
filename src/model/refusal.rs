use std::borrow::Cow;

use super::{Reason, printable};

/// A call that does not go on: why, what was expected, and what was found instead.
///
/// The two texts are for the operator: they name identifiers, times and algorithms, never a secret or a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub reason: Reason,
    pub expected: Option<Cow<'static, str>>,
    pub found: Option<Cow<'static, str>>,
    /// The claim that is at fault, where it is one.
    pub claim: Option<Box<str>>,
    /// Whether the fault is with a token that was handed in to be exchanged, and not with the caller's own credential.
    pub is_of_grant: bool,
    /// The reason that the caller is told in place of the true one, where that would tell a stranger about an app.
    pub told_as: Option<Reason>,
}

impl Refusal {
    pub const fn new(reason: Reason) -> Self {
        Self { reason, expected: None, found: None, claim: None, is_of_grant: false, told_as: None }
    }

    #[must_use]
    pub fn expected(mut self, what: impl Into<Cow<'static, str>>) -> Self {
        self.expected = Some(printable(what.into()));
        self
    }

    #[must_use]
    pub fn found(mut self, what: impl Into<Cow<'static, str>>) -> Self {
        self.found = Some(printable(what.into()));
        self
    }

    /// A fault of what was handed in to be exchanged.
    #[must_use]
    pub fn of_grant(self) -> Self {
        Self { is_of_grant: true, ..self }
    }

    /// Tells the caller another reason; the log has the true one.
    #[must_use]
    pub fn told_as(self, reason: Reason) -> Self {
        Self { told_as: Some(reason), ..self }
    }

    /// A fault of that claim.
    #[must_use]
    pub fn of_claim(mut self, name: &str) -> Self {
        self.claim = Some(name.into());
        self
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self::new(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_control_character_of_a_token_reaches_a_terminal() {
        let refusal = Refusal::new(Reason::TokenMalformed).expected("a\u{1b}[2Jb").found("zwölf\n".to_owned());
        assert_eq!(refusal.expected.unwrap(), "a\\u{1b}[2Jb");
        assert_eq!(refusal.found.unwrap(), "zwölf\\n");
    }
}
