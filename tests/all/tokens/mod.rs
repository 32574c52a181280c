//! Tokens that were changed, tokens of others, and vectors of others.

mod certificates;
mod encryption;
mod keys;
mod mutations;
mod oracle;
mod spellings;
mod wycheproof;
mod wycheproof_encryption;
mod wycheproof_keys;
