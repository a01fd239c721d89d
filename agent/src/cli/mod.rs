//! What was typed: arguments, one file per command, the printer, exit codes, errors with hints.

mod args;
mod aside;
mod check;
mod error;
mod haproxy_cfg;
mod init;
mod keep;
mod phase;
mod pit_stop;
mod printer;
mod progress;
mod receipt;
mod recover;
mod status;
mod unconfigured;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use self::args::{Arguments, Command, Format};
pub use self::error::CliError;

/// Runs the command line and returns the process's exit code.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        // A program reads no prose; help and version are no errors.
        Err(error) if error.use_stderr() && wants_json() => return usage(&error).print(Format::Json),
        Err(error) => error.exit(),
    };
    let format = arguments.output;
    // Before anything else is opened.
    if arguments.command.acts()
        && let Err(source) = crate::descriptors::hold_back()
    {
        return CliError::Start { source }.print(format);
    }
    // One thread: what a run does is then in one order, and can be followed and broken off by count.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(source) => return CliError::Start { source }.print(format),
    };
    let result = runtime.block_on(run(arguments));
    // A tool that still hangs must not hold us up; its time limit has been told.
    runtime.shutdown_background();
    result.unwrap_or_else(|error| error.print(format))
}

/// Whether `--output json` is among arguments that could not be read.
fn wants_json() -> bool {
    let arguments: Vec<_> = std::env::args_os().collect();
    arguments.iter().any(|argument| argument == "--output=json")
        || arguments.windows(2).any(|pair| matches!(pair, [option, value] if option == "--output" && value == "json"))
}

fn usage(error: &clap::Error) -> CliError {
    let text = error.render().to_string();
    CliError::Usage(text.trim().trim_start_matches("error: ").to_owned())
}

async fn run(arguments: Arguments) -> Result<ExitCode, CliError> {
    init_tracing(arguments.verbose);
    match &arguments.command {
        Command::Restart(options) => pit_stop::run_restart(&arguments, options).await,
        Command::Out(options) => pit_stop::run_out(&arguments, options).await,
        Command::In(options) => pit_stop::run_in(&arguments, options).await,
        Command::Recover { apps } => recover::run(&arguments, apps).await,
        Command::Keep { app } => keep::run(&arguments, app).await,
        Command::Status { apps } => status::run(&arguments, apps).await,
        Command::Check { apps } => check::run(&arguments, apps).await,
        Command::HaproxyCfg(command) => haproxy_cfg::run(&arguments, command),
        Command::Init(options) => init::run(&arguments, options).await,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Arguments::command(), "pitstop", &mut script);
            printer::out_all(&script);
            Ok(ExitCode::SUCCESS)
        }
        Command::Man { folder } => {
            clap_mangen::generate_to(Arguments::command(), folder)
                .map_err(|source| CliError::Write { path: folder.clone(), source })?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Logs go to stderr: `--verbose` for our own, `PITSTOP_LOG` for anything.
fn init_tracing(verbose: u8) {
    let default = match verbose {
        0 => "off",
        1 => "pitstop=debug",
        _ => "pitstop=trace",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("PITSTOP_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}

impl Arguments {
    fn is_json(&self) -> bool {
        self.output == Format::Json
    }
}
