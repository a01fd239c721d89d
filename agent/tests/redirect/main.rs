//! The redirect, the gate and the counting of refused checks, in the real kernel's network namespaces.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

mod flips;
mod foreign;
mod gate;
mod hosts;
mod limits;
mod refusals;
mod world;
