//! The harness: a gateway in one process with a fixed registry, a clock that stands still, a log that is kept and a
//! leaf that writes down what reaches it. It knows only what the library makes public.

pub mod body;
pub mod encryption;
pub mod gateway;
pub mod leaf;
pub mod log;
pub mod random;
pub mod registry;
pub mod routes;
pub mod tokens;

pub use body::Script;
pub use gateway::{Gateway, Reply};
pub use leaf::Leaf;
pub use log::{Line, Log};
pub use random::Random;
pub use routes::Format;
pub use tokens::Token;

use scopegate::clock::Timestamp;

/// When all of this happens.
pub const NOW: i64 = 1_795_348_800;

pub const fn now() -> Timestamp {
    Timestamp::from_secs(NOW)
}
