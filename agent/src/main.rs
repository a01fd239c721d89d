//! The doorway; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    pitstop::cli::main()
}
