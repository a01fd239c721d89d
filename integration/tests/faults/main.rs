//! Everything that must be survived, caused for real: one file a fault, by the number that `docs/faults.md` gives it.
//!
//! Rows 10, 23 and 25 need a systemd: see `tests/hosts`.
//!
//! Whatever happens, an app ends in and healthy, or out, recorded and said aloud; and no request is lost.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod firewall;
mod moment;
mod scene;

mod row_01_killed;
mod row_02_power_cut;
mod row_03_journal_unwritable;
mod row_04_reload;
mod row_05_haproxy_killed;
mod row_06_admin_socket_hangs;
mod row_07_refused_by_haproxy;
mod row_08_never_drains;
mod row_09_check_port_answered_by_others;
mod row_11_never_ready;
mod row_12_crash_loop_after_ready;
mod row_13_manager_lies;
mod row_14_xtables_lock;
mod row_15_nft_and_legacy;
mod row_16_firewall_flushed;
mod row_17_clock_jump;
mod row_18_no_file_descriptors;
mod row_19_two_runs;
mod row_20_maintenance_by_others;
mod row_21_traffic_port_dead;
mod row_22_balancer_cut_off;
mod row_24_names;
