//! Restarts and reloads of real apps, each test in a network namespace of its own (needs root, gunicorn and nginx).
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr
)]

mod command;
mod finish;
mod gunicorn;
mod nginx;
mod single;
mod world;
