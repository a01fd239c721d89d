//! `haproxy-cfg lint`.

mod context;
mod json;
mod text;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use haproxy_cfg::lint::worst_case::{WorstCase, worst_cases};
use haproxy_cfg::lint::{Finding, lint};
use haproxy_cfg::{Config, Environment};

use crate::cli::CliError;
use crate::cli::args::{Arguments, Format, LintOptions};
use crate::cli::printer;
use crate::haproxy::read_files;

/// What was found, and in what.
struct Linted {
    config: Config,
    findings: Vec<Finding>,
    /// Only where they are asked for.
    times: Vec<WorstCase>,
}

impl Linted {
    /// How many servers there are, and how many backends that have some; a `server-template` counts as one server.
    fn size(&self) -> (usize, usize) {
        let counts = self.config.backends().map(|backend| backend.server_lines().count()).filter(|count| *count > 0);
        counts.fold((0, 0), |(servers, backends), count| (servers + count, backends + 1))
    }
}

/// Prints what the rules find; exit code 1 where something is as bad as was asked for.
pub(super) fn run(arguments: &Arguments, options: &LintOptions) -> Result<ExitCode, CliError> {
    let sources = read_files(&options.files)?;
    if sources.is_empty() {
        return Err(CliError::Usage(format!("no file that ends in .cfg is in {}", listed(&options.files))));
    }
    let environment = Environment { variables: variables(options), ..Environment::default() };
    // An error is shown with its line.
    let config = match Config::read(sources.clone(), &environment) {
        Ok(config) => config,
        Err(error) => {
            let line = text::line_of(&sources, &error);
            match arguments.output {
                Format::Json => printer::out(&json::error(&error).to_string()),
                Format::Human => text::error(&error, &line).iter().for_each(|line| printer::err(line)),
            }
            return Ok(ExitCode::from(2));
        }
    };
    let context = context::known(&arguments.config, &options.files);
    let findings = lint(&config, &context);
    let times = if options.times { worst_cases(&config) } else { Vec::new() };
    let worst = findings.iter().map(|finding| finding.severity).max();
    let code = u8::from(worst.is_some_and(|worst| worst >= options.fail_on.into()));
    let linted = Linted { config, findings, times };
    let printed = match arguments.output {
        Format::Json => json::lines(&linted, code),
        Format::Human => text::lines(&linted),
    };
    printer::out_all(printed.as_bytes());
    Ok(ExitCode::from(code))
}

fn listed(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

fn variables(options: &LintOptions) -> Option<BTreeMap<String, String>> {
    (!options.set.is_empty()).then(|| options.set.iter().cloned().collect())
}
