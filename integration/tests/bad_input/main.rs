//! Every bad input has an error that names it, a hint that says what to type, the right exit code, and leaves things as
//! the exit code says.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod balancer;
mod config;
mod output;
mod rules;
mod scene;
mod service;
