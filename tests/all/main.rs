//! Everything from outside: the library as its users see it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops where something is not as it says")]

mod axum;
mod documents;
mod e2e;
mod policy;
mod record;
mod registry_file;
mod stack;
mod support;
mod tokens;
