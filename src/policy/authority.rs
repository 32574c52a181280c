use std::time::Duration;

use crate::verify::TokenRules;

/// As whom access tokens are issued (RFC 8414 section 2), and to whom.
#[derive(Debug)]
pub struct Authority {
    /// A URL of scheme and host alone.
    pub issuer: Box<str>,
    /// What the tokens are for (RFC 9068 section 2.2).
    pub audience: Box<str>,
    /// How long they live.
    pub life: Duration,
    /// What an assertion has to be like: one by which a client proves who it is, or one that is exchanged (RFC 7523 section 3).
    pub assertions: TokenRules,
    /// Whether an assertion names its audience as one string, and not as a list.
    pub one_audience: bool,
    /// What the tokens are verified by.
    pub access: TokenRules,
}
