//! Properties of the pure part.

mod authorize;
mod routes;
