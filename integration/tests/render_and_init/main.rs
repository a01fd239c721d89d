//! What `pitstop haproxy-cfg render` and `pitstop init` write is taken by every HAProxy, and does pit stops without a failed request.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod adopted;
mod checks;
mod elsewhere;
mod files;
mod mishaps;
mod rendered;
mod scene;
mod settings;
