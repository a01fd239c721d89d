//! `docs/runbook.md`, tried as written: each situation is caused for real, the commands of its section are run exactly as they stand
//! there, and what the page shows must be said, with the exit codes that it names.
//!
//! The page is read when a test runs. `console` blocks hold what is typed after `$ `, then what is shown; a line `[exit N]` is the exit
//! code where it is not 0, and `…` stands for lines left out. Figures, times and names of runs may differ. The only word that stands for
//! another is `4711`: the process that `pitstop status` names. Everything else is as on the page's host, in a mount namespace of the
//! test's own: `/usr/local/bin/pitstop`, `/var/lib/pitstop`, `/run/haproxy/admin.sock`, the app `web`.
//!
//! With `PITSTOP_RUNBOOK_RECORD` set to a folder, each section's commands and what they really say are written there instead.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod balancers;
mod faults;
mod host;
mod journal;
mod normal;
mod page;
mod refused;
mod scene;
mod stays_out;
mod undone;
mod wanted;
