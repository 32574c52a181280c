//! Tokens that were changed, tokens of others, and vectors of others.

mod keys;
mod mutations;
mod oracle;
mod wycheproof;
mod wycheproof_keys;
