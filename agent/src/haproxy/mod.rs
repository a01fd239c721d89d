//! HAProxy's admin socket: names, commands, replies, client. Knows nothing of pit stops.

mod address;
mod name;

pub use address::{Address, AddressError};
pub use name::{Name, NameError, ServerId};
