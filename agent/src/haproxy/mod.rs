//! HAProxy's admin socket: names, commands, replies, client. Knows nothing of pit stops.
//!
//! | file | what it holds |
//! |---|---|
//! | `name`, `address` | what may stand in a command, and where HAProxy listens |
//! | `command` | what can be said: closed enums, never free text |
//! | `codec` | one line there, everything up to the end of the stream back |
//! | `answer` | takes the answers of one line apart, front to back |
//! | `info`, `stat`, `status`, `servers_state`, `servers_conn`, `processes`, `sessions` | one kind of answer each |
//! | `client`, `master` | typed calls on a worker's socket and on the master's |
//! | `connection` | one connection per line, every stage with a deadline |
//! | `files` | the files of its configuration |
//! | `error` | what went wrong, and what to do about it |

mod address;
mod answer;
mod client;
mod codec;
mod command;
mod connection;
mod error;
mod files;
mod info;
mod master;
mod name;
mod processes;
mod servers_conn;
mod servers_state;
mod sessions;
mod stat;
mod status;
mod table;
#[cfg(test)]
mod tests;

pub use address::{Address, AddressError};
pub use client::{Client, Poll};
pub use codec::{AnswerCodec, CodecError, MAX_ANSWER, MAX_LINE};
pub use command::{Act, AdminAction, Command, Health, Kinds, MasterCommand, StatScope, Weight, WeightError};
pub use connection::Limits;
pub use error::{Error, ErrorKind, Stage, Text};
pub use files::{STANDARD_INPUT, Unreadable, read_files};
pub use info::Info;
pub use master::MasterClient;
pub use name::{Name, NameError, ServerId};
pub use processes::{Process, ProcessKind};
pub use servers_conn::ServerConnections;
pub use servers_state::{AdminState, CheckState, OperationalState, ServerState};
pub use sessions::Session;
pub use stat::{StatKind, StatRow};
pub use status::{Progress, Status};
