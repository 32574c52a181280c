//! The command line: a file a command.

mod account;
pub mod agent;
mod app;
mod apply;
mod ask;
mod audit;
mod bot;
mod call;
mod catalog;
mod check;
mod demo;
mod edit;
mod encrypt;
mod encryption;
mod export;
mod exposure;
mod failure;
mod given;
mod init;
mod installation;
mod jwt;
mod key;
mod live;
mod material;
mod open;
mod print;
mod reload;
mod scope;
mod serve;
mod service;
mod signer;
mod skew;
mod table;
mod token;
mod tokens;
mod view;
mod why;

use std::borrow::Cow;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::failure::Failure;
use crate::model::printable_lines;

/// An authenticating reverse proxy for bot APIs.
///
/// Every call carries a JSON Web Token. Scopegate works out which app sent it, whether the token is good now, whether the
/// app holds the scope that the route asks for, and only then forwards the call.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Demo),
    Init(init::Init),
    Serve(serve::Serve),
    Check(check::Check),
    Reload(reload::Reload),
    Apply(apply::Apply),
    Export(export::Export),
    #[command(subcommand)]
    Account(account::Account),
    #[command(subcommand)]
    Bot(bot::Bot),
    #[command(subcommand)]
    App(app::App),
    #[command(subcommand)]
    Key(key::Key),
    #[command(subcommand)]
    Encryption(encryption::Encryption),
    #[command(subcommand)]
    Service(service::Service),
    #[command(subcommand)]
    Installation(installation::Installation),
    #[command(subcommand)]
    Token(tokens::Token),
    Audit(audit::Audit),
    #[command(subcommand)]
    Scope(scope::Scope),
    #[command(subcommand)]
    Jwt(jwt::Jwt),
    #[command(subcommand)]
    Agent(agent::Agent),
    #[command(subcommand)]
    Catalog(catalog::Catalog),
    Why(why::Why),
}

/// As in sysexits.h.
const EX_USAGE: u8 = 64;

/// Runs the command that the process's arguments name.
///
/// Exit status: 0 when it did what was asked, 1 when it did not, 2 for a dry run that found changes, 64 for wrong arguments.
pub fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Arguments stand in it as they were given.
            match printable_lines(&error.render().to_string()) {
                Cow::Borrowed(_) => _ = error.print(),
                Cow::Owned(escaped) => eprint!("{escaped}"),
            }
            return ExitCode::from(if error.use_stderr() { EX_USAGE } else { 0 });
        }
    };
    // One library of cryptography, chosen once; a second choice would be the same one.
    _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let done = match arguments.command {
        Command::Demo(command) => block_on(command.run()),
        Command::Init(command) => command.run(),
        Command::Serve(command) => block_on(command.run()),
        Command::Check(command) => block_on(command.run()),
        Command::Reload(command) => block_on(command.run()),
        Command::Apply(command) => block_on(command.run()),
        Command::Export(command) => block_on(command.run()),
        Command::Account(command) => block_on(command.run()),
        Command::Bot(command) => block_on(command.run()),
        Command::App(command) => block_on(command.run()),
        Command::Key(command) => block_on(command.run()),
        Command::Encryption(command) => block_on(command.run()),
        Command::Service(command) => block_on(command.run()),
        Command::Installation(command) => block_on(command.run()),
        Command::Token(command) => block_on(command.run()),
        Command::Audit(command) => block_on(command.run()),
        Command::Scope(command) => block_on(command.run()),
        Command::Jwt(command) => block_on(command.run()),
        Command::Agent(command) => block_on(command.run()),
        Command::Catalog(command) => command.run(),
        Command::Why(command) => block_on(command.run()),
    };
    match done {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

/// The control runtime: this thread's.
fn block_on<F: Future<Output = Result<ExitCode, Failure>>>(command: F) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::new(format!("the system refused a runtime: {error}")))?.block_on(command)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_of_every_command_are_consistent() {
        Arguments::command().debug_assert();
    }
}
