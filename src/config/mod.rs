//! The file format, and how it becomes each component's settings. Only this module knows TOML.
//!
//! A file is read by figment, with environment variables over it; profiles and included files add authenticators,
//! scopes and routes. Everything is resolved, and everything that is wrong is reported, before a port is bound.

mod authenticator;
mod certificate;
mod cors;
mod diagnostic;
mod environment;
mod export;
mod exposure;
mod file;
mod forwarding;
mod identity;
mod injected;
mod methods;
mod named_file;
mod profile;
mod proxy;
mod quota;
mod range;
mod registry;
mod registry_file;
mod resolve;
mod route;
mod scope;
mod source;
mod spoken;
mod stores;
mod time;
mod tls;
mod tokens;
mod upstream;

pub use diagnostic::{ConfigError, Diagnostic};
pub use export::{Secrets, export};
pub use exposure::exposure;
pub use proxy::ProxySettings;
pub use registry::{RegistrySettings, SecretsShown};
pub use registry_file::RegistryFile;
pub use resolve::{Config, load, parse};
pub use stores::{AccessLogTarget, ReplayPlace, ReplaySettings, StoreLocation, TelemetrySettings};
pub use time::{duration, positive_duration};
