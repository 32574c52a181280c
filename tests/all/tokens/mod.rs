//! Tokens that were changed, tokens of others, and vectors of others.

mod keys;
