//! What a host with a systemd does to its app and to pitstop: failed starts, a dead bus, a reboot, the end of a login.
//!
//! One file a fault, by the number that `docs/faults.md` gives it. The balancer, the clients and the other apps are on another host.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod scene;

mod login_ends;
mod row_10_restart_fails;
mod row_23_host_reboot;
mod row_25_no_bus;
