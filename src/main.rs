//! The `scopegate` command.

use std::process::ExitCode;

/// Gives the memory of a burst of connections back to the system soon after it.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    scopegate::cli::run()
}
