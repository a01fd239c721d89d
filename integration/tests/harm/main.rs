//! What the rules of `pitstop haproxy-cfg lint` warn of does happen to clients of a real HAProxy, and does not with the fix.
//!
//! Each test runs a configuration that a rule reports, and one that it does not, on two versions of HAProxy. The text that is
//! run is the text that is linted, so that a rule and its reason can't drift apart.
//!
//! | file | what it holds |
//! |---|---|
//! | `harm` | a configuration that a rule reports beside one that it does not, both linted and run |
//! | `config` | what the configurations are made of |
//! | `scene` | a HAProxy and its apps, and what becomes of requests |
//! | `crooked` | an app and an agent that misbehave in ways that the test app can't |
//! | `checks` | `no-check`, `check-by-connect`, `check-root`, `check-port`, `plain-check`, `agent-port` |
//! | `kills` | `kills-sessions`, `kills-backup-sessions` |
//! | `balance` | `no-redispatch`, `fixed-weights`, `reuse-always` |
//! | `persist` | `persist` |
//! | `twins` | `twin-cookie`, `twin-address`, `cookie-without-twin`, `twin-check-port`, `same-cookie` |
//! | `sockets` | `socket-level`, `socket-open`, `socket-owner` |
//! | `reload` | `state-forgotten`, `state-file`, `state-stale` |
//! | `timeouts` | `long-timeout`, `no-hard-stop` |
//! | `addresses` | `same-address`, `init-addr` |

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod addresses;
mod balance;
mod checks;
mod config;
mod crooked;
mod harm;
mod kills;
mod persist;
mod reload;
mod scene;
mod sockets;
mod timeouts;
mod twins;
