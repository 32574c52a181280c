//! Scopegate: an authenticating reverse proxy for bot APIs.
//!
//! Every call carries a JSON Web Token. Scopegate works out which app sent it, whether the token is good *now*, whether
//! that app holds the scope that the route asks for, and only then forwards the call.
//!
//! # Tenets, in rank order
//!
//! 1. **Correct.** No request reaches an upstream unchecked. What cannot be decided is refused. A store that is down is
//!    a 503 that is ours, never a 401 that blames the caller, and never a pass.
//! 2. **Fast.** The way of a request is precompiled, lock-free and poor in allocations; a token seen before costs a look-up.
//! 3. **Clear.** Every refusal has one stable reason code, and the operator can always learn exactly why.
//! 4. **Calm to run.** One binary, an embedded store, typed configuration that fails at start, reload, drain.
//! 5. **Small.** One engine; the platforms are data, a profile file each.
//!
//! # The life of a request
//!
//! [`net`] accepts a connection and reads a request. The stack of [`gateway`] puts it on record, bounds it, finds its
//! route, authenticates and authorizes its caller, counts it against its quota, admits it, cleans it and forwards it.
//! Each step takes the type that the step before it makes, so that none can be left out. [`policy`] holds the route
//! table and judges; [`verify`] says whether a token is good now; [`jose`] reads it; [`registry`] knows the apps, their
//! keys and grants, as a snapshot that [`process`] keeps in step with the [`store`]; [`replay`] knows which tokens of
//! single use were used.
//!
//! # As a layer
//!
//! [`gateway::ScopegateLayer`] puts the same checks in front of any tower HTTP service.
//!
//! # Modules
//!
//! A module uses only modules below it; a test holds this order.

pub mod cli;
pub mod process;
pub mod telemetry;
pub mod tokens;

pub mod store;

pub mod config;
pub mod endpoints;
pub mod gateway;
pub mod policy;
pub mod verify;

pub mod net;
pub mod registry;
pub mod replay;

pub mod jose;
pub mod model;
pub mod password;

pub mod clock;
pub mod files;
pub mod health;
pub mod secret;

pub use gateway::ScopegateLayer;
