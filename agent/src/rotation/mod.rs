//! In and out of rotation: HAProxy's admin state, the redirect, the gate.

pub mod mark;
