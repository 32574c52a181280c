//! Properties of the pure part.

mod authorize;
mod explained;
mod rewritten;
mod routes;
