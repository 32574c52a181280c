//! Secrets on their way into browsers.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::super::Failure;
use super::super::exposure::{dotenv, environment, exposed};

/// Find secrets in variables that web builds hand to browsers
///
/// Looks for private keys, tokens and secrets in variables such as NEXT_PUBLIC_…, VITE_… and REACT_APP_…, in the
/// environment and in .env files. No value is printed. Exit status 1 when there are any.
#[derive(Debug, Args)]
pub(in super::super) struct Lint {
    /// .env files to read besides the environment
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A variable that may be public all the same
    #[arg(long, value_name = "NAME")]
    except: Vec<String>,
}

impl Lint {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let mut is_clean = self.report("the environment", &environment());
        for file in &self.files {
            let name = file.display().to_string();
            let text = std::fs::read(file).map_err(|error| Failure::new(format!("{name}: {error}")))?;
            is_clean &= self.report(&name, &dotenv(&String::from_utf8_lossy(&text)));
        }
        if is_clean {
            println!("no secret is in a variable that browsers get");
        }
        Ok(if is_clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn report(&self, origin: &str, variables: &[(String, String)]) -> bool {
        let pairs = variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let found = exposed(pairs.filter(|(name, _)| !self.except.iter().any(|except| except == name)), None);
        for exposed in &found {
            println!("{origin}: {exposed}");
        }
        found.is_empty()
    }
}
