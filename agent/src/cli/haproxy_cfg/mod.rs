//! `haproxy-cfg`: what in HAProxy's configuration would make a restart drop requests, and the recipe that does not.

mod lint;
mod render;
mod snippet;

use std::process::ExitCode;

pub(super) use self::render::RenderError;
use super::CliError;
use super::args::{Arguments, HaproxyCfg};

pub(super) fn run(arguments: &Arguments, command: &HaproxyCfg) -> Result<ExitCode, CliError> {
    match command {
        HaproxyCfg::Lint(options) => lint::run(arguments, options),
        HaproxyCfg::Render(options) => render::run(arguments, options),
    }
}
