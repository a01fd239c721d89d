//! In and out of rotation: HAProxy's admin state, the redirect, the gate.

pub mod chain;
pub mod error;
pub mod findings;
pub mod foreign;
pub mod gate;
pub mod iptables;
mod listeners;
pub mod mark;
pub mod redirect;
pub mod refusals;
pub mod rule;
