//! First use of a `jti` (RFC 7519 section 4.1.7): an exact memory that never forgets early.

mod memory;

pub use memory::{FirstUse, ReplayMemory};
