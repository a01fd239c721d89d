//! The keeper: being one, and leaving one behind.

use std::process::ExitCode;

use super::args::Arguments;
use super::pit_stop::told_to_stop;
use super::{CliError, aside};
use crate::config;
use crate::config::settings::App;
use crate::engine::fault;
use crate::engine::interrupt::Interrupt;
use crate::keeper::Keeper;
use crate::keeper::start::{self, StartError};

/// Keeps an app until nothing is to be kept.
pub(super) async fn run(arguments: &Arguments, name: &str) -> Result<ExitCode, CliError> {
    let settings = config::load(&arguments.config)?;
    let app = settings.app(name)?;
    let interrupt = Interrupt::listen(told_to_stop).map_err(|source| CliError::Start { source })?;
    let keeper = Keeper::new(arguments.config.clone(), arguments.state_dir.clone(), app.clone(), interrupt);
    keeper.run().await?;
    Ok(ExitCode::SUCCESS)
}

/// Leaves a keeper behind where one is needed. The run is over and its end stands; that nobody keeps it is told.
pub(super) async fn leave_behind(arguments: &Arguments, app: &App) {
    let error = match start::leave_behind(&arguments.config, &arguments.state_dir, app.name.as_str()).await {
        // What is to be kept can't be known without a journal that can be believed, which the run itself has told.
        Ok(()) | Err(StartError::Journal(_)) => return,
        Err(error) => error,
    };
    let what = format!("{}: what a reload undoes stays undone, and no lease ends by itself", fault::chain(&error));
    let hint = format!("`pitstop recover {}` tries it again", app.name);
    aside::warn(arguments, "not_kept", app.name.as_str(), what, hint);
}
