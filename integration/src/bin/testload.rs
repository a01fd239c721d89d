//! Steady load for tests. Prints JSON lines: progress, if asked for, and a summary in the end. Exits 0 when no request
//! failed, else 1.

use std::process::ExitCode;

use clap::Parser;
use integration::load;

#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    load: load::Options,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let summary = load::run(Arguments::parse().load).await;
    if summary.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
