//! `haproxy-cfg`: what in HAProxy's configuration would make a restart drop requests, and the recipe that does not.

mod lint;
mod snippet;

use std::process::ExitCode;

use super::CliError;
use super::args::{Arguments, HaproxyCfg};

pub(super) fn run(arguments: &Arguments, command: &HaproxyCfg) -> Result<ExitCode, CliError> {
    match command {
        HaproxyCfg::Lint(options) => lint::run(arguments, options),
    }
}
