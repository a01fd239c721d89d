//! Restarts an application behind HAProxy without dropping a request.
//!
//! The map of the house, from what was typed to what is done:
//!
//! | module | what it holds |
//! |---|---|
//! | [`cli`] | what was typed, one file per command; the printer; exit codes; errors with hints |
//! | [`config`] | `pitstop.toml`: as written (`file`), then checked (`settings`) |
//! | [`run`] | the pure core of a pit stop: what comes next, and what it cost |
//! | [`engine`] | the one place that acts: intent, act, outcome, event |
//! | [`events`] | the one stream of events that people and pipelines see |
//! | [`journal`] | intent and outcome on disk, and the claim on an app |
//! | [`keeper`] | a process left behind where an app stays out: keeps it so, ends its lease |
//! | [`rotation`] | taking an app out and putting it back: HAProxy's admin state, the redirect, the gate |
//! | [`drain`] | the witnesses that say how much is in flight |
//! | [`service`] | restarting the app, one file per manager |
//! | [`probe`] | proof that the app is healthy |
//! | [`descriptors`] | file descriptors held back for the way to a safe end |
//! | [`process`] | processes as the kernel sees them: identity, who holds a listening socket |
//! | [`text`] | text from outside, safe for a terminal |
//! | [`haproxy`] | the admin socket: codec, commands, replies, client |
//!
//! Dependencies point one way: `cli` and `keeper` see `engine` and its events, `engine` sees the traits of the drivers,
//! the drivers see `haproxy` or the kernel, and `run` sees nothing.

pub mod cli;
pub mod config;
pub mod descriptors;
pub mod drain;
pub mod engine;
pub mod events;
pub mod haproxy;
pub mod journal;
pub mod keeper;
pub mod probe;
pub mod process;
pub mod rotation;
pub mod run;
pub mod service;
pub mod text;
