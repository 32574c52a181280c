//! The `scopegate` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    scopegate::cli::run()
}
