//! The probes against real servers and real processes, each test in a network namespace of its own. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod command;
mod http;
mod support;
mod tcp;
mod tls;
