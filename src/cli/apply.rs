use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::Failure;
use super::edit::counted;
use super::encryption::missing_keys;
use super::open::{ConfigArgument, actor, make_store};
use super::print::print_lines;
use super::service::warn;
use crate::config::{ConfigError, RegistryFile};
use crate::registry::{Change, GrantRules, Plan, PlanOptions, Repository as _};
use crate::store::Store;

/// Bring the registry in line with a file
///
/// Adds and changes what the file names, and deletes nothing unless told to prune. A running gateway notices within a second.
#[derive(Debug, Args)]
pub(super) struct Apply {
    #[command(flatten)]
    config: ConfigArgument,
    /// The registry file
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// Print what would change, and change nothing; exit status 2 if there is anything
    #[arg(long)]
    dry_run: bool,
    /// Leave grants to bots as drafts; grants to accounts are live at once
    #[arg(long)]
    draft: bool,
    /// Delete what the file does not name
    #[arg(long)]
    prune: bool,
    /// Why, for the audit
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
}

impl Apply {
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let config = self.config.load()?;
        let file = RegistryFile::load(&self.file)?;
        let store = make_store(&config).await?;
        let options = PlanOptions { prune: self.prune, draft: self.draft };
        let read = store.version().await?;
        let plan = plan(&store, &file, &config.grants, options).await?;
        file.desired().service_accounts.iter().for_each(|service| warn(&service.settings));
        print_lines(&plan.0)?;
        if plan.0.is_empty() {
            print_lines(["nothing to change"])?;
        } else if self.dry_run {
            print_lines([format!("{}; nothing was changed (dry run)", counted(plan.0.len()))])?;
            return Ok(ExitCode::from(2));
        } else {
            let version = store.commit_at(read, &plan.0, &actor(self.why)).await?;
            let done = format!("{} applied; the registry is at version {}", counted(plan.0.len()), version.0);
            print_lines([done])?;
            if plan.0.iter().any(|c| matches!(c, Change::PutGrant { publish: false, .. })) {
                let way = if self.draft { "apply the file without --draft" } else { "run `scopegate scope publish`" };
                print_lines([format!("drafts are not live: {way} to publish them")])?;
            }
        }
        store.close().await;
        Ok(ExitCode::SUCCESS)
    }
}

/// What has to change, with new key pairs for apps that have to encrypt; or every error of the file at its line.
pub(super) async fn plan(
    store: &Store,
    file: &RegistryFile,
    rules: &GrantRules,
    options: PlanOptions,
) -> Result<Plan, Failure> {
    let (_, stored) = store.load().await?;
    let mut plan = Plan::new(&stored, file.desired(), rules, options).map_err(|errors| {
        let errors = ConfigError(errors.iter().map(|error| file.locate(error)).collect());
        Failure::new(format!("the registry file can't be applied\n{errors}"))
    })?;
    plan.0.extend(missing_keys(&stored, &plan.0)?);
    Ok(plan)
}
