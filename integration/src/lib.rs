//! The harness of Pitstop's tests, demo and soak: a real HAProxy, real apps, real clients and a real kernel, in network
//! namespaces that touch nothing of the host.
//!
//! | module | what it holds |
//! |---|---|
//! | [`world`] | the standard scene in one call: HAProxy, three apps with main and backup entries, load, pitstop |
//! | [`netns`] | a network namespace for a test's thread, and further hosts joined to it |
//! | [`machine`] | a further host with a systemd of its own, that can be rebooted |
//! | [`sandbox`] | namespaces for a whole program, gone with it whatever ends it |
//! | [`haproxy`] | a HAProxy of a chosen version, and its configuration |
//! | [`app`] | our strict app (`testapp`), which cuts what is in flight when stopped |
//! | [`real_app`] | gunicorn and nginx |
//! | [`load`] | steady load (`testload`) in which every request is checked |
//! | [`pitstop`] | the built `pitstop`, run from outside |
//! | [`relay`] | a socket before that of HAProxy, which hears what pitstop says |
//! | [`ssh`] | logins over the network, and a server for them |
//! | [`request`] | one request or one held connection, followed closely |
//! | [`content`] | what the apps answer and the clients expect |
//! | [`binaries`] | where programs are |
//! | [`terminal`] | writing for people |
//! | [`wait`] | waiting for what can be seen |
//!
//! Everything here panics when the scene cannot be set: a test has nothing better to do. Everything started is ended
//! on drop, and by a guardian or the kernel when drop never runs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test harness fails by panicking"
)]

pub mod app;
pub mod binaries;
pub mod content;
pub mod haproxy;
pub mod load;
pub mod machine;
pub mod netns;
pub mod pitstop;
pub mod real_app;
pub mod relay;
pub mod request;
pub mod sandbox;
pub mod ssh;
pub mod sweep;
pub mod terminal;
pub mod wait;
pub mod world;
